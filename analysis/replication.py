"""Two studies of the same comparisons: do their rows differ?

    python analysis/replication.py FIRST.csv SECOND.csv

Workers and clips of the two studies are taken to be different, so their variances add.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # run as a file: import from the checkout, not from analysis/ itself
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import click
import pandas as pd
from scipy import stats

from analysis.command import Command
from analysis.errors import AnalysisError
from analysis.layout import BANNER, p_text, percent_text
from analysis.load import load_judgments
from analysis.preference import Comparison
from analysis.render import text_grid
from analysis.significance import holm
from analysis.table import Row, Table, build_table, rules_for


@dataclass(frozen=True)
class Difference:
    """One row in both studies.

    Args:
        comparison: as the first study orders it.
        first: percent in the first study.
        second: percent in the second, flipped where it orders the row the other way.
        low: lower bound of second minus first, in points.
        high: upper bound.
        p: two-sided, of no difference.
        adjusted: `p` by Holm over the rows.
    """

    comparison: Comparison
    first: float
    second: float
    low: float
    high: float
    p: float
    adjusted: float

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
        AnalysisError: no row has an interval in both, or the categories differ.
    """
    if set(first.categories) != set(second.categories):
        raise AnalysisError(
            "the studies have different categories, so their Means are of different things: "
            f"{', '.join(first.categories)}; {', '.join(second.categories)}"
        )
    others = {frozenset(_sources(row)): row for row in second.rows}
    found = [
        made
        for row in first.rows
        if (other := others.get(frozenset(_sources(row)))) and (made := _difference(row, other))
    ]
    if not found:
        raise AnalysisError("no row has an interval in both studies")
    adjusted = holm([d.p for d in found])
    return [
        Difference(d.comparison, d.first, d.second, d.low, d.high, d.p, p)
        for d, p in zip(found, adjusted, strict=True)
    ]


def _sources(row: Row) -> tuple[str, str]:
    return row.comparison.source_a, row.comparison.source_b


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
    return Difference(row.comparison, a.percent, second, points - half, points + half, p, p)


@click.command(cls=Command)
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--exclude", "rules", multiple=True, metavar="RULE", help="As in table1.")
def main(first: Path, second: Path, rules: tuple[str, ...]) -> None:
    """Compare the rows of two exported studies, FIRST and SECOND judgments.csv."""
    click.echo(comparison_text([load_judgments(file=p) for p in (first, second)], rules), nl=False)


def comparison_text(studies: Sequence[pd.DataFrame], rules: Sequence[str]) -> str:
    """Return the differences of two studies as a text table.

    Args:
        studies: judgments of the first and of the second, from `load_judgments`.
        rules: exclusions asked for; none: what each study file declares.

    Raises:
        AnalysisError: see `differences`.
    """
    tables = [build_table(judgments, rules_for(judgments, rules)) for judgments in studies]
    grid = [
        (
            d.comparison.label,
            percent_text(d.first),
            percent_text(d.second),
            f"{d.points:+.1f}",
            f"{d.low:+.1f} to {d.high:+.1f}",
            p_text(d.p),
            p_text(d.adjusted),
        )
        for d in differences(tables[0], tables[1])
    ]
    banner = f"{BANNER}\n" if any(table.simulated for table in tables) else ""
    header = ("row", "first", "second", "points", "95 % interval", "p", "p (Holm)")
    return banner + text_grid("Second study minus first, percent preferring A", header, grid)


if __name__ == "__main__":
    main()
