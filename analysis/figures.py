"""The figures of the report, drawn without a display; each is a matplotlib `Figure`."""

import io
import logging
import re
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from analysis.names import Names
from analysis.preference import MEAN
from analysis.published import published_percent
from analysis.ranking import Ranking
from analysis.table import Table
from evaluation.exclusion_rules import SIDE_SIGMAS

INK, ACCENT, PALE, WARM = "#222222", "#1f5f8b", "#8fb3cc", "#b5532a"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: searchable, small, and in the reader's font
    "svg.hashsalt": "vgan-eval",  # equal data, equal bytes
    "pdf.fonttype": 42,
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "text.parse_math": False,  # a name may have a dollar
}
_SECONDS = (0.1, 0.3, 1, 2, 3, 5, 10, 20, 30, 60, 120)
WATERMARK = "SIMULATED RATERS"
_NO_LETTER = r"Glyph \d+ .*missing from font"
_log = logging.getLogger(__name__)


@mpl.rc_context(_STYLE)
def figure(width: float, height: float, simulated: bool) -> Figure:
    """Return an empty figure in the house style, marked where raters are simulated."""
    made = Figure(figsize=(width, height), layout="constrained")
    if simulated:
        made.suptitle(WATERMARK, color=WARM, fontsize=9, fontweight="bold")
    return made


@mpl.rc_context(_STYLE)
def to_svg(made: Figure) -> str:
    """Return the figure as an SVG element to put into a page."""
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _NO_LETTER)  # the reader's fonts have them
        made.savefig(out, format="svg", metadata={"Date": None})
    svg = out.getvalue()
    return svg[svg.index("<svg") :]


@mpl.rc_context(_STYLE)
def to_pdf(made: Figure) -> bytes:
    """Return the figure as the bytes of a PDF file; letters that its font lacks are boxes there."""
    out = io.BytesIO()
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", _NO_LETTER)
        made.savefig(out, format="pdf", metadata={"CreationDate": None})
    others = [one for one in caught if not re.match(_NO_LETTER, str(one.message))]
    for one in others:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if len(others) < len(caught):
        _log.warning("letters that a PDF figure's font lacks are boxes there; its SVG has them")
    return out.getvalue()


def unique_ids(svg: str, prefix: str) -> str:
    """Prefix the ids of an SVG element, so that several can share a page."""
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}-", svg)
    return re.sub(r'href="#', f'href="#{prefix}-', svg)


@mpl.rc_context(_STYLE)
def forest(table: Table, *, paper: bool = False) -> Figure:
    """Draw every row's Mean and cells with their intervals, and the published Means."""
    step = len(table.categories) + 2
    made = figure(7.2, 0.5 + 0.155 * step * len(table.rows), table.simulated)
    axes = made.subplots()
    axes.axvline(50, color="#aaaaaa", lw=0.8, ls=(0, (4, 3)), zorder=0)
    ticks, labels, means = [], [], []
    names = table.names
    for i, row in enumerate(table.rows):
        top = i * step
        for j, (name, e) in enumerate(((MEAN, row.mean), *row.cells.items())):
            if e.percent is None:
                continue
            y, is_mean = top + j, j == 0
            color = ACCENT if is_mean else PALE
            if e.low is not None and e.high is not None:
                axes.plot([e.low, e.high], [y, y], color=color, lw=2.4 if is_mean else 1.4)
            axes.plot(e.percent, y, "o", color=color, ms=5.5 if is_mean else 3.5)
            ticks.append(y)
            labels.append(names.row(row.comparison) if is_mean else names.heading(name))
            means.append(is_mean)
            printed = published_percent(row.comparison, name)
            if paper and printed is not None:
                axes.plot(printed, y, "D", mfc="none", mec=WARM, ms=4.5 if is_mean else 3.2)
    axes.set_yticks(ticks, labels)
    for label, is_mean in zip(axes.get_yticklabels(), means, strict=True):
        label.set_fontsize(9 if is_mean else 7.5)
        label.set_color(INK if is_mean else "#666666")
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    note = "; diamonds: published" if paper else ""
    axes.set_xlabel(f"percent preferring the first, {100 * table.level:g} % interval{note}")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return made


@mpl.rc_context(_STYLE)
def leaderboard(
    ranking: Ranking, names: Names, simulated: bool, *, one_look: bool = False
) -> Figure:
    """Draw the strengths with their intervals, strongest on top; `one_look` says what they hold."""
    made = figure(7.2, 0.8 + 0.34 * len(ranking.standings), simulated)
    axes = made.subplots()
    axes.axvline(0, color="#aaaaaa", lw=0.8, ls=(0, (4, 3)), zorder=0)
    for i, s in enumerate(ranking.standings):
        if s.low is not None and s.high is not None:
            axes.plot([s.low, s.high], [i, i], color=ACCENT, lw=2.4)
        axes.plot(s.strength, i, "o", color=ACCENT, ms=5.5)
    axes.set_yticks(
        range(len(ranking.standings)), [names.source(s.source) for s in ranking.standings]
    )
    axes.set_ylim(len(ranking.standings) - 0.5, -0.5)
    scope = ranking.scope(one_look=one_look)
    note = f"; intervals {scope}" if scope else ""
    axes.set_xlabel(f"strength (log odds against the mean of all sources{note})")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return made


@mpl.rc_context(_STYLE)
def response_times(judgments: pd.DataFrame, simulated: bool) -> Figure:
    """Draw how long the answers that count took, on a log scale, with the median."""
    seconds = judgments.loc[judgments["counted"], "rt_ms"].dropna().to_numpy() / 1000
    seconds = seconds[seconds > 0]
    made = figure(3.5, 2.4, simulated)
    axes = made.subplots()
    low, high = np.percentile(seconds, [0.1, 99.9]) if len(seconds) else (0.1, 10.0)
    edges = np.geomspace(max(low, 0.05), max(high, low * 1.5, 0.1), 40)
    axes.hist(seconds, list(edges), color=PALE, edgecolor="white", lw=0.3)
    axes.set_xscale("log")
    if len(seconds):
        axes.axvline(float(np.median(seconds)), color=ACCENT, lw=1.4, label="median")
    ticks = [t for t in _SECONDS if edges[0] <= t <= edges[-1]]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set_xlabel("seconds to the answer")
    axes.set_ylabel("judgments")
    if not len(seconds):
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center")
    else:
        axes.legend(fontsize=7.5)
    return made


@mpl.rc_context(_STYLE)
def side_bias(judgments: pd.DataFrame, simulated: bool) -> Figure:
    """Draw each worker's share of left answers, of those that count, against their number."""
    sided = judgments[judgments["counted"] & (judgments["choice"] != "tie")]
    left = (sided["choice"] == "left").groupby(sided["worker"]).agg(["mean", "size"])
    made = figure(3.5, 2.4, simulated)
    axes = made.subplots()
    n = np.geomspace(1, max(float(left["size"].max()), 2) * 1.2, 200)
    # Outside about 3.3 standard errors a fair coin falls once in a thousand workers.
    half = 100 * SIDE_SIGMAS * 0.5 / np.sqrt(n)
    axes.fill_between(
        n, np.clip(50 - half, 0, 100), np.clip(50 + half, 0, 100), color="#eeeeee", lw=0
    )
    axes.axhline(50, color="#aaaaaa", lw=0.8, ls=(0, (4, 3)))
    axes.plot(left["size"], 100 * left["mean"], "o", color=ACCENT, ms=3, alpha=0.6, mew=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if n[-1] < 500 else (1,)))
    axes.xaxis.set_major_formatter("{x:g}")  # its own are powers of ten in mathematical notation
    axes.minorticks_off()
    axes.set_ylim(-3, 103)
    axes.set_xlabel("judgments of the worker")
    axes.set_ylabel("% answered left")
    return made


@mpl.rc_context(_STYLE)
def funnel(steps: Sequence[tuple[str, int]], simulated: bool) -> Figure:
    """Draw how many workers remain after each step."""
    made = figure(7.2, 0.5 + 0.3 * len(steps), simulated)
    axes = made.subplots()
    counts = [count for _, count in steps]
    axes.barh(range(len(steps)), counts, color=PALE, height=0.62)
    for i, count in enumerate(counts):
        axes.text(count, i, f" {count:,}", va="center", fontsize=8.5)
    axes.set_yticks(range(len(steps)), [name for name, _ in steps])
    axes.invert_yaxis()
    axes.set_xlim(0, max(counts) * 1.12 + 1)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("workers")
    return made
