"""Which crowd a command talks to, and where: the sandbox unless production is spelled out."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from evaluation import frozen
from evaluation.budget import check_pay
from evaluation.crowd.addresses import (
    LOOPBACK,
    PROLIFIC_SANDBOX_PORT,
    PROLIFIC_SANDBOX_TOKEN,
    PROLIFIC_SANDBOX_URL,
    SANDBOX_KEY,
    SANDBOX_PORT,
    SANDBOX_URL,
)
from evaluation.crowd.base import Crowd, CrowdError, CrowdUnreachable
from evaluation.database import Database, find_study, open_database
from evaluation.errors import UsageError
from evaluation.schema import Environment
from evaluation.study import Study

ENDPOINT = "AWS_ENDPOINT_URL_MTURK"
PROLIFIC_URL = "https://api.prolific.com/api/v1/"
PROLIFIC_ENDPOINT = "PROLIFIC_API_URL"
_CLOSED = (
    "Amazon closed Mechanical Turk on 30 September 2026, so there is no production endpoint. Use "
    "another crowd (prolific, link), the bundled service (--sandbox), or set "
    f"{ENDPOINT} to a service of your own that speaks its API"
)


def open_crowd(name: str, environment: Environment, database: Database | None = None) -> Crowd:
    """Return a platform, ready to be called.

    Args:
        name: of `CROWDS`.
        environment: sandbox or production.
        database: of the study, for crowds that have no other books.

    Raises:
        UsageError: no such crowd, no production endpoint or that of a sandbox, or no boto3 for
            mturk.
        CrowdUnreachable: the service of the sandbox is not up.
    """
    if name not in CROWDS:
        raise UsageError(
            f"crowd {name!r} takes no HITs; publish on {', '.join(CROWDS)}, or let raters in by "
            "link with `vgan-eval serve`"
        )
    return CROWDS[name].open(environment, database)


def check_endpoint(name: str, environment: Environment) -> None:
    """Refuse a crowd that has no endpoint there.

    Raises:
        UsageError: MTurk's in production, which is closed.
    """
    production = environment is Environment.PRODUCTION
    if name == "mturk" and production and not os.environ.get(ENDPOINT):
        raise UsageError(_CLOSED)


def check_study(study: Study, crowd: str) -> None:
    """Refuse a study file that a crowd would not publish; no platform is called.

    Raises:
        UsageError: its pay, or what cannot be said there; the message names the key.
    """
    check_pay(study.pay, crowd)
    if crowd in CROWDS:
        CROWDS[crowd].check(study)


def study_crowd(database_url: str, study_name: str | None) -> str:
    """Return the crowd that a study's file names, or mturk where that is none of `CROWDS`.

    Raises:
        DatabaseError: the database cannot be opened, or holds no such study.
    """
    with open_database(database_url) as database, database.read() as session:
        named = frozen.recruit(find_study(session, study_name)).crowd
    return named if named in CROWDS else "mturk"


def _open_link(environment: Environment, database: Database | None) -> Crowd:
    from evaluation.crowd.link import LinkCrowd

    assert database is not None
    return LinkCrowd(database, environment)


def _open_prolific(environment: Environment, _: Database | None) -> Crowd:
    from evaluation.crowd.prolific import Prolific
    from evaluation.crowd.prolific_calls import Calls, host_of

    given = os.environ.get(PROLIFIC_ENDPOINT)
    if environment is Environment.PRODUCTION:
        token = os.environ.get("PROLIFIC_TOKEN", "")
        if not token:
            raise UsageError(
                "PROLIFIC_TOKEN is missing: make a token on Prolific (Settings, API tokens) and "
                "export PROLIFIC_TOKEN=...; it is read from the environment only"
            )
        if given and host_of(given) in LOOPBACK:  # plain HTTP elsewhere is refused by itself
            raise UsageError(
                f"{PROLIFIC_ENDPOINT} points to {given}, which is not Prolific and would get your "
                "token; unset it"
            )
        workspace = os.environ.get("PROLIFIC_WORKSPACE", "")
        return Prolific(Calls(given or PROLIFIC_URL, token), environment, workspace)
    endpoint = given or PROLIFIC_SANDBOX_URL
    host_of(endpoint)
    start = ("vgan-eval sandbox --crowd prolific", PROLIFIC_SANDBOX_PORT)
    _require_up(endpoint, PROLIFIC_ENDPOINT, start)
    # The real token stays here, wherever the sandbox is.
    return Prolific(Calls(endpoint, PROLIFIC_SANDBOX_TOKEN), environment)


def _check_prolific(study: Study) -> None:
    from evaluation.crowd.prolific_terms import check_tables

    try:
        check_tables(study.workers, study.pay, study.recruit.prolific)
    except CrowdError as error:
        raise UsageError(str(error)) from None


def _open_mturk(environment: Environment, _: Database | None) -> Crowd:
    check_endpoint("mturk", environment)
    try:  # before the service is asked for, which needs boto3 itself
        from evaluation.crowd.mturk import MTurk, connect
    except ImportError:
        raise UsageError("mturk needs boto3: python -m pip install 'vgan-eval[aws]'") from None
    endpoint = os.environ.get(ENDPOINT) or SANDBOX_URL
    if environment is Environment.SANDBOX:
        _require_up(endpoint, ENDPOINT, ("vgan-eval sandbox", SANDBOX_PORT))
    # The bundled service takes any key. Credentials of one's own, which boto3 finds, stay here
    # wherever the sandbox is said to be: with them a service for money would take the call.
    key = SANDBOX_KEY if environment is Environment.SANDBOX else None
    return MTurk(connect(endpoint, key), environment)


def _require_up(endpoint: str, variable: str, bundled: tuple[str, int]) -> None:
    """Look whether something listens, before a client spends half a minute on retries.

    Args:
        endpoint: of the service.
        variable: of the environment, that may name it.
        bundled: the command that starts the bundled one, and the port it takes by itself.
    """
    parts = urlsplit(endpoint)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CrowdError(f"{variable}={endpoint} is not a URL; write http://HOST:PORT")
        socket.create_connection((parts.hostname, port), timeout=5).close()
    except ValueError:
        raise CrowdError(f"{variable}={endpoint} is not a URL; write http://HOST:PORT") from None
    except OSError:
        start, usual = bundled
        if parts.hostname in ("127.0.0.1", "localhost") and port != usual:
            start += f" --port {port}"
        raise CrowdUnreachable(
            f"nothing answers at {endpoint}; start the bundled service in another terminal: {start}"
        ) from None


@dataclass(frozen=True)
class Registered:
    """A crowd that takes HITs: how it is opened, and what it refuses in a study file but pay."""

    open: Callable[[Environment, Database | None], Crowd]
    check: Callable[[Study], None] = lambda _: None


CROWDS = {
    "mturk": Registered(_open_mturk),
    "link": Registered(_open_link),
    "prolific": Registered(_open_prolific, _check_prolific),
}
