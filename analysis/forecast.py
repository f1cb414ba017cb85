"""What is known of a study before its data: rows, clips, workers, and what a pilot says."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from analysis.errors import AnalysisError, UsageError
from analysis.exclusions import exclude, rules_for
from analysis.planning import Crowd, came_twice, pilot_correlations
from analysis.preference import sample_of, table_preferences
from analysis.variance import TYPICAL, Correlations
from evaluation.budget import PairUse, check_workers, least_workers, worker_trials
from evaluation.plan import PlannedClip, item_trials, partners
from evaluation.planning.materials import list_compared, planned_clips
from evaluation.planning.prompts import check_prompts
from evaluation.planning.unmatched import Unmatched
from evaluation.study import Comparison, Design, Study


class Cell(NamedTuple):
    """A planned cell: judgments, clips (or items) of A and of B, and pairs that they can make."""

    judgments: int
    clips_a: int
    clips_b: int
    pairs: int


@dataclass(frozen=True)
class PlannedRow:
    """A planned row of Table 1.

    Args:
        comparison: its sources.
        cells: in the order of the categories.
        unmatched: the cells that leave items out.
    """

    comparison: Comparison
    cells: tuple[Cell, ...]
    unmatched: tuple[Unmatched, ...] = ()

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
        ties: their share by row, kept off 1 like the rates.
        untold: which correlations of `rho` are typical ones, as no such clip came twice.
    """

    rates: dict[Comparison, float]
    rho: Correlations | None
    judgments: int
    workers: int
    simulated: bool
    ties: dict[Comparison, float]
    untold: tuple[str, ...]


@dataclass(frozen=True)
class Forecast:
    """A study before it has data: its rows, and who will judge them."""

    rows: tuple[PlannedRow, ...]
    workers: int
    cap: float
    rho: Correlations
    rates: Mapping[Comparison, float]
    ties: Mapping[Comparison, float]

    @property
    def judgments(self) -> int:
        """Test judgments of the whole study."""
        return sum(row.judgments for row in self.rows)

    @property
    def pair_use(self) -> PairUse:
        """How often the test trials show their pairs."""
        return pair_use(self.rows)

    def rate(self, row: PlannedRow) -> float:
        """Expected preference: the pilot's, else one half, where intervals are widest."""
        return self.rates.get(row.comparison, 0.5)

    def tie_share(self, row: PlannedRow) -> float:
        """Expected share of ties: the pilot's, else none, with which intervals are widest."""
        return self.ties.get(row.comparison, 0.0)

    def crowd(self, cells: Sequence[Cell]) -> Crowd:
        """Who judges these cells, and how many clips."""
        clips_a, clips_b = (sum(c.clips_a for c in cells), sum(c.clips_b for c in cells))
        return Crowd(self.workers, clips_a, clips_b, cap=self.cap)


def pair_use(rows: Sequence[PlannedRow], times: int = 1) -> PairUse:
    """Return how often rows show their pairs, with so many times the judgments."""
    cells = [(cell.judgments * times, cell.pairs) for row in rows for cell in row.cells]
    return PairUse(
        trials=sum(n for n, _ in cells),
        pairs=sum(min(n, pairs) for n, pairs in cells),  # none twice while a fresh one is left
        most=max(math.ceil(n / pairs) for n, pairs in cells),
    )


def planned_rows(study: Study, clips: int | None = None) -> tuple[PlannedRow, ...]:
    """Return the rows of a study file, clips counted in its folders.

    Args:
        study: from `load_study`.
        clips: clips per source and category, where the folders are not there yet.

    Raises:
        ClipError: a folder is empty, or lacks a category.
        UsageError: a folder is missing; or, with `clips`, the categories are; or a file of prompts
            cannot be used, or there is no prompt to show; or see `check_partners`, `item_trials`.
    """
    design = study.design
    if clips is not None:
        if not design.categories:
            raise UsageError("--clips N needs [design] categories in the study file")
        n = design.judgments_per_cell or clips * (design.judgments_per_pair or 1)
        pairs = clips if design.pairing == "item" else clips**2
        cells = (Cell(n, clips, clips, pairs),) * len(design.categories)
        return tuple(PlannedRow(row, cells) for row in design.comparisons)
    folders = [s for s in study.sources if s.name in design.compared]
    if missing := [s for s in folders if not s.path.is_dir()]:
        raise UsageError(
            f"{missing[0].path}: no such folder (source {missing[0].name}); correct its path, or "
            "plan without clips by --clips N (of each source and category)"
        )
    listed, unmatched = list_compared(study)
    check_prompts(design, listed.clips)
    planned = planned_clips(listed)
    return tuple(
        PlannedRow(
            row,
            tuple(_cell(design, planned, row, name) for name in listed.categories),
            tuple(cell for cell in unmatched if cell.comparison == row),
        )
        for row in design.comparisons
    )


def _cell(
    design: Design,
    found: dict[tuple[str, str], list[PlannedClip]],
    row: Comparison,
    category: str,
) -> Cell:
    if design.pairing == "item":
        pairs = len(partners(row, category, found))
        return Cell(item_trials(row, category, design, pairs), pairs, pairs, pairs)
    n_a, n_b = (len(found[source, category]) for source in (row.source_a, row.source_b))
    return Cell(design.judgments_per_cell or 0, n_a, n_b, n_a * n_b)


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
    rates, ties = {}, {}
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
                ties[row] = float((mine["y"] == 0.5).sum()) / (len(mine) + 4)
    try:
        rho = pilot_correlations(preferences)
    except AnalysisError:
        rho = None
    workers = int(preferences["worker"].nunique())
    sides = (("clip of A", "cluster_a"), ("clip of B", "cluster_b"))
    return Pilot(
        rates,
        rho,
        len(preferences),
        workers,
        bool(judgments.attrs["simulated"]),
        ties,
        tuple(name for name, column in sides if not came_twice(preferences, column)),
    )


def forecast(study: Study, rows: tuple[PlannedRow, ...], pilot: Pilot | None) -> Forecast:
    """Return what is known of a study before its data.

    Raises:
        UsageError: the stated workers cannot give so many judgments.
    """
    use = pair_use(rows)
    check_workers(use, study.session, study.workers)
    workers = study.workers.workers or least_workers(use, study.session, study.workers)
    each = worker_trials(use, study.session.trials, study.workers.sessions_per_worker)
    return Forecast(
        rows=rows,
        workers=workers,
        cap=max(each * workers / use.trials, 1.0),
        rho=(pilot and pilot.rho) or TYPICAL,
        rates=pilot.rates if pilot else {},
        ties=pilot.ties if pilot and study.design.allow_tie else {},
    )
