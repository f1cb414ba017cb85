"""The public address as a browser elsewhere sees it: plain requests, nothing followed or kept.

Redirects, compression and proxies of the environment would hide what is to be looked at, so this
stands on `http.client`.
"""

import json
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from evaluation.addresses import check_own_host
from evaluation.errors import EvaluationError, UsageError

_AGENT = "vgan-eval-doctor"
_USUAL_PORT = {"http": 80, "https": 443}
_LONGEST_BODY = 64 * 2**20  # no clip of a study comes near


class SiteError(EvaluationError):
    """The address did not answer, or not with HTTP."""


class CertificateRefused(SiteError):
    """The certificate is not one that browsers take."""


@dataclass(frozen=True)
class Reply:
    """One answer.

    Args:
        status: of HTTP.
        headers: as they came, repeated ones repeated.
        body: as it came over the wire, still compressed if it was.
        ms: from sending the request to the last byte, connecting included.
        sent_at: aware.
        received_at: aware, of the last byte.
        closes: whether the server ended the connection with it.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    ms: float
    sent_at: datetime
    received_at: datetime
    closes: bool

    def all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        """Return a header's values as browsers join them; empty when it is missing."""
        return ", ".join(self.all(name))

    def json(self) -> dict[str, Any]:
        """Return the body's JSON object, or an empty one when it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Site:
    """An origin to examine.

    Args:
        scheme: `http` or `https`.
        host: name or address.
        port: of the scheme, or as given.
        ca_file: certificates to trust besides the system's.
        timeout_s: for connecting and for each read.
    """

    scheme: str
    host: str
    port: int
    ca_file: Path | None = None
    timeout_s: float = 10.0

    @property
    def origin(self) -> str:
        """Scheme, host and port, as an Origin header has them."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{name}" + ("" if self.has_usual_port else f":{self.port}")

    @property
    def has_usual_port(self) -> bool:
        """Whether the port is the scheme's own."""
        return self.port == _USUAL_PORT[self.scheme]

    @cached_property
    def context(self) -> ssl.SSLContext:
        """The TLS settings of a browser: certificate and name are checked."""
        made = ssl.create_default_context()
        if self.ca_file is not None:
            made.load_verify_locations(self.ca_file)
        return made

    def request(
        self,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request on a connection of its own.

        Raises:
            SiteError: no answer; CertificateRefused when that is why.
        """
        return self._exchange([(method, path, body, dict(headers or {}))])[0]

    def post(self, path: str, body: Mapping[str, Any], **headers: str) -> Reply:
        """Send JSON, as the rating page does. Raises SiteError."""
        sent = {"Content-Type": "application/json", **headers}
        return self.request(path, method="POST", body=json.dumps(body).encode(), headers=sent)

    def repeat(self, path: str, times: int) -> list[Reply]:
        """Fetch a path several times on one connection, opened anew where the server closes it.

        Raises:
            SiteError: no answer.
        """
        return self._exchange([("GET", path, None, {})] * times)

    def _exchange(
        self, requests: Sequence[tuple[str, str, bytes | None, dict[str, str]]]
    ) -> list[Reply]:
        if self.scheme == "https":
            connection: HTTPConnection = HTTPSConnection(
                self.host, self.port, timeout=self.timeout_s, context=self.context
            )
        else:
            connection = HTTPConnection(self.host, self.port, timeout=self.timeout_s)
        try:
            return [_send(connection, *request) for request in requests]
        except ssl.SSLCertVerificationError as error:
            raise CertificateRefused(f"{self.origin}: {error.verify_message}") from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "strerror", None) or error or type(error).__name__
            raise SiteError(f"{self.origin}: no answer ({reason})") from error
        finally:
            connection.close()


def _send(
    connection: HTTPConnection, method: str, path: str, body: bytes | None, given: dict[str, str]
) -> Reply:
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "gzip, br, zstd", **given}
    sent_at, started = datetime.now(UTC), time.perf_counter()
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    received = answer.read(_LONGEST_BODY)
    ms = (time.perf_counter() - started) * 1000
    return Reply(
        answer.status,
        tuple(answer.getheaders()),
        received,
        ms,
        sent_at,
        datetime.now(UTC),
        answer.will_close,
    )


def _is_host(name: str) -> bool:
    """Tell whether somebody can be asked for a name: no empty or overlong part, no spaces."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return name.isprintable() and " " not in name


def open_site(url: str, *, ca_file: Path | None = None, timeout_s: float = 10.0) -> Site:
    """Read an address; nothing is sent yet.

    Args:
        url: `https://HOST` or `https://HOST:PORT`.
        ca_file: as for `Site`.
        timeout_s: as for `Site`.

    Raises:
        UsageError: it is no such address, or the certificates cannot be read.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or not _is_host(parts.hostname):
        raise UsageError(f"--url {url}: write https://HOST")
    check_own_host(url, parts)
    port = port or _USUAL_PORT[parts.scheme]
    site = Site(parts.scheme, parts.hostname, port, ca_file, timeout_s)
    try:
        _ = site.context  # read now: a wrong file is a wrong option
    except (OSError, ssl.SSLError):
        raise UsageError(f"--ca {ca_file}: holds no certificate in PEM form") from None
    return site
