"""Rebuild Table 1 of the paper, or the table of any study, with honest intervals.

    python analysis/table1.py --judgments judgments.csv --paper
    python -m analysis.table1 --db sqlite:///study.db --format latex

Each cell is the percent of judgments that prefer A over B; how the interval is made is in
docs/statistics.md, the formats in docs/table1.md.
"""

import sys
from pathlib import Path

if not __package__:  # run as a file: import from the checkout, not from analysis/ itself
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import click

from analysis.command import Command, Wanted, judgment_options
from analysis.exclusions import rules_for
from analysis.render import FORMS, render, render_sensitivity
from analysis.sensitivity import sensitivity
from analysis.table import build_table
from analysis.text import BANNER
from evaluation.commands.options import FiniteRange
from evaluation.files import write_atomic


@click.command(cls=Command)
@judgment_options(click.option("--db", metavar="URL", help="Database of the study."))
@click.option(
    "--format",
    "form",
    type=click.Choice((*FORMS, "csv", "json")),
    default="text",
    show_default=True,
)
@click.option("--paper", is_flag=True, help="Print the published values beside ours.")
@click.option("--details", is_flag=True, help="Add tests, effect sizes, and design effects.")
@click.option(
    "--sensitivity",
    "under_all_rules",
    is_flag=True,
    help="Print the Means under every exclusion rule and threshold instead.",
)
@click.option("--partial-mean", is_flag=True, help="Average the categories that have judgments.")
@click.option(
    "--level",
    type=FiniteRange(0.5, 0.999),
    default=0.95,
    show_default=True,
    help="Nominal coverage of the intervals.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write to a file.")
def main(
    wanted: Wanted,
    form: str,
    paper: bool,
    details: bool,
    under_all_rules: bool,
    partial_mean: bool,
    level: float,
    out: Path | None,
) -> None:
    """Print the table of preferences with intervals that respect workers and clips."""
    judgments = wanted.load()
    found = rules_for(judgments, wanted.rules)
    if under_all_rules:
        variants = sensitivity(judgments, found, partial_mean=partial_mean, level=level)
        text = render_sensitivity(variants, form, judgments.attrs["simulated"])
    else:
        table = build_table(judgments, found, partial_mean=partial_mean, level=level)
        text = render(table, form, paper=paper, more=details)
    if judgments.attrs["simulated"] and form == "csv":
        click.echo(BANNER, err=True)  # the columns are a contract and have no room for it
    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomic(out, text.encode())


if __name__ == "__main__":
    main()
