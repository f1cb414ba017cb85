"""How many judgments, from how many workers, on how many clips: before the study. Pure functions.

A judgment from a worker who has already given many tells less, and more workers for the same
judgments cost nothing more (`curve`). Money is counted in `evaluation/budget.py`.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import optimize, special

from analysis.errors import AnalysisError
from analysis.intervals import FEW_WORKERS, LEAST_CLIPS, LEAST_WORKERS, LEVEL
from analysis.preference import sample_of
from analysis.sequential import bounds_at_all_looks, known
from analysis.ties import tie_factor
from analysis.variance import TYPICAL, Correlations, correlations

_WANTED = 0.8  # power
ACTIVITY = 1.2  # spread of workers' log activity in public crowd data


@dataclass(frozen=True)
class Crowd:
    """Who judges one row, and what.

    Args:
        workers: how many people.
        clips_a: clips of A over all categories (items, where pairs are made by item).
        clips_b: clips of B.
        activity: standard deviation of a worker's log activity; 0: equal shares.
        cap: most judgments of a worker, in multiples of the mean; None: no cap.
    """

    workers: int
    clips_a: int = 800
    clips_b: int = 800
    activity: float = ACTIVITY
    cap: float | None = None

    @property
    def effective_workers(self) -> float:
        """Kish's effective number of workers that this unequal activity leaves."""
        places = (np.arange(self.workers) + 0.5) / self.workers
        shares = np.exp(self.activity * special.ndtri(places))
        if self.cap is not None:
            shares = _capped(shares / shares.mean(), max(self.cap, 1.0))
        return float(shares.sum() ** 2 / np.sum(shares**2))


def _capped(shares: np.ndarray, cap: float) -> np.ndarray:
    """Cap shares with mean 1; what is cut off goes to the others in proportion."""
    low = optimize.brentq(
        lambda scale: np.minimum(shares * scale, cap).mean() - 1, 0, 1e6 / shares.min()
    )
    return np.asarray(np.minimum(shares * low, cap))


def design_effect(n: float, crowd: Crowd, rho: Correlations = TYPICAL) -> float:
    """Return how many times the binomial variance a row of n judgments will have, at least 1.

    Source:
        Kish's design effect, one term per factor: 1 + (n / K - 1) rho for K effective clusters.
    """
    parts = (
        (crowd.effective_workers, rho.worker),
        (crowd.clips_a, rho.clip_a),
        (crowd.clips_b, rho.clip_b),
    )
    return 1 + sum(max(n / clusters - 1, 0) * r for clusters, r in parts)


def half_width(
    rate: float,
    n: float,
    crowd: Crowd | None,
    rho: Correlations = TYPICAL,
    ties: float = 0.0,
) -> float:
    """Return the expected half-width of a row's interval, in points.

    Args:
        rate: expected preference, in (0, 1).
        n: judgments of the row.
        crowd: who gives them; None: independent judgments.
        rho: correlations; re-estimate them from a pilot by `pilot_correlations`.
        ties: their expected share.
    """
    upper, df = 0.5 + LEVEL / 2, _df(crowd)
    quantile = special.stdtrit(df, upper) if df < FEW_WORKERS else special.ndtri(upper)
    return 100 * float(quantile) * _deviation(rate, n, crowd, rho, ties)


def half_width_at_all_looks(
    rate: float,
    n: float,
    crowd: Crowd | None,
    rho: Correlations = TYPICAL,
    ties: float = 0.0,
) -> float:
    """Return the same where the study may be stopped early: of its confidence sequence.

    The arguments are those of `half_width`; `n` is all that the study plans for the row, as earlier
    looks have wider intervals.
    """
    spread = rate * (1 - rate)
    time = known(spread / _deviation(rate, n, crowd, rho, ties) ** 2, _df(crowd), LEVEL)
    planned = spread / _deviation(rate, n, None, rho, ties) ** 2
    low, high = bounds_at_all_looks(rate, time, planned, LEVEL)
    return 50 * (high - low)


def _df(crowd: Crowd | None) -> float:
    """Degrees of freedom of the variance: of the effective workers, or of the clips if fewer."""
    if crowd is None:
        return math.inf
    clips = max(min(crowd.clips_a, crowd.clips_b), LEAST_CLIPS)
    return max(min(crowd.effective_workers, clips) - 1, 1)


def _deviation(rate: float, n: float, crowd: Crowd | None, rho: Correlations, ties: float) -> float:
    """The standard deviation of the preference of n judgments, in shares."""
    # No more can be ties where one source is preferred.
    left = float(tie_factor(rate, min(ties, 2 * rate, 2 - 2 * rate)))
    effective = n if crowd is None else n / design_effect(n, crowd, rho)
    return math.sqrt(rate * (1 - rate) * left / effective)


Width = Callable[[float, float, Crowd | None, Correlations, float], float]


def power(
    rate: float,
    n: float,
    crowd: Crowd | None,
    rho: Correlations = TYPICAL,
    width: Width = half_width,
    ties: float = 0.0,
) -> float:
    """Return the chance that the interval of a true preference excludes 50 % on its side.

    The interval is that of `width`, so few workers leave few degrees of freedom here too;
    docs/planning.md has the power of simulated studies beside it.

    Args:
        rate: the true preference.
        n: judgments of the row.
        crowd: who gives them; None: independent judgments.
        rho: correlations.
        width: of the interval: `half_width` or `half_width_at_all_looks`.
        ties: their expected share.
    """
    beyond = abs(rate - 0.5) - width(0.5, n, crowd, rho, ties) / 100
    return float(special.ndtr(beyond / _deviation(rate, n, crowd, rho, ties)))


def judgments_for_power(
    rate: float,
    crowd: Crowd | None,
    rho: Correlations = TYPICAL,
    *,
    width: Width = half_width,
    ties: float = 0.0,
) -> int:
    """Return the fewest judgments of a row that reach a power of 80 %.

    Raises:
        AnalysisError: this crowd cannot reach it with any number of judgments.
    """

    def enough(n: int) -> bool:
        return power(rate, n, crowd, rho, width, ties) >= _WANTED

    high = 1
    while not enough(high):
        high *= 2
        if high > 10**8:
            raise AnalysisError(
                f"no number of judgments gives {_WANTED:.0%} power to tell {100 * rate:g} from 50 "
                "from these workers and clips: take more of them"
            )
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@dataclass(frozen=True)
class Point:
    """One point of the planning curve: so many workers and judgments give this half-width."""

    workers: int
    judgments: int
    half_width: float


def curve(
    workers: Iterable[int],
    judgments: Iterable[int],
    crowd: Crowd,
    rho: Correlations = TYPICAL,
    *,
    planned: int,
    width: Width = half_width,
    ties: float = 0.0,
) -> list[Point]:
    """Return half-widths at 50 %: more judgments from the same workers soon stop helping.

    Args:
        workers: numbers of workers.
        judgments: numbers of judgments of a row.
        crowd: of the plan; a worker may give as many judgments at most at every point as there.
        rho: correlations.
        planned: judgments of the row in the plan.
        width: as in `power`.
        ties: likewise.
    """
    budgets = list(judgments)
    return [
        Point(w, n, width(0.5, n, _resized(crowd, w, n / planned), rho, ties))
        for w in workers
        for n in budgets
    ]


def _resized(crowd: Crowd, workers: int, times: float) -> Crowd:
    """So many workers for so many times the judgments.

    The cap is in multiples of the mean, which falls where more workers share the judgments, while
    the number that one of them may give stays.
    """
    cap = crowd.cap
    if cap is not None:
        cap = max(cap * workers / crowd.workers / times, 1.0)
    return replace(crowd, workers=workers, cap=cap)


def allocate(rates: Sequence[float], total: int, ties: Sequence[float] | None = None) -> list[int]:
    """Split judgments over rows in proportion to p (1 - p), which equalises their half-widths.

    Args:
        rates: expected preference of each row, in (0, 1).
        total: judgments to split.
        ties: their expected share in each row, which lowers p (1 - p) by a quarter of it.

    Returns:
        Whole numbers that sum to `total`.
    """
    p = np.array(rates)
    spread = p * (1 - p) * tie_factor(p, ties or np.zeros(len(p)))
    exact = total * spread / spread.sum()
    whole = np.floor(exact).astype(int)
    # The largest remainders get what rounding down left over.
    for row in np.argsort(whole - exact, kind="stable")[: total - whole.sum()]:
        whole[row] += 1
    return [int(n) for n in whole]


def pilot_correlations(preferences: pd.DataFrame) -> Correlations:
    """Estimate the correlations of a study from a pilot, pooled over its rows.

    Args:
        preferences: from `table_preferences`.

    Returns:
        Of clips the typical ones where the pilot showed none of a source twice.

    Raises:
        AnalysisError: the pilot is too small or too one-sided to tell.
    """
    found, weights = [], []
    for _, row in preferences.groupby("row", sort=False):
        rho = correlations(sample_of(row))
        if rho is not None:
            found.append((rho.worker, rho.clip_a, rho.clip_b))
            weights.append(len(row))
    if not found or preferences["worker"].nunique() < LEAST_WORKERS:
        raise AnalysisError("the pilot cannot tell how much judgments of a worker or clip agree")
    worker, clip_a, clip_b = np.average(found, axis=0, weights=weights)
    return Correlations(
        float(worker),
        float(clip_a) if came_twice(preferences, "cluster_a") else TYPICAL.clip_a,
        float(clip_b) if came_twice(preferences, "cluster_b") else TYPICAL.clip_b,
    )


def came_twice(preferences: pd.DataFrame, clips: str) -> bool:
    """Tell whether any clip (item) of one side of the rows was judged more than once in a cell."""
    return bool(preferences.duplicated(["row", "category", clips]).any())
