"""Two studies of the same comparisons: do their rows differ?

Workers and clips of the two studies are taken to be different, so their variances add.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
from scipy import stats

from analysis.declared import declared_of
from analysis.errors import AnalysisError, UsageError
from analysis.exclusions import rules_for
from analysis.intervals import THIS_RATER
from analysis.notes import interval_notes
from analysis.significance import holm
from analysis.table import Row, Table, build_table
from analysis.text import BANNER, NONE, p_text, percent_text, text_grid
from evaluation.planning.unmatched import unmatched_text
from evaluation.study import Comparison


@dataclass(frozen=True)
class Difference:
    """One row in both studies.

    Args:
        comparison: as the first study orders it.
        first: percent in the first study.
        second: percent in the second, flipped where it orders the row the other way.
        low: lower bound of second minus first, in points.
        high: upper bound.
        p: two-sided, of no difference; None where one rater judged the row in either study, as
            the variance is then over clips only.
        adjusted: `p` by Holm over the rows that have one.
    """

    comparison: Comparison
    first: float
    second: float
    low: float
    high: float
    p: float | None
    adjusted: float | None

    @property
    def points(self) -> float:
        """Second minus first."""
        return self.second - self.first


def differences(first: Table, second: Table) -> list[Difference]:
    """Compare the Means of the rows that both tables have, over the same categories.

    Args:
        first: from `build_table`.
        second: another study's.

    Raises:
        UsageError: the studies ask different questions.
        AnalysisError: no row has an interval in both, or the categories differ.
    """
    if first.question != second.question:
        raise UsageError(
            f"A asks {first.question!r} and B asks {second.question!r}; different questions are "
            "not compared"
        )
    if set(first.categories) != set(second.categories):
        raise AnalysisError(
            "the studies have different categories, so their Means are of different things: "
            f"{', '.join(first.categories)}; {', '.join(second.categories)}"
        )
    others = {row.comparison.sources: row for row in second.rows}
    found = [
        made
        for row in first.rows
        if (other := others.get(row.comparison.sources)) and (made := _difference(row, other))
    ]
    if not found:
        raise AnalysisError("no row has an interval in both studies")
    tested = [i for i, d in enumerate(found) if d.p is not None]
    adjusted = dict(zip(tested, holm([d.p for d in found if d.p is not None]), strict=True))
    return [replace(d, adjusted=adjusted.get(i)) for i, d in enumerate(found)]


def _difference(row: Row, other: Row) -> Difference | None:
    a, b = row.mean, other.mean
    if a.percent is None or b.percent is None or not a.se or not b.se:
        return None
    assert a.df is not None
    assert b.df is not None
    flipped = row.comparison.source_a != other.comparison.source_a
    second = 100 - b.percent if flipped else b.percent
    variance = a.se**2 + b.se**2
    # Welch and Satterthwaite's degrees of freedom of a sum of two variances.
    df = variance**2 / (a.se**4 / a.df + b.se**4 / b.df)
    half = float(stats.t.ppf(0.975, df)) * variance**0.5
    points = second - a.percent
    p = float(2 * stats.t.sf(abs(points) / variance**0.5, df))
    known = None if THIS_RATER in (a.method, b.method) else p
    low, high = points - half, points + half
    return Difference(row.comparison, a.percent, second, low, high, known, known)


def comparison_text(
    studies: Sequence[pd.DataFrame], rules: Sequence[str], simulated: bool | None = None
) -> str:
    """Return the differences of two studies as a text table.

    Args:
        studies: judgments of the first and of the second, from `load_judgments`.
        rules: exclusions asked for; none: what each study file declares.
        simulated: whether simulated judgments may be compared with people's; None: it was not said.

    Raises:
        UsageError: people's judgments beside simulated ones, and nobody said so; or as
            `differences`.
        AnalysisError: see `differences`.
    """
    made_up = [bool(judgments.attrs["simulated"]) for judgments in studies]
    if made_up[0] != made_up[1] and not simulated:
        which, other = ("A", "B") if made_up[0] else ("B", "A")
        raise UsageError(
            f"judgments of {which} are simulated and those of {other} are people's; to compare "
            "them all the same, say --include-simulated"
        )
    tables = [build_table(judgments, rules_for(judgments, rules)) for judgments in studies]
    found = differences(tables[0], tables[1])
    grid = [
        (
            d.comparison.label,
            percent_text(d.first),
            percent_text(d.second),
            f"{d.points:+.1f}",
            f"{d.low:+.1f} to {d.high:+.1f}",
            NONE if d.p is None else p_text(d.p),
            NONE if d.adjusted is None else p_text(d.adjusted),
        )
        for d in found
    ]
    marked = [
        name for name, simulated in zip(("first", "second"), made_up, strict=True) if simulated
    ]
    banner = f"{BANNER} ({' and '.join(marked)} study)\n" if marked else ""
    header = ("row", "first", "second", "points", "95 % interval", "p", "p (Holm)")
    text = text_grid("Second study minus first, percent preferring A", header, grid)
    if any(d.p is None for d in found):
        text += "No p where one rater judged a row in either study: other people may differ\n"
    notes = interval_notes(
        (f"{name} study, {row.comparison.label}", row.mean)
        for name, table in zip(("first", "second"), tables, strict=True)
        for row in table.rows
    )
    for name, judgments in zip(("first", "second"), studies, strict=True):
        unmatched = unmatched_text(declared_of(judgments).unmatched)
        notes += [f"{name} study: {unmatched}"] if unmatched else []
    text += "".join(f"{note}\n" for note in notes)
    stopped = [table.stop_when for table in tables if table.stop_when]
    if stopped:
        text += (
            f"A study may be stopped early ({'; '.join(dict.fromkeys(stopped))}): these intervals "
            "and tests hold for one look only, and are not protected\n"
        )
    return banner + text
