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
    by_worker = _left_out(residuals, clusters.worker, n)
    by_clip = _by_clip(residuals, clusters, n)
    if independent <= 0:
        parts = [_typical(y, n, clusters.touched, clusters.worker if workers > 1 else None)]
    elif workers == 1:  # who says nothing of others
        parts = [independent, by_clip]
    else:
        joint = by_worker + by_clip - _by_both(residuals, clusters, n)
        parts = [independent, joint, by_worker]
    if workers == 1:
        return Spread(max(parts), clusters.df, THIS_RATER, ONE_RATER)
    return Spread(max(parts), clusters.df, "multiway", _few(clusters))


def spread_between_people(pair: Codes, y: Floats, clusters: Clusters) -> Spread | None:
    """Return the variance of how often an answer is that of another person on the same pair.

    A worker enters by their own answers and as another person in everybody else's, so a worker is
    left out on both sides; with one side alone, intervals covered 71 to 83 of 95.

    Args:
        pair: (n,), codes of the pairs, each with answers of two workers or more.
        y: (n,), 1 or 0, what each worker chose.
        clusters: of the same answers.

    Returns:
        None where no variance can be given: under 5 workers, or all pairs were shared with one.
    """
    n, worker = len(y), clusters.worker
    size = np.bincount(pair).astype(np.float64)
    # Without one answer of a pair of two, no other person is left for the second.
    gone = np.where(size == 2, 2.0, 1.0)[pair]
    if clusters.workers < LEAST_WORKERS or np.bincount(worker, weights=gone).max() == n:
        return None
    chosen = np.bincount(pair, weights=y).astype(np.float64)
    agreeing = _agreeing(size, chosen)
    share = float(agreeing.sum()) / n
    residuals = agreeing - share * size  # of a pair
    left = _agreeing(size[pair] - 1, chosen[pair] - y) - share * (size[pair] - gone)
    lost = residuals[pair] - left  # what goes with an answer, on both sides
    independent = float(np.sum(residuals**2)) / n**2
    by_clip = _by_clip(residuals[pair] / size[pair], clusters, n)
    if independent <= 0:
        first = np.unique(pair, return_index=True)[1]
        clips = Clusters(worker[first], (clusters.clips[0][first], clusters.clips[1][first]))
        parts = [_typical((agreeing / size)[pair], len(size), clips.touched, worker)]
    else:
        by_worker = _left_out(lost, worker, n, gone)
        parts = [independent, by_clip, by_worker + by_clip - _by_both(lost, clusters, n)]
    return Spread(max(parts), clusters.df, "multiway", _few(clusters))


def _agreeing(size: Floats, chosen: Floats) -> Floats:
    """How many of so many answers agree, each counting by the share of the others that do."""
    other = size - chosen
    twice = chosen * (chosen - 1) + other * (other - 1)
    return np.asarray(twice / np.maximum(size - 1, 1))


def _few(clusters: Clusters) -> str:
    few = kish(clusters.worker) < FEW_WORKERS
    return f"{FEW}: the interval rests on few people" if few else ""


def _by_clip(residuals: Floats, clusters: Clusters, n: int) -> float:
    """The jackknife variance without each clip, on whichever side it is."""
    both = sum_squares(residuals[clusters.two], clusters.both) / n**2
    return _left_out(residuals[clusters.twice], clusters.touched, n) - both


def _by_both(residuals: Floats, clusters: Clusters, n: int) -> float:
    """What the variances by worker and by clip both count: judgments that share both."""
    worker, twice, two = clusters.worker, clusters.twice, clusters.two
    shared = sum_squares(residuals[twice], intersection((worker[twice], clusters.touched)))
    shared -= sum_squares(residuals[two], intersection((worker[two], clusters.both)))
    return shared / n**2


def _left_out(residuals: Floats, codes: Codes, n: int, gone: Floats | None = None) -> float:
    """The delete-one-cluster (CR3) variance of a mean of n judgments, which may be named twice.

    `gone` is how many judgments go with each; None: one.
    """
    sums, counts = np.bincount(codes, weights=residuals), np.bincount(codes, weights=gone)
    shifts = sums / np.maximum(n - counts, 1)  # a cluster of all has residuals that sum to 0
    return float(np.sum(shifts**2)) * (len(sums) - 1) / len(sums)


def _typical(y: Floats, n: int, touched: Codes, worker: Codes | None) -> float:
    """The variance where all of n judgments are alike: correlated as in comparable studies.

    `touched` and `worker` name the clips and the workers of each; None: there is one worker.

    Source:
        The rate is Agresti and Coull's, as in `variance.component_variance`.
    """
    rate = (float(y.sum()) + 2) / (len(y) + 4)
    effect = 1 + TYPICAL.clip_a * _others(touched, n)
    if worker is not None:
        effect += TYPICAL.worker * _others(worker, n)
    return rate * (1 - rate) / n * effect


def _others(codes: Codes, n: int) -> float:
    """With how many others a judgment shares its clusters, on average."""
    sizes = np.bincount(codes).astype(np.float64)
    return float(np.sum(sizes * (sizes - 1))) / n
