"""Is a preference different from 50 %, after asking many times, and how large is it?

The p-value is 1 minus the level at which the interval touches 50, so that test and interval agree
at every level. Holm guards the primary rows (the Means that the study file declares in [analysis]
primary; all of them where it declares none); Benjamini and Hochberg all that is secondary: the
other rows and the cells.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.intervals import Estimate, korn_graubard_p

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Test:
    """A two-sided test of an estimate against 50 %.

    Args:
        p: unadjusted.
        adjusted: by Holm among the primary rows, or by Benjamini and Hochberg among the rest.
        primary: whether it is one of the primary rows.
    """

    __test__ = False  # the name is a statistician's, not pytest's

    p: float
    adjusted: float
    primary: bool


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values: the chance of any false alarm stays under the level.

    Source:
        Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    return _back(stepped, order)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return adjusted p-values that bound the share of false alarms among the alarms.

    Source:
        Benjamini and Hochberg, JRSS B 57 (1995).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    stepped = p[order] * len(p) / np.arange(1, len(p) + 1)
    return _back(np.minimum.accumulate(stepped[::-1])[::-1], order)


def _back(stepped: Floats, order: NDArray[np.intp]) -> list[float]:
    out = np.empty(len(stepped))
    out[order] = np.minimum(stepped, 1.0)
    return [float(x) for x in out]


def p_value(estimate: Estimate) -> float | None:
    """Return the two-sided p-value against 50 %; None where there is no standard error."""
    effective = estimate.effective
    if estimate.percent is None or effective is None or estimate.df is None:
        return None
    return korn_graubard_p(estimate.percent / 100, estimate.n, effective, estimate.df)


def tests_of(
    means: Mapping[tuple[str, str], Estimate],
    cells: Mapping[tuple[str, str], Estimate],
    primary: Collection[tuple[str, str]] | None,
) -> dict[tuple[str, str], Test]:
    """Test every Mean and every cell against 50 %, each family adjusted by its own rule.

    Args:
        means: estimates of the rows, by (row, category).
        cells: estimates of the cells, likewise.
        primary: which of the Means were declared primary; None: all. The others are secondary
            and join the cells.

    Returns:
        A test for each estimate that has a standard error.
    """
    first = {key: e for key, e in means.items() if primary is None or key in primary}
    rest = {key: e for key, e in means.items() if key not in first} | dict(cells)
    out = {}
    for family, adjust in ((first, holm), (rest, benjamini_hochberg)):
        known = {key: p for key, e in family.items() if (p := p_value(e)) is not None}
        if not known:
            continue
        for (key, p), adjusted in zip(known.items(), adjust(list(known.values())), strict=True):
            out[key] = Test(p, adjusted, family is first)
    return out


@dataclass(frozen=True)
class Effect:
    """How large a preference is, in four currencies.

    Args:
        points: percent minus 50.
        odds: of preferring A.
        d_prime: sensitivity of a two-alternative choice.
        jod: just objectionable differences; 1 is a preference of 75 %.
    """

    points: float
    odds: float
    d_prime: float
    jod: float


def effect(percent: float) -> Effect:
    """Return the effect sizes of a preference; infinite at 0 and 100 %.

    Args:
        percent: 0..100.

    Source:
        d' = sqrt(2) z(p), Macmillan and Creelman, Detection Theory; JOD as Perez-Ortiz and
        Mantiuk, arXiv 1712.03686.
    """
    rate = percent / 100
    z = float(special.ndtri(rate))
    odds = rate / (1 - rate) if rate < 1 else float("inf")
    return Effect(percent - 50, odds, 2**0.5 * z, z / float(special.ndtri(0.75)))
