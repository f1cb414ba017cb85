"""Find videos on Flickr by tag, all of them.

A search gives at most its first 4,000 results, so it is cut by the date of upload until every
slice has fewer. The API's key is sent in the body of a request, never in an address, and does not
appear in messages. Nothing is fetched here but lists; videos are fetched by `vgan.data.downloads`.
"""

import json
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

from vgan.data.licences import licence_name, licence_numbers
from vgan.data.pacing import TokenBucket
from vgan.data.video_list import FoundVideo
from vgan.errors import DataError, UsageError

API_URL = "https://api.flickr.com/services/rest/"
KEY_VARIABLE = "FLICKR_API_KEY"
# flickr.photos.search: results per query and per page, tags in a query; the developer guide: calls.
MOST_RESULTS, _PER_PAGE, _MOST_TAGS = 4000, 500, 20
_CALLS_PER_HOUR = 3600
_TRIES = 6
_TIMEOUT_S, _LONGEST_WAIT_S = 60, 600
_BAD_KEY = 100
# Failures that Flickr itself calls temporary.
_TEMPORARY = {10, 105, 106, 201}
_HERE = {"127.0.0.1", "::1", "localhost"}
_log = logging.getLogger(__name__)


class FlickrError(DataError):
    """Flickr refuses a request, or does not answer; what was found so far is kept."""


class _TemporaryError(Exception):
    """Worth another try.

    Args:
        why: in a few words.
        wait_s: as long as the service asks for; None where it does not say.
    """

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


@dataclass(frozen=True)
class FlickrQuery:
    """What is searched for.

    Args:
        tags: one or more.
        match: `any` of the tags, or `all`.
        licences: names; None takes every licence.
        since: upload time, seconds since 1970, included.
        until: the same, included.
    """

    tags: tuple[str, ...]
    match: str
    licences: tuple[str, ...] | None
    since: int
    until: int

    def __post_init__(self) -> None:
        """Refuse what Flickr would answer wrongly, or not at all."""
        if not self.tags:
            raise UsageError("no tag is named: --tags beach,ocean")
        if self.match == "all" and len(self.tags) > _MOST_TAGS:
            raise UsageError(f"Flickr matches at most {_MOST_TAGS} tags together")
        if self.since > self.until:
            raise UsageError("--since is later than --until")


def key_from_environment() -> str:
    """Return the API key.

    Raises:
        UsageError: there is none.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise UsageError(
            f"{KEY_VARIABLE} is not set: get a key at https://www.flickr.com/services/apps/create "
            f"and `export {KEY_VARIABLE}=...`"
        )
    return key


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Following one could send the key to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class FlickrApi:
    """Flickr's API over HTTP, at the pace that it asks for.

    Args:
        key: of the API.
        url: where the API is; plain http only on this machine.
        bucket: keeps the pace; None is the 3,600 calls an hour that Flickr allows.
        sleep: waits for some seconds between tries.

    Raises:
        UsageError: the address would send the key in the clear.
    """

    def __init__(
        self,
        key: str,
        url: str = API_URL,
        bucket: TokenBucket | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
            raise UsageError(f"{url}: must be https (http only on this machine)")
        self._key, self._url, self._sleep = key, url, sleep
        self._bucket = bucket or TokenBucket(_CALLS_PER_HOUR)
        self._opener = urllib.request.build_opener(_NoRedirect)

    def call(self, method: str, **parameters: str | int) -> dict[str, Any]:
        """Call a method and return its JSON answer; try again while that may help.

        Raises:
            FlickrError: the key or the request is refused, or no try succeeded.
        """
        why, asked = "", None
        for attempt in range(_TRIES):
            self._bucket.take()
            try:
                return self._ask(method, parameters)
            except _TemporaryError as error:
                why, asked = str(error), error.wait_s
            if attempt + 1 < _TRIES:
                wait = min(2.0**attempt if asked is None else asked, _LONGEST_WAIT_S)
                _log.info("Flickr: %s; trying again in %.0f s", why, wait)
                self._sleep(wait)
        raise FlickrError(
            f"Flickr did not answer {_TRIES} times ({why}); what was found is kept: run the same "
            "command again later to go on"
        )

    def _ask(self, method: str, parameters: dict[str, str | int]) -> dict[str, Any]:
        form = {"method": method, "format": "json", "nojsoncallback": 1, **parameters}
        body = urlencode(form | {"api_key": self._key}).encode()
        try:
            with self._opener.open(self._url, body, _TIMEOUT_S) as answer:
                data = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise self._http_error(error) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise _TemporaryError(f"no answer: {reason}") from None
        try:
            found = json.loads(data)
        except ValueError:
            raise _TemporaryError("its answer is not JSON") from None
        if not isinstance(found, dict):
            raise _TemporaryError("its answer is not a JSON object")
        if found.get("stat") != "ok":
            raise self._failure(found)
        return found

    def _http_error(self, error: urllib.error.HTTPError) -> Exception:
        if error.code == 429 or error.code >= 500:
            after = error.headers.get("Retry-After", "")
            return _TemporaryError(f"HTTP {error.code}", float(after) if after.isdigit() else None)
        return FlickrError(f"Flickr answers HTTP {error.code} at {self._url}")

    def _failure(self, found: dict[str, Any]) -> Exception:
        code, message = found.get("code"), str(found.get("message", "no reason given"))
        message = message.replace(self._key, "(the key)")
        if code in _TEMPORARY:
            return _TemporaryError(f"{message} (code {code})")
        if code == _BAD_KEY:
            return FlickrError(f"Flickr refuses the key in {KEY_VARIABLE}: {message} (code {code})")
        return FlickrError(f"Flickr refuses the request: {message} (code {code})")


@dataclass(frozen=True)
class _Page:
    total: int
    pages: int
    videos: list[FoundVideo]


def _to_video(raw: dict[str, Any]) -> FoundVideo:
    return FoundVideo(
        id=str(raw["id"]),
        title=str(raw.get("title", "")),
        owner=str(raw["owner"]),
        owner_name=str(raw.get("ownername", "")),
        licence=licence_name(int(raw["license"])),
        url=f"https://www.flickr.com/photos/{raw['owner']}/{raw['id']}/",
        tags=tuple(sorted(str(raw.get("tags", "")).split())),
        uploaded=datetime.fromtimestamp(int(raw["dateupload"]), UTC).isoformat(),
        taken=str(raw.get("datetaken", "")).replace(" ", "T"),
        found_in="flickr",
    )


def _search(api: FlickrApi, query: FlickrQuery, since: int, until: int, page: int) -> _Page:
    parameters: dict[str, str | int] = {
        "tags": ",".join(query.tags), "tag_mode": query.match, "media": "videos",
        "min_upload_date": since, "max_upload_date": until, "sort": "date-posted-asc",
        "per_page": _PER_PAGE, "page": page,
        "extras": "license,owner_name,tags,date_upload,date_taken,media",
    }  # fmt: skip
    if query.licences is not None:
        parameters["license"] = ",".join(map(str, licence_numbers(query.licences)))
    try:
        photos = api.call("flickr.photos.search", **parameters)["photos"]
        found = [_to_video(raw) for raw in photos["photo"] if raw.get("media") != "photo"]
        return _Page(int(photos["total"]), int(photos["pages"]), found)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
        raise FlickrError(f"Flickr's answer is not what its API promises ({error!r})") from None


def search_slices(api: FlickrApi, query: FlickrQuery) -> Iterator[tuple[int, list[FoundVideo]]]:
    """Search, from the earliest upload to the latest, in slices that are whole.

    Yields:
        The last second of a slice, and the videos uploaded since the slice before.

    Raises:
        FlickrError: see `FlickrApi.call`.
    """
    slices = [(query.since, query.until)]
    while slices:
        since, until = slices.pop()
        page = _search(api, query, since, until, 1)
        if page.total > MOST_RESULTS and since < until:
            middle = (since + until) // 2
            slices += [(middle + 1, until), (since, middle)]
            continue
        if page.total > MOST_RESULTS:
            _log.warning("%d videos uploaded in one second; Flickr gives the first %d of them",
                         page.total, MOST_RESULTS)  # fmt: skip
        found = list(page.videos)
        for number in range(2, min(page.pages, MOST_RESULTS // _PER_PAGE) + 1):
            found += _search(api, query, since, until, number).videos
        yield until, found
