"""Read the metadata of YFCC100M, the 100 million Flickr photos and videos of 2004 to 2014.

One line each, columns parted by tabs, texts encoded as in a web address. There are two editions:
the ten files `yfcc100m_dataset-0` to `-9` of 2014 have 23 columns; the later single file has 25,
a line number before and a hash after the id.
"""

import bz2
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote_plus

from vgan.data.licences import licence_of_url
from vgan.data.video_list import FoundVideo
from vgan.errors import DataError

_FIRST, _LATER = 23, 25
_VIDEO = b"1"
# Columns of the first edition.
_ID, _OWNER, _OWNER_NAME, _TAKEN, _UPLOADED, _TITLE, _TAGS, _PAGE, _LICENCE = (
    0, 1, 2, 3, 4, 6, 8, 13, 16,
)  # fmt: skip


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        start = file.read(3)
    if start == b"BZh":
        return cast(BinaryIO, bz2.open(path, "rb"))
    if start == b"\x1f\x8b\x08":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _text(column: bytes) -> str:
    return unquote_plus(column.decode("utf-8", "replace"))


def _tags(column: bytes) -> tuple[str, ...]:
    return tuple(sorted(_text(tag) for tag in column.split(b",") if tag))


def _uploaded(seconds: bytes) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat() if seconds.isdigit() else ""


def _to_video(columns: list[bytes]) -> FoundVideo:
    return FoundVideo(
        id=columns[_ID].decode(),
        title=_text(columns[_TITLE]),
        owner=columns[_OWNER].decode(),
        owner_name=_text(columns[_OWNER_NAME]),
        licence=licence_of_url(columns[_LICENCE].decode()),
        url=columns[_PAGE].decode(),
        tags=_tags(columns[_TAGS]),
        uploaded=_uploaded(columns[_UPLOADED]),
        taken=columns[_TAKEN].decode().removesuffix(".0").replace(" ", "T"),
        found_in="yfcc100m",
    )


def plain_tag(tag: str) -> str:
    """Return a tag as Flickr compares it: small letters and digits only."""
    return "".join(letter for letter in tag.lower() if letter.isalnum())


def _matches(video: FoundVideo, tags: frozenset[str], match: str) -> bool:
    own = {plain_tag(tag) for tag in video.tags}
    return tags <= own if match == "all" else not tags.isdisjoint(own)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with _opened(path) as file:
            yield from file
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({why})") from None


def _video_of(line: bytes) -> FoundVideo | None:
    """Return the video that a line is of; None for a photo.

    Raises:
        ValueError: the line has another layout, or is damaged; says how.
    """
    columns = line.rstrip(b"\r\n").split(b"\t")
    if len(columns) not in (_FIRST, _LATER):
        raise ValueError(f"has {len(columns)} columns, not {_FIRST} or {_LATER}")
    if columns[-1] != _VIDEO:
        return None
    if len(columns) == _LATER:
        columns = [columns[1], *columns[3:]]
    try:
        return _to_video(columns)
    except (OSError, OverflowError, ValueError) as error:
        raise ValueError(f"is damaged ({error})") from None


def read_yfcc(path: Path, tags: frozenset[str], match: str) -> Iterator[FoundVideo | str | None]:
    """Go through a metadata file, plain or packed with bzip2 or gzip.

    Args:
        path: of the file.
        tags: see `plain_tag`.
        match: `any` of them, or `all`.

    Yields:
        For each line the video, None where it is none or has other tags, or what is wrong with it.

    Raises:
        DataError: the file cannot be read, or its first line has another layout.
    """
    for number, line in enumerate(_lines(path), 1):
        try:
            video = _video_of(line)
        except ValueError as error:
            if number == 1:
                raise DataError(f"{path}:1: {error}: is it YFCC100M's metadata?") from None
            yield f"{path}:{number}: {error}"
            continue
        yield video if video is not None and _matches(video, tags, match) else None
