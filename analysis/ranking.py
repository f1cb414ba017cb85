"""The leaderboard: strengths with intervals that respect workers and clips, and rank ranges."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from analysis.clusters import Codes, Floats, codes_of, intersection, kish
from analysis.errors import AnalysisError
from analysis.intervals import LEVEL
from analysis.significance import holm
from analysis.strengths import (
    Contests,
    Fit,
    contests_of,
    fit_strengths,
    goodness_of_fit,
)


@dataclass(frozen=True)
class Standing:
    """A source in the leaderboard.

    Args:
        source: its name.
        strength: in log odds, relative to the mean of all sources.
        low: lower bound.
        high: upper bound.
        rank: 1 is the strongest.
        best: best rank that the data do not exclude (pairwise tests, Holm).
        worst: worst such rank.
    """

    source: str
    strength: float
    low: float
    high: float
    rank: int
    best: int
    worst: int


@dataclass(frozen=True)
class Ranking:
    """Strengths, strongest first, and how well they fit."""

    standings: tuple[Standing, ...]
    fit: Fit
    design_effect: float
    df: float


@dataclass(frozen=True)
class _Clusters:
    """Who judged, and which clips: two, or one where both sides are one item.

    Args:
        worker: (n,), the worker of each judgment.
        clips: (n,) twice, the clip on A's side and on B's; a clip has one code on both.
    """

    worker: Codes
    clips: tuple[Codes, Codes]

    @classmethod
    def of(cls, preferences: pd.DataFrame) -> "_Clusters":
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


@dataclass(frozen=True)
class _Covariance:
    """Three estimates of a covariance; of a contrast, the largest variance counts."""

    multiway: Floats
    by_worker: Floats
    independent: Floats

    def of(self, contrast: Floats) -> float:
        parts = (self.multiway, self.by_worker, self.independent)
        return float(max(contrast @ part @ contrast for part in parts))


def rank(preferences: pd.DataFrame, *, level: float = LEVEL) -> Ranking:
    """Rank the sources of a study over all categories.

    Args:
        preferences: from `table_preferences`.
        level: nominal coverage of the intervals.

    Raises:
        AnalysisError: there are fewer than two sources.
        ConvergenceError: there are no finite strengths.
    """
    contests, pair, won = contests_of(preferences)
    if len(contests.sources) < 2:
        raise AnalysisError("a ranking needs two sources or more")
    strengths = fit_strengths(contests)
    clusters = _Clusters.of(preferences)
    covariance = _covariance(contests, strengths, won, pair, clusters)
    # A covariance is known as well as its scarcest clusters let it be: five items are five, however
    # many workers judge them.
    df = max(min(kish(clusters.worker), kish(clusters.touched)) - 1, 1.0)
    quantile = float(stats.t.ppf(0.5 + level / 2, df))
    size = len(strengths)
    centred = np.eye(size) - 1 / size
    half = [quantile * covariance.of(_free(row)) ** 0.5 for row in centred]
    best, worst = _rank_ranges(strengths, covariance, df, 1 - level)
    order = np.argsort(-strengths, kind="stable")
    standings = tuple(
        Standing(
            contests.sources[i],
            float(strengths[i]),
            float(strengths[i] - half[i]),
            float(strengths[i] + half[i]),
            place,
            best[i],
            worst[i],
        )
        for place, i in enumerate(order, 1)
    )
    free = centred[:, :-1]
    effects = [covariance.of(row) / (row @ covariance.independent @ row) for row in free]
    deff = float(np.mean(effects))
    return Ranking(standings, goodness_of_fit(contests, strengths, deff), deff, df)


def _free(contrast: Floats) -> Floats:
    """A contrast that sums to 0, in the free strengths (the last is minus nothing: it is 0)."""
    return contrast[:-1]


@dataclass(frozen=True)
class _Scores:
    """What each judgment pulls at the free strengths, and the information of one game.

    Args:
        values: (n, M - 1), the score of each judgment.
        pair: (n,), the pair of sources of each judgment.
        design: (P, M - 1), as `Contests.design`.
        weight: (P,), information of one game.
    """

    values: Floats
    pair: Codes
    design: Floats
    weight: Floats

    def take(self, rows: NDArray[np.int64]) -> "_Scores":
        return _Scores(self.values[rows], self.pair[rows], self.design, self.weight)

    def sums(self, codes: Codes) -> Floats:
        """(G, M - 1), the scores summed by cluster."""
        return np.column_stack([np.bincount(codes, weights=c) for c in self.values.T])

    def meat(self, codes: Codes) -> Floats:
        """(M - 1, M - 1), the sum over clusters of the outer products of their sums."""
        sums = self.sums(codes)
        return np.asarray(sums.T @ sums)

    def left_out(self, codes: Codes, information: Floats) -> Floats:
        """CR3 covariance from one-step refits without each cluster."""
        clusters, pairs = int(codes.max()) + 1, len(self.design)
        met = np.bincount(codes * pairs + self.pair, minlength=clusters * pairs)
        weights = met.reshape(clusters, pairs) * self.weight
        own = np.einsum("gp,pk,pl->gkl", weights, self.design, self.design, optimize=True)
        inverse = np.linalg.pinv(information - own, hermitian=True)
        shifts = np.einsum("gkl,gl->gk", inverse, self.sums(codes))
        return np.asarray(shifts.T @ shifts * (clusters - 1) / clusters)


def _covariance(
    contests: Contests,
    strengths: Floats,
    won: Floats,
    pair: Codes,
    clusters: _Clusters,
) -> _Covariance:
    """Covariance of the free strengths, clustered by worker and by clip on either side.

    A clip of one source meets several others, now as A, now as B, so judgments are linked by any
    clip they share (Aronow, Samii and Assenova, Political Analysis 23, 2015), and by the worker.
    """
    design = contests.design
    rate = special.expit(design @ (strengths[:-1] - strengths[-1]))
    scores = _Scores((won - rate[pair])[:, None] * design[pair], pair, design, rate * (1 - rate))
    information = (design * (contests.games * scores.weight)[:, None]).T @ design
    inverse = np.linalg.inv(information)
    worker, touched, two = clusters.worker, clusters.touched, clusters.two
    doubled = scores.take(clusters.twice)
    by_worker = scores.left_out(worker, information)
    meat = -doubled.meat(intersection((worker[clusters.twice], touched)))
    if len(two):
        once, both = scores.take(two), [clip[two] for clip in clusters.clips]
        ends = (np.minimum(*both), np.maximum(*both))
        meat = meat - once.meat(intersection(ends))
        meat = meat + once.meat(intersection((worker[two], *ends)))
    total = by_worker + doubled.left_out(touched, information) + inverse @ meat @ inverse
    return _Covariance(total, by_worker, np.asarray(inverse))


def _rank_ranges(
    strengths: Floats, covariance: _Covariance, df: float, alpha: float
) -> tuple[list[int], list[int]]:
    """Best and worst rank of each source that pairwise tests, adjusted by Holm, leave open."""
    size = len(strengths)
    pairs = list(combinations(range(size), 2))
    p_values = []
    for i, j in pairs:
        contrast = np.zeros(size)
        contrast[i], contrast[j] = 1.0, -1.0
        t = abs(strengths[i] - strengths[j]) / covariance.of(_free(contrast)) ** 0.5
        p_values.append(float(2 * stats.t.sf(t, df)))
    best, worst = [1] * size, [size] * size
    for (i, j), p in zip(pairs, holm(p_values), strict=True):
        if p < alpha:
            stronger, weaker = (i, j) if strengths[i] > strengths[j] else (j, i)
            best[weaker] += 1
            worst[stronger] -= 1
    return best, worst
