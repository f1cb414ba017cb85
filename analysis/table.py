"""Table 1 as a value: rows, cells, Mean, and all that has to be said under it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from analysis.declared import declared_of
from analysis.errors import AnalysisError, JudgmentsError, NothingLeft
from analysis.exclusions import Dropped, LeftOut, Rule, exclude, left_out
from analysis.intervals import (
    LEVEL,
    NOTHING,
    Estimate,
    cell_interval,
    mean_interval,
    row_correlations,
)
from analysis.names import Names
from analysis.notes import busiest_notes, interval_notes, side_notes, unjudged_notes
from analysis.preference import (
    MEAN,
    NEEDED,
    category_order,
    comparisons_in,
    row_order,
    sample_of,
    table_preferences,
)
from analysis.published import round_half_up
from analysis.sequential import mean_at_all_looks, without_interval
from analysis.significance import Test, tests_of
from analysis.unplanned import undeclared_looks
from analysis.variance import Correlations
from evaluation.planning.unmatched import unmatched_text
from evaluation.quantities import quantity
from evaluation.study import Comparison

# A difference of the two kinds of mean that changes what the paper would have printed.
POOLED_GAP = 0.5


@dataclass(frozen=True)
class Row:
    """One comparison.

    Args:
        comparison: the two sources.
        cells: an estimate per category of the table, `NOTHING` where there are no judgments.
        mean: of the unrounded cells, every category counting the same.
        pooled: percent over all judgments of the row, or None.
        averaged: the categories that `mean` is over.
        rho: the correlations pooled over the row's cells.
    """

    comparison: Comparison
    cells: dict[str, Estimate]
    mean: Estimate
    pooled: float | None
    averaged: tuple[str, ...]
    rho: Correlations | None = None

    @property
    def judged(self) -> bool:
        """Whether anybody's judgment of the row is in the table."""
        return self.pooled is not None


@dataclass(frozen=True)
class Table:
    """The whole table and where it comes from.

    Args:
        study: its name.
        question: the id of the question.
        study_hash: of the frozen design; empty where unknown.
        seed: of the plan, or None.
        categories: in printing order.
        rows: in printing order.
        judgments: test judgments in the table.
        workers: who gave them.
        left_out: what the exclusion rules left out, all together.
        dropped: what each exclusion rule left out.
        simulated: whether any judgment is simulated.
        notes: warnings and remarks, one sentence each.
        level: nominal coverage of the intervals.
        tests: against 50 %, by (row, category); see `significance.tests_of`. None of Means where
            there is a stopping rule.
        stop_when: the stopping rule that the study declares, or None. With one, the intervals of
            Means hold at all looks together.
        names: of sources and categories, for print.
        undeclared: what looks decided without a stopping rule, as a sentence; empty: nothing.
        unmatched: which rows left items out that a source lacks, likewise.
        allow_tie: whether "no difference" was an answer.
    """

    study: str
    question: str
    study_hash: str
    seed: int | None
    categories: tuple[str, ...]
    rows: tuple[Row, ...]
    judgments: int
    workers: int
    left_out: LeftOut
    dropped: tuple[Dropped, ...] = ()
    simulated: bool = False
    notes: tuple[str, ...] = field(default=())
    level: float = LEVEL
    tests: dict[tuple[str, str], Test] = field(default_factory=dict)
    stop_when: str | None = None
    names: Names = field(default_factory=Names)
    undeclared: str = ""
    unmatched: str = ""
    allow_tie: bool = False

    @property
    def ties(self) -> int:
        """Judgments that were ties."""
        return sum(cell.ties for row in self.rows for cell in row.cells.values())


def build_table(
    judgments: pd.DataFrame,
    rules: Sequence[Rule] = (),
    *,
    partial_mean: bool = False,
    level: float = LEVEL,
    stop_when: str | None = None,
) -> Table:
    """Compute the table.

    Args:
        judgments: from `load_judgments`.
        rules: exclusions, from `rules_for`.
        partial_mean: average the categories that have judgments where some have none.
        level: nominal coverage of the intervals.
        stop_when: the stopping rule in force; None: what the study declares.

    Raises:
        AnalysisError: there are no test judgments.
        NothingLeft: the exclusions leave none.
        JudgmentsError: a category has the name of the column of Means.
    """
    everything = table_preferences(judgments)
    if everything.empty:
        raise AnalysisError("no counted test judgments: nothing to put in a table")
    attrs, declared = judgments.attrs, declared_of(judgments)
    names = declared.names
    categories = _categories(everything, declared.categories)
    kept, dropped = exclude(judgments, rules)
    preferences = everything if len(kept) == len(judgments) else table_preferences(kept)
    if preferences.empty:
        raise NothingLeft("the exclusion rules leave no judgments at all")
    needed = preferences[list(NEEDED)]
    needed.attrs = {}  # or pandas copies all of it with every column of every row
    groups = dict(list(needed.groupby("row", sort=False)))
    rows = [
        _row(row, groups.get(row.label), categories, partial_mean, level)
        for row in _comparisons(everything, declared.comparisons)
    ]
    stop_when = stop_when or declared.stop_when
    if stop_when:
        planned = declared.planned
        rows = [
            _at_all_looks(row, groups.get(row.comparison.label), planned, level) for row in rows
        ]
    undeclared = ""
    if not stop_when:
        undeclared = undeclared_looks(everything, attrs.get("stopped", ()), names)
    notes = _notes(preferences, rows, attrs["notes"], names)
    notes += [undeclared] if undeclared else []
    unmatched = unmatched_text(declared.unmatched, names.source)
    notes += [unmatched] if unmatched else []
    judged = {row.comparison.sources for row in rows if row.judged}
    notes += unjudged_notes(declared.primary, judged, names)
    return Table(
        attrs["study"],
        attrs["question"],
        attrs["study_hash"],
        declared.seed,
        categories,
        tuple(rows),
        len(preferences),
        int(preferences["worker"].nunique()),
        left_out(everything, preferences),
        tuple(dropped),
        attrs["simulated"],
        tuple(notes + _stopping(stop_when)),
        level,
        _tests(rows, declared.primary, means=not stop_when),
        stop_when,
        names,
        undeclared=undeclared,
        unmatched=unmatched,
        allow_tie=declared.allow_tie or bool((everything["y"] == 0.5).any()),
    )


def _categories(preferences: pd.DataFrame, declared: Sequence[str]) -> tuple[str, ...]:
    """The categories in printing order: those declared, whether judged or not, and all judged."""
    found = category_order([*preferences["category"].unique(), *declared])
    for name in found:
        if name.lower() == MEAN.lower():
            raise JudgmentsError(
                f"a category is named {name!r}, as the column of Means is; give it another name"
            )
    return tuple(found)


def _comparisons(preferences: pd.DataFrame, declared: Sequence[Comparison]) -> list[Comparison]:
    """The rows in printing order: those that have judgments, and those only declared."""
    rows = {row.sources: row for row in (*declared, *comparisons_in(preferences))}
    return row_order(rows.values(), declared)


def _row(
    comparison: Comparison,
    preferences: pd.DataFrame | None,
    categories: tuple[str, ...],
    partial_mean: bool,
    level: float,
) -> Row:
    """One row; `preferences` is None where nobody judged it, or the exclusions left nothing."""
    if preferences is None:
        return Row(comparison, dict.fromkeys(categories, NOTHING), NOTHING, None, ())
    sample = sample_of(preferences)
    within, across = row_correlations(sample)
    present = sorted(preferences["category"].unique())
    found = {
        category: cell_interval(cell, within, level)
        for category, cell in zip(present, sample.cells, strict=True)
    }
    cells = {category: found.get(category, NOTHING) for category in categories}
    whole = len(present) == len(categories)
    mean = NOTHING
    if whole or partial_mean:
        mean = mean_interval(sample, across, level)
    return Row(
        comparison,
        cells,
        mean,
        100 * float(sample.y.mean()),
        tuple(category for category in categories if whole or category in found),
        within,
    )


def _at_all_looks(
    row: Row, preferences: pd.DataFrame | None, planned: Mapping[str, int], level: float
) -> Row:
    """The row with a Mean whose interval holds however often it was looked at."""
    if preferences is None or row.mean is NOTHING:
        return row
    if len(row.averaged) < len(row.cells):
        # Which categories it is over changes from look to look, so no sequence covers it.
        mean = without_interval(row.mean, "a category is empty: no interval at all looks")
    else:
        known = planned.get(row.comparison.label)
        mean = mean_at_all_looks(row.mean, sample_of(preferences), known, level)
    return replace(row, mean=mean)


def _stopping(stop_when: str | None) -> list[str]:
    """Say which intervals the stopping rule leaves valid."""
    if not stop_when:
        return []
    return [
        f"The study may be stopped early ({stop_when}): the intervals of Means hold at all looks "
        "together, and Means are not tested; intervals and tests of cells hold for one look only, "
        "and are not protected"
    ]


def _tests(
    rows: Sequence[Row], declared: Sequence[Comparison], *, means: bool
) -> dict[tuple[str, str], Test]:
    """Test cells and, where asked, rows; `declared` are the primary ones, in either order."""
    pairs = {row.sources for row in declared}
    primary = {(row.comparison.label, MEAN) for row in rows if row.comparison.sources in pairs}
    return tests_of(
        {(row.comparison.label, MEAN): row.mean for row in rows if means},
        {(row.comparison.label, c): cell for row in rows for c, cell in row.cells.items()},
        primary if pairs else None,
    )


def _notes(
    preferences: pd.DataFrame,
    rows: Sequence[Row],
    loading: Sequence[str],
    names: Names,
) -> list[str]:
    """Everything a reader has to know that the numbers do not show."""
    notes = list(loading)
    ties = int((preferences["y"] == 0.5).sum())
    if ties:
        notes.append(f"{quantity(ties, 'tie counts', 'ties count')} one half to either side")
    for row in rows:
        label = names.row(row.comparison)
        missing = [names.category(c) for c, cell in row.cells.items() if cell.n == 0]
        if missing and row.averaged and row.mean is not NOTHING:
            averaged = ", ".join(names.category(c) for c, cell in row.cells.items() if cell.n)
            notes.append(f"{label}: Mean over {averaged} only, no judgments of {_and(missing)}")
        elif not row.judged:
            notes.append(f"{label}: no judgments")
        elif missing:
            notes.append(f"{label}: no Mean, as there are no judgments of {_and(missing)}")
        if row.mean.percent is not None and row.pooled is not None:
            gap = abs(row.mean.percent - row.pooled)
            if gap >= POOLED_GAP:
                notes.append(
                    f"{label}: the Mean of the categories is "
                    f"{round_half_up(row.mean.percent, 1):.1f}, "
                    f"pooling all judgments gives {round_half_up(row.pooled, 1):.1f}"
                )
    notes += side_notes(preferences, names) + busiest_notes(preferences)
    return notes + interval_notes(
        (f"{names.row(row.comparison)}, {names.category(category)}", estimate)
        for row in rows
        for category, estimate in (*row.cells.items(), (MEAN, row.mean))
    )


def _and(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
