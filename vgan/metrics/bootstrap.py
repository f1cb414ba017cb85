"""Intervals by resampling: what other clips of the same weights, or other videos, would have given.

Nothing here says what another training run would give; for that, train several seeds and look at
their rows side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit  # scipy.stats would take a second to import

REPLICATES = 400
LEVEL = 0.95
_LEAST_GROUPS = 3  # with two, Student's factor is 12.7: the interval would say nothing

Draw = Callable[[np.random.Generator], float]


@dataclass(frozen=True)
class Interval:
    """A 95 % interval.

    Args:
        low: its lower end.
        high: its upper end.
    """

    low: float
    high: float


def interval(
    value: float, groups: int, draw: Draw, seed: int, replicates: int = REPLICATES
) -> Interval | None:
    """Return value plus and minus the bootstrap's standard error times Student's factor.

    Of the replicates only the spread is used, not the place: resampling repeats clips, which moves
    a distance between samples upwards and would shift percentiles with it.

    Args:
        value: the estimate, at least 0.
        groups: that were resampled (the smaller number, of two samples); they are independent.
        draw: the statistic of one resample.
        seed: of the resampling.
        replicates: resamples.

    Returns:
        None for fewer than three groups, or a value that is not finite.
    """
    if groups < _LEAST_GROUPS or not np.isfinite(value):
        return None
    rng = np.random.default_rng(seed)
    drawn = np.array([draw(rng) for _ in range(replicates)])
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < replicates // 2:
        return None
    # A bootstrap's spread is short by (n - 1) / n.
    error = drawn.std(ddof=1) * np.sqrt(groups / (groups - 1))
    reach = float(stdtrit(groups - 1, (1 + LEVEL) / 2)) * float(error)
    return Interval(max(value - reach, 0.0), value + reach)


def mean_interval(
    values: NDArray[np.float64], groups: Sequence[str], seed: int, replicates: int = REPLICATES
) -> Interval | None:
    """Return the interval of a mean over clips, resampling whole groups (source videos).

    Args:
        values: one per clip; NaN where a clip says nothing.
        groups: what each clip belongs to.
        seed: of the resampling.
        replicates: resamples.
    """
    known = np.isfinite(values)
    if not known.any():
        return None
    names, place = np.unique(np.asarray(groups)[known], return_inverse=True)
    sums = np.bincount(place, values[known], len(names))
    counts = np.bincount(place, minlength=len(names))

    def draw(rng: np.random.Generator) -> float:
        chosen = rng.integers(len(names), size=len(names))
        return float(sums[chosen].sum() / counts[chosen].sum())

    return interval(float(values[known].mean()), len(names), draw, seed, replicates)


def share_interval(values: NDArray[np.float64], groups: Sequence[str]) -> Interval | None:
    """Return Wilson's interval of a share of clips, as if each group were one clip.

    Where no clip counts, or every one, resampling would give an interval without width.

    Args:
        values: 1 or 0 per clip; NaN where a clip says nothing.
        groups: what each clip belongs to.
    """
    known = np.isfinite(values)
    n = len(np.unique(np.asarray(groups)[known]))
    if n < _LEAST_GROUPS:
        return None
    share, z = float(values[known].mean()), float(ndtri((1 + LEVEL) / 2))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return Interval(max(middle - float(reach), 0.0), min(middle + float(reach), 1.0))


def resampled(groups: Sequence[str], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the places of the clips of as many groups, drawn with replacement, as there are."""
    names, place = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(place == number) for number in range(len(names))]
    return np.concatenate([members[i] for i in rng.integers(len(names), size=len(names))])
