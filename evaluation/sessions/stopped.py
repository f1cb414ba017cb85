"""Rows that are stopped: what is planned of them is kept, but nobody is asked for it any more.

Which rows these are is the latest `stopping` event of the study: the database keeps every decision
and the reason for it, and a row can be opened again. Trials under a lease are not taken away.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, false, or_, select
from sqlalchemy.orm import Session

from evaluation.events import note_event
from evaluation.planning.progress import study_progress
from evaluation.schema import Event, EventKind, Pair, Study, Trial
from evaluation.study import Comparison


def stopped_rows(session: Session, study: Study) -> frozenset[Comparison]:
    """Return the rows that the latest decision stopped; only reads."""
    latest = session.scalar(
        select(Event)
        .where(Event.study_id == study.id, Event.kind == EventKind.STOPPING)
        .order_by(Event.id.desc())
        .limit(1)
    )
    rows = latest.details["rows"] if latest else []
    return frozenset(Comparison(str(a), str(b)) for a, b in rows)


def cut_short(session: Session, study: Study) -> list[Comparison]:
    """Return the stopped rows that lack answers, in the study file's order; only reads."""
    stopped = stopped_rows(session, study)
    if not stopped:
        return []
    lacking = (c.comparison for c in study_progress(session, study) if c.counted < c.planned)
    return [row for row in dict.fromkeys(lacking) if row in stopped]


def record_stopped(
    session: Session, study: Study, rows: Collection[Comparison], reason: str, now: datetime
) -> None:
    """Write a decision down; it replaces the one before."""
    named = sorted([row.source_a, row.source_b] for row in rows)
    details = {"rows": named, "reason": reason}
    note_event(session, study.id, EventKind.STOPPING, details, now)
    session.flush()


def of_rows(rows: Collection[Comparison]) -> ColumnElement[bool]:
    """The condition that a trial is of one of these rows."""
    if not rows:
        return false()
    named = [and_(Pair.source_a == r.source_a, Pair.source_b == r.source_b) for r in rows]
    return exists().where(Pair.id == Trial.pair_id, or_(*named))
