"""Cut videos into clips: `vgan ingest`.

Every video is cut on its own, by a worker process, into non-overlapping clips; when it is done, a
record of it is written into `OUT/.ingest/`, so a second run goes on with the videos that are left.
Videos that cannot be used are named, with the reason, in `OUT/rejected.jsonl`. The manifest is put
together from the records at the end; the split into train and test is by video and, once given,
stays.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vgan.data.cutting import (
    CutSettings,
    SourceVideo,
    cut_video,
    find_videos,
    remove_clips,
)
from vgan.data.files import WriteError, claim_folder, write_atomic
from vgan.data.manifest import ClipRecord, Origin, to_dict, write_manifest
from vgan.errors import DataError, UsageError

REJECTED_NAME = "rejected.jsonl"
_DONE_NAME = ".ingest"
_SPLITS_NAME = "splits.json"
_CUTTING_VERSION = 1


@dataclass(frozen=True)
class Reject:
    """A video that gave no clips.

    Args:
        video: its id.
        path: the file.
        why: in one line.
    """

    video: str
    path: str
    why: str


@dataclass(frozen=True)
class IngestReport:
    """What an ingest made.

    Args:
        videos: in the folder now, rejected ones not counted.
        resumed: of these and the rejected ones, how many an earlier run had done.
        clips: in the folder now.
        test_clips: of these, in the test split.
        rejects: the videos that could not be used.
    """

    videos: int
    resumed: int
    clips: int
    test_clips: int
    rejects: list[Reject]


def _done_path(out: Path, video_id: str) -> Path:
    return out / _DONE_NAME / f"{hashlib.sha256(video_id.encode()).hexdigest()[:16]}.json"


def _state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _cut_and_record(video: SourceVideo, out: Path, settings: CutSettings) -> int:
    """Cut one video, or note why that is impossible; return the number of clips."""
    earlier = _read_done(_done_path(out, video.id))
    if earlier is not None:  # the file has changed since
        remove_clips(out, (r["clip"] for r in earlier["clips"]))
    done: dict[str, Any] = {"video": video.id, "path": str(video.path), "state": _state(video.path)}
    try:
        done["clips"] = [to_dict(r) for r in cut_video(video, out, settings)]
    except WriteError:
        raise
    except DataError as error:
        done |= {"clips": [], "why": str(error).removeprefix(f"{video.path}: ")}
    write_atomic(_done_path(out, video.id), json.dumps(done).encode())
    return len(done["clips"])


def _read_done(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise DataError(f"{path}: is damaged; delete it to cut that video again") from None
    return found


def _is_done(video: SourceVideo, out: Path) -> bool:
    done = _read_done(_done_path(out, video.id))
    return (
        done is not None
        and done["state"] == _state(video.path)
        and all((out / clip["clip"]).exists() for clip in done["clips"])
    )


def _cut_all(todo: Sequence[SourceVideo], out: Path, settings: CutSettings, workers: int,
             progress: bool) -> None:  # fmt: skip
    shown = progress and len(todo) > 0
    bar = tqdm(total=len(todo), desc="cutting videos", unit="video", disable=not shown)
    clips = 0
    with bar:
        if min(workers, len(todo)) <= 1:
            for video in todo:
                clips += _cut_and_record(video, out, settings)
                bar.set_postfix(clips=clips, refresh=False)
                bar.update()
            return
        # Spawned, not forked: the caller may hold threads (torch, a progress bar).
        with ProcessPoolExecutor(min(workers, len(todo)), get_context("spawn")) as pool:
            jobs = [pool.submit(_cut_and_record, video, out, settings) for video in todo]
            try:
                for job in as_completed(jobs):
                    clips += job.result()
                    bar.set_postfix(clips=clips, refresh=False)
                    bar.update()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _rank(video_id: str) -> float:
    """A number in [0, 1) that depends on the video's id alone."""
    return int.from_bytes(hashlib.sha256(video_id.encode()).digest()[:6], "big") / 2**48


def assign_splits(
    videos: Iterable[str], earlier: dict[str, str], test_share: float
) -> dict[str, str]:
    """Split the videos of one category; those split earlier stay where they are.

    A video's side depends on its id alone, except that two or more videos always have one on each
    side; where that needs a decision, the new video nearest to the other side takes it.

    Args:
        videos: ids.
        earlier: id to `train` or `test`.
        test_share: expected share of test videos, in [0, 1].
    """
    ids = sorted(videos, key=_rank)
    new = [v for v in ids if v not in earlier]
    splits = {v: earlier.get(v) or ("test" if _rank(v) < test_share else "train") for v in ids}
    if len(ids) == 1 and new:
        splits[new[0]] = "train"
    elif new and "test" not in splits.values() and test_share > 0:
        splits[new[0]] = "test"
    elif new and "train" not in splits.values() and test_share < 1:
        splits[new[-1]] = "train"
    return splits


def _splits(out: Path, by_category: dict[str, list[str]], test_share: float) -> dict[str, str]:
    """Read the splits given so far, add those of new videos, and write them down."""
    path = out / _DONE_NAME / _SPLITS_NAME
    earlier = {str(k): str(v) for k, v in (_read_done(path) or {}).items()}
    splits: dict[str, str] = {}
    for videos in by_category.values():
        splits |= assign_splits(videos, earlier, test_share)
    write_atomic(path, json.dumps(splits, indent=1, sort_keys=True).encode())
    return splits


def _record(raw: dict[str, Any], split: str) -> ClipRecord:
    return replace(ClipRecord(**{**raw, "origin": Origin(**raw["origin"])}), split=split)


def _gather(out: Path, test_share: float) -> tuple[list[ClipRecord], list[Reject], int]:
    """Put the manifest and the rejects together from the records of all videos done."""
    paths = sorted(p for p in (out / _DONE_NAME).glob("*.json") if p.name != _SPLITS_NAME)
    done = [d for d in map(_read_done, paths) if d is not None]
    used = [d for d in done if d["clips"]]
    by_category: dict[str, list[str]] = {}
    for one in used:
        by_category.setdefault(one["clips"][0]["category"], []).append(one["video"])
    splits = _splits(out, by_category, test_share)
    records = [_record(raw, splits[d["video"]]) for d in used for raw in d["clips"]]
    rejects = sorted(
        (Reject(d["video"], d["path"], d["why"]) for d in done if not d["clips"]),
        key=lambda r: r.video,
    )
    lines = "".join(json.dumps(asdict(r), ensure_ascii=False) + "\n" for r in rejects)
    write_atomic(out / REJECTED_NAME, lines.encode())
    write_manifest(out, records)
    return records, rejects, len(used)


def ingest(
    inputs: Sequence[Path],
    out: Path,
    *,
    category: str | None = None,
    fps: float | None = None,
    frames: int = 32,
    size: int = 64,
    test_share: float = 0.2,
    workers: int | None = None,
    progress: bool = True,
) -> IngestReport:
    """Cut videos into a clip folder; run again, it goes on where it stopped.

    The centre square of every frame is area-averaged to the clips' size. Videos added by a later
    run join the folder and never move an earlier one to the other split.

    Args:
        inputs: video files, or folders that are searched for them.
        out: the clip folder, made if it is missing.
        category: of all clips; None takes the first folder below each input, or its own name.
        fps: of the clips, by the frames' timestamps; None keeps each video's mean rate, as the
            paper's pipeline does.
        frames: in each clip. Shorter videos are rejected (the paper's loader repeats the last
            frame, which teaches a model to stop).
        size: of a clip's side, in pixels.
        test_share: expected share of videos in the test split.
        workers: processes; None takes one per core.
        progress: show a bar.

    Raises:
        UsageError: a number out of range, an id given twice, or a folder cut with other settings.
        DataError: nothing to cut, or none of the videos can be used.
        WriteError: the disk is full; what is done is kept, run again to go on.
    """
    if frames < 1 or size < 1 or not 0 <= test_share <= 1 or (fps is not None and not fps > 0):
        raise UsageError("frames, size and fps must be positive, test_share between 0 and 1")
    videos = find_videos(inputs, out, category)
    settings = CutSettings(fps, frames, size)
    claim_folder(out, "ingest.json", {"cutting": _CUTTING_VERSION, **asdict(settings),
                                      "test_share": test_share})  # fmt: skip
    todo = [v for v in videos if not _is_done(v, out)]
    _cut_all(todo, out, settings, workers or os.cpu_count() or 1, progress)
    records, rejects, used = _gather(out, test_share)
    if not records:
        first = rejects[0]
        raise DataError(
            f"{out}: none of {len(rejects)} videos can be used; the first, {first.path}, "
            f"{first.why} (all of them: {out / REJECTED_NAME})"
        )
    tests = sum(r.split == "test" for r in records)
    return IngestReport(used, len(videos) - len(todo), len(records), tests, rejects)
