"""Which crowd a command talks to, and where: the sandbox unless production is spelled out."""

import os
import socket
from urllib.parse import urlsplit

from evaluation.crowd.base import Crowd, CrowdError, CrowdUnreachable
from evaluation.errors import UsageError
from evaluation.schema import Environment

CROWDS = ("mturk",)
SANDBOX_PORT = 8900
SANDBOX_URL = f"http://127.0.0.1:{SANDBOX_PORT}"
SANDBOX_KEY = "VGANEVALSANDBOX"  # the requester's account there, the same on every run
ENDPOINT = "AWS_ENDPOINT_URL_MTURK"
_CLOSED = (
    "Amazon closed Mechanical Turk on 30 September 2026, so there is no production endpoint. Use "
    "another crowd (prolific, link), the bundled service (--sandbox), or set "
    f"{ENDPOINT} to a service of your own that speaks its API"
)


def open_crowd(name: str, environment: Environment) -> Crowd:
    """Return a platform, ready to be called.

    Args:
        name: of `CROWDS`.
        environment: sandbox or production.

    Raises:
        UsageError: no such crowd, or no production endpoint.
        CrowdUnreachable: the service of the sandbox is not up.
    """
    if name not in CROWDS:
        raise UsageError(
            f"crowd {name!r} takes no HITs; publish on {', '.join(CROWDS)}, or let raters in by "
            "link with `vgan-eval serve`"
        )
    return _open_mturk(environment)


def _open_mturk(environment: Environment) -> Crowd:
    given = os.environ.get(ENDPOINT)
    if environment is Environment.PRODUCTION and not given:
        raise UsageError(_CLOSED)
    endpoint = given or SANDBOX_URL
    if environment is Environment.SANDBOX:
        _require_up(endpoint)
    try:
        from evaluation.crowd.mturk import MTurk, connect
    except ImportError:
        raise UsageError("mturk needs boto3: python -m pip install 'vgan-eval[aws]'") from None
    # The bundled service takes any key; elsewhere boto3 looks for credentials as always.
    named = given and (os.environ.get("AWS_ACCESS_KEY_ID") or os.environ.get("AWS_PROFILE"))
    sandbox = environment is Environment.SANDBOX and not named
    return MTurk(connect(endpoint, SANDBOX_KEY if sandbox else None), environment)


def _require_up(endpoint: str) -> None:
    """Look whether something listens, before boto3 spends half a minute on retries."""
    parts = urlsplit(endpoint)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CrowdError(f"{ENDPOINT}={endpoint} is not a URL; write http://HOST:PORT")
        socket.create_connection((parts.hostname, port), timeout=5).close()
    except ValueError:
        raise CrowdError(f"{ENDPOINT}={endpoint} is not a URL; write http://HOST:PORT") from None
    except OSError:
        start = "vgan-eval sandbox"
        if parts.hostname in ("127.0.0.1", "localhost") and port != SANDBOX_PORT:
            start += f" --port {port}"
        raise CrowdUnreachable(
            f"nothing answers at {endpoint}; start the bundled service in another terminal: {start}"
        ) from None
