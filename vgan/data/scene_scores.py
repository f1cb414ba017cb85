"""Score every clip of a folder with the scene network, and remember the scores.

Clips are scored one at a time, so that a score does not depend on its clip's company; the scores
are on disk a few clips later, so that a run that is killed goes on where it stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from vgan.data.executors import map_in_threads
from vgan.data.journal import Journal
from vgan.data.manifest import ClipRecord, sha256_of
from vgan.data.places import (
    SCORES_KEY,
    Scores,
    read_scores,
    sampled_frames,
    score_frames,
    stored_scores,
)
from vgan.data.videos import Frames, read_video
from vgan.errors import DataError

_DECODED_AT_ONCE = 32


@dataclass(frozen=True)
class DroppedClip:
    """A clip that is not kept.

    Args:
        clip: its path.
        kind: `scene` or `unreadable`.
        why: in one line.
    """

    clip: str
    kind: str
    why: str


def _load(path: Path, record: ClipRecord, wanted: int) -> Frames | str:
    """Return the sampled frames of a clip, or why it cannot be used."""
    try:
        if sha256_of(path) != record.sha256:
            return "is not the file the manifest lists (its checksum differs)"
        frames = read_video(path).frames
    except (DataError, OSError) as error:
        return str(error).removeprefix(f"{path}: ")
    return frames[sampled_frames(len(frames), wanted)]


def earlier_scores(journal: Journal) -> dict[str, Scores]:
    """Return the scores that earlier runs wrote down, by the checksum of the clip.

    Raises:
        DataError: a line holds no scores; the message names it.
    """
    found = {}
    for number, line in enumerate(journal.lines, 1):
        where = f"{journal.path}:{number}"
        if not isinstance(line.get("sha256"), str):
            raise DataError(f"{where}: key `sha256` is missing; delete that line")
        found[line["sha256"]] = read_scores(line.get(SCORES_KEY), where)
    return found


def score_clips(
    folder: Path,
    todo: Sequence[ClipRecord],
    journal: Journal,
    network: torch.nn.Module,
    frames: int,
    device: torch.device,
    progress: bool,
) -> tuple[dict[str, Scores], list[DroppedClip]]:
    """Score clips and write their scores down.

    Args:
        folder: that the clips are in.
        todo: their records.
        journal: grows by a line per clip.
        network: gives logits (B, 365); on `device`, in evaluation mode.
        frames: of each clip that are scored.
        device: where the network is.
        progress: show a bar.

    Returns:
        The scores by the clip's checksum, and the clips that could not be read.

    Raises:
        WriteError: the disk is full.
    """
    scores: dict[str, Scores] = {}
    bad: list[DroppedClip] = []
    bar = tqdm(total=len(todo), desc="scoring clips", unit="clip", disable=not progress)
    with bar:
        for start in range(0, len(todo), _DECODED_AT_ONCE):
            some, lines = todo[start : start + _DECODED_AT_ONCE], []
            loads = map_in_threads(lambda r: _load(folder / r.clip, r, frames), some, len(some))
            for record, loaded in zip(some, loads, strict=True):
                if isinstance(loaded, str):
                    bad.append(DroppedClip(record.clip, "unreadable", loaded))
                else:
                    found = score_frames(network, loaded, device)
                    scores[record.sha256] = found
                    lines.append({"sha256": record.sha256, SCORES_KEY: stored_scores(found)})
                bar.update()
            journal.add(lines)
    return scores, bad
