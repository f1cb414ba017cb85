"""Rebuild Table (a) of the paper, the accuracy of learnt features, from measured results.

    python analysis/table_a.py RESULTS
    python -m analysis.table_a RESULTS --format latex

RESULTS is what `vgan represent` wrote: its folder or `results.jsonl`. Ours stands beside what was
published; docs/representation.md says how each small row differs from its namesake.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # run as a file: import from the checkout, not from analysis/ itself
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import click

from analysis.command import Command
from analysis.errors import AnalysisError
from analysis.render import FORMS
from analysis.representation import Result, Row, read_results, rows
from analysis.text import NONE, csv_text, percent_text
from evaluation.files import write_atomic
from evaluation.quantities import quantity

# Percent on UCF101, and what to know of the number.
PUBLISHED = {
    "stip": 43.9,
    "coherence-l1": 45.4,
    "shuffle-and-learn": 50.2,
    "vgan-random": 36.7,
    "vgan-logistic": 49.3,
    "vgan-finetune": 52.1,
    "imagenet": 91.4,
}
TITLES = {
    "stip": "STIP features",
    "stip-64": "STIP features at 64x64",
    "coherence-drlim": "Temporal coherence (DrLIM)",
    "coherence-l1": "Temporal coherence (L1)",
    "shuffle-and-learn": "Shuffle and Learn",
    "vgan-random": "VGAN, random init",
    "vgan-random-converged": "VGAN, random init, to convergence",
    "vgan-logistic": "VGAN + logistic regression",
    "vgan-finetune": "VGAN + fine-tuning",
    "imagenet": "ImageNet supervision, per frame (ours)",
}
UCF101_CLASSES = 101
CHANCE = "Chance"
HEADER = (
    "Method", "Accuracy %", "95 % interval", "SD over splits", "Single window %", "Published %",
    "Parameters", "Seconds",
)  # fmt: skip
COLUMNS = (
    "method", "accuracy", "low", "high", "split_sd", "single_window", "published", "splits",
    "seeds", "parameters", "seconds",
)  # fmt: skip
FORMATS = ("text", "markdown", "latex", "csv")


def ordered(found: list[Row]) -> list[Row]:
    """Return the rows with all labels, in the paper's order."""
    place = {name: i for i, name in enumerate(TITLES)}
    full = [row for row in found if row.fraction == 1]
    return sorted(full, key=lambda row: (place.get(row.method, len(place)), row.method))


def render(results: list[Result], form: str) -> str:
    """Render the table.

    Args:
        results: from `read_results`.
        form: one of `FORMATS`.

    Raises:
        AnalysisError: nothing was measured with all labels.
    """
    found = ordered(rows(results))
    if not found:
        shares = ", ".join(f"{share:g}" for share in sorted({r.fraction for r in results}))
        raise AnalysisError(
            f"the table is of all labels, and these results of the shares {shares} alone: add "
            "`--fraction 1` to `vgan represent`, or draw the shares with analysis/figure4.py"
        )
    classes = len(results[0].classes)
    if form == "csv":
        return _csv(found, classes)
    title = "Accuracy of classifying actions, mean over splits"
    chance = (CHANCE, percent_text(100 / classes), NONE, NONE, NONE, "0.9", "0", NONE)
    body = [chance, *map(_line, found)]
    written = FORMS[form]
    return written.grid(title, HEADER, body) + "\n" + written.remarks(remarks(results, found))


def remarks(results: list[Result], found: list[Row]) -> list[str]:
    """Return what has to be said under the table."""
    said = []
    groups = len({group for result in results for group in result.groups})
    splits = max(row.splits for row in found)
    said.append(
        f"Intervals: jackknife over {quantity(groups, 'test group')}, Student's t on the logit "
        f"scale; mean over {quantity(splits, 'split')}; "
        "a video's scores are averaged over its windows"
    )
    classes = len(results[0].classes)
    if classes != UCF101_CLASSES:
        said.append(
            f"Published numbers are of UCF101 (101 classes); these videos have {classes}: compare "
            "the order of rows, not the numbers"
        )
    said.append("Published temporal coherence is of split 1 only")
    if uneven := [row.method for row in found if row.splits < splits]:
        said.append(f"Fewer splits than the others: {', '.join(uneven)}")
    if absent := [TITLES[name] for name in PUBLISHED if name not in {r.method for r in found}]:
        said.append(f"Not measured: {', '.join(absent)}")
    return said


def _line(row: Row) -> tuple[str, ...]:
    low, high = row.accuracy.low, row.accuracy.high
    bounds = NONE
    if low is not None and high is not None:
        bounds = f"{percent_text(100 * low)}–{percent_text(100 * high)}"
    return (
        TITLES.get(row.method, row.method),
        percent_text(100 * row.accuracy.estimate),
        bounds,
        percent_text(None if row.spread is None else 100 * row.spread),
        percent_text(100 * row.single_window),
        percent_text(PUBLISHED.get(row.method)),
        f"{row.parameters:,}",
        f"{row.seconds:,.0f}",
    )


def _csv(found: list[Row], classes: int) -> str:
    chance = ["chance", 100 / classes, "", "", "", "", 0.9, "", "", 0, ""]
    lines: list[Sequence[object]] = [COLUMNS, chance]
    for row in found:
        share = row.accuracy
        percents = [
            "" if value is None else 100 * value
            for value in (share.estimate, share.low, share.high, row.spread, row.single_window)
        ]
        published = PUBLISHED.get(row.method, "")
        counts = [row.splits, row.seeds, row.parameters, row.seconds]
        lines.append([row.method, *percents, published, *counts])
    return csv_text(lines)


@click.command(cls=Command)
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write to a file.")
def main(results: Path, form: str, out: Path | None) -> None:
    """Print the accuracies in RESULTS beside the published ones."""
    text = render(read_results(results), form)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomic(out, text.encode())


if __name__ == "__main__":
    main()
