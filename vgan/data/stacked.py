"""The clips that the paper's authors released: a JPEG each, its frames one below the other.

A text list names them, one path below a root folder per line, as their loader takes it; a second
word, the number of a class, is kept and not used. Frames are square and as wide as the file; those
after the 32nd are not used, and a short clip holds its last frame, as in their loader. Unlike it,
a file that cannot be read is left out and named, not trained on as mid-grey.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from vgan.data.framing import area_average
from vgan.data.manifest import ClipRecord, Origin
from vgan.data.videos import Frames, Video
from vgan.errors import DataError

FPS = 25.0  # the lists state none; most of the authors' videos had this rate
STACK_SUFFIXES = frozenset({".jpg", ".jpeg"})
# What their archives unpack to, beside the list.
_UNPACKED = "frames-stable-many"
_TALLEST = 1000  # frames; more is no clip, and could fill the memory


def read_stacked_list(
    path: Path, root: Path | None, category: str, shape: tuple[int, int, int]
) -> tuple[Path, list[ClipRecord]]:
    """Read a list of stacked clips; all of them are for training.

    Args:
        path: the list.
        root: what its paths lie below. Default: the list's folder, or `frames-stable-many` in it.
        category: of all clips.
        shape: of the clips when they are read, (T, H, W).

    Returns:
        The root, and the records in the list's order, without checksums.

    Raises:
        DataError: the list or the root is missing, a line is no path to a JPEG or stands twice, or
            none of the files is there; names file and line.
    """
    records: dict[str, ClipRecord] = {}
    for number, words in _lines(path):
        record = _record(f"{path}:{number}", words, category, shape)
        if record.clip in records:
            raise DataError(f"{path}:{number}: {record.clip} is listed already")
        records[record.clip] = record
    if not records:
        raise DataError(f"{path}: lists no clips")
    return _root(path, root, list(records)), list(records.values())


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if words := line.split():
                    yield number, words
    except UnicodeDecodeError:
        raise DataError(
            f"{path}: is neither a clip folder nor a text list of stacked JPEG clips"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def _root(path: Path, root: Path | None, clips: list[str]) -> Path:
    """Return the folder that some of the first clips lie in."""
    places = [root] if root is not None else [path.parent, path.parent / _UNPACKED]
    first = clips[:100]
    for place in places:
        if any((place / clip).is_file() for clip in first):
            return place
    looked = " and ".join(str(place) for place in places)
    raise DataError(
        f"{path}: the first {len(first)} clips it lists are not below {looked}; give their root "
        "folder with --root"
    )


def _record(where: str, words: list[str], category: str, shape: tuple[int, int, int]) -> ClipRecord:
    clip = PurePosixPath(words[0])
    if clip.suffix.lower() not in STACK_SUFFIXES:
        raise DataError(f"{where}: {words[0]!r} is not the path of a JPEG")
    if clip.is_absolute() or ".." in clip.parts:
        raise DataError(f"{where}: {words[0]!r} must be a path below the root folder")
    if len(words) > 2 or (len(words) == 2 and not words[1].isdecimal()):
        raise DataError(f"{where}: after the path, {' '.join(words[1:])!r} is not a class number")
    frames, height, width = shape
    # VIDEO.mp4/0003.jpg is that video's fourth clip; which frame it starts with is not known.
    return ClipRecord(
        clip.as_posix(), "", "real", category, frames, FPS, width, height,
        origin=Origin(str(clip.parent) if re.fullmatch(r"\d+", clip.stem) else str(clip)),
        split="train", extra={"label": int(words[1])} if len(words) == 2 else {},
    )  # fmt: skip


def read_stack(path: Path, frames: int, size: int) -> Video:
    """Read a stacked clip.

    Args:
        path: a JPEG whose height is a whole multiple of its width.
        frames: to return: the first ones, the last held where there are fewer.
        size: of a side, in pixels; reached by exact area averages, as in the authors' loader.

    Raises:
        DataError: it is no JPEG, truncated, not a stack of squares, too small, or under half as
            long as is wanted (the authors kept no such clips).
    """
    try:
        with Image.open(path, formats=("JPEG",)) as image:
            count = _check_size(path, image.width, image.height, frames, size)
            pixels = np.asarray(image.convert("RGB"))
    except UnidentifiedImageError:
        raise DataError(f"{path}: is not a JPEG") from None
    except (OSError, SyntaxError) as error:  # Pillow's words for a broken stream
        raise DataError(f"{path}: cannot be read ({error})") from None
    squares = pixels.reshape(count, len(pixels) // count, -1, 3)[:frames]
    small: list[Frames] = [area_average(square, size) for square in squares]
    return Video(np.stack(small + small[-1:] * (frames - len(small))), FPS)


def _check_size(path: Path, width: int, height: int, frames: int, size: int) -> int:
    """Return how many frames a stack of this size holds, or raise DataError."""
    count, over = divmod(height, width)
    if over or not 0 < count <= _TALLEST:
        raise DataError(f"{path}: is {width}x{height}, not a stack of squares {width} wide")
    if width < size:
        raise DataError(f"{path}: its frames are {width} wide, under {size}")
    if 2 * count < frames:
        raise DataError(f"{path}: holds {count} frames, under half of {frames}")
    return count
