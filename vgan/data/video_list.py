"""Lists of videos to download: one JSON object per video, with whose it is and what they allow."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vgan.data.files import write_json_lines
from vgan.data.journal import parse_line
from vgan.errors import DataError

_ID = re.compile(r"[0-9A-Za-z_-]+")
_REQUIRED = ("id", "owner", "licence", "url")


@dataclass(frozen=True)
class FoundVideo:
    """A video on the web.

    Args:
        id: Flickr's, digits.
        title: as its owner wrote it.
        owner: Flickr's id of the member.
        owner_name: as it is shown; to be named with the video.
        licence: see `vgan.data.licences`.
        url: of its page.
        tags: its owner's.
        uploaded: ISO 8601, UTC; empty where it is not known.
        taken: ISO 8601 in the camera's time zone, which nobody knows; empty where it is missing.
        found_in: `flickr` or `yfcc100m`.
    """

    id: str
    title: str
    owner: str
    owner_name: str
    licence: str
    url: str
    tags: tuple[str, ...]
    uploaded: str
    taken: str
    found_in: str


def to_line(video: FoundVideo) -> dict[str, Any]:
    """Return the video as its JSON object."""
    return asdict(video) | {"tags": list(video.tags)}


def from_line(raw: dict[str, Any], where: str) -> FoundVideo:
    """Check a line of a list; keys it does not know are ignored.

    Raises:
        DataError: a key is missing or has the wrong type; the message begins with `where`.
    """
    values: dict[str, Any] = {}
    for name in (f.name for f in fields(FoundVideo) if f.name != "tags"):
        value = raw.get(name, None if name in _REQUIRED else "")
        if not isinstance(value, str):
            raise DataError(f"{where}: key `{name}` must be a text, not {value!r}")
        values[name] = value
    tags = raw.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise DataError(f"{where}: key `tags` must be a list of texts")
    if not _ID.fullmatch(values["id"]):
        raise DataError(f"{where}: id {values['id']!r} must be letters, digits, - and _")
    if not values["url"].startswith(("https://", "http://")):
        raise DataError(f"{where}: url {values['url']!r} must begin with https://")
    return FoundVideo(**values, tags=tuple(tags))


def read_list(path: Path) -> list[FoundVideo]:
    """Read a list of videos.

    Raises:
        DataError: the file is missing, or a line is not a video; the message names both.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    found = []
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        if line.strip():
            found.append(from_line(parse_line(line, where), where))
    return found


def write_list(path: Path, videos: Iterable[FoundVideo]) -> int:
    """Write a list, in order of upload, and return its length.

    Raises:
        WriteError: it cannot be written; an earlier list stays.
    """
    ordered = sorted(videos, key=lambda v: (v.uploaded, v.id))
    write_json_lines(path, map(to_line, ordered))
    return len(ordered)
