"""Table 1 as the paper printed it, to set beside a rebuilt one.

Percent of trials in which workers preferred the first. Over 13,000 opinions of 150 workers.

Source:
    Vondrick, Pirsiavash and Torralba, Generating Videos with Scene Dynamics, NIPS 2016, Table 1;
    the cells agree in two independent public transcriptions, and with the printed Means to within
    rounding but for one row (`arithmetic`).
"""

import math
from dataclasses import dataclass

from evaluation.study import Comparison

CATEGORY_ORDER = ("golf", "beach", "train", "baby")
NAMES = {
    "vgan-two-stream": "VGAN Two Stream",
    "vgan-one-stream": "VGAN One Stream",
    "autoencoder-gmm": "Autoencoder",
    "real": "Real",
    "static": "Static Frame",
}


@dataclass(frozen=True)
class PublishedRow:
    """A printed row: whole percents by category (empty: none printed) and the printed Mean."""

    comparison: Comparison
    cells: tuple[int, ...]
    mean: int

    @property
    def mean_of_cells(self) -> float | None:
        """The mean of the printed cells."""
        return sum(self.cells) / len(self.cells) if self.cells else None


ROWS = (
    PublishedRow(Comparison("vgan-two-stream", "autoencoder-gmm"), (88, 83, 87, 71), 82),
    PublishedRow(Comparison("vgan-one-stream", "autoencoder-gmm"), (85, 88, 85, 73), 82),
    PublishedRow(Comparison("vgan-two-stream", "vgan-one-stream"), (55, 58, 47, 52), 53),
    PublishedRow(Comparison("vgan-two-stream", "real"), (21, 23, 23, 6), 18),
    PublishedRow(Comparison("vgan-one-stream", "real"), (17, 21, 19, 8), 16),
    PublishedRow(Comparison("autoencoder-gmm", "real"), (4, 2, 4, 2), 3),
    # In the text: "only chose the static frame 38 % of the time"; which generator is not said, the
    # two-stream one is the paper's model.
    PublishedRow(Comparison("vgan-two-stream", "static"), (), 62),
)
ROW_ORDER = tuple(row.comparison.sources for row in ROWS)


def round_half_up(value: float, digits: int = 0) -> float:
    """Round once, for print; Python's own rounding takes 82.5 to 82.

    What is a half but for the last bits of a float is a half: 100 * (29 / 200) is just under 14.5.
    """
    scale = 10.0**digits
    return math.floor(round(value * scale, 6) + 0.5) / scale


def published_percent(comparison: Comparison, category: str) -> float | None:
    """Return the printed percent preferring A, flipped where the paper has the row reversed.

    Args:
        comparison: the row.
        category: one of the paper's, or `Mean`.

    Returns:
        0..100, or None where the paper prints nothing.
    """
    for row in ROWS:
        if comparison.sources != row.comparison.sources:
            continue
        value = _printed(row, category)
        if value is None:
            return None
        return float(value if comparison == row.comparison else 100 - value)
    return None


def _printed(row: PublishedRow, category: str) -> int | None:
    if category == "Mean":
        return row.mean
    if category in CATEGORY_ORDER and row.cells:
        return row.cells[CATEGORY_ORDER.index(category)]
    return None


def arithmetic() -> list[str]:
    """Say which printed Means are not the rounded mean of their printed cells."""
    notes = []
    for row in ROWS:
        mean = row.mean_of_cells
        if mean is not None and round_half_up(mean) != row.mean:
            names = row_title(row.comparison)
            notes.append(
                f"The paper prints {row.mean} as the Mean of {names}; "
                f"its printed cells average {mean:g}"
            )
    return notes


def display(source: str) -> str:
    """Return the paper's name of a source where it has one, for print only."""
    return NAMES.get(source, source)


def row_title(comparison: Comparison) -> str:
    """Name a row as the paper would, for print only."""
    return f"{display(comparison.source_a)} over {display(comparison.source_b)}"
