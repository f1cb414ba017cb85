"""Cut videos into clips: `vgan ingest`.

Every video is cut on its own, by a worker process, into non-overlapping clips; when it is done, a
record of it is written into `OUT/.ingest/`, so a second run goes on with the videos that are left.
Videos and stretches that cannot be used are named, with the reason, in `OUT/rejected.jsonl`; of
videos with the same bytes one is cut. The manifest is put together from the records at the end, by
one run at a time where several work on a folder; the split into train and test is by video and,
once given, stays.
"""

import filecmp
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from vgan.data.cutting import CutVideo, cut_video, remove_clips
from vgan.data.duplicates import find_duplicates
from vgan.data.executors import open_workers, run_all
from vgan.data.files import WriteError, claim_folder
from vgan.data.ledger import (
    DONE_NAME,
    DROPPED,
    DUPLICATE,
    LOCK_NAME,
    REJECTED_NAME,
    Ledger,
    Reject,
    Stability,
    earlier_clips,
    earlier_path,
    gather,
    is_done,
    note_place,
    write_done,
)
from vgan.data.listing import MORE_TEST_CLIPS, mixed_rates, without_test_clips
from vgan.data.locking import locked
from vgan.data.making import STABILIZERS, CutSettings
from vgan.data.source_videos import SourceVideo, find_videos, unread_files
from vgan.errors import DataError, UsageError
from vgan.wording import number_of

# Raised when the same settings would give other clips, so that an old folder is not continued.
_CUTTING_VERSION = 6
_NAMED = 5  # videos, or endings of names, in a line of the report


@dataclass(frozen=True)
class IngestReport:
    """What an ingest made.

    Args:
        videos: in the folder now, rejected ones not counted.
        resumed: of these and the rejected ones, how many an earlier run had done.
        clips: in the folder now.
        test_clips: of these, in the test split.
        rejects: the videos that gave no clips; their kinds are told in `Reject`.
        dropped: stretches of videos that gave no clip.
        stability: how stabilising went; None where nothing was stabilised.
        missing: how many clips came of each video whose file is gone, by the video's id.
        forgotten: whether these clips were deleted, and not counted.
        untested: the categories without test clips.
        mixed_rates: what frame rates the clips have, where they differ; see `mixed_rates`.
        varying: at which rate the clips of each video are whose own varies, by the video's id.
        unread: how many files of this run's folders are no videos, by the ending of their names.
    """

    videos: int
    resumed: int
    clips: int
    test_clips: int
    rejects: list[Reject]
    dropped: list[Reject]
    stability: Stability | None
    missing: dict[str, int]
    forgotten: bool
    untested: list[str]
    mixed_rates: str | None
    varying: dict[str, float]
    unread: Counter[str]

    @property
    def failed(self) -> int:
        """Number of videos that cannot be read or cut, unlike those that were decided against."""
        return sum(reject.kind is None for reject in self.rejects)

    def details(self) -> list[str]:
        """Say in a line each what was dropped, what is missing and how stabilising went."""
        lines = []
        kinds = Counter(reject.kind for reject in self.rejects)
        if same := kinds[DUPLICATE]:
            lines.append(f"duplicates: {number_of(same, 'video')}, of which another file is used")
        if empty := kinds[DROPPED]:
            lines.append(
                f"without clips: {number_of(empty, 'video')}, all of whose clips were dropped"
            )
        if self.dropped:
            reasons = Counter(str(drop.kind) for drop in self.dropped)
            named = ", ".join(f"{number} {kind}" for kind, number in sorted(reasons.items()))
            lines.append(f"dropped: {named} (why: {REJECTED_NAME})")
        if self.missing:
            clips = number_of(sum(self.missing.values()), "clip")
            clips += " deleted" if self.forgotten else " stay; --forget-missing deletes them"
            lines.append(
                f"no longer there: {number_of(len(self.missing), 'video')}, {clips} "
                f"({_first(self.missing)})"
            )
        if self.untested:
            lines.append(
                f"no test clips of {_first(self.untested)} to measure generated ones against "
                f"({MORE_TEST_CLIPS})"
            )
        if self.stability is not None:
            lines.append(self.stability.sentence())
        if self.mixed_rates is not None:
            lines.append(self.mixed_rates)
        if self.varying:
            named = _first(f"{video} at {fps:.4g}" for video, fps in sorted(self.varying.items()))
            lines.append(
                f"frame rate varies: {number_of(len(self.varying), 'video')}, cut at their mean "
                f"rate ({named}); --fps states another"
            )
        if self.unread:
            endings = _first(sorted(self.unread))
            lines.append(f"not read: {number_of(self.unread.total(), 'file')} ({endings})")
        return lines


def _first(names: Iterable[str]) -> str:
    """Name some, and say where there are more."""
    known = list(names)
    return ", ".join(known[:_NAMED] + (["..."] if len(known) > _NAMED else []))


@dataclass(frozen=True)
class _Task:
    """One video to cut, as it is sent to a worker."""

    video: SourceVideo
    out: Path
    settings: CutSettings
    preview: bool


def _cut_and_record(task: _Task) -> int:
    """Cut one video, or note why that is impossible; return the number of clips."""
    video, out = task.video, task.out
    if is_done(video, out):  # by another run on this folder, in the meantime
        return len(earlier_clips(video, out))
    remove_clips(out, earlier_clips(video, out))  # should the file have changed since
    try:
        cut = cut_video(video, out, task.settings, task.preview)
    except WriteError:
        raise
    except DataError as error:
        cut = CutVideo([], [], str(error).removeprefix(f"{video.path}: "))
    write_done(video, out, cut)
    return len(cut.records)


def _cut_all(tasks: Sequence[_Task], workers: int, scheduler: str | None,
             progress: bool) -> None:  # fmt: skip
    if not tasks:
        return
    bar = tqdm(total=len(tasks), desc="cutting videos", unit="video", disable=not progress)
    clips = 0
    with bar, open_workers(min(workers, len(tasks)), scheduler) as pool:
        for made in run_all(pool, _cut_and_record, tasks):
            clips += made
            bar.set_postfix(clips=clips, refresh=False)
            bar.update()


def _refuse_other_file(video: SourceVideo, out: Path) -> None:
    """Raise UsageError where an earlier run cut another file, still there, under a video's id.

    It would pass for that file, changed since, and its clips would take the place of those.
    """
    earlier = earlier_path(video, out)
    if earlier is None or not (os.path.isfile(earlier) and video.path.is_file()):
        return
    if not filecmp.cmp(earlier, video.path):  # a copy, or another name of the same, goes on
        raise UsageError(
            f"{video.path} and {earlier}, cut before, would both be video {video.id!r} of {out}: "
            "rename one, or give another --out"
        )


def _set_aside(videos: Sequence[SourceVideo], out: Path) -> set[str]:
    """Write down which videos are duplicates of others; return their ids."""
    found = find_duplicates(videos, lambda video: is_done(video, out))
    for video in videos:
        if original := found.get(video.id):
            remove_clips(out, earlier_clips(video, out))
            why = f"is the same, byte for byte, as {original.path}"
            write_done(video, out, CutVideo([], [], why, duplicate=True))
    return set(found)


def _checked(settings: CutSettings, test_share: float) -> None:
    s = settings
    numbers = {"fps": s.fps or 1.0, "min_motion": s.min_motion, "min_light": s.min_light}
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise UsageError(f"{name} must be a number, not {number}")
    if s.frames < 1 or s.size < 1 or not 0 <= test_share <= 1 or (s.fps is not None and s.fps <= 0):
        raise UsageError("frames, size and fps must be positive, test_share between 0 and 1")
    if s.stabilize not in STABILIZERS:
        raise UsageError(f"no stabiliser {s.stabilize!r}; there are {', '.join(STABILIZERS)}")
    if s.min_motion < 0 or s.min_light < 0:
        raise UsageError("min_motion and min_light must not be negative")


def ingest(
    inputs: Sequence[Path],
    out: Path,
    *,
    category: str | None = None,
    fps: float | None = None,
    frames: int = 32,
    size: int = 64,
    stabilize: str = "none",
    min_motion: float = CutSettings.min_motion,
    min_light: float = CutSettings.min_light,
    test_share: float = 0.2,
    preview: int = 0,
    forget_missing: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
) -> IngestReport:
    """Cut videos into a clip folder; run again, it goes on where it stopped.

    The centre square of every frame is area-averaged to the clips' size. No clip crosses from one
    shot to the next. Videos added by a later run join the folder and never move an earlier one to
    the other split.

    Args:
        inputs: video files, or folders that are searched for them.
        out: the clip folder, made if it is missing.
        category: of all clips; None takes the first folder below each input, or its own name.
        fps: of the clips, by the frames' timestamps; None keeps each video's mean rate, as the
            paper's pipeline does.
        frames: in each clip. Shorter shots give none (the paper's loader repeats the last frame,
            which teaches a model to stop).
        size: of a clip's side, in pixels.
        stabilize: one of `STABILIZERS`.
        min_motion: clips whose frames differ by less, in levels of 255, are dropped as still.
        min_light: clips whose mean level, of 255, is lower are dropped as black.
        test_share: expected share of videos in the test split.
        preview: for so many of the videos cut now, show a clip before and after stabilising.
        forget_missing: delete all that came of videos, of this run or an earlier one, whose files
            are gone.
        workers: processes; None takes one per core.
        scheduler: address of a Dask scheduler to use instead.
        progress: show a bar.

    Raises:
        UsageError: a number out of range, an id given twice, a name that gives no category or that
            of another folder, or a folder cut with other settings.
        DataError: nothing to cut, or none of the videos can be used.
        WriteError: the disk is full; what is done is kept, run again to go on.
        WorkerError: a worker process died; what is done is kept, run again to go on.
    """
    settings = CutSettings(fps, frames, size, stabilize, min_motion, min_light)
    _checked(settings, test_share)
    if preview and stabilize == "none":
        raise UsageError("a preview shows a clip before and after stabilising: choose --stabilize")
    videos = find_videos(inputs, out, category)
    lock = out / DONE_NAME / LOCK_NAME
    with locked(lock):
        claim_folder(out, "ingest.json", {"cutting": _CUTTING_VERSION, **asdict(settings),
                                          "test_share": test_share})  # fmt: skip
    for video in videos:
        _refuse_other_file(video, out)
    same = _set_aside(videos, out)
    # Other machines may have another working folder.
    place = out.resolve() if scheduler else out
    todo = [v for v in videos if v.id not in same and not is_done(v, out)]
    for video in videos:
        note_place(video, out)
    tasks = [_Task(video, place, settings, n < preview) for n, video in enumerate(todo)]
    _cut_all(tasks, workers or os.cpu_count() or 1, scheduler, progress)
    with locked(lock):  # the last of several runs sees the records of all
        ledger = gather(out, test_share, forget_missing)
    if not ledger.records and ledger.rejects:
        first = ledger.rejects[0]
        raise DataError(
            f"{out}: no clips from {number_of(len(ledger.rejects), 'video')}; the first, "
            f"{first.path}, {first.why} (all of them: {out / REJECTED_NAME})"
        )
    resumed = len(videos) - len(todo) - len(same)
    unread = unread_files(inputs, out)
    return _report(ledger, settings, resumed, forget_missing, unread)


def _report(
    ledger: Ledger, settings: CutSettings, resumed: int, forgotten: bool, unread: Counter[str]
) -> IngestReport:
    return IngestReport(
        videos=ledger.videos,
        resumed=resumed,
        clips=len(ledger.records),
        test_clips=sum(r.split == "test" for r in ledger.records),
        rejects=ledger.rejects,
        dropped=ledger.dropped,
        stability=None if settings.stabilize == "none" else ledger.stability(),
        missing=ledger.missing,
        forgotten=forgotten,
        untested=without_test_clips(ledger.records),
        mixed_rates=mixed_rates(ledger.records),
        varying=ledger.varying,
        unread=unread,
    )
