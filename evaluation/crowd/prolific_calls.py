"""One call of Prolific's REST API at a time: its pages, its failures and what they mean for us.

Standard library only, so that a study on Prolific needs no more than the base install. A token
has every right of its researcher, so it goes to one host, follows no redirect, and stands in no
message.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from evaluation.crowd.addresses import LOOPBACK
from evaluation.crowd.base import CrowdError, CrowdUnreachable

TIMEOUT_S = 60.0
PAUSES_S = (1.0, 4.0, 16.0)  # after a 429, which is only ever given before anything is done
_LONGEST_DETAIL = 400
PAGE_SIZE = 100


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow nothing: the token would go along."""


def _opener(host: str | None) -> OpenerDirector:
    # A proxy that the environment names for the outside cannot reach this machine's own service.
    proxies = [ProxyHandler({})] if host in LOOPBACK else []
    return build_opener(_NoRedirect, *proxies)


class Calls:
    """Makes calls and turns every failure into CrowdError or CrowdUnreachable.

    Args:
        base: URL of the API, with its version, such as `https://api.prolific.com/api/v1/`.
        token: of the researcher.
        wait: waits some seconds.

    Raises:
        CrowdError: the base is no URL, or would carry the token in clear over a network.
    """

    def __init__(
        self, base: str, token: str, *, wait: Callable[[float], object] = time.sleep
    ) -> None:
        self.base = base.rstrip("/") + "/"
        self._host = host_of(base)
        # What a header cannot hold is not a token; urllib's own complaint would print it.
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise CrowdError("PROLIFIC_TOKEN is not a token: it has spaces or other characters")
        self._token = token
        self._opener = _opener(self._host)
        self.wait = wait

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """Return the reply's JSON; None where it is empty.

        Args:
            method: of HTTP.
            path: under the base, without a slash at its beginning.
            body: sent as JSON.
            query: of the URL.

        Raises:
            CrowdError: refused, and not done. CrowdUnreachable: unknown whether it was done.
        """
        for pause in PAUSES_S:
            try:
                return self._once(method, path, body, query)
            except _TooMany:
                self.wait(pause)
        return self._once(method, path, body, query)

    def having(
        self,
        key: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Call, and return the reply, which needs to have this key."""
        reply: dict[str, Any] = self.call(method, path, body, query)
        needed(reply, f"{method} {path}", key)
        return reply

    def _once(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, str] | None,
    ) -> Any:
        url = self.base + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {
            "Authorization": f"Token {self._token}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        request = Request(url, data, headers, method=method)  # noqa: S310 (host_of checked it)
        what = f"{method} {path}"
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as reply:
                return _json(reply.read(), what)
        except HTTPError as error:
            with error:
                raise _refusal(what, error.code, self._text(error)) from None
        except (URLError, HTTPException, OSError) as error:
            raise CrowdUnreachable(
                f"{self._host} did not answer {what} ({type(error).__name__}); when it is up "
                "again, run the same command again: nothing is done twice"
            ) from error

    def _text(self, error: HTTPError) -> str:
        """Return an error's body; should it repeat the token, that is cut out."""
        try:
            return error.read().decode("utf-8", "replace").replace(self._token, "...")
        except (HTTPException, OSError):
            return ""

    def pages(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Yield what a list has, page after page, as far as it points to a next one."""
        following: Mapping[str, str] = {**(query or {}), "page": "1", "page_size": str(PAGE_SIZE)}
        while True:
            try:
                reply = self.having("results", "GET", path, query=following)
            except CrowdMissing:
                if following["page"] == "1":
                    raise
                return  # a page past the end, after the list became shorter
            yield from reply["results"]
            links = reply.get("_links") or {}
            href = (links.get("next") or {}).get("href")
            if not href:
                return
            # Of the address only the query is taken: the token goes to no other host.
            following = {
                name: values[-1] for name, values in parse_qs(urlsplit(href).query).items()
            }
            following = {**(query or {}), **following}


class CrowdMissing(CrowdError):
    """There is no such thing, or the token may not see it; Prolific does not tell them apart."""


class _TooMany(CrowdUnreachable):
    """The platform asks for patience."""


def host_of(base: str) -> str:
    """Return the host of the API's URL.

    Raises:
        CrowdError: it is no URL, or plain HTTP to another machine.
    """
    try:
        parts = urlsplit(base)
        host, _ = parts.hostname, parts.port  # a port that is no number is found by reading it
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise CrowdError(f"PROLIFIC_API_URL={base} is not a URL; write https://HOST/api/v1/")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise CrowdError(f"PROLIFIC_API_URL={base} would send the token in clear; use https://")
    return host


def needed(reply: Any, what: str, key: str) -> Any:
    """Return a key of a reply; a reply without it is not Prolific's."""
    if not isinstance(reply, dict) or key not in reply:
        raise CrowdUnreachable(
            f"the reply to {what} has no {key}, so it is not Prolific's; does PROLIFIC_API_URL "
            "name the right service?"
        )
    return reply[key]


def _json(raw: bytes, what: str) -> Any:
    if not raw.strip():
        return None
    try:
        return json.loads(raw)
    except ValueError:
        raise CrowdUnreachable(
            f"the reply to {what} is not JSON; does PROLIFIC_API_URL name the right service?"
        ) from None


def _refusal(what: str, status: int, body: str) -> CrowdError | CrowdUnreachable:
    if status == 429:
        return _TooMany(f"Prolific is busy with this account ({what}); try again in some minutes")
    if status >= 500:
        return CrowdUnreachable(
            f"Prolific failed at {what} ({status}); run the same command again later"
        )
    said = _detail(body)
    if status == 401:
        return CrowdError(
            f"Prolific does not accept the token, or not for {what} ({said}); put a valid one "
            "into PROLIFIC_TOKEN (Prolific: Settings, API tokens)"
        )
    kind = CrowdMissing if status == 404 else CrowdError
    return kind(f"{what} was refused: {said} ({status})")


def _detail(body: str) -> str:
    """Return what an error's body says, in any of its three documented forms, on one line."""
    try:
        found = json.loads(body)
    except ValueError:
        return _line(body) or "no reason given"
    if isinstance(found, dict) and isinstance(found.get("error"), dict):
        found = found["error"]
    if not isinstance(found, dict):
        return _line(str(found))
    detail = found.get("detail") or found.get("message") or found.get("title") or found
    if isinstance(detail, dict):
        parts = (f"{name}: {_joined(said)}" for name, said in detail.items())
        return _line("; ".join(parts))
    return _line(_joined(detail))


def _joined(said: Any) -> str:
    return ", ".join(map(str, said)) if isinstance(said, list) else str(said)


def _line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_DETAIL]
