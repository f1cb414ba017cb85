"""Redraw Figures 4b and 4c of the paper from measured results, and confusion matrices.

    python analysis/figure4.py RESULTS --out FIGURES

4b: accuracy against the share of labelled data. 4c: how much fine-tuning gains over the same
network from random weights, in proportion. Both on one split, as in the paper.
"""

import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: import from the checkout, not from analysis/ itself
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import click
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from analysis.command import Command
from analysis.errors import AnalysisError
from analysis.figures import ACCENT, INK, figure, to_pdf, to_svg
from analysis.representation import (
    Interval,
    Result,
    accuracy_of,
    jackknife,
    read_results,
    tally,
)
from analysis.table_a import TITLES
from analysis.text import csv_text
from evaluation.files import write_atomic

# Colours that the colour-blind tell apart (Okabe and Ito), and markers beside them.
_MARKS = (
    ("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"), ("#cc79a7", "D"), ("#e69f00", "v"),
    ("#56b4e9", "P"), ("#222222", "X"), ("#888888", "*"), ("#8c6d1f", "<"), ("#7f3c8d", ">"),
)  # fmt: skip
FINE, RANDOM = "vgan-finetune", "vgan-random"
_REFERENCES = (RANDOM, "vgan-random-converged")
_STYLE: dict[Any, Any] = {"axes.spines.top": False, "axes.spines.right": False}


def of_split(results: Sequence[Result], split: str | None) -> list[Result]:
    """Return the results of one split, by default the first in the file.

    Raises:
        AnalysisError: no such split.
    """
    names = list(dict.fromkeys(result.split for result in results))
    if split is not None and split not in names:
        raise AnalysisError(f"no results of split {split}; there are {', '.join(names)}")
    return [result for result in results if result.split == (split or names[0])]


def curve(results: Sequence[Result], method: str) -> list[tuple[float, Interval]]:
    """Return a method's accuracy at every share of the labels, smallest share first."""
    shares = sorted({r.fraction for r in results if r.method == method})
    return [
        (share, accuracy_of([r for r in results if (r.method, r.fraction) == (method, share)]))
        for share in shares
    ]


def gains(results: Sequence[Result], reference: str) -> list[tuple[float, Interval]]:
    """Return the accuracy of fine-tuning over that of a reference, at every share both have.

    The interval leaves each test group out of both at once.
    """
    found = []
    for share in sorted({r.fraction for r in results}):
        pair = [
            tally([r for r in results if (r.method, r.fraction) == (method, share)])
            for method in (FINE, reference)
        ]
        if all(one.counts for one in pair) and pair[1].accuracy() > 0:
            ratio = jackknife(pair, lambda a: a[0] / a[1] if a[1] else np.nan, bounds=(0.0, np.inf))
            found.append((share, ratio))
    return found


@mpl.rc_context(_STYLE)
def figure_b(results: Sequence[Result]) -> Figure:
    """Draw accuracy against the share of labelled data, one line for each method."""
    made = figure(6.4, 3.8, False)
    axes = made.subplots()
    methods = [name for name in TITLES if any(r.method == name for r in results)]
    for i, method in enumerate(methods):
        color, marker = _MARKS[i % len(_MARKS)]
        points = curve(results, method)
        # A little to the side of each other, so that bars can be told apart.
        x = [share * 1.03 ** (i - len(methods) / 2) for share, _ in points]
        y = [100 * interval.estimate for _, interval in points]
        axes.plot(x, y, color=color, marker=marker, ms=4.5, lw=1.2, label=TITLES[method])
        for at, (_, e) in zip(x, points, strict=True):
            if e.low is not None and e.high is not None:
                axes.plot([at, at], [100 * e.low, 100 * e.high], color=color, lw=0.8)
    chance = 100 / len(results[0].classes)
    axes.axhline(chance, color="#aaaaaa", lw=0.8, ls=(0, (4, 3)))
    axes.annotate("chance", (0.01, chance), xycoords=("axes fraction", "data"),
                  fontsize=7.5, color="#666666", va="bottom")  # fmt: skip
    _share_axis(axes, results)
    axes.set_ylim(0, 100)
    axes.set_ylabel("accuracy, % (95 % interval by group)")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return made


@mpl.rc_context(_STYLE)
def figure_c(results: Sequence[Result]) -> Figure:
    """Draw the relative gain of fine-tuning over random weights against the share of labels."""
    made = figure(4.2, 3.2, False)
    axes = made.subplots()
    axes.axhline(1, color="#aaaaaa", lw=0.8, ls=(0, (4, 3)))
    for i, reference in enumerate(_REFERENCES):
        points = gains(results, reference)
        if not points:
            continue
        color, marker = _MARKS[i]
        x = [share * 1.03**i for share, _ in points]  # side by side, as above
        axes.plot(x, [e.estimate for _, e in points], color=color,
                  marker=marker, ms=4.5, lw=1.2, label=f"over {TITLES[reference]}")  # fmt: skip
        for at, (_, e) in zip(x, points, strict=True):
            if e.low is not None and e.high is not None:
                axes.plot([at, at], [e.low, e.high], color=color, lw=0.8)
    _share_axis(axes, results)
    axes.set_ylabel("accuracy, fine-tuned / random init")
    axes.legend(fontsize=7)
    return made


def confusion(results: Sequence[Result], method: str) -> Figure:
    """Draw a method's confusion matrix with all labels: rows sum to one, counts are printed."""
    some = [r for r in results if r.method == method and r.fraction == 1]
    counts = np.sum([r.confusion for r in some], axis=0)
    classes = some[0].classes
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(3.2, 0.32 * len(classes) + 1.6)
    made = figure(side, side, False)
    axes = made.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=90, fontsize=7)
    axes.set_yticks(range(len(classes)), classes, fontsize=7)
    if len(classes) <= 30:
        for (i, j), count in np.ndenumerate(counts):
            if count:
                color = "white" if shares[i, j] > 0.7 else INK  # whichever is read better
                axes.text(j, i, str(count), ha="center", va="center", fontsize=7, color=color)
    axes.set_xlabel("answered")
    axes.set_ylabel("right class")
    axes.set_title(TITLES.get(method, method), fontsize=9, color=ACCENT)
    return made


def _share_axis(axes: mpl.axes.Axes, results: Sequence[Result]) -> None:
    shares = sorted({r.fraction for r in results})
    names = [str(Fraction(share).limit_denominator(64)) for share in shares]
    axes.set_xscale("log", base=2)
    axes.set_xticks(shares, names)
    axes.minorticks_off()
    axes.set_xlabel("share of labelled training videos")


def numbers(results: Sequence[Result]) -> str:
    """Return what the two figures show, as CSV; percent for 4b, a ratio for 4c."""
    lines: list[list[object]] = [["figure", "method", "fraction", "value", "low", "high"]]
    for method in dict.fromkeys(r.method for r in results):
        for share, e in curve(results, method):
            bounds = ["" if v is None else 100 * v for v in (e.low, e.high)]
            lines.append(["4b", method, share, 100 * e.estimate, *bounds])
    for reference in _REFERENCES:
        for share, e in gains(results, reference):
            bounds = ["" if v is None else v for v in (e.low, e.high)]
            lines.append(["4c", f"{FINE} over {reference}", share, e.estimate, *bounds])
    return csv_text(lines)


@click.command(cls=Command)
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--split", metavar="NAME", help="Which split (default: the first).")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="For the figures."
)
def main(results: Path, split: str | None, out: Path) -> None:
    """Draw Figures 4b and 4c and a confusion matrix for each method in RESULTS."""
    found = of_split(read_results(results), split)
    made = {"figure4b": figure_b(found)}
    if any(gains(found, reference) for reference in _REFERENCES):
        made["figure4c"] = figure_c(found)
    else:
        click.echo(f"no figure 4c: it needs results of {FINE} and {RANDOM}", err=True)
    for method in dict.fromkeys(r.method for r in found if r.fraction == 1):
        made[f"confusion-{method}"] = confusion(found, method)
    for name, drawn in made.items():
        write_atomic(out / f"{name}.svg", to_svg(drawn).encode())
        write_atomic(out / f"{name}.pdf", to_pdf(drawn))
    write_atomic(out / "figure4.csv", numbers(found).encode())
    click.echo(f"{out}: {', '.join(made)}, all of split {found[0].split}")


if __name__ == "__main__":
    main()
