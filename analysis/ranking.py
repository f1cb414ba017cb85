"""The leaderboard: strengths with intervals that respect workers and clips, and rank ranges."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from analysis.clusters import Codes, Floats, intersection, kish
from analysis.errors import AnalysisError
from analysis.intervals import FEW, FEW_WORKERS, LEAST_WORKERS, LEVEL, ONE_RATER, too_few
from analysis.shared_clips import Clusters
from analysis.significance import holm
from analysis.strengths import (
    Contests,
    Fit,
    contests_of,
    fit_strengths,
    goodness_of_fit,
)
from analysis.ties import tie_factor


@dataclass(frozen=True)
class Standing:
    """A source in the leaderboard.

    Args:
        source: its name.
        strength: in log odds, relative to the mean of all sources.
        rank: 1 is the strongest.
        low: lower bound; None where no interval can be given.
        high: upper bound, likewise.
        best: best rank that the data do not exclude (pairwise tests, Holm), likewise.
        worst: worst such rank, likewise.
    """

    source: str
    strength: float
    rank: int
    low: float | None = None
    high: float | None = None
    best: int | None = None
    worst: int | None = None


@dataclass(frozen=True)
class Ranking:
    """Strengths, strongest first, and how well they fit.

    Args:
        standings: of the sources.
        note: why there are no intervals, or a warning; empty where there is nothing to say.
        fit: None where there are no intervals.
        design_effect: mean over the strengths, likewise.
        df: degrees of freedom of intervals and tests, likewise.
        one_rater: whether one worker gave all judgments, so that intervals are over clips only.
    """

    standings: tuple[Standing, ...]
    note: str = ""
    fit: Fit | None = None
    design_effect: float | None = None
    df: float | None = None
    one_rater: bool = False

    def scope(self, *, one_look: bool) -> str:
        """Say what the intervals are limited to; empty where they are not, or there are none.

        Args:
            one_look: whether the study may be stopped early.
        """
        rater = ["for this rater only"] if self.one_rater else []
        look = ["for one look only"] if one_look and self.df is not None else []
        return ", ".join(rater + look)


@dataclass(frozen=True)
class _Covariance:
    """Three estimates of a covariance; of a contrast, the largest variance counts.

    Beside them, the binomial one, of independent judgments without ties, which a deviance assumes.
    """

    multiway: Floats
    by_worker: Floats
    independent: Floats
    binomial: Floats

    def of(self, contrast: Floats) -> float:
        parts = (self.multiway, self.by_worker, self.independent)
        return float(max(contrast @ part @ contrast for part in parts))


def rank(preferences: pd.DataFrame, *, level: float = LEVEL) -> Ranking:
    """Rank the sources of a study over all categories.

    How many workers there are decides what is inferred, as in a cell (`intervals.spread_of`).

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
    clusters = Clusters.of(preferences)
    if 1 < clusters.workers < LEAST_WORKERS:
        nothing = [(None,) * 4] * len(strengths)
        note = f"{too_few(clusters.workers)}, and for a rank range"
        return Ranking(_standings(contests, strengths, nothing), note)
    covariance = _covariance(contests, strengths, won, pair, clusters)
    df = clusters.df
    quantile = float(stats.t.ppf(0.5 + level / 2, df))
    size = len(strengths)
    centred = np.eye(size) - 1 / size
    half = np.array([quantile * covariance.of(_free(row)) ** 0.5 for row in centred])
    low, high = (strengths - half).tolist(), (strengths + half).tolist()
    ranges = _rank_ranges(strengths, covariance, df, 1 - level)
    inferred = list(zip(low, high, *ranges, strict=True))
    free = centred[:, :-1]
    effects = [covariance.of(row) / (row @ covariance.binomial @ row) for row in free]
    deff = float(np.mean(effects))
    return Ranking(
        _standings(contests, strengths, inferred),
        _note(clusters),
        goodness_of_fit(contests, strengths, deff),
        deff,
        df,
        one_rater=clusters.workers == 1,
    )


def _note(clusters: Clusters) -> str:
    """What a reader has to know of the intervals."""
    if clusters.workers == 1:
        return ONE_RATER
    few = kish(clusters.worker) < FEW_WORKERS
    return f"{FEW}: intervals and rank ranges rest on few people" if few else ""


def _standings(
    contests: Contests, strengths: Floats, inferred: Sequence[tuple[Any, ...]]
) -> tuple[Standing, ...]:
    """The sources, strongest first; `inferred` are the bounds and the rank range of each."""
    order = np.argsort(-strengths, kind="stable")
    return tuple(
        Standing(contests.sources[i], float(strengths[i]), place, *inferred[i])
        for place, i in enumerate(order, 1)
    )


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
    clusters: Clusters,
) -> _Covariance:
    """Covariance of the free strengths, clustered by worker and by clip on either side.

    A clip of one source meets several others, now as A, now as B, so judgments are linked by any
    clip they share (Aronow, Samii and Assenova, Political Analysis 23, 2015), and by the worker.
    """
    design = contests.design
    rate = special.expit(design @ (strengths[:-1] - strengths[-1]))
    scores = _Scores((won - rate[pair])[:, None] * design[pair], pair, design, rate * (1 - rate))
    information = (design * (contests.games * scores.weight)[:, None]).T @ design
    inverse = np.asarray(np.linalg.inv(information))
    worker, touched, both = clusters.worker, clusters.touched, clusters.both
    doubled, once = scores.take(clusters.twice), scores.take(clusters.two)
    by_clip = doubled.left_out(touched, information) - inverse @ once.meat(both) @ inverse
    wins, games = contests.wins + 2, contests.games + 4
    left = tie_factor(wins / games, np.bincount(pair, weights=won == 0.5) / games)
    of_ties = (design * (contests.games * scores.weight * (1 - left))[:, None]).T @ design
    independent = inverse - inverse @ of_ties @ inverse
    if clusters.workers == 1:  # who says nothing of others
        return _Covariance(by_clip, independent, independent, inverse)
    by_worker = scores.left_out(worker, information)
    shared = doubled.meat(intersection((worker[clusters.twice], touched)))
    shared = shared - once.meat(intersection((worker[clusters.two], both)))
    multiway = by_worker + by_clip - inverse @ shared @ inverse
    return _Covariance(multiway, by_worker, independent, inverse)


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
