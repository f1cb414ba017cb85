"""Looking at a study while it runs, as often as one likes, without false alarms.

A confidence sequence covers the truth at all looks together with the nominal probability, so a
study may stop at any of them. Ours is the normal mixture on the multiway variance: a judgment
counts as much as the clustering lets it. On the plain binomial variance 20 looks at a true 50 %
raise a false alarm in every seventh study; on this one in fewer than one of 20
(tests/analysis/test_sequential.py).
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import pandas as pd
from scipy import special

from analysis.clusters import kish
from analysis.errors import UsageError
from analysis.intervals import (
    LEAST_WORKERS,
    LEVEL,
    Estimate,
    Spread,
    row_correlations,
    spread_of,
)
from analysis.preference import Comparison, comparisons_in, sample_of
from analysis.variance import Correlations, Sample, component_variance

SEQUENCE = "sequence"  # the method of an estimate whose interval holds at all looks


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


def mixture_bound(time: float, alpha: float, parameter: float) -> float:
    """Return the bound that a centred sum stays under at all times with probability 1 - alpha."""
    total = time + parameter
    return math.sqrt(total * math.log(total / (parameter * alpha**2)))


@dataclass(frozen=True)
class Look:
    """One row at one look.

    Args:
        row: its name in data.
        percent: the Mean, 0..100.
        low: lower bound of the confidence sequence, or None where workers are too few or a
            category has no judgments.
        high: its upper bound.
        n: judgments so far.
    """

    row: str
    percent: float
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half the interval, in points."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def decided(self) -> bool:
        """Whether 50 % is excluded."""
        return self.low is not None and self.high is not None and not self.low <= 50 <= self.high


def look(sample: Sample, planned: int, level: float = LEVEL) -> tuple[float, float] | None:
    """Return the confidence sequence of a row's Mean at this look.

    Args:
        sample: the row's judgments so far.
        planned: judgments the row will have at most; the bound is tightest at half of them. It
            must be fixed before the first look.
        level: probability to cover the truth at all looks together.

    Returns:
        Bounds in shares, or None where there are too few workers: one, too, because an interval
        over the clips of one rater says nothing of the people a row is stopped for.
    """
    spread = _sequence_spread(sample)
    return None if spread is None else _bounds(sample, spread, planned, level)


def _sequence_spread(sample: Sample) -> Spread | None:
    """The variance that a row's sequence rests on; None where there are too few workers."""
    if int(sample.worker.max()) + 1 < LEAST_WORKERS:
        return None
    rho = row_correlations(sample)[1]
    spread = spread_of(sample, rho)
    if spread is None:
        return None
    # A sequence stops at the look whose variance happens to be small, so it takes the larger of
    # two estimates, and one degree of freedom per effective worker.
    variance = max(spread.variance, component_variance(sample, rho))
    df = min(spread.df, max(kish(sample.worker) - 1, 1.0))
    return replace(spread, variance=variance, df=df)


def _bounds(sample: Sample, spread: Spread, planned: int, level: float) -> tuple[float, float]:
    alpha, rate = 1 - level, sample.mean
    deviation = math.sqrt(max(rate * (1 - rate), 1 / (4 * len(sample))))
    upper = 0.5 + level / 2
    doubt = float(special.ndtri(upper) / special.stdtrit(spread.df, upper)) ** 2
    time = min(deviation**2 / spread.variance * doubt, len(sample))
    radius = deviation * mixture_bound(time, alpha, mixture_parameter(planned / 2, alpha)) / time
    return max(rate - radius, 0.0), min(rate + radius, 1.0)


def mean_at_all_looks(
    mean: Estimate, sample: Sample, planned: int | None, level: float = LEVEL
) -> Estimate:
    """Return a Mean with its confidence sequence instead of the interval for one look.

    Args:
        mean: from `mean_interval`.
        sample: the judgments that it is of, in all categories of the row.
        planned: as in `look`; None where nobody knows it. Then there is no interval, as one tuned
            to the judgments at hand would not have been fixed before the first look.
        level: as in `look`.
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
    independent = component_variance(sample, Correlations(0.0, 0.0, 0.0))
    return replace(
        mean,
        low=100 * low,
        high=100 * high,
        method=SEQUENCE,
        deff=max(spread.variance / independent, 1.0),
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


def looks(
    preferences: pd.DataFrame,
    planned: dict[str, int],
    level: float = LEVEL,
    *,
    categories: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> list[Look]:
    """Return the state of every row that has judgments.

    Args:
        preferences: from `table_preferences`.
        planned: judgments planned per row, by its name in data.
        level: as in `look`; for each row.
        categories: planned per row, by its name in data; a row has no interval before it has
            judgments in all of them, because its Mean is over all of them.
    """
    out = []
    for row in comparisons_in(preferences):
        own = preferences[preferences["row"] == row.label]
        sample = sample_of(own)
        if not set(categories.get(row.label, ())) <= set(own["category"]):
            out.append(Look(row.label, 100 * sample.mean, None, None, len(sample)))
            continue
        bounds = look(sample, planned.get(row.label, len(sample)), level)
        low, high = (100 * bounds[0], 100 * bounds[1]) if bounds else (None, None)
        out.append(Look(row.label, 100 * sample.mean, low, high, len(sample)))
    return out


@dataclass(frozen=True)
class StopRule:
    """When a row is done: 50 % excluded, or the interval short enough, or either.

    Args:
        decided: stop a row that excludes 50 %.
        half_width: stop a row whose half-width is at most this, in points; None: no such rule.
    """

    decided: bool
    half_width: float | None

    @property
    def text(self) -> str:
        """The rule in words."""
        parts = ["decided"] if self.decided else []
        if self.half_width is not None:
            parts.append(f"half-width at most {self.half_width:g} points")
        return " or ".join(parts)

    def done(self, state: Look) -> bool:
        """Whether a row may stop."""
        short = (
            self.half_width is not None
            and state.half_width is not None
            and state.half_width <= self.half_width
        )
        return short or (self.decided and state.decided)


def parse_stop(text: str) -> StopRule:
    """Read `decided`, `half-width 3`, or `decided or half-width 3`.

    Raises:
        UsageError: the text is none of these.
    """
    rule = StopRule(False, None)
    for part in re.split(r"\s+or\s+", text.strip()):
        width = re.fullmatch(r"half-width\s*(?:<=|:|\s)\s*(\d+(?:\.\d+)?)", part)
        if part == "decided":
            rule = StopRule(True, rule.half_width)
        elif width and float(width[1]) > 0:
            rule = StopRule(rule.decided, float(width[1]))
        else:
            raise UsageError(
                f"stop rule {text!r}: write `decided`, `half-width 3` (points), "
                "or both joined by `or`"
            )
    return rule


def rows_to_top_up(
    states: Sequence[Look], rule: StopRule, rows: Sequence[Comparison]
) -> list[Comparison]:
    """Return the rows that still need judgments: those not done, and those without any."""
    done = {state.row for state in states if rule.done(state)}
    return [row for row in rows if row.label not in done]


LEAST_GROWTH, MOST_GROWTH = 1.1, 2.0


def growth(state: Look, rule: StopRule) -> float:
    """Return how many times its judgments a row should have at the next look.

    The half-width is taken to shrink as 1 / sqrt(n), which holds as long as new judgments come
    from new workers. A guess is not trusted far: at least a tenth more, at most as many again.

    Args:
        state: of a row that is not done.
        rule: when it would be.

    Returns:
        In [1.1, 2].
    """
    half = state.half_width
    if half is None:
        return MOST_GROWTH
    goals = [abs(state.percent - 50)] if rule.decided else []
    goals += [rule.half_width] if rule.half_width is not None else []
    goal = max(goals)  # either is enough, so the wider interval decides
    times = (half / goal) ** 2 if goal > 0 else math.inf
    return min(max(times, LEAST_GROWTH), MOST_GROWTH)
