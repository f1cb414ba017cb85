"""The videos of some files and folders, each with an id and a category that follow from names."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vgan.errors import DataError, UsageError

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts"}
    | {".webm", ".wmv"}
)


@dataclass(frozen=True)
class SourceVideo:
    """A video to cut.

    Args:
        id: stays the same wherever the folder lies: category and path below it.
        path: the file.
        category: of its clips.
    """

    id: str
    path: Path
    category: str


def slug(text: str) -> str:
    """Return text as a slug, its accents folded; empty where it has no Latin letter or digit."""
    letters = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in letters if not unicodedata.combining(c)).casefold()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _place(given: Path) -> Path:
    """Return an input's full path, however it is spelled; a link keeps its own name."""
    if given.name in ("", ".."):
        return given.resolve()
    return given.parent.resolve() / given.name


def _readable(name: str) -> str:
    """Return a file's name as text; bytes that are not UTF-8 become escapes."""
    return os.fsencode(name).decode(errors="backslashreplace")


def visible_under(folder: Path, out: Path | None = None) -> Iterator[Path]:
    """Yield what lies below a folder, in order: nothing hidden, and nothing made in `out`."""
    real = folder.resolve()
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in below.parts)
        if not hidden and out not in (real / below).parents:
            yield path


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def unread_files(inputs: Sequence[Path], out: Path) -> Counter[str]:
    """Count the files of some folders that do not pass for videos, by the ending of their names."""
    folders = [place for place in map(_place, inputs) if place.is_dir()]
    found = {path for folder in folders for path in visible_under(folder, out.resolve())}
    return count_endings(path for path in found if not _is_video(path))


def count_endings(paths: Iterable[Path]) -> Counter[str]:
    """Count the files among some paths by the ending of their names, in lower case, no dot."""
    return Counter(
        path.suffix.lower().removeprefix(".") or "no ending" for path in paths if path.is_file()
    )


def _named(path: Path, folder: Path, category: str | None) -> SourceVideo:
    """Give a video its id and category: the name stated, else that of its category's folder."""
    name = slug(category or folder.name)
    inside = _readable(path.relative_to(folder).as_posix())
    return SourceVideo(f"{name}/{inside}", path, name)


def _find(inputs: Sequence[Path], out: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the videos of some inputs, each with its category's folder.

    That is the first one below the input, else the input itself.
    """
    for given in inputs:
        place = _place(given)
        if not place.exists():
            raise DataError(f"{given}: no such file or folder")
        if place.is_file():
            yield place, place.parent
            continue
        for path in filter(_is_video, visible_under(place, out.resolve())):
            below = path.relative_to(place)
            yield path, place / below.parts[0] if len(below.parts) > 1 else place


def _check_categories(folders: Iterable[Path]) -> None:
    """Raise UsageError where folders' names give no category, or two names give the same one.

    One name in several places is one category: inputs add up.
    """
    named: dict[str, Path] = {}
    nameless: list[str] = []
    for folder in dict.fromkeys(folders):
        name = slug(folder.name)
        if not name:
            nameless.append(str(folder))
        elif _letters(named.setdefault(name, folder).name) != _letters(folder.name):
            raise UsageError(
                f"{named[name]} and {folder} would both be category {name!r}: rename one, or state "
                "--category for all"
            )
    if nameless:
        raise UsageError(
            f"{', '.join(nameless)}: without a Latin letter or digit a folder's name gives no "
            "category: rename it, or cut each with --category in a run of its own into one --out"
        )


def _letters(name: str) -> str:
    """Return a name as it is compared: in one case, its accents written in one way."""
    return unicodedata.normalize("NFC", name).casefold()


def find_videos(inputs: Sequence[Path], out: Path, category: str | None) -> list[SourceVideo]:
    """List the videos of some files and folders, sorted by id; the clips in `out` are left out.

    Raises:
        UsageError: two different files would get the same id, two folders the same category, or a
            name gives none.
        DataError: an input is missing, or there is no video at all.
    """
    videos = list(_find(inputs, out))
    if category is None:
        _check_categories(folder for _, folder in videos)
    elif not slug(category):
        raise UsageError(f"--category {category!r} has no Latin letter or digit")
    found: dict[str, SourceVideo] = {}
    for path, folder in videos:
        video = _named(path, folder, category)
        other = found.setdefault(video.id, video)
        if other.path != path and os.path.realpath(other.path) != os.path.realpath(path):
            raise UsageError(f"{path} and {other.path} would both be video {video.id!r}")
    if not found:
        places = ", ".join(str(p) for p in inputs)
        raise DataError(f"{places}: no videos here ({' '.join(sorted(VIDEO_SUFFIXES))})")
    return [found[key] for key in sorted(found)]
