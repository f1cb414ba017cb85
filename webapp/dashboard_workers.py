"""Workers with their evidence, under pseudonyms: how they answered, and what stands out.

What is flagged is worth a look, no more: the analysis leaves people out only by the rules that the
study declared, and nobody's pay depends on either. The thresholds are those of the rules'
defaults (`analysis.exclusions`), written again because that module loads pandas.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from evaluation.exporting.reported import loops_of, reported_loops
from evaluation.privacy.pseudonyms import pseudonym
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    Choice,
    Environment,
    Judgment,
    JudgmentStatus,
    Showing,
    Study,
    Trial,
    TrialKind,
    Worker,
)
from webapp.dashboard_counts import count_if

LEAST_GOLD_RIGHT = 0.8
LEAST_REPEATS_SAME = 0.5
LEAST_REPEATS = 4
MOST_FAST = 0.1
SIDE_SIGMAS = 3.29  # a fair coin goes further once in a thousand workers
PAGE_SIZE = 25
_SIDED = (TrialKind.TEST, TrialKind.REPEAT, TrialKind.IDENTICAL)


@dataclass(frozen=True)
class WorkerRow:
    """One worker's counted judgments, practice left out.

    Args:
        worker: pseudonym, the same as in an export.
        crowd: where they come from.
        environment: of their sessions.
        sessions: started, those given back too.
        finished: handed in.
        last_seen: when they last started a session.
        judgments: test judgments.
        gold: gold trials answered; `gold_right` of them as expected.
        gold_right: see `gold`.
        sided: answers to test, repeat and identical trials that were no tie.
        left: how many of `sided` were left.
        answers: of all kinds but practice.
        timed: answers of which it is known how often the clips had run; `fast` of them came
            before they had run once.
        fast: see `timed`.
        median_s: median response time in seconds, or None.
        repeats: repeated pairs answered both times; `same` of them for the same clip.
        same: see `repeats`.
    """

    worker: str
    crowd: str
    environment: Environment
    sessions: int
    finished: int
    last_seen: datetime
    judgments: int = 0
    gold: int = 0
    gold_right: int = 0
    sided: int = 0
    left: int = 0
    answers: int = 0
    timed: int = 0
    fast: int = 0
    median_s: float | None = None
    repeats: int = 0
    same: int = 0

    @property
    def gold_share(self) -> float | None:
        """Share of gold trials answered right."""
        return self.gold_right / self.gold if self.gold else None

    @property
    def left_share(self) -> float | None:
        """Share of answers that were left."""
        return self.left / self.sided if self.sided else None

    @property
    def fast_share(self) -> float | None:
        """Share of answers given before the clips had run once."""
        return self.fast / self.timed if self.timed else None

    @property
    def same_share(self) -> float | None:
        """Share of repeated pairs that got the same answer."""
        return self.same / self.repeats if self.repeats else None

    @property
    def flags(self) -> tuple[str, ...]:
        """What stands out, in words."""
        found = []
        if self.gold and self.gold_right < LEAST_GOLD_RIGHT * self.gold - 1e-9:
            found.append("gold")
        if self.sided and abs(2 * self.left - self.sided) > SIDE_SIGMAS * math.sqrt(self.sided):
            found.append("one side")
        if self.fast > MOST_FAST * self.timed:
            found.append("fast")
        if self.repeats >= LEAST_REPEATS and self.same < LEAST_REPEATS_SAME * self.repeats:
            found.append("repeats")
        return tuple(found)


def worker_rows(session: Session, study: Study, key: bytes) -> list[WorkerRow]:
    """Return the workers who started a session; only reads, five statements whatever the size.

    As in an export, a session that was withdrawn is not there, and who has no other neither.

    Args:
        session: of any unit.
        study: whose workers.
        key: of the pseudonyms.
    """
    answers = _answers(session, study)
    fast = _fast(session, study)
    medians = _medians(session, study)
    repeats = _repeats(session, study)
    finished = count_if(
        Assignment.status.in_(
            [AssignmentStatus.SUBMITTED, AssignmentStatus.APPROVED, AssignmentStatus.REJECTED]
        )
    )
    people = session.execute(
        select(
            Worker.id,
            Worker.crowd,
            Worker.environment,
            Worker.external_id,
            func.count(),
            finished,
            func.max(Assignment.accepted_at),
        )
        .join(Assignment, Assignment.worker_id == Worker.id)
        .where(
            Assignment.study_id == study.id,
            Assignment.status != AssignmentStatus.WITHDRAWN,
        )
        .group_by(Worker.id, Worker.crowd, Worker.environment, Worker.external_id)
        .order_by(Worker.id)
    )
    return [
        WorkerRow(
            pseudonym(key, "worker", crowd, environment.value, external_id),
            crowd,
            environment,
            int(sessions),
            int(done),
            last_seen,
            median_s=medians.get(worker_id),
            **answers.get(worker_id, {}),
            **fast.get(worker_id, {}),
            **repeats.get(worker_id, {}),
        )
        for worker_id, crowd, environment, external_id, sessions, done, last_seen in people
    ]


def _counted(study: Study, *columns: Any) -> Select[*tuple[Any, ...]]:
    """Select the worker's id and columns of every counted judgment, practice left out."""
    return (
        select(Showing.worker_id, *columns)
        .select_from(Judgment)
        .join(Showing, Judgment.showing_id == Showing.id)
        .join(Trial, Judgment.trial_id == Trial.id)
        .where(
            Trial.study_id == study.id,
            Trial.kind != TrialKind.PRACTICE,
            Judgment.status == JudgmentStatus.COUNTED,
        )
    )


def _answers(session: Session, study: Study) -> dict[int, dict[str, int]]:
    sided = Trial.kind.in_(_SIDED) & (Judgment.choice != Choice.TIE)
    gold = Trial.kind == TrialKind.GOLD
    counts = {
        "judgments": count_if(Trial.kind == TrialKind.TEST),
        "gold": count_if(gold),
        "gold_right": count_if(gold & (Judgment.choice == Trial.correct)),
        "sided": count_if(sided),
        "left": count_if(sided & (Judgment.choice == Choice.LEFT)),
        "answers": func.count(),
    }
    rows = session.execute(_counted(study, *counts.values()).group_by(Showing.worker_id))
    return {row[0]: dict(zip(counts, map(int, row[1:]), strict=True)) for row in rows}


def _fast(session: Session, study: Study) -> dict[int, dict[str, int]]:
    """Answers per worker whose loops are known, and how many came before the first was over."""
    found: dict[int, dict[str, int]] = {}
    for worker_id, reported in session.execute(_counted(study, reported_loops)):
        loops = loops_of(reported)
        if loops is not None:
            counts = found.setdefault(worker_id, {"timed": 0, "fast": 0})
            counts["timed"] += 1
            counts["fast"] += loops < 1
    return found


def _medians(session: Session, study: Study) -> dict[int, float]:
    """Median response time of every worker, in seconds; no database has the word in common."""
    place = func.row_number().over(partition_by=Showing.worker_id, order_by=Judgment.rt_ms)
    count = func.count().over(partition_by=Showing.worker_id)
    ranked = _counted(study, Judgment.rt_ms, place.label("place"), count.label("n")).subquery()
    twice = 2 * ranked.c.place
    rows = session.execute(
        select(ranked.c.worker_id, func.avg(ranked.c.rt_ms))
        .where(twice >= ranked.c.n, twice <= ranked.c.n + 2)
        .group_by(ranked.c.worker_id)
    )
    return {worker_id: float(ms) / 1000 for worker_id, ms in rows}


def _repeats(session: Session, study: Study) -> dict[int, dict[str, int]]:
    """Repeated pairs per worker, and how many got the same clip, or a tie, both times."""
    again, first = aliased(Judgment), aliased(Judgment)
    trial, trial_before = aliased(Trial), aliased(Trial)
    showing, showing_before = aliased(Showing), aliased(Showing)
    same_side = again.choice == first.choice
    tie = (again.choice == Choice.TIE) | (first.choice == Choice.TIE)
    swapped = trial.a_is_left != trial_before.a_is_left
    same = (tie & same_side) | (~tie & ((swapped & ~same_side) | (~swapped & same_side)))
    # From the repeat to its showing, to the first showing, to both judgments: each step an index.
    rows = session.execute(
        select(showing.worker_id, func.count(), count_if(same))
        .select_from(trial)
        .join(trial_before, trial.repeat_of_id == trial_before.id)
        .join(showing, showing.trial_id == trial.id)
        .join(
            showing_before,
            (showing_before.trial_id == trial_before.id)
            & (showing_before.worker_id == showing.worker_id),
        )
        .join(again, again.showing_id == showing.id)
        .join(
            first,
            (first.showing_id == showing_before.id) & (first.question_id == again.question_id),
        )
        .where(
            trial.study_id == study.id,
            trial.kind == TrialKind.REPEAT,
            again.status == JudgmentStatus.COUNTED,
            first.status == JudgmentStatus.COUNTED,
        )
        .group_by(showing.worker_id)
    )
    return {worker_id: {"repeats": int(n), "same": int(agreed)} for worker_id, n, agreed in rows}


SORTS: dict[str, Callable[[WorkerRow], Any]] = {
    "judgments": lambda row: row.judgments,
    "gold": lambda row: row.gold_share,
    "left": lambda row: None if row.left_share is None else abs(row.left_share - 0.5),
    "median": lambda row: row.median_s,
    "fast": lambda row: row.fast_share,
    "repeats": lambda row: row.same_share,
    "sessions": lambda row: row.sessions,
    "seen": lambda row: row.last_seen,
    "worker": lambda row: row.worker,
}


@dataclass(frozen=True)
class WorkerPage:
    """One page of the list of workers.

    Args:
        rows: at most `PAGE_SIZE`.
        number: of this page, from 1.
        pages: how many there are, at least 1.
        found: workers that the filter leaves, over all pages.
    """

    rows: list[WorkerRow]
    number: int
    pages: int
    found: int


def worker_page(
    rows: Sequence[WorkerRow],
    *,
    sort: str = "judgments",
    descending: bool = True,
    search: str = "",
    flagged: bool = False,
    number: int = 1,
) -> WorkerPage:
    """Sort, filter and cut the list of workers.

    Args:
        rows: from `worker_rows`.
        sort: one of `SORTS`; another word sorts by judgments. Workers without a value come last.
        descending: largest first.
        search: part of a pseudonym; empty: everybody.
        flagged: only workers with something that stands out.
        number: which page; beyond the last is the last.
    """
    value = SORTS.get(sort, SORTS["judgments"])
    kept = [row for row in rows if search in row.worker and (row.flags or not flagged)]
    known = sorted((row for row in kept if value(row) is not None), key=value, reverse=descending)
    ordered = known + [row for row in kept if value(row) is None]
    pages = max(1, math.ceil(len(kept) / PAGE_SIZE))
    number = min(max(number, 1), pages)
    cut = ordered[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    return WorkerPage(cut, number, pages, len(kept))
