"""Numbers and plain tables as text, for every page and command of the analysis.

Percents are rounded here, once, half up: the data formats keep them unrounded.
"""

import csv
import io
from collections.abc import Iterable, Sequence

from analysis.intervals import Estimate
from analysis.published import round_half_up

BANNER = "SIMULATED RATERS: these judgments were made by a program, not by people"
NONE = "–"

Grid = tuple[tuple[str, ...], list[tuple[str, ...]]]  # header and rows


def percent_text(value: float | None, digits: int = 1) -> str:
    """Format a percentage, rounded half up; a dash where it is missing."""
    return NONE if value is None else f"{round_half_up(value, digits):.{digits}f}"


def share_text(part: int, whole: int) -> str:
    """Format a part of a whole as a percentage, with its sign."""
    return f"{percent_text(100 * part / whole)} %"


def interval_text(estimate: Estimate) -> str:
    """Format the bounds; a dash where they are missing."""
    if estimate.low is None or estimate.high is None:
        return NONE
    return f"{percent_text(estimate.low)}–{percent_text(estimate.high)}"


def p_text(p: float) -> str:
    """Format a p-value to three places, never as zero."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Render rows, the header first, as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def text_grid(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Render a plain table for a terminal; columns of numbers to the right."""
    grid = [list(header), *map(list, rows)]
    widths = [max(len(row[i]) for row in grid) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [
            value.ljust(width) if i == 0 or not _numeric(rows, i) else value.rjust(width)
            for i, (value, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([title, *map(line, grid)]) + "\n"


def _numeric(rows: Sequence[Sequence[str]], column: int) -> bool:
    return all(row[column][:1] in "0123456789-–<>" for row in rows)
