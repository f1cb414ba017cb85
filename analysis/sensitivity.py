"""Does the table depend on whom it leaves out? The table under every rule and threshold.

The paper says that removing bad workers did not change "the relative rankings"; here that is
checked at each point of a grid, together with how far every row moves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from analysis.errors import ConvergenceError, JudgmentsError, NothingLeft
from analysis.exclusions import Rule, exclude
from analysis.intervals import LEVEL
from analysis.preference import table_preferences
from analysis.strengths import contests_of, fit_strengths
from analysis.table import Table, build_table

GRID = (
    ("gold", (0.6, 0.7, 0.8, 0.9)),
    ("side-bias", (0.01, 0.001)),
    ("too-fast", (0.1, 0.5)),
    ("repeats", (0.5, 0.75)),
    ("paper", (0.20, 0.25, 0.35, 0.5)),
    ("paper-as-published", (0.20, 0.25, 0.35, 0.5)),
)


@dataclass(frozen=True)
class Variant:
    """The table under one choice of rules.

    Args:
        name: the rules, or `default` or `none`.
        workers: kept.
        judgments: kept.
        means: percent of every row's Mean, None where there is none.
        decided: whether the row's interval excludes 50 %.
        shift: largest change of a Mean from the default, in the default's standard errors; None
            where no row can be compared.
        tau: Kendall's tau of the order of the rows against the default's; None for one row, and
            where all Means are equal, so that there is no order.
        same_ranking: whether the Bradley-Terry order of the sources is the default's; None where
            either has none.
        by_default: whether the rules are the default's, so that nothing can differ from it.
    """

    name: str
    workers: int
    judgments: int
    means: tuple[float | None, ...]
    decided: tuple[bool, ...]
    shift: float | None
    tau: float | None
    same_ranking: bool | None
    by_default: bool


@dataclass(frozen=True)
class Sensitivity:
    """All variants, and the verdict.

    Args:
        rows: names of the rows in data, in the order of `Variant.means`.
        titles: their names in print.
        variants: `default` first, then `none`, then the grid.
        left_out: rules that this study cannot apply, or that can judge nobody in it, and why.
        stands: share of the variants, of those by other rules than the default's, in which each row
            is on the default's side of 50 %, decided.
        level: nominal coverage of the intervals behind `Variant.decided`.
        partial_mean: whether a Mean is over the categories that have judgments.
    """

    rows: tuple[str, ...]
    titles: tuple[str, ...]
    variants: tuple[Variant, ...]
    left_out: tuple[str, ...]
    stands: tuple[float | None, ...]
    level: float = LEVEL
    partial_mean: bool = False

    @property
    def verdict(self) -> str:
        """Whether "the relative rankings did not change" holds, in words."""
        others = [v for v in self.variants if not v.by_default]
        judged = [v for v in others if v.same_ranking is not None]
        if not judged:
            return "no ranking could be computed, so nothing can be said of its stability"
        changed = [v.name for v in judged if not v.same_ranking]
        if not changed:
            return f"the relative rankings did not change under any of {len(judged)} other choices"
        return (
            f"the relative rankings changed under {len(changed)} of {len(judged)} other choices: "
            f"{', '.join(changed)}"
        )


def sensitivity(
    judgments: pd.DataFrame,
    rules: Sequence[Rule] = (),
    *,
    partial_mean: bool = False,
    level: float = LEVEL,
) -> Sensitivity:
    """Build the table under the default rules, under none, and under every rule of the grid.

    Args:
        judgments: from `load_judgments`.
        rules: the default, which the others are compared with.
        partial_mean: as in `build_table`.
        level: as in `build_table`.
    """
    default = build_table(judgments, rules, partial_mean=partial_mean, level=level)
    order = _ranking(judgments, rules)
    variants = [_variant("default", default, default, order, order, by_default=True)]
    left_out: list[str] = []
    grid: list[tuple[str, tuple[Rule, ...]]] = [("none", ())]
    grid += [(Rule(n, t).text, (Rule(n, t),)) for n, thresholds in GRID for t in thresholds]
    for name, chosen in grid:
        try:
            table = build_table(judgments, chosen, partial_mean=partial_mean, level=level)
            _check_judges(chosen, table)
        except JudgmentsError as error:
            if str(error) not in left_out:
                left_out.append(str(error))
            continue
        except NothingLeft:
            left_out.append(f"{name}: leaves no judgments")
            continue
        ranking, same = _ranking(judgments, chosen), set(chosen) == set(rules)
        variants.append(_variant(name, table, default, ranking, order, by_default=same))
    rows = [row.comparison for row in default.rows]
    return Sensitivity(
        tuple(row.label for row in rows),
        tuple(map(default.names.row, rows)),
        tuple(variants),
        tuple(left_out),
        _stands(variants),
        level,
        partial_mean,
    )


def _check_judges(rules: Sequence[Rule], table: Table) -> None:
    """Refuse a rule that can judge nobody: it leaves the table as it is, and shows nothing."""
    for rule, dropped in zip(rules, table.dropped, strict=True):
        if not dropped.judged:
            raise JudgmentsError(f"rule {rule.name}: {dropped.note}")


def _ranking(judgments: pd.DataFrame, rules: Sequence[Rule]) -> tuple[str, ...] | None:
    """The sources from strongest to weakest, or None where there are no finite strengths."""
    kept, _ = exclude(judgments, rules)
    contests, _, _ = contests_of(table_preferences(kept))
    try:
        strengths = fit_strengths(contests)
    except ConvergenceError:
        return None
    return tuple(contests.sources[i] for i in (-strengths).argsort(kind="stable"))


def _variant(
    name: str,
    table: Table,
    default: Table,
    order: tuple[str, ...] | None,
    default_order: tuple[str, ...] | None,
    *,
    by_default: bool,
) -> Variant:
    means = tuple(row.mean.percent for row in table.rows)
    shifts, ours, theirs = [], [], []
    for row, base in zip(table.rows, default.rows, strict=True):
        if row.mean.percent is None or base.mean.percent is None:
            continue
        ours.append(row.mean.percent)
        theirs.append(base.mean.percent)
        if base.mean.se:
            shifts.append(abs(row.mean.percent - base.mean.percent) / base.mean.se)
    tau = float(stats.kendalltau(ours, theirs).statistic) if len(ours) > 1 else math.nan
    both = order is not None and default_order is not None
    return Variant(
        name,
        table.workers,
        table.judgments,
        means,
        tuple(row.mean.decided for row in table.rows),
        max(shifts) if shifts else None,
        None if math.isnan(tau) else tau,
        order == default_order if both else None,
        by_default,
    )


def _stands(variants: Sequence[Variant]) -> tuple[float | None, ...]:
    default, others = variants[0], [v for v in variants if not v.by_default]
    shares: list[float | None] = []
    for i, mean in enumerate(default.means):
        if mean is None or not default.decided[i] or not others:
            shares.append(None)  # there is no claim that could stand, or nothing to try it by
            continue
        same = [v.decided[i] and _side(v.means[i]) == _side(mean) for v in others]
        shares.append(sum(same) / len(same))
    return tuple(shares)


def _side(percent: float | None) -> bool | None:
    return None if percent is None else percent > 50
