"""What is known of a study before its data: rows, clips, workers, and what a pilot says."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from analysis.errors import AnalysisError, UsageError
from analysis.exclusions import exclude
from analysis.planning import Crowd, pilot_correlations
from analysis.preference import Comparison, sample_of, table_preferences
from analysis.table import rules_for
from analysis.variance import TYPICAL, Correlations
from evaluation.budget import check_workers
from evaluation.clips import item_of, list_source, shared_categories
from evaluation.plan import PlannedClip, partners
from evaluation.study import Design, Study


class Cell(NamedTuple):
    """A planned cell: judgments, and clips (or items) of A and of B."""

    judgments: int
    clips_a: int
    clips_b: int


@dataclass(frozen=True)
class PlannedRow:
    """A planned row of Table 1, with its cells in the order of the categories."""

    comparison: Comparison
    cells: tuple[Cell, ...]

    @property
    def judgments(self) -> int:
        """Of all cells."""
        return sum(cell.judgments for cell in self.cells)


@dataclass(frozen=True)
class Pilot:
    """What a pilot tells.

    Args:
        rates: preference by row, kept off 0 and 1; rows of the study that the pilot has.
        rho: its correlations, or None where it is too small to tell.
        judgments: how many it has.
        workers: who gave them.
        simulated: whether any judgment is simulated.
    """

    rates: dict[Comparison, float]
    rho: Correlations | None
    judgments: int
    workers: int
    simulated: bool


@dataclass(frozen=True)
class Forecast:
    """A study before it has data: its rows, and who will judge them."""

    rows: tuple[PlannedRow, ...]
    workers: int
    cap: float
    rho: Correlations
    rates: Mapping[Comparison, float]

    @property
    def judgments(self) -> int:
        """Test judgments of the whole study."""
        return sum(row.judgments for row in self.rows)

    def rate(self, row: PlannedRow) -> float:
        """Expected preference: the pilot's, else one half, where intervals are widest."""
        return self.rates.get(row.comparison, 0.5)

    def crowd(self, cells: Sequence[Cell]) -> Crowd:
        """Who judges these cells, and how many clips."""
        clips_a, clips_b = (sum(c.clips_a for c in cells), sum(c.clips_b for c in cells))
        return Crowd(self.workers, clips_a, clips_b, cap=self.cap)


def planned_rows(study: Study, clips: int | None = None) -> tuple[PlannedRow, ...]:
    """Return the rows of a study file, clips counted in its folders.

    Args:
        study: from `load_study`.
        clips: clips per source and category, where the folders are not there yet.

    Raises:
        ClipError: a folder is empty, or lacks a category.
        UsageError: a folder is missing; or, with `clips`, the categories are.
    """
    design = study.design
    if clips is not None:
        if not design.categories:
            raise UsageError("--clips N needs [design] categories in the study file")
        n = design.judgments_per_cell or clips * (design.judgments_per_pair or 1)
        cells = (Cell(n, clips, clips),) * len(design.categories)
        return tuple(
            PlannedRow(Comparison(c.source_a, c.source_b), cells) for c in design.comparisons
        )
    compared = {s for c in design.comparisons for s in (c.source_a, c.source_b)}
    folders = [s for s in study.sources if s.name in compared]
    if missing := [s for s in folders if not s.path.is_dir()]:
        raise UsageError(
            f"{missing[0].path}: no such folder (source {missing[0].name}); correct its path, or "
            "plan without clips by --clips N (of each source and category)"
        )
    held = {s.name: list_source(s)[0] for s in folders}
    categories = shared_categories(held, design.categories)
    found: dict[tuple[str, str], list[PlannedClip]] = {}
    for source, records in held.items():
        for r in records:
            clip = PlannedClip(f"{source}/{r.clip}", item_of(r))
            found.setdefault((source, r.category), []).append(clip)
    return tuple(
        PlannedRow(
            Comparison(c.source_a, c.source_b),
            tuple(_cell(design, found, (c.source_a, c.source_b), k) for k in categories),
        )
        for c in design.comparisons
    )


def _cell(
    design: Design,
    found: dict[tuple[str, str], list[PlannedClip]],
    pair: tuple[str, str],
    category: str,
) -> Cell:
    n_a, n_b = (len(found[source, category]) for source in pair)
    if design.pairing == "item":
        comparison = next(c for c in design.comparisons if (c.source_a, c.source_b) == pair)
        n_a = n_b = len(partners(comparison, category, found))
    return Cell(design.judgments_per_cell or n_a * (design.judgments_per_pair or 1), n_a, n_b)


def read_pilot(judgments: pd.DataFrame, rows: Sequence[PlannedRow]) -> Pilot:
    """Return what a pilot tells about these rows.

    Args:
        judgments: from `load_judgments`.
        rows: of the study to plan; the pilot may order a pair the other way.

    Raises:
        AnalysisError: the pilot has no counted test judgments.
    """
    kept, _ = exclude(judgments, rules_for(judgments, ()))
    preferences = table_preferences(kept)
    if preferences.empty:
        raise AnalysisError("the pilot has no counted test judgments")
    rates = {}
    for row in (r.comparison for r in rows):
        for label, flipped in (
            (row.label, False),
            (Comparison(row.source_b, row.source_a).label, True),
        ):
            mine = preferences[preferences["row"] == label]
            if len(mine):
                # Agresti and Coull's shrinkage: a row that is all one way still varies.
                rate = (sample_of(mine).mean * len(mine) + 2) / (len(mine) + 4)
                rates[row] = 1 - rate if flipped else rate
    try:
        rho = pilot_correlations(preferences)
    except AnalysisError:
        rho = None
    workers = int(preferences["worker"].nunique())
    return Pilot(rates, rho, len(preferences), workers, bool(judgments.attrs["simulated"]))


def forecast(study: Study, rows: tuple[PlannedRow, ...], pilot: Pilot | None) -> Forecast:
    """Return what is known of a study before its data.

    Raises:
        UsageError: the stated workers cannot give so many judgments.
    """
    total = sum(row.judgments for row in rows)
    check_workers(range(total), study.session, study.workers)
    places = study.workers.sessions_per_worker * study.session.trials
    workers = study.workers.workers or math.ceil(total / places)
    return Forecast(
        rows=rows,
        workers=workers,
        cap=max(places * workers / total, 1.0),
        rho=(pilot and pilot.rho) or TYPICAL,
        rates=pilot.rates if pilot else {},
    )
