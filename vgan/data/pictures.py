"""Pictures that a future is predicted from: any photo, animation or video frame, as a small square.

A file is what its bytes say, whatever its name. Pictures are turned as their EXIF says, put on
white where they are transparent, cut to their centre square and area-averaged, as clips are. A
JPEG is decoded at the smallest eighth that is large enough; other formats have no such short cut
and are decoded whole, at 4 bytes a pixel, or 13 where they are transparent.
"""

import glob
import itertools
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vgan.data.framing import area_average, centre_square
from vgan.data.manifest import MANIFEST_NAME, ClipRecord, Origin, read_manifest, unfinished
from vgan.data.source_videos import VIDEO_SUFFIXES, count_endings, slug, visible_under
from vgan.data.videos import Frames, iter_frames, video_info
from vgan.errors import DataError, UsageError
from vgan.wording import number_of

PICTURE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp", ".ppm", ".jp2", ".avif"}
)
_UNREAD_SUFFIXES = {".heic", ".heif", ".svg", ".raw", ".dng"}  # pictures, but not Pillow's
_WHITE = (255, 255, 255, 255)
# A JPEG's decoder may shrink by 2, 4 or 8; it is told to leave this many times the side wanted, so
# that the area average has something to average.
_SPARE = 8


@dataclass(frozen=True)
class GivenPicture:
    """A picture to predict from.

    Args:
        path: the file.
        name: of the clip it becomes, without suffix: a path of slugs below the category.
        origin: which picture it is; clips of one video share `origin.video`.
        split: of a clip that is listed in a manifest.
    """

    path: Path
    name: str
    origin: Origin
    split: str | None = None


def find_pictures(
    inputs: Sequence[Path], *, category: str, frame: int = 0, split: str | None = None
) -> list[GivenPicture]:
    """List the pictures and videos of files, folders and glob patterns, sorted by name.

    A folder with a manifest gives the clips it lists of the category, under their own names, with
    the video they were cut from as their origin; any other folder is searched for pictures and
    videos.

    Args:
        inputs: files, folders, or patterns with `*`, `?` or `[`.
        category: of the clips taken from manifests.
        frame: of each video or animation, from 0; only written down here.
        split: of the clips taken from manifests; all by default.

    Raises:
        UsageError: a split is asked for where there is no manifest, or two pictures would become
            one clip.
        DataError: an input is missing or a clip folder that was not finished, or there is nothing
            to predict from.
    """
    found: list[GivenPicture] = []
    loose: dict[Path, str] = {}
    for given in inputs:
        for place in _expanded(given):
            if (place / MANIFEST_NAME).is_file():
                found += _of_manifest(place, category, split, frame)
                continue
            if why := unfinished(place):
                raise DataError(why)
            if split is not None:
                raise UsageError(f"--split {split}: {place} has no {MANIFEST_NAME}, so no splits")
            if place.is_dir():
                read = filter(_is_read, visible_under(place))
                loose |= {path: path.relative_to(place).as_posix() for path in read}
            else:
                loose[place] = place.name
    found += _named(loose, frame)
    if not found:
        raise DataError(_nothing(inputs, category, split))
    unique: dict[str, GivenPicture] = {}
    for picture in found:
        other = unique.setdefault(picture.name, picture)
        if other.path != picture.path:
            raise UsageError(
                f"{picture.path} and {other.path} would both be clip {picture.name!r}: "
                "predict them into different folders"
            )
    return [unique[name] for name in sorted(unique)]


def _expanded(given: Path) -> list[Path]:
    """Return what an input stands for, sorted; a file may have `*` or `[` in its name."""
    if given.exists():
        return [given]
    places = [Path(place) for place in sorted(glob.glob(str(given), recursive=True))]
    if not places:
        raise DataError(f"{given}: no such file or folder")
    return places


def _is_read(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES


def left_out(inputs: Sequence[Path]) -> str | None:
    """Say how many files of folders are no pictures or videos by their endings.

    Returns:
        A line; None where there are none. Folders with a manifest are not searched.
    """
    places = {place for given in inputs for place in _expanded(given) if place.is_dir()}
    searched = [place for place in places if not (place / MANIFEST_NAME).is_file()]
    found = {path for place in searched for path in visible_under(place) if not _is_read(path)}
    endings = count_endings(found)
    if not endings:
        return None
    pictures = sorted(ending for ending in endings if f".{ending}" in _UNREAD_SUFFIXES)
    remedy = f"; save {', '.join(pictures)} as JPEG" if pictures else ""
    return f"not read: {number_of(endings.total(), 'file')} ({', '.join(sorted(endings))}){remedy}"


def _nothing(inputs: Sequence[Path], category: str, split: str | None) -> str:
    """Say that there is nothing to predict from, and what there is instead."""
    of = ""
    if split is not None:
        of = f" of split {split!r}"
    elif any((place / MANIFEST_NAME).is_file() for given in inputs for place in _expanded(given)):
        of = f" of category {category!r}"
    said = f"{', '.join(map(str, inputs))}: no pictures or videos here{of}"
    return ": ".join(filter(None, [said, left_out(inputs)]))


def _of_manifest(
    folder: Path, category: str, split: str | None, frame: int
) -> Iterator[GivenPicture]:
    for record in read_manifest(folder):
        if record.category == category and (split is None or (record.split or "train") == split):
            name = Path(record.clip).with_suffix("").as_posix().removeprefix(f"{category}/")
            origin = clip_origin(record, frame)
            yield GivenPicture(folder / record.clip, name, origin, record.split)


def clip_origin(record: ClipRecord, frame: int = 0) -> Origin:
    """Return where a clip's frame comes from: its video and the frame in it, or the clip itself."""
    if record.origin is None:
        return Origin(f"{record.source}/{record.clip}", frame)
    return Origin(record.origin.video, record.origin.start_frame + frame)


def _named(paths: dict[Path, str], frame: int) -> list[GivenPicture]:
    names = _names(paths)
    return [GivenPicture(path, names[path], Origin(place, frame)) for path, place in paths.items()]


def _names(paths: dict[Path, str]) -> dict[Path, str]:
    """Name pictures by their place; those that would share a name get a mark of their own."""
    names = {
        path: "/".join(slug(part) or "x" for part in Path(place).with_suffix("").parts)
        for path, place in paths.items()
    }
    counts = Counter(names.values())
    return {p: name if counts[name] == 1 else f"{name}-{_mark(p)}" for p, name in names.items()}


def _mark(path: Path) -> str:
    return sha256(path.as_posix().encode()).hexdigest()[:8]


def read_picture(path: Path, size: int, frame: int = 0) -> Frames:
    """Read one picture as a square, (size, size, 3), uint8 RGB.

    Args:
        path: a picture, an animation or a video.
        size: of the square's side; smaller pictures are enlarged.
        frame: of an animation or a video, from 0.

    Raises:
        DataError: the file is missing, cannot be decoded, has no such frame, or is larger than
            Pillow's limit of about 179 million pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return _square(_upright(path, image, size, frame), size)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder, not a picture") from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise DataError(f"{path}: has more than {limit:.0f} million pixels: shrink it") from None
    except UnidentifiedImageError:
        if path.suffix.lower() in PICTURE_SUFFIXES | _UNREAD_SUFFIXES:
            raise DataError(f"{path}: is no picture that can be read: save it as JPEG") from None
        return _video_square(path, size, frame)
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises on damaged files
        raise DataError(f"{path}: is damaged or cannot be decoded ({error})") from None


def _upright(path: Path, image: Image.Image, size: int, frame: int) -> Image.Image:
    """Decode one frame, upright, in RGB or RGBA, JPEGs at a fraction of their size."""
    frames = getattr(image, "n_frames", 1)
    if frame >= frames:
        raise DataError(f"{path}: has {number_of(frames, 'frame')}, so none of number {frame}")
    if frame:
        image.seek(frame)
    else:
        image.draft("RGB", (_SPARE * size, _SPARE * size))  # JPEG alone heeds it
    ImageOps.exif_transpose(image, in_place=True)  # a copy of a photo is hundreds of MB
    if image.mode == "F":
        raise DataError(f"{path}: is in floating point, whose white is not known: save it as PNG")
    if image.mode.startswith("I"):
        return _grey_levels(image)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _grey_levels(image: Image.Image) -> Image.Image:
    """Turn 16-bit grey into 8 bits; Pillow's own conversion would clip it."""
    levels = np.asarray(image, np.float32) / 257 + 0.5
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8)).convert("RGB")


def _square(image: Image.Image, size: int) -> Frames:
    """Cut the centre square, put it on white, and bring it to size."""
    rows, columns = centre_square(image.height, image.width)
    window = (columns.start, rows.start, columns.stop, rows.stop)
    if image.mode == "RGBA":
        image = image.crop(window)
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image).convert("RGB")
        window = (0, 0, *image.size)
    # In bytes first: an area average in floats takes 12 bytes for every pixel of a whole photo.
    # Boxes of whole pixels are off by half a pixel of many.
    spare = _SPARE * size
    if window[2] - window[0] > 2 * spare:
        return _sized(np.asarray(image.resize((spare, spare), Image.Resampling.BOX, window)), size)
    return _sized(np.asarray(image.crop(window)), size)


def _sized(square: Frames, size: int) -> Frames:
    if min(square.shape[:2]) >= size:
        return area_average(square, size)
    # A copy: Pillow's own pixels cannot be written to, which torch warns of.
    return np.array(Image.fromarray(square).resize((size, size), Image.Resampling.BICUBIC))


def _video_square(path: Path, size: int, number: int) -> Frames:
    """Take a frame of a video; nothing after it is decoded."""
    info = video_info(path)
    frame = next(itertools.islice(iter_frames(path), number, None), None)
    if frame is None:
        raise DataError(f"{path}: has no frame of number {number}; it ends before")
    rows, columns = centre_square(info.height, info.width, info.pixel_aspect)
    return _sized(frame[rows, columns], size)
