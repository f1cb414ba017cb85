"""From one video file to its clips; what `vgan ingest` does with every video."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vgan.data.files import WriteError
from vgan.data.making import ClipDroppedError, CutSettings, make_clip
from vgan.data.manifest import ClipRecord, Origin
from vgan.data.preview import write_preview
from vgan.data.rates import rate_varies
from vgan.data.source_videos import SourceVideo, slug
from vgan.data.videos import write_clip
from vgan.data.windows import OpenVideo, open_video
from vgan.errors import DataError
from vgan.wording import number_of


@dataclass(frozen=True)
class Drop:
    """A stretch of a video that gave no clip.

    Args:
        start_frame: its first frame in the video, from 0.
        kind: `unstable`, `still` or `black`.
        why: in one line.
    """

    start_frame: int
    kind: str
    why: str


@dataclass(frozen=True)
class CutVideo:
    """What became of a video.

    Args:
        records: of its clips, without a split.
        dropped: stretches that gave no clip.
        why: there are no clips at all; None where there are some.
        duplicate: another video has the same bytes.
        varies: its frame rate does, and its clips are at one that was not asked for.
    """

    records: list[ClipRecord]
    dropped: list[Drop]
    why: str | None
    duplicate: bool = False
    varies: bool = False


def _clip_name(video: SourceVideo, start: int, earlier: int) -> str:
    """Name a clip by its first frame, and by how many `earlier` clips begin with the same one.

    On a clock (`--fps`) one frame may be held for longer than a clip.
    """
    mark = hashlib.sha256(video.id.encode()).hexdigest()[:8]
    number = f"{start:06d}" + (f"-{earlier + 1}" if earlier else "")
    return f"{video.category}/{slug(video.path.stem)[:40] or 'video'}-{mark}-{number}.mp4"


def _records(video: SourceVideo, out: Path, settings: CutSettings, opened: OpenVideo,
             dropped: list[Drop], preview: bool) -> Iterator[ClipRecord]:  # fmt: skip
    """Write the clips of one video, one record each; note the windows that give none."""
    begun: Counter[int] = Counter()
    for window in opened.windows:
        try:
            clip = make_clip(window.frames, settings)
        except ClipDroppedError as drop:
            dropped.append(Drop(window.start, drop.kind, str(drop)))
            continue
        name = _clip_name(video, window.start, begun[window.start])
        begun[window.start] += 1
        sha256 = write_clip(out / name, clip.frames, opened.fps)
        if preview:
            write_preview(out, name, clip, opened.fps)
            preview = False
        yield ClipRecord(
            name, sha256, "real", video.category, settings.frames, opened.fps, settings.size,
            settings.size, origin=Origin(video.id, window.start), extra=clip.measures,
        )  # fmt: skip


def _why_none(opened: OpenVideo, dropped: Sequence[Drop], settings: CutSettings) -> str:
    """Say why a video that can be read gave no clips."""
    if dropped:
        return (
            f"none of its {number_of(len(dropped), 'clip')} can be used; the first {dropped[0].why}"
        )
    shots = f"in the longest of its {opened.shots} shots " if opened.shots > 1 else ""
    return (
        f"has {number_of(opened.longest, 'frame')} {shots}at {opened.fps:g} per second, "
        f"a clip needs {settings.fewest}"
    )


def cut_video(
    video: SourceVideo, out: Path, settings: CutSettings, preview: bool = False
) -> CutVideo:
    """Write a video's non-overlapping clips; none crosses from one shot to the next.

    Frames left over at the end of a shot are dropped.

    Args:
        video: to cut.
        out: the clip folder.
        settings: how.
        preview: write a preview of the first clip too, where clips are stabilised.

    Raises:
        DataError: the video cannot be read to its end, or is too small.
        WriteError: a clip cannot be written.
    """
    opened = open_video(video.path, settings)
    records: list[ClipRecord] = []
    dropped: list[Drop] = []
    try:
        # Taken one by one: those made before an error are known.
        records.extend(_records(video, out, settings, opened, dropped, preview))
    except WriteError:
        raise
    except DataError:
        remove_clips(out, (record.clip for record in records))
        raise
    why = None if records else _why_none(opened, dropped, settings)
    return CutVideo(
        records, dropped, why, varies=settings.fps is None and rate_varies(opened.moments)
    )


def remove_clips(out: Path, clips: Iterable[str]) -> None:
    """Delete clips of a video that has to be cut again."""
    for clip in clips:
        (out / clip).unlink(missing_ok=True)
