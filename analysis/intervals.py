"""Intervals for a percentage: the naive ones, and those that respect workers and clips.

`cell_interval` and `mean_interval` choose the method by how many workers there are; the rules
are stated in docs/statistics.md and measured in `benchmarks/coverage.py`. Quantiles are taken from
`scipy.special`: those of `scipy.stats` are the same numbers, and took a third of a table's time.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from analysis.clusters import kish
from analysis.variance import (
    TYPICAL,
    Correlations,
    Sample,
    component_variance,
    correlations,
    multiway,
)

LEVEL = 0.95
# Below this many effective workers the jackknife is short of degrees of freedom (the Mean covered
# 92 of 95); the correlations pooled over the row take its place.
FEW_WORKERS = 20.0
LEAST_WORKERS = 5  # with fewer there is no telling how much workers differ

FEW = f"under {FEW_WORKERS:.0f} effective workers"
THIS_RATER = "this rater"  # the method of an estimate whose interval is over clips only
ONE_RATER = f"{THIS_RATER}: the interval is over clips, not over people"
ONE_CLIP = "one clip of a source in a category: the interval says nothing of its other clips"
LEAST_CLIPS = 5  # of a source; with 2 a cell covers 93 of 95
FEW_CLIPS = f"under {LEAST_CLIPS} clips, items or videos of a source: the interval may be too short"

# Half a p-value is sought between these; far beyond, quantiles of t are not to be had.
_TAILS = 1e-50, 0.4999

Bounds = tuple[float, float]


def too_few(workers: int) -> str:
    """Say why there is no interval where 2 to 4 workers judged."""
    return f"{workers} workers: too few for an interval (at least {LEAST_WORKERS}, or one)"


def wilson(rate: float, n: float, quantile: float | None = None) -> Bounds:
    """Return the Wilson score interval of a proportion.

    Args:
        rate: in [0, 1].
        n: number of independent judgments, possibly effective and fractional, > 0.
        quantile: of the standard normal or t; default 1.96.
    """
    z = float(special.ndtri(0.5 + LEVEL / 2)) if quantile is None else quantile
    scale = 1 + z * z / n
    middle = (rate + z * z / (2 * n)) / scale
    half = z / scale * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))


def clopper_pearson(rate: float, n: float, level: float = LEVEL) -> Bounds:
    """Return the Clopper-Pearson interval; `rate * n` need not be a whole number."""
    tail, successes = (1 - level) / 2, rate * n
    low = float(special.betaincinv(successes, n - successes + 1, tail)) if successes > 0 else 0.0
    high = float(special.betaincinv(successes + 1, n - successes, 1 - tail)) if rate < 1 else 1.0
    return low, high


def korn_graubard(rate: float, n: int, effective: float, df: float, level: float = LEVEL) -> Bounds:
    """Return the Korn-Graubard interval of a clustered proportion.

    Args:
        rate: in [0, 1].
        n: number of judgments.
        effective: number of independent judgments with the same variance, > 0.
        df: degrees of freedom of the variance, > 0.
        level: nominal coverage.

    Source:
        Korn and Graubard, Survey Methodology 24 (1998): Clopper-Pearson at the effective sample
        size, which is shrunk by the square of the ratio of the t quantiles for n - 1 and for df.
    """
    return clopper_pearson(rate, _shrunk(n, effective, df, (1 - level) / 2), level)


def _shrunk(n: int, effective: float, df: float, tail: float) -> float:
    ratio = float(special.stdtrit(max(n - 1, 1), tail) / special.stdtrit(df, tail))
    return effective * min(ratio, 1.0) ** 2


def korn_graubard_p(rate: float, n: int, effective: float, df: float) -> float:
    """Return the p-value of a rate of one half: 1 minus the level whose interval touches it.

    The arguments are those of `korn_graubard`.
    """
    far, (least, most) = max(rate, 1 - rate), _TAILS

    def excess(log_tail: float) -> float:
        """By how much one half's tail is above the one that a level leaves, as logarithms."""
        size = _shrunk(n, effective, df, float(np.exp(log_tail)))
        beyond = special.betainc(far * size, (1 - far) * size + 1, 0.5)
        return float(np.log(max(beyond, least / 10))) - log_tail

    if excess(np.log(most)) >= 0:
        return 1.0
    if excess(np.log(least)) <= 0:
        return 2 * least
    return 2 * float(np.exp(optimize.brentq(excess, np.log(least), np.log(most))))


@dataclass(frozen=True)
class Estimate:
    """A percentage with its interval and how it came about.

    Args:
        percent: 0..100, or None where there are no judgments.
        low: 0..100, or None where no interval can be given.
        high: as `low`.
        n: judgments behind it.
        workers: distinct workers behind it.
        method: `multiway`, `pooled ICC`, `this rater`, `sequence` (its interval holds at all looks
            together), or empty where there is no interval.
        note: why a bound is missing, or a warning; empty where there is nothing to say.
        deff: the design effect, how many times the independent variance.
        effective_workers: Kish's effective number of workers.
        se: standard error in points, or None.
        df: degrees of freedom of the variance, or None.
        naive: the Wilson interval that takes judgments as independent, 0..100.
        ties: how many of `n` were ties, each of which counts one half.
    """

    percent: float | None
    low: float | None
    high: float | None
    n: int
    workers: int
    method: str = ""
    note: str = ""
    deff: float | None = None
    effective_workers: float | None = None
    se: float | None = None
    df: float | None = None
    naive: Bounds | None = None
    ties: int = 0

    @property
    def half_width(self) -> float | None:
        """Half the interval, in points; None where there is none."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def effective(self) -> float | None:
        """How many independent judgments have the same variance; None where it is not known."""
        if self.percent is None or not self.se or self.deff is None:
            return None
        return effective_judgments(self.percent / 100, self.n, (self.se / 100) ** 2, self.deff)

    @property
    def decided(self) -> bool:
        """Whether the interval excludes 50 %."""
        return self.low is not None and self.high is not None and not self.low <= 50 <= self.high


NOTHING = Estimate(None, None, None, 0, 0, note="no judgments")


@dataclass(frozen=True)
class Spread:
    """The variance an interval rests on, and where it comes from."""

    variance: float
    df: float
    method: str
    note: str = ""


def row_correlations(sample: Sample) -> tuple[Correlations, Correlations]:
    """Return a row's correlations for its cells and for its Mean; typical ones where unknown."""
    within = correlations(sample)
    across = correlations(sample, across=True)
    return within or TYPICAL, across or TYPICAL


def cell_interval(cell: Sample, rho: Correlations, level: float = LEVEL) -> Estimate:
    """Return the estimate of one cell.

    Args:
        cell: the judgments of one row and category.
        rho: the correlations pooled over the row, `row_correlations(row)[0]`.
        level: nominal coverage.
    """
    return estimate_of(cell, spread_of(cell, rho), level)


def mean_interval(row: Sample, rho: Correlations, level: float = LEVEL) -> Estimate:
    """Return the estimate of a row's Mean, the unweighted mean over its categories.

    Workers span the categories, so the cells are not independent and their standard errors must
    not be combined as if they were.

    Args:
        row: the judgments of one row, all categories.
        rho: the correlations across categories, `row_correlations(row)[1]`.
        level: nominal coverage.
    """
    return estimate_of(row, spread_of(row, rho), level)


def spread_of(sample: Sample, rho: Correlations) -> Spread | None:
    """Choose the variance by the number of workers.

    Args:
        sample: the judgments of a cell or a row.
        rho: the correlations that apply to it, of `row_correlations`.

    Returns:
        The variance, or None where none can be given.
    """
    workers = int(sample.worker.max()) + 1
    if workers == 1:
        return _one_rater(sample)
    if workers < LEAST_WORKERS:
        return None
    jack = multiway(sample)
    effective = kish(sample.worker)
    flat = sample.flat.any()
    most = _clips_df(sample)
    if not flat and effective >= FEW_WORKERS:
        return Spread(jack.variance, min(jack.df, most), "multiway")
    # Few clusters make the jackknife noisy and its own degrees of freedom too hopeful. The pooled
    # correlations hold the level in cells; in a Mean only the larger of the two estimates does.
    pooled = component_variance(sample, rho)
    variance = max(pooled, jack.variance) if len(sample.sizes) > 1 else pooled
    df = min(max(effective - 1, 1.0), most)
    if effective < FEW_WORKERS:
        note = f"{FEW}: correlations pooled over the row"
    else:
        note = "all judgments of a cell agree: correlations pooled over the row"
    return Spread(variance, df, "pooled ICC", note)


def _one_rater(sample: Sample) -> Spread | None:
    """One worker says nothing of other workers; the interval is over clips only."""
    jack = multiway(sample, (sample.clip_a, sample.clip_b))
    if len(sample) < 2:
        return None
    if sample.flat.any():
        alike = component_variance(sample, Correlations(0.0, TYPICAL.clip_a, TYPICAL.clip_b))
        return Spread(alike, len(sample) - 1, THIS_RATER, ONE_RATER)
    return Spread(jack.variance, min(jack.df, _clips_df(sample)), THIS_RATER, ONE_RATER)


def _clips_df(sample: Sample) -> float:
    """The most degrees of freedom that the scarcer source's clips allow; see docs/statistics.md.

    Five items are five, however many judge them: alike by chance, they made the jackknife too sure.
    """
    known = [codes for codes in (sample.clip_a, sample.clip_b) if codes.max() >= len(sample.sizes)]
    return max(min(map(kish, known), default=np.inf), LEAST_CLIPS) - 1


def estimate_of(sample: Sample, spread: Spread | None, level: float = LEVEL) -> Estimate:
    """Return the estimate of a mean whose variance is known.

    Args:
        sample: the judgments.
        spread: from `spread_of`, or another that suits them; None: there is no interval.
        level: nominal coverage.
    """
    n, workers, rate = len(sample), int(sample.worker.max()) + 1, sample.mean
    naive = wilson(rate, n, float(special.ndtri(0.5 + level / 2)))
    known = {
        "effective_workers": kish(sample.worker),
        "naive": (100 * naive[0], 100 * naive[1]),
        "ties": int((sample.y == 0.5).sum()),
    }
    if spread is None:
        why = "one judgment: no interval" if n < 2 else too_few(workers)
        return Estimate(100 * rate, None, None, n, workers, note=why, **known)  # type: ignore[arg-type]
    notes = [note for note in (spread.note, _clips_note(sample)) if note]
    deff = design_effect(sample, spread.variance)
    effective = effective_judgments(rate, n, spread.variance, deff)
    low, high = korn_graubard(rate, n, effective, spread.df, level)
    return Estimate(
        100 * rate,
        100 * low,
        100 * high,
        n,
        workers,
        spread.method,
        "; ".join(notes),
        deff,
        se=100 * float(np.sqrt(spread.variance)),
        df=spread.df,
        **known,  # type: ignore[arg-type]
    )


def _clips_note(sample: Sample) -> str:
    """Warn of a source with few clips; a Mean has as many as its categories have together."""
    fewest = min(int(codes.max()) + 1 for codes in (sample.clip_a, sample.clip_b))
    if fewest <= len(sample.sizes):  # one in every cell, so that nothing is known of others
        return ONE_CLIP
    return FEW_CLIPS if fewest < LEAST_CLIPS else ""


def design_effect(sample: Sample, variance: float) -> float:
    """Return how many times the variance of as many independent judgments it is, at least 1."""
    nobody = Correlations(0.0, 0.0, 0.0)
    return max(variance / component_variance(sample, nobody), 1.0)


def effective_judgments(rate: float, n: int, variance: float, deff: float) -> float:
    """Return how many independent judgments have this variance.

    Where all judgments agree, rate (1 - rate) is 0 and cannot be divided by the variance, which
    was found at a smoothed rate; the design effect at that rate carries over.
    """
    return n / deff if rate <= 0 or rate >= 1 else rate * (1 - rate) / variance
