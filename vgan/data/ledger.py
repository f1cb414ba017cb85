"""What has become of every video of a clip folder: one record each, and what they add up to.

A record is written, whole, when its video is done, under a name that follows from the video's id
alone; so a second run, or two machines that cut the same video, leave one.
"""

import hashlib
import json
import os.path
import shutil
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vgan.data.cutting import CutVideo, remove_clips
from vgan.data.files import remove_stale_parts, write_atomic, write_json_lines
from vgan.data.listing import SHARDS_NAME
from vgan.data.manifest import ClipRecord, ManifestError, from_dict, to_dict, write_manifest
from vgan.data.preview import PREVIEW_NAME
from vgan.data.source_videos import SourceVideo
from vgan.errors import DataError

REJECTED_NAME = "rejected.jsonl"
DONE_NAME = ".ingest"
LOCK_NAME = "lock"
DROPPED, DUPLICATE = "dropped", "duplicate"
_SPLITS_NAME = "splits.json"


@dataclass(frozen=True)
class Reject:
    """A video that gave no clips, or a stretch of one that gave none.

    Args:
        video: its id.
        path: the file.
        why: in one line.
        start_frame: of the stretch; None for the whole video.
        kind: of a stretch: `unstable`, `still` or `black`. Of a whole video: `dropped` where all
            its stretches were, `duplicate` where another has the same bytes, and None where it
            failed: it cannot be read, or is too small or short.
    """

    video: str
    path: str
    why: str
    start_frame: int | None = None
    kind: str | None = None


@dataclass(frozen=True)
class Stability:
    """How stabilising went, over all clips of a folder.

    Args:
        tried: clips.
        rejected: of these, because they could not be stabilised.
        before: median over clips of the background's motion, in pixels of a clip; None where it
            could be measured in none.
        after: the same when stabilised.
    """

    tried: int
    rejected: int
    before: float | None
    after: float | None

    def sentence(self) -> str:
        """Say it in one line."""
        share = f"stabilised: {self.rejected} of {self.tried} clips rejected"
        share += f" ({self.rejected / self.tried:.1%}); the background moves "
        if self.before is None or self.after is None:
            return share + "by what could not be measured: too few corners to track"
        return share + (
            f"{self.before:.2f} pixels before, {self.after:.2f} after (median over the clips)"
        )


@dataclass(frozen=True)
class Ledger:
    """All records of a folder, added up.

    Args:
        records: of the clips, with their split.
        videos: that gave clips.
        rejects: videos that gave none.
        dropped: stretches of videos that gave none.
        missing: how many clips came of each video whose file is gone, by the video's id.
        varying: at which rate the clips of each video are whose own varies, by the video's id.
    """

    records: list[ClipRecord]
    videos: int
    rejects: list[Reject]
    dropped: list[Reject]
    missing: dict[str, int]
    varying: dict[str, float]

    def stability(self) -> Stability:
        """Add up how stabilising went; meaningless in a folder where nothing was stabilised."""
        unstable = sum(d.kind == "unstable" for d in self.dropped)
        return Stability(
            len(self.records) + len(self.dropped),
            unstable,
            self._median("motion_before"),
            self._median("motion_after"),
        )

    def _median(self, name: str) -> float | None:
        found = [r.extra[name] for r in self.records if name in r.extra]
        return statistics.median(found) if found else None


def _done_path(out: Path, video_id: str) -> Path:
    return out / DONE_NAME / f"{hashlib.sha256(video_id.encode()).hexdigest()[:16]}.json"


def _state(path: Path) -> list[int]:
    """Return what changes when a file does; nothing where there is no file, as behind a link."""
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise DataError(f"{path}: is damaged; delete it to cut that video again") from None
    return found


def write_done(video: SourceVideo, out: Path, cut: CutVideo) -> None:
    """Write down what became of a video.

    Raises:
        WriteError: it cannot be written.
    """
    done: dict[str, Any] = {"video": video.id, "path": str(video.path), "state": _state(video.path)}
    done["clips"] = [to_dict(r) for r in cut.records]
    done["dropped"] = [asdict(d) for d in cut.dropped]
    if cut.why is not None:
        done["why"] = cut.why
    if cut.duplicate:
        done["kind"] = DUPLICATE
    if cut.varies:
        done["varies"] = True
    write_atomic(_done_path(out, video.id), json.dumps(done).encode())


def earlier_clips(video: SourceVideo, out: Path) -> list[str]:
    """Return the clips that an earlier run made of a video, should its record be there."""
    done = _read_json(_done_path(out, video.id))
    return [clip["clip"] for clip in done["clips"]] if done else []


def earlier_path(video: SourceVideo, out: Path) -> str | None:
    """Return the file that an earlier run made clips of under a video's id; None for none."""
    done = _read_json(_done_path(out, video.id))
    return str(done["path"]) if done and done["clips"] else None


def is_done(video: SourceVideo, out: Path) -> bool:
    """Say whether a video was cut, has not changed since, and its clips are there.

    Behind a link whose disk is away, what was cut stays.
    """
    done = _read_json(_done_path(out, video.id))
    state = _state(video.path)
    return (
        done is not None
        and done.get("kind") != DUPLICATE  # its original may have gone
        and (not state or done["state"] == state)
        and all((out / clip["clip"]).exists() for clip in done["clips"])
    )


def note_place(video: SourceVideo, out: Path) -> None:
    """Write down where a video that was cut earlier lies now, should it have moved."""
    path = _done_path(out, video.id)
    done = _read_json(path)
    if done is not None and done["path"] != str(video.path):
        write_atomic(path, json.dumps(done | {"path": str(video.path)}).encode())


def _forget(done: dict[str, Any], out: Path) -> None:
    """Delete what came of a video, its record last: killed before, the next run does it again."""
    clips = [clip["clip"] for clip in done["clips"]]
    remove_clips(out, clips)
    remove_clips(out / PREVIEW_NAME, (Path(clip).name for clip in clips))
    _done_path(out, done["video"]).unlink(missing_ok=True)


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
    path = out / DONE_NAME / _SPLITS_NAME
    earlier = {str(k): str(v) for k, v in (_read_json(path) or {}).items()}
    splits: dict[str, str] = {}
    for videos in by_category.values():
        splits |= assign_splits(videos, earlier, test_share)
    write_atomic(path, json.dumps(splits, indent=1, sort_keys=True).encode())
    return splits


def _rejected(one: dict[str, Any]) -> Reject:
    kind = one.get("kind") or (DROPPED if one["dropped"] else None)
    return Reject(one["video"], one["path"], one["why"], kind=kind)


def _dropped(done: list[dict[str, Any]]) -> Iterator[Reject]:
    for one in done:
        for drop in one["dropped"]:
            yield Reject(one["video"], one["path"], drop["why"], drop["start_frame"], drop["kind"])


def _clips(out: Path, done: dict[str, Any]) -> list[ClipRecord]:
    path = _done_path(out, done["video"])
    try:
        return [from_dict(raw, str(path)) for raw in done["clips"]]
    except ManifestError as error:
        raise DataError(f"{error}; delete it to cut that video again") from None


def gather(out: Path, test_share: float, forget_missing: bool = False) -> Ledger:
    """Put the manifest and the list of rejects together from the records of all videos done.

    Args:
        out: the clip folder.
        test_share: expected share of test videos, in [0, 1].
        forget_missing: leave out the videos whose files are gone, and delete what came of them.
            A link is there, wherever it leads.

    Raises:
        DataError: a record is damaged.
        WriteError: a file cannot be written.
    """
    paths = sorted(p for p in (out / DONE_NAME).glob("*.json") if p.name != _SPLITS_NAME)
    done = [d for d in map(_read_json, paths) if d is not None]
    missing = {d["video"]: d for d in done if not os.path.lexists(d["path"])}
    if forget_missing:
        done = [d for d in done if d["video"] not in missing]
    used = [d for d in done if d["clips"]]
    by_category: dict[str, list[str]] = {}
    for one in used:
        by_category.setdefault(one["clips"][0]["category"], []).append(one["video"])
    splits = _splits(out, by_category, test_share)
    records = [replace(r, split=splits[d["video"]]) for d in used for r in _clips(out, d)]
    whole = [_rejected(d) for d in done if not d["clips"]]
    ledger = Ledger(
        records,
        len(used),
        sorted(whole, key=lambda r: r.video),
        sorted(_dropped(done), key=lambda r: (r.video, r.start_frame or 0)),
        {video: len(d["clips"]) for video, d in missing.items()},
        {d["video"]: d["clips"][0]["fps"] for d in used if d.get("varies")},
    )
    lines = [
        {key: value for key, value in asdict(reject).items() if value is not None}
        for reject in [*ledger.rejects, *ledger.dropped]
    ]
    write_json_lines(out / REJECTED_NAME, lines)
    write_manifest(out, records)
    remove_stale_parts(out)
    if forget_missing and missing:
        # Last, so that the manifest never lists a clip that is not there.
        shutil.rmtree(out / SHARDS_NAME, ignore_errors=True)  # decoded copies, made again on demand
        for one in missing.values():
            _forget(one, out)
    return ledger
