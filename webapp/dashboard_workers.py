"""Workers with their evidence, under pseudonyms: how they answered, and what stands out.

What is flagged is worth a look, no more: the analysis leaves people out only by the rules that the
study declared, and nobody's pay depends on either. The flags are the rules' names, their thresholds
the rules' defaults.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation.exclusion_rules import LEAST_REPEATS, THRESHOLDS
from evaluation.privacy.pseudonyms import pseudonym
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    Environment,
    Study,
    Worker,
)
from webapp.dashboard_counts import count_if
from webapp.dashboard_evidence import evidence

PAGE_SIZE = 25


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
        side_chance: how likely a fair coin is as one-sided, in number or in a longest run, in the
            question where that is least likely.
        answers: of all kinds but practice.
        timed: answers, practice too, of which it is known how often the clips had run; `fast` of
            them came before they had run once.
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
    side_chance: float = 1.0
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
        """The exclusion rules that would leave the worker out by their default thresholds."""
        broken = {
            "gold": self.gold_share is not None and self.gold_share < THRESHOLDS["gold"] - 1e-9,
            "side-bias": self.side_chance < THRESHOLDS["side-bias"],
            "too-fast": self.fast_share is not None and self.fast_share > THRESHOLDS["too-fast"],
            "repeats": self.same_share is not None
            and self.repeats >= LEAST_REPEATS
            and self.same_share < THRESHOLDS["repeats"],
        }
        return tuple(rule for rule, is_broken in broken.items() if is_broken)


def worker_rows(session: Session, study: Study, key: bytes) -> list[WorkerRow]:
    """Return the workers who started a session; only reads, five statements whatever the size.

    As in an export, a session that was withdrawn is not there, and who has no other neither. They
    have pseudonyms under the key, and who came back after `forget` has one.
    """
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
    rows: dict[str, WorkerRow] = {}
    ids: dict[str, list[int]] = {}
    for worker_id, crowd, environment, external_id, sessions, done, last_seen in people:
        worker = pseudonym(key, "worker", crowd, environment.value, external_id)
        row = WorkerRow(worker, crowd, environment, int(sessions), int(done), last_seen)
        if (known := rows.get(worker)) is not None:
            row = replace(
                row,
                sessions=row.sessions + known.sessions,
                finished=row.finished + known.finished,
                last_seen=max(row.last_seen, known.last_seen),
            )
        rows[worker] = row
        ids.setdefault(worker, []).append(worker_id)
    same = {other: first for first, *others in ids.values() for other in others}
    found = evidence(session, study, same)
    return [replace(row, **found.get(ids[worker][0], {})) for worker, row in rows.items()]


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
