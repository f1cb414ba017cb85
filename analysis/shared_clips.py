"""Judgments over several rows: those that share a worker, or any clip, belong together.

A clip of one source meets several others, now as A, now as B, and which of the two it is says
nothing of the clip. Within one row this is the clustering of its cells (`variance.multiway`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.clusters import Codes, Floats, codes_of, intersection, kish, sum_squares
from analysis.intervals import FEW, FEW_WORKERS, LEAST_WORKERS, ONE_RATER, THIS_RATER, Spread
from analysis.variance import TYPICAL


@dataclass(frozen=True)
class Clusters:
    """Who judged, and which clips: two, or one where both sides are one item.

    Args:
        worker: (n,), the worker of each judgment.
        clips: (n,) twice, the clip on A's side and on B's; a clip has one code on both.
    """

    worker: Codes
    clips: tuple[Codes, Codes]

    @classmethod
    def of(cls, preferences: pd.DataFrame) -> "Clusters":
        """Code the judgments of `table_preferences`."""
        n = len(preferences)
        clips = codes_of(np.concatenate([preferences["cluster_a"], preferences["cluster_b"]]))
        return cls(codes_of(preferences["worker"]), (clips[:n], clips[n:]))

    @cached_property
    def two(self) -> NDArray[np.int64]:
        """The judgments of two different clips."""
        return np.flatnonzero(self.clips[0] != self.clips[1])

    @cached_property
    def twice(self) -> NDArray[np.int64]:
        """(n + len(two),), all judgments, and those of `two` once more: one for every clip."""
        return np.concatenate([np.arange(len(self.worker)), self.two])

    @cached_property
    def touched(self) -> Codes:
        """(n + len(two),), the clip that each of `twice` stands for."""
        return np.concatenate([self.clips[0], self.clips[1][self.two]])

    @property
    def both(self) -> Codes:
        """(len(two),), the pair of clips of each of `two`, whichever side they are on."""
        ends = [clip[self.two] for clip in self.clips]
        return intersection((np.minimum(*ends), np.maximum(*ends)))

    @property
    def workers(self) -> int:
        """How many there are."""
        return int(self.worker.max()) + 1

    @property
    def df(self) -> float:
        """Degrees of freedom: the scarcest clusters decide how well a covariance is known.

        Five items are five, however many workers judge them.
        """
        clips = kish(self.touched)
        known = clips if self.workers == 1 else min(kish(self.worker), clips)
        return max(known - 1, 1.0)


def spread_over_rows(y: Floats, clusters: Clusters) -> Spread | None:
    """Return the variance of a mean over all rows, by the rules of the ranking.

    Args:
        y: (n,), in [0, 1], what is averaged; every judgment counts the same.
        clusters: of the same judgments.

    Returns:
        None where no variance can be given: 2 to 4 workers, or one judgment.

    Source:
        Aronow, Samii and Assenova, Political Analysis 23 (2015), with the delete-one-cluster
        jackknife for workers and for clips, and the floors of `variance.multiway`.
    """
    n, workers = len(y), clusters.workers
    if n < 2 or 1 < workers < LEAST_WORKERS:
        return None
    residuals = y - y.mean()
    independent = float(np.sum(residuals**2)) / n**2
    if independent <= 0:
        parts = [_typical(y, clusters)]
    else:
        parts = [independent, *_jackknife(residuals, clusters)]
    if workers == 1:
        return Spread(max(parts), clusters.df, THIS_RATER, ONE_RATER)
    few = f"{FEW}: the interval rests on few people" if kish(clusters.worker) < FEW_WORKERS else ""
    return Spread(max(parts), clusters.df, "multiway", few)


def _jackknife(residuals: Floats, clusters: Clusters) -> list[float]:
    """The variance by worker and by clip together, and by worker alone; of one worker, by clip."""
    n, worker, twice, two = len(residuals), clusters.worker, clusters.twice, clusters.two
    doubled, once = residuals[twice], residuals[two]
    by_clip = _left_out(doubled, clusters.touched, n) - sum_squares(once, clusters.both) / n**2
    if clusters.workers == 1:  # who says nothing of others
        return [by_clip]
    by_worker = _left_out(residuals, worker, n)
    shared = sum_squares(doubled, intersection((worker[twice], clusters.touched)))
    shared -= sum_squares(once, intersection((worker[two], clusters.both)))
    return [by_worker + by_clip - shared / n**2, by_worker]


def _left_out(residuals: Floats, codes: Codes, n: int) -> float:
    """The delete-one-cluster (CR3) variance of a mean of n judgments, which may be named twice."""
    sums, counts = np.bincount(codes, weights=residuals), np.bincount(codes)
    shifts = sums / np.maximum(n - counts, 1)  # a cluster of all has residuals that sum to 0
    return float(np.sum(shifts**2)) * (len(sums) - 1) / len(sums)


def _typical(y: Floats, clusters: Clusters) -> float:
    """The variance where all judgments are alike: correlated as in comparable studies.

    Source:
        The rate is Agresti and Coull's, as in `variance.component_variance`.
    """
    n = len(y)
    rate = (float(y.sum()) + 2) / (n + 4)
    effect = 1 + TYPICAL.clip_a * _others(clusters.touched, n)
    if clusters.workers > 1:
        effect += TYPICAL.worker * _others(clusters.worker, n)
    return rate * (1 - rate) / n * effect


def _others(codes: Codes, n: int) -> float:
    """With how many others a judgment shares its clusters, on average."""
    sizes = np.bincount(codes).astype(np.float64)
    return float(np.sum(sizes * (sizes - 1))) / n
