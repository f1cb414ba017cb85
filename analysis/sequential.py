"""Looking at a study while it runs, as often as one likes, without false alarms.

A confidence sequence covers the truth at all looks together with the nominal probability, so a
study may stop at any of them. Ours is the beta-binomial mixture, which holds for independent
judgments at any rate, on the multiway variance: a judgment counts as much as the clustering lets
it. What it missed in simulated studies is in docs/statistics.md.
"""

import math
from dataclasses import replace

from scipy import optimize, special

from analysis.clusters import kish
from analysis.intervals import (
    LEAST_WORKERS,
    LEVEL,
    Bounds,
    Estimate,
    Spread,
    design_effect,
    effective_judgments,
    spread_of,
)
from analysis.variance import (
    TYPICAL,
    Sample,
    component_variance,
    correlations,
)
from evaluation.study_file.stop_rule import StopRule

SEQUENCE = "sequence"  # the method of an estimate whose interval holds at all looks
_EDGE = 1e-9  # bounds nearer to 0 or 1 are not told from them


def mixture_parameter(best_at: float, alpha: float) -> float:
    """Return the mixture's parameter for which the bound is tightest near `best_at`.

    Args:
        best_at: intrinsic time, > 0.
        alpha: 1 minus the coverage.

    Source:
        Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49 (2021), two-sided normal
        mixture.
    """
    tail = -2 * math.log(alpha)
    return best_at / (tail + math.log(1 + tail))


def bounds_at_all_looks(rate: float, time: float, planned: float, level: float = LEVEL) -> Bounds:
    """Return the interval of a preference that holds at all looks together.

    It leaves out what the judgments speak against: where a mixture of other preferences, spread
    around the one in question, explains them 1 / (1 - level) times as well.

    Args:
        rate: share preferring A, in [0, 1].
        time: how many independent judgments it counts for, > 0; need not be a whole number.
        planned: judgments in the first plan; the interval is tightest at half of them.
        level: nominal coverage.

    Source:
        Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49 (2021), two-sided
        beta-binomial mixture.
    """
    alpha, wins, losses = 1 - level, rate * time, (1 - rate) * time
    # What the mixture weighs, in judgments: its variance is that of the normal mixture.
    weight = max(mixture_parameter(planned / 2, alpha) - 1, 1e-3)

    def excess(p: float) -> float:
        """The logarithm of how much too well the mixture explains the judgments."""
        q = 1 - p
        mixed = special.betaln(weight * p + wins, weight * q + losses)
        mixed -= special.betaln(weight * p, weight * q)
        alone = special.xlogy(wins, p) + special.xlogy(losses, q)
        return float(mixed - alone) + math.log(alpha)

    inside = min(max(rate, _EDGE), 1 - _EDGE)
    low = optimize.brentq(excess, _EDGE, inside) if excess(_EDGE) > 0 else 0.0
    high = optimize.brentq(excess, inside, 1 - _EDGE) if excess(1 - _EDGE) > 0 else 1.0
    return float(low), float(high)


def _sequence_spread(sample: Sample) -> Spread | None:
    """The variance that a row's sequence rests on; None where there are too few workers."""
    if int(sample.worker.max()) + 1 < LEAST_WORKERS:
        return None
    rho = correlations(sample, across=True) or TYPICAL
    spread = spread_of(sample, rho)
    if spread is None:
        return None
    # A sequence stops at the look whose variance happens to be small, so it takes the larger of
    # two estimates, and one degree of freedom per effective worker.
    variance = max(spread.variance, component_variance(sample, rho))
    df = min(spread.df, max(kish(sample.worker) - 1, 1.0))
    return replace(spread, variance=variance, df=df)


def known(effective: float, df: float, level: float = LEVEL) -> float:
    """Return what so many independent judgments count for where few workers tell the variance.

    Args:
        effective: independent judgments with the same variance.
        df: degrees of freedom of that variance.
        level: nominal coverage.
    """
    upper = 0.5 + level / 2
    return effective * float(special.ndtri(upper) / special.stdtrit(df, upper)) ** 2


def _bounds(sample: Sample, spread: Spread, planned: int, level: float) -> Bounds:
    n, rate, variance = len(sample), sample.mean, spread.variance
    effective = effective_judgments(rate, n, variance, design_effect(sample, variance))
    # Never more than they are: cells of 10 and of 90 % vary less than as many judgments at 50 %.
    # Ties do, too, but with them a judgment is indeed more.
    each = 1 / float(sample.tie_factors.mean())
    time = min(known(effective, spread.df, level), n * each)
    return bounds_at_all_looks(rate, time, planned * each, level)


def mean_at_all_looks(
    mean: Estimate, sample: Sample, planned: int | None, level: float = LEVEL
) -> Estimate:
    """Return a Mean with its confidence sequence instead of the interval for one look.

    Args:
        mean: from `mean_interval`.
        sample: the judgments that it is of, in all categories of the row.
        planned: judgments that the first plan has for the row; the bound is tightest at half of
            them. None where nobody knows it: there is no interval then, as one tuned to the
            judgments at hand would not have been fixed before the first look.
        level: probability to cover the truth at all looks together.

    Returns:
        No interval where workers are too few: for one, too, because an interval over the clips of
        one rater says nothing of the people a row is stopped for.
    """
    spread = _sequence_spread(sample)
    if spread is None:
        return without_interval(
            mean, f"under {LEAST_WORKERS} workers: too few for an interval at all looks"
        )
    if planned is None:
        return without_interval(
            mean, "how many judgments were planned is not known: no interval at all looks"
        )
    low, high = _bounds(sample, spread, planned, level)
    return replace(
        mean,
        low=100 * low,
        high=100 * high,
        method=SEQUENCE,
        deff=design_effect(sample, spread.variance),
        se=100 * math.sqrt(spread.variance),
        df=spread.df,
    )


def without_interval(mean: Estimate, why: str) -> Estimate:
    """Return an estimate without its interval, and what that rests on.

    Args:
        mean: the estimate.
        why: what its note says instead.
    """
    return replace(mean, low=None, high=None, method="", note=why, deff=None, se=None, df=None)


def is_done(mean: Estimate, rule: StopRule) -> bool:
    """Tell whether a row may stop, by its Mean with an interval that holds at all looks."""
    half = mean.half_width
    short = rule.half_width is not None and half is not None and half <= rule.half_width
    return short or (rule.decided and mean.decided)


LEAST_GROWTH, MOST_GROWTH = 1.1, 2.0


def growth(mean: Estimate, rule: StopRule) -> float:
    """Return how many times its judgments a row should have at the next look.

    The half-width is taken to shrink as 1 / sqrt(n), which holds as long as new judgments come
    from new workers. A guess is not trusted far: at least a tenth more, at most as many again.

    Args:
        mean: of a row that is not done.
        rule: when it would be.

    Returns:
        In [1.1, 2].
    """
    half = mean.half_width
    if half is None or mean.percent is None:
        return MOST_GROWTH
    goals = [abs(mean.percent - 50)] if rule.decided else []
    goals += [rule.half_width] if rule.half_width is not None else []
    goal = max(goals)  # either is enough, so the wider interval decides
    times = (half / goal) ** 2 if goal > 0 else math.inf
    return min(max(times, LEAST_GROWTH), MOST_GROWTH)
