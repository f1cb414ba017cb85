"""From one video file to its clips; what `vgan ingest` does with every video.

`small_frames` is where a step between decoding and cutting belongs (stabilisation, shot cuts).
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vgan.data.framing import area_average, centre_square, resample
from vgan.data.manifest import ClipRecord, Origin
from vgan.data.videos import Frames, iter_timed_frames, video_info, write_clip
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


@dataclass(frozen=True)
class CutSettings:
    """How clips are cut.

    Args:
        fps: frames per second of the clips; None keeps each video's mean rate.
        frames: in each clip.
        size: of a clip's side, in pixels.
    """

    fps: float | None
    frames: int
    size: int


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _videos_under(folder: Path, out: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in VIDEO_SUFFIXES and not hidden and out not in path.parents:
            yield path


def _named(path: Path, folder: Path, category: str | None) -> SourceVideo:
    """Give a video its id and category: the first folder below the input, else the input's name."""
    below = path.relative_to(folder)
    first = below.parts[0] if len(below.parts) > 1 else folder.name
    name = _slug(category or first)
    if not name:
        raise UsageError(f"{path}: its folder's name gives no category; state --category")
    inside = Path(*below.parts[1:]) if len(below.parts) > 1 else below
    return SourceVideo(f"{name}/{inside.as_posix()}", path, name)


def find_videos(inputs: Sequence[Path], out: Path, category: str | None) -> list[SourceVideo]:
    """List the videos of some files and folders, sorted by id; the clips in `out` are left out.

    Raises:
        UsageError: two different files would get the same id, or one gives no category.
        DataError: an input is missing, or there is no video at all.
    """
    found: dict[str, SourceVideo] = {}
    for given in inputs:
        place = given.resolve()
        if not place.exists():
            raise DataError(f"{given}: no such file or folder")
        paths = [place] if place.is_file() else _videos_under(place, out.resolve())
        for path in paths:
            video = _named(path, place.parent if place.is_file() else place, category)
            other = found.setdefault(video.id, video)
            if other.path != path:
                raise UsageError(f"{path} and {other.path} would both be video {video.id!r}")
    if not found:
        places = ", ".join(str(p) for p in inputs)
        raise DataError(f"{places}: no videos here ({' '.join(sorted(VIDEO_SUFFIXES))})")
    return [found[key] for key in sorted(found)]


def small_frames(path: Path, settings: CutSettings) -> tuple[float, Iterator[tuple[int, Frames]]]:
    """Open a video as small square frames on a steady clock.

    Returns:
        Frames per second, and an iterator of (source frame number, (size, size, 3) uint8).

    Raises:
        DataError: the file is not a video, or is smaller than a clip.
    """
    info = video_info(path)
    rows, columns = centre_square(info.height, info.width, info.pixel_aspect)
    if min(rows.stop - rows.start, columns.stop - columns.start) < settings.size:
        raise DataError(
            f"{path}: is {info.width}x{info.height}, smaller than {settings.size}x{settings.size}"
        )
    fps = settings.fps or info.fps

    def frames() -> Iterator[tuple[int, Frames]]:
        for index, frame in resample(iter_timed_frames(path), fps, info.fps):
            yield index, area_average(frame[rows, columns], settings.size)

    return fps, frames()


def _clip_name(video: SourceVideo, start: int) -> str:
    mark = hashlib.sha256(video.id.encode()).hexdigest()[:8]
    return f"{video.category}/{_slug(video.path.stem)[:40] or 'video'}-{mark}-{start:06d}.mp4"


def cut_video(video: SourceVideo, out: Path, settings: CutSettings) -> list[ClipRecord]:
    """Write a video's non-overlapping clips and return their records, without a split.

    Frames left over at the end are dropped.

    Raises:
        DataError: the video cannot be read to its end, or is too short or too small.
        WriteError: a clip cannot be written.
    """
    fps, frames = small_frames(video.path, settings)
    records: list[ClipRecord] = []
    pending: list[tuple[int, Frames]] = []
    try:
        for item in frames:
            pending.append(item)
            if len(pending) == settings.frames:
                name = _clip_name(video, pending[0][0])
                sha256 = write_clip(out / name, np.stack([f for _, f in pending]), fps)
                records.append(
                    ClipRecord(name, sha256, "real", video.category, settings.frames, fps,
                               settings.size, settings.size,
                               origin=Origin(video.id, pending[0][0]))
                )  # fmt: skip
                pending = []
    except DataError:
        remove_clips(out, (r.clip for r in records))
        raise
    if not records:
        raise DataError(
            f"{video.path}: has {len(pending)} frames at {fps:g} per second, a clip needs "
            f"{settings.frames}"
        )
    return records


def remove_clips(out: Path, clips: Iterable[str]) -> None:
    """Delete clips of a video that has to be cut again."""
    for clip in clips:
        (out / clip).unlink(missing_ok=True)
