"""Keep the clips of some scenes: `vgan filter-scenes`.

Every clip's scores are kept in `OUT/.scenes.jsonl`, so a second run goes on where the first stopped
and another threshold needs no network. The decision
is by source video, as the paper's was. What is kept is linked into OUT, which becomes a clip
folder of its own; the folder that was read is never written to.
"""

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from vgan.data.files import WriteError, claim_folder, write_json_lines
from vgan.data.journal import Journal
from vgan.data.ledger import REJECTED_NAME
from vgan.data.manifest import (
    MANIFEST_NAME,
    ClipRecord,
    read_manifest,
    sha256_of,
    write_manifest,
)
from vgan.data.place_weights import load_place_network
from vgan.data.places import (
    SCORES_KEY,
    SceneCategory,
    Scores,
    decide,
    parse_categories,
    stored_scores,
)
from vgan.data.scene_scores import DroppedClip, earlier_scores, score_clips
from vgan.errors import DataError, UsageError

SETTINGS_NAME = "scenes.json"
SCORES_NAME = ".scenes.jsonl"
DECIDE_BY = ("video", "clip")
# Raised when the same weights and frames would give other scores.
_SCORING_VERSION = 1


@dataclass(frozen=True)
class FilterReport:
    """What a filter kept and dropped.

    Args:
        scored: clips that the network saw in this run.
        kept: clips per category, every category named.
        dropped: the others.
        folder: where both are listed.
    """

    scored: int
    kept: dict[str, int]
    dropped: list[DroppedClip]
    folder: Path

    @property
    def unreadable(self) -> list[DroppedClip]:
        """Those dropped because they could not be read."""
        return [d for d in self.dropped if d.kind == "unreadable"]

    def sentences(self) -> list[str]:
        """Say it in a line or two."""
        named = ", ".join(f"{number} {name}" for name, number in self.kept.items())
        lines = [f"{self.folder}: kept {sum(self.kept.values())} clips ({named}); "
                 f"{self.scored} scored now"]  # fmt: skip
        if self.dropped:
            others = len(self.dropped) - len(self.unreadable)
            lines.append(
                f"dropped {others} clips of other scenes, {len(self.unreadable)} that cannot be "
                f"read (why: {self.folder / REJECTED_NAME})"
            )
        return lines

    def check(self) -> None:
        """Fail when a clip could not be read.

        Raises:
            DataError: naming the first one.
        """
        if self.unreadable:
            first = self.unreadable[0]
            raise DataError(
                f"{len(self.unreadable)} clips could not be read; the first, {first.clip}, "
                f"{first.why}"
            )


def _groups(records: Sequence[ClipRecord], by: str) -> dict[str, list[ClipRecord]]:
    """Clips that are decided on together: those of one video, or each alone."""
    groups: dict[str, list[ClipRecord]] = {}
    for record in records:
        together = by == "video" and record.origin is not None
        key = f"video {record.origin.video}" if together and record.origin else record.clip
        groups.setdefault(key, []).append(record)
    return groups


def _why(scores: Scores, categories: Sequence[SceneCategory], threshold: float | None) -> str:
    if threshold is None:
        top = int(scores.argmax())
        return f"its likeliest scene is class {top} of Places365 ({scores[top]:.4f})"
    shares = ", ".join(f"{c.name} {scores[list(c.classes)].sum():.4f}" for c in categories)
    return f"no category reaches {threshold:g}: {shares}"


def _sorted_out(
    records: Sequence[ClipRecord],
    scores: dict[str, Scores],
    categories: Sequence[SceneCategory],
    threshold: float | None,
    by: str,
) -> tuple[list[ClipRecord], list[DroppedClip]]:
    kept: list[ClipRecord] = []
    dropped: list[DroppedClip] = []
    for group in _groups([r for r in records if r.sha256 in scores], by).values():
        mean: Scores = np.mean([scores[r.sha256] for r in group], axis=0)
        category = decide(mean, categories, threshold)
        for record in group:
            if category is None:
                why = _why(mean, categories, threshold)
                dropped.append(DroppedClip(record.clip, "scene", why))
            else:
                extra = record.extra | {SCORES_KEY: stored_scores(scores[record.sha256])}
                kept.append(replace(record, category=category, extra=extra))
    return kept, dropped


def _link(source: Path, target: Path, sha256: str) -> None:
    """Give a clip a second name; copy it where the file system cannot."""
    if not source.exists():
        raise DataError(f"{source}: is gone, though the manifest lists it")
    if target.exists() and (target.samefile(source) or sha256_of(target) == sha256):
        return
    temporary = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    except OSError as error:
        with contextlib.suppress(OSError):  # the reason is the first error, not the tidying up
            temporary.unlink(missing_ok=True)
        raise WriteError(f"{target}: cannot be written ({error.strerror or error})") from None


def _publish(
    folder: Path, out: Path, kept: Sequence[ClipRecord], dropped: Sequence[DroppedClip]
) -> None:
    """Link what is kept, list it, and only then drop what an earlier threshold kept."""
    earlier = read_manifest(out) if (out / MANIFEST_NAME).exists() else []
    for record in kept:
        _link(folder / record.clip, out / record.clip, record.sha256)
    write_json_lines(out / REJECTED_NAME, map(asdict, dropped))
    write_manifest(out, kept)
    for name in {r.clip for r in earlier} - {r.clip for r in kept}:
        (out / name).unlink(missing_ok=True)


def _checked(clips: Path, out: Path, threshold: float | None, frames: int, by: str) -> None:
    if threshold is not None and not 0 < threshold <= 1:
        raise UsageError("threshold must be a probability: more than 0, at most 1")
    if frames < 1:
        raise UsageError("frames must be 1 or more")
    if by not in DECIDE_BY:
        raise UsageError(f"decide by {' or '.join(DECIDE_BY)}, not {by!r}")
    if out.resolve() == clips.resolve():
        raise UsageError(f"{out}: is the folder that is read; write to another one")


def _weights_used(out: Path, weights: Path | None) -> str:
    """Return the checksum of the weights; without a file, of those that `out` was scored with."""
    if weights is not None:
        if not weights.is_file():
            raise DataError(f"{weights}: no such file of weights")
        return sha256_of(weights)
    try:
        return str(json.loads((out / SETTINGS_NAME).read_text(encoding="utf-8"))["weights"])
    except FileNotFoundError:
        raise UsageError("--weights is missing: the network's weights are needed once") from None
    except (ValueError, KeyError):
        raise DataError(f"{out / SETTINGS_NAME}: is damaged; use another folder") from None


def filter_scenes(
    clips: Path,
    out: Path,
    *,
    device: torch.device,
    weights: Path | None = None,
    categories: str = "beach,golf,train,baby",
    threshold: float | None = None,
    frames: int = 4,
    by: str = "video",
    progress: bool = True,
) -> FilterReport:
    """Make a clip folder of those clips of another that show some scenes.

    Args:
        clips: a clip folder with a manifest; only read.
        out: the clip folder to make, or to sort out anew by another rule. A clip keeps its path;
            its category becomes the scene's, and its scores stand in the manifest as `places`.
        device: where the network runs.
        weights: of the network; may be left out where all clips have scores from an earlier run.
        categories: see `parse_categories`.
        threshold: see `decide`.
        frames: of each clip that are scored, evenly spread.
        by: decide on the mean over a source video's clips, or on each `clip` alone.
        progress: show a bar.

    Raises:
        UsageError: a setting out of range, other weights or frames than `out` was made with, or
            weights that are needed and not given.
        DataError: the weights or earlier scores cannot be used.
        ManifestError: there is no manifest in `clips`, or it is damaged.
        WriteError: the disk is full; what is scored is kept, run again to go on.
    """
    _checked(clips, out, threshold, frames, by)
    wanted = parse_categories(categories)
    records = read_manifest(clips)
    used = _weights_used(out, weights)
    network = None if weights is None else load_place_network(weights).to(device)
    claim_folder(out, SETTINGS_NAME, {"weights": used, "frames": frames,
                                      "scoring": _SCORING_VERSION})  # fmt: skip
    journal = Journal(out / SCORES_NAME)
    scores = earlier_scores(journal)
    todo = [r for r in records if r.sha256 not in scores]
    if todo and network is None:
        raise UsageError(f"--weights is missing: {len(todo)} clips have no scores yet")
    bad: list[DroppedClip] = []
    if network is not None and todo:
        found, bad = score_clips(clips, todo, journal, network, frames, device, progress)
        scores |= found
    kept, dropped = _sorted_out(records, scores, wanted, threshold, by)
    _publish(clips, out, kept, [*dropped, *bad])
    counts = Counter(r.category for r in kept)
    return FilterReport(
        len(todo) - len(bad), {c.name: counts[c.name] for c in wanted}, [*dropped, *bad], out
    )
