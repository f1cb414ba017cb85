"""How a folder of clips is laid out, and what lies in it without being read."""

from pathlib import Path

from evaluation.media.frames import OTHER_MEDIA, SUFFIXES
from vgan.data.manifest import MANIFEST_NAME

ONE_CATEGORY = "all"


def manifest_folders(folder: Path) -> list[Path]:
    """Return the folder, or those in it, whose manifest says what its clips are."""
    if (folder / MANIFEST_NAME).is_file():
        return [folder]
    return sorted(p for p in folder.iterdir() if (p / MANIFEST_NAME).is_file())


def category_folders(folder: Path) -> list[Path]:
    """Return the folders that are categories where there is no manifest."""
    return [p for p in folder.iterdir() if p.is_dir() and _is_visible(p)]


def category_of(folder: Path, path: Path) -> str:
    """Return the category of a file that lies in a folder without a manifest."""
    return ONE_CATEGORY if path.parent == folder else path.parent.name


def is_clip(path: Path) -> bool:
    """Tell whether a file is one of the clips where there is no manifest."""
    return path.suffix.lower() in SUFFIXES and _is_visible(path) and path.is_file()


def unread_files(folder: Path) -> dict[Path, str]:
    """Return the files that somebody may take for clips and that are none, each with the reason."""
    if manifest_folders(folder):
        return {}
    found = {}
    for place in (folder, *category_folders(folder)):
        for path in filter(_is_visible, sorted(place.iterdir())):
            if not path.exists():
                found[path] = "a link to what is not there"
            elif path.suffix.lower() in OTHER_MEDIA:
                found[path] = "convert it to .mp4, or move it away"
    for category in category_folders(folder):
        for path in sorted(category.rglob("*/*")):
            inner = path.relative_to(category)
            if path.suffix.lower() in SUFFIXES | OTHER_MEDIA and all(map(_is_shown, inner.parts)):
                found[path] = "deeper than SOURCE/CATEGORY/; move it up, or away"
    return found


def _is_visible(path: Path) -> bool:
    return _is_shown(path.name)


def _is_shown(name: str) -> bool:
    return not name.startswith((".", "~"))
