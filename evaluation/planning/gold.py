"""Pairs whose answer is known: from a folder of good and bad clips, or spoilt on purpose.

The good clip of a pair is always clip A. A spoilt clip is written without loss, so that it passes
the same encoding as every other clip and differs from its original only in what spoilt it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from evaluation.clips import clip_name, import_source
from evaluation.errors import ClipError, UsageError
from evaluation.media.frames import Frames, read_frames, write_frames
from evaluation.plan import generator
from evaluation.planning.pools import in_turn
from evaluation.study import HIDDEN_SOURCES, Source
from evaluation.threads import Progress, silent
from vgan.data.manifest import ClipRecord, sha256_of

GOOD, BAD = HIDDEN_SOURCES
_SQUARES = 4  # along the shorter side of a frame: nobody who looks can miss them


@dataclass(frozen=True)
class GoldPair:
    """A good clip and a bad one, with the folders their paths are relative to."""

    good: ClipRecord
    good_root: Path
    bad: ClipRecord
    bad_root: Path


def spoil(frames: Frames, how: str, rng: np.random.Generator) -> Frames:
    """Return a copy of a clip that is plainly worse.

    Args:
        frames: uint8 (T, H, W, 3).
        how: `frame-shuffle`, `freeze` (its first frame, held) or `noise`
            (half of the picture hidden under squares of random colours).
        rng: source of chance.

    Returns:
        uint8 (T, H, W, 3), never equal to the original.

    Raises:
        UsageError: the clip is a still image, or does not move, so that this would change nothing.
    """
    if how == "noise":
        return _half_hidden(frames, rng)
    if how == "freeze":
        spoilt = np.repeat(frames[:1], len(frames), axis=0)
    else:
        spoilt = frames[_shuffled(len(frames), rng)]
    if np.array_equal(spoilt, frames):
        raise UsageError(f'auto = "{how}" changes nothing in a clip that does not move')
    return spoilt


def _half_hidden(frames: Frames, rng: np.random.Generator) -> Frames:
    """Hide half of the picture under squares of random colours, the same ones throughout.

    What is flat and stands still takes fewer bytes than what it hides, in a sheet and in a video,
    so that a pair's files are as large as those of the good clip alone would be. Noise on every
    pixel, or squares drawn anew for each frame, would tell the pair by its size.
    """
    height, width = frames.shape[1:3]
    side = max(2, min(height, width) // _SQUARES)
    cells = math.ceil(height / side), math.ceil(width / side)
    hides = (rng.permutation(math.prod(cells)) % 2 == 0).reshape(cells)
    colours = rng.integers(0, 256, (*cells, 3), dtype=np.uint8)
    hidden, picture = (
        grid.repeat(side, 0).repeat(side, 1)[:height, :width] for grid in (hides, colours)
    )
    spoilt = frames.copy()
    spoilt[:, hidden] = picture[hidden]
    return spoilt


def _shuffled(n: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """An order of n frames in which hardly any two neighbours stay together."""
    order = rng.permutation(n)
    for _ in range(20):
        if n < 4 or not np.any(np.diff(order) == 1):
            break
        order = rng.permutation(n)
    return np.roll(np.arange(n), 1) if np.array_equal(order, np.arange(n)) else order


def spoilt_pairs(
    records: Sequence[ClipRecord],
    root: Path,
    how: str,
    n: int,
    assets: Path,
    seed: int,
    progress: Progress = silent,
) -> list[GoldPair]:
    """Spoil up to n clips, drawn evenly over the categories, into `assets/gold-bad/`.

    Args:
        records: clips to draw from.
        root: the folder their paths are relative to.
        how: see `spoil`.
        n: how many pairs are wanted.
        assets: the study's own folder for files it makes.
        seed: of the study; the same seed draws and spoils the same.
        progress: called with the stage, how many are done, and of how many.

    Raises:
        UsageError: see `spoil`; the message names the clip.
    """
    stacks: dict[tuple[str, ...], list[ClipRecord]] = {}
    for record in records:
        stacks.setdefault(("gold", record.category), []).append(record)
    chosen = list(islice(in_turn(stacks, seed), n))
    pairs = []
    for done, record in enumerate(chosen):
        progress("Spoiling clips for gold trials", done, len(chosen))
        frames, fps = read_frames(root / record.clip)
        rng = generator(seed, how, record.clip)
        try:
            spoilt = spoil(frames, how, rng)
        except UsageError as error:
            raise UsageError(f"[gold] {error}: {root / record.clip}") from error
        suffix = ".png" if len(frames) == 1 else ".mp4"
        target = Path(how) / Path(record.clip).with_suffix(suffix)
        path = assets / BAD / target
        write_frames(path, spoilt, fps)
        bad = replace(record, clip=target.as_posix(), source=BAD, sha256=sha256_of(path), extra={})
        pairs.append(GoldPair(record, root, bad, assets / BAD))
    progress("Spoiling clips for gold trials", len(chosen), len(chosen))
    return pairs


def folder_pairs(
    folder: Path, progress: Progress = silent, *, prompts: Path | None = None
) -> list[GoldPair]:
    """Pair the clips of `good/` and `bad/` that have equal names.

    Args:
        folder: holds both.
        progress: called with the stage, how many are done, and of how many.
        prompts: a CSV of the prompts of the clips in `good/`, whose are shown.

    Raises:
        ClipError: a folder is missing, or a clip has no partner; the message names it.
        UsageError: the file of prompts cannot be used.
    """
    sides = {}
    for name, sub, file in ((GOOD, "good", prompts), (BAD, "bad", None)):
        source = Source(name=name, path=folder / sub, display_name=name, prompts=file)
        records = import_source(source, progress=progress)
        sides[sub] = {str(Path(r.clip).with_suffix("")): r for r in records}
    good, bad = sides["good"], sides["bad"]
    for here, there, other in ((good, bad, "bad"), (bad, good, "good")):
        if missing := sorted(here.keys() - there.keys()):
            raise ClipError(
                f"{folder}: {clip_name(here[missing[0]])} has no partner "
                f"of the same name in {other}/"
            )
    return [
        GoldPair(good[name], folder / "good", bad[name], folder / "bad") for name in sorted(good)
    ]
