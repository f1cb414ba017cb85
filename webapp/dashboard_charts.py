"""Where the marks of the dashboard's charts go: numbers for the SVG in `templates/dashboard`.

Every chart is drawn in a box of 100 x 100 that the page stretches; words stand beside it as text,
so that they keep their size on a phone. Colours come from the style sheet, for light and dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from evaluation.exclusion_rules import SIDE_SIGMAS
from webapp.dashboard_counts import EDGES_MS
from webapp.dashboard_workers import WorkerRow

_GAP = 0.12  # share of a bar's place that stays empty
_GRID = 64  # dots that would lie on each other are drawn once: 15,000 workers stay a small page


def share(part: float, whole: float) -> float:
    """Return a part in 0..100 of the whole; 0 where the whole is 0."""
    return round(100 * min(part / whole, 1.0), 2) if whole else 0.0


@dataclass(frozen=True)
class Column:
    """An upright bar: `x` and `width` from the left, `height` from below, and what it says."""

    x: float
    width: float
    height: float
    says: str


def columns(values: Sequence[int], words: Sequence[str]) -> list[Column]:
    """Return upright bars for values, the highest as high as the box.

    Args:
        values: at least 0.
        words: what each bar says when pointed at.
    """
    top, place = max(values, default=0), 100 / max(len(values), 1)
    return [
        Column(round(i * place, 3), round(place * (1 - _GAP), 3), share(value, top), says)
        for i, (value, says) in enumerate(zip(values, words, strict=True))
    ]


def time_columns(bars: Sequence[tuple[datetime, int]]) -> list[Column]:
    """Return the bars of judgments over time."""
    long = len(bars) > 1 and bars[1][0] - bars[0][0] >= timedelta(days=1)
    form = "%d %b" if long else "%d %b %H:00"
    return columns([n for _, n in bars], [f"{at.strftime(form)}: {n:,}" for at, n in bars])


def speed_columns(bars: Sequence[int]) -> list[Column]:
    """Return the bars of the response times, half an octave each."""
    lower = (0, *EDGES_MS[:-1])
    words = [
        f"{low / 1000:.2g} to {high / 1000:.2g} s: {n:,}"
        for low, high, n in zip(lower, EDGES_MS, bars, strict=True)
    ]
    return columns(bars, words)


def speed_place(ms: float) -> float:
    """Return where a response time lies between the bars, 0..100."""
    octaves = math.log2(max(ms, 250) / 250)
    return round(min(100 * octaves / (len(EDGES_MS) / 2), 100), 2)


@dataclass(frozen=True)
class SidePlot:
    """Share of left answers against the number of answers, on a log axis.

    Args:
        dots: x, y from above, and whether it stands out.
        band: a path around where a fair coin falls but once in a thousand workers.
        most: answers at the right edge.
    """

    dots: list[tuple[float, float, bool]]
    band: str
    most: int


def side_plot(workers: Sequence[WorkerRow]) -> SidePlot:
    """Return the plot of the sides that workers took."""
    sided = [worker for worker in workers if worker.sided]
    most = max([worker.sided for worker in sided], default=1)
    span = math.log(max(most, 2) * 1.15)
    found = {
        (
            round(_GRID * math.log(worker.sided) / span) / _GRID,
            round(_GRID * (1 - worker.left / worker.sided)) / _GRID,
            "side-bias" in worker.flags,
        )
        for worker in sided
    }
    dots = [(round(100 * x, 2), round(100 * y, 2), out) for x, y, out in sorted(found)]
    return SidePlot(dots, _band(span), most)


def _band(span: float) -> str:
    upper, lower = [], []
    for step in range(41):
        x = 100 * step / 40
        half = min(50.0, 50 * SIDE_SIGMAS / math.sqrt(math.exp(span * step / 40)))
        upper.append(f"{x:.1f},{50 - half:.1f}")
        lower.append(f"{x:.1f},{50 + half:.1f}")
    return "M" + " L".join(upper + lower[::-1]) + " Z"
