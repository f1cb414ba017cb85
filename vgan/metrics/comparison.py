"""The measures that set generated clips beside real ones, each with its interval."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vgan.data.videos import Frames
from vgan.metrics.bootstrap import (
    Interval,
    interval,
    mean_interval,
    resampled,
    share_interval,
)
from vgan.metrics.embedding import Embedder
from vgan.metrics.frechet import LEAST_CLIPS, sample_distance
from vgan.metrics.masks import mask_iou, moving_mask
from vgan.metrics.nearest import Nearest, near_copies, nearest_clips
from vgan.metrics.spread import evenly_spaced
from vgan.metrics.stillness import background_motion, flicker, motion, pair_differences
from vgan.wording import number_of

Masks = NDArray[np.floating | np.bool_]
Values = NDArray[np.float64]

LEAST_HELD_OUT = 20  # clips that tell what is near by chance
PAIRED_CLIPS = 64  # clips whose every pair is compared, at most


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty.

    Args:
        value: the estimate.
        interval: 95 %, None where there are too few clips or videos to say.
        n: clips it is over.
    """

    value: float
    interval: Interval | None
    n: int


@dataclass(frozen=True)
class Measure:
    """One row of the report.

    Args:
        name: of the measure, with its protocol where it has one.
        generated: of the run's clips; None where it cannot be had.
        real: of the real clips beside them, likewise.
        meaning: how to read it.
        note: a warning, or why a number is missing; empty for none.
    """

    name: str
    generated: Estimate | None
    real: Estimate | None
    meaning: str
    note: str = ""


@dataclass(frozen=True)
class Side:
    """Clips of one kind.

    Args:
        clips: (N, T, H, W, 3), uint8.
        masks: (N, T, H, W); None where there are none.
        groups: N names; clips of one video have the same.
    """

    clips: Frames
    masks: Masks | None
    groups: Sequence[str]

    def each(self, measure: Callable[..., float], *, masked: bool = False) -> Values | None:
        """Return a measure of every clip (and its mask), (N,); None where masks are missing."""
        if not masked:
            return np.array([measure(clip) for clip in self.clips], float)
        if self.masks is None:
            return None
        pairs = zip(self.clips, self.masks, strict=True)
        return np.array([measure(clip, mask) for clip, mask in pairs], float)


def look_measures(generated: Side, real: Side, seed: int) -> list[Measure]:
    """Return the measures of how clips move, stand still and differ."""
    kinds, sides = ("generated", "real"), (generated, real)

    def row(
        name: str, meaning: str, measure: Callable[..., float], masked: bool, empty: str = ""
    ) -> Measure:
        values = [side.each(measure, masked=masked) for side in sides]
        found = [estimate(v, side.groups, seed) for v, side in zip(values, sides, strict=True)]
        notes = [
            f"{kind}: {'there are no masks' if value is None else empty}"
            for kind, value, one in zip(kinds, values, found, strict=True)
            if one is None
        ]
        return Measure(name, found[0], found[1], meaning, "; ".join(notes))

    single = [
        f"{kind}: needs 2 clips"
        for kind, side in zip(kinds, sides, strict=True)
        if len(side.clips) < 2
    ]
    return [
        row("motion", "mean change between frames, share of the full range", motion, False),
        row("flicker", "the same of the stiller half of the pixels; 0 is a still background; "
            "needs no mask, so all models can be compared", flicker, False),
        row("background motion", "mean change outside the mask", background_motion, True,
            "the masks leave no background"),
        Measure("diversity", _diversity(generated, seed), _diversity(real, seed),
                "mean difference between clips; near 0 is a collapse", "; ".join(single)),
        row("mask mean", "share of foreground", lambda _, mask: float(mask.mean()), True),
        row("mask against motion", "IoU of the mask with what differs from the clip's median "
            "picture", lambda clip, mask: mask_iou(moving_mask(clip), mask), True,
            "the masks are empty and nothing moves"),
    ]  # fmt: skip


def frechet_measure(
    generated: Side,
    training: Side | None,
    real: Side,
    embedder: Embedder,
    seed: int,
    device: torch.device,
) -> Measure:
    """Return the Fréchet distance to the held-out clips, of generated and of as many real ones.

    The real column is the floor: training clips, as many as generated ones, against the same
    held-out clips. A generator as good as the data is there, not at 0. The distance grows as clips
    get fewer, so there is no floor from fewer training clips than generated ones.

    Args:
        generated: the run's clips.
        training: clips that were trained on, of which as many as generated ones are drawn; None
            where they are not at hand.
        real: held-out clips, which both are compared with.
        embedder: what turns clips into numbers.
        seed: of the draw and the resampling.
        device: where the embedder runs.

    Raises:
        DataError: the embedder cannot take the clips.
    """
    n = len(generated.clips)
    frames, size = generated.clips.shape[1:3]
    name = embedder.protocol(n, len(real.clips), frames, size)
    meaning = "to held-out clips; real: of as many training clips, the floor to compare with"
    if min(n, len(real.clips)) < LEAST_CLIPS:
        return Measure(name, None, None, meaning, f"needs {LEAST_CLIPS} clips on either side")
    held_out = embedder.features(real.clips, device)
    few = min(n, len(held_out)) <= held_out.shape[1]
    notes = []
    if few:
        notes.append(
            f"no more clips than the embedding's {held_out.shape[1]} dimensions: covariances are "
            "shrunk (Ledoit-Wolf), comparable within this table only"
        )
    if training is None:
        notes.append("no floor: the training clips are not at hand")
    elif len(training.clips) < n:
        notes.append(f"the floor needs {n} training clips, there are {len(training.clips)}")
        training = None
    found: list[Estimate | None] = []
    for side in (generated, _drawn(training, n, seed) if training else None):
        if side is None:
            found.append(None)
            continue
        features = embedder.features(side.clips, device)
        found.append(_distance(features, side.groups, held_out, real.groups, few, seed))
    if found[0] and found[1] and found[0].value < found[1].value:
        notes.append(
            "under its floor, which makes it no better than real: held-out and training clips "
            f"differ too, the former being of {number_of(len(set(real.groups)), 'video')}"
        )
    return Measure(name, found[0], found[1], meaning, "; ".join(notes))


def memory_measures(
    generated: Side, training: Side, real: Side, seed: int
) -> tuple[list[Measure], Nearest, Nearest]:
    """Return the measures of memorisation, and the nearest training clips they rest on.

    Returns:
        The rows, the nearest training clips of the generated clips, and those of the real ones.
    """
    near = nearest_clips(generated.clips, training.clips, training.groups)
    chance = nearest_clips(real.clips, training.clips, training.groups)
    shares = [near_copies(found.ratios, chance.ratios) for found in (near, chance)]
    enough = len(real.clips) >= LEAST_HELD_OUT

    def row(
        name: str, meaning: str, values: tuple[Values, Values], note: str = "", share: bool = False
    ) -> Measure:
        found = [
            None if note else estimate(side_values, side.groups, seed, share=share)
            for side_values, side in zip(values, (generated, real), strict=True)
        ]
        if not note and not any(found):
            note = "the training clips are of one video"
        return Measure(name, found[0], found[1], meaning, note)

    return [
        row("nearest training clip", "distance to it; real: of held-out clips. Blurred clips are "
            f"near to everything; {near.searched} of {len(training.clips)} training clips searched",
            (near.distances, chance.distances)),
        row("nearest over next", "that distance over the distance to the next video's nearest "
            "clip; 0 is a copy", (near.ratios, chance.ratios)),
        row("near copies", "share whose ratio is under that of all but 5 % of the held-out clips",
            (shares[0], shares[1]),
            "" if enough else f"needs {LEAST_HELD_OUT} held-out clips to know what chance gives",
            share=True),
    ], near, chance  # fmt: skip


def estimate(
    values: Values | None, groups: Sequence[str], seed: int, *, share: bool = False
) -> Estimate | None:
    """Return the mean over clips with its interval; None where no clip says anything.

    Args:
        values: one per clip, NaN where it says nothing; None where there are none.
        groups: what each clip belongs to.
        seed: of the resampling.
        share: the values are 1 or 0.
    """
    if values is None or not np.isfinite(values).any():
        return None
    known = np.isfinite(values)
    found = share_interval(values, groups) if share else mean_interval(values, groups, seed)
    return Estimate(float(values[known].mean()), found, int(known.sum()))


def _diversity(side: Side, seed: int) -> Estimate | None:
    places = evenly_spaced(len(side.clips), PAIRED_CLIPS)
    clips, groups = side.clips[places], [side.groups[place] for place in places]
    if len(clips) < 2:
        return None
    pairs = pair_differences(np.asarray(clips))
    upper = np.triu_indices(len(clips), 1)

    def draw(rng: np.random.Generator) -> float:
        chosen = resampled(groups, rng)
        first, second = np.triu_indices(len(chosen), 1)
        different = chosen[first] != chosen[second]  # a clip is never compared with itself
        known = pairs[chosen[first], chosen[second]][different]
        return float(known.mean()) if len(known) else float("nan")

    value = float(pairs[upper].mean())
    return Estimate(value, interval(value, len(set(groups)), draw, seed), len(clips))


def _drawn(side: Side, n: int, seed: int) -> Side:
    """Return n clips of a side, drawn without replacement, without their masks."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(side.clips))[:n])
    return Side(side.clips[chosen], None, [side.groups[place] for place in chosen])


def _distance(
    features: Values, groups: Sequence[str], held_out: Values, videos: Sequence[str],
    shrink: bool, seed: int,
) -> Estimate:  # fmt: skip
    value = sample_distance(features, held_out, shrink=shrink)

    def draw(rng: np.random.Generator) -> float:
        first, second = features[resampled(groups, rng)], held_out[resampled(videos, rng)]
        return sample_distance(first, second, shrink=shrink)

    fewest = min(len(set(groups)), len(set(videos)))
    found = interval(value, fewest, draw, seed, replicates=100)
    return Estimate(value, found, len(features))


def iou_estimate(masks: Iterable[Masks], truth: Iterable[Masks], seed: int) -> Estimate | None:
    """Return the mean IoU of masks with the true ones; each clip stands for itself."""
    values = np.array([mask_iou(found, true) for found, true in zip(masks, truth, strict=True)])
    return estimate(values, [str(number) for number in range(len(values))], seed)
