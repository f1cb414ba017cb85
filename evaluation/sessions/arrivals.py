"""Who comes, and under which HIT: rows that are written down on first sight, once."""

from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from evaluation import frozen
from evaluation.crowd.base import Crowd, PlatformAssignment
from evaluation.errors import NothingLeft, SessionLimit, StudyPaused
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    Base,
    CallState,
    Environment,
    Hit,
    Study,
    Worker,
)
from evaluation.sessions.leases import has_free_trial

# Made once: making a statement takes longer than sending it.
_WORKER = select(Worker).where(
    Worker.crowd == bindparam("crowd"),
    Worker.environment == bindparam("environment"),
    Worker.external_id == bindparam("external_id"),
)
_LOCK_WORKER = (
    select(Worker.id).where(Worker.id == bindparam("worker")).with_for_update(key_share=True)
)
_HIT = select(Hit).where(
    Hit.crowd == bindparam("crowd"),
    Hit.environment == bindparam("environment"),
    Hit.token == bindparam("token"),
)
_SEEN = (
    select(Worker.id, Assignment)
    .outerjoin(
        Assignment,
        (Assignment.worker_id == Worker.id)
        & (Assignment.crowd == Worker.crowd)
        & (Assignment.environment == Worker.environment)
        & (Assignment.external_id == bindparam("session")),
    )
    .where(
        Worker.crowd == bindparam("crowd"),
        Worker.environment == bindparam("environment"),
        Worker.external_id == bindparam("worker"),
    )
)
_Row = TypeVar("_Row", bound=Base)


@cache
def _insert_once(dialect: str, table: type[_Row]) -> ReturningInsert[_Row]:
    """Return how to insert a row unless an equal one is there, whoever is inserting it now."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().returning(table)


def _found_or_added(
    session: Session,
    table: type[_Row],
    query: Select[_Row],
    key: dict[str, Any],
    others: dict[str, Any],
) -> _Row:
    """Return the row of a key, written down with its other values on first sight."""
    found = session.scalar(query, key)
    if found is None:
        insert = _insert_once(session.get_bind().dialect.name, table)
        found = session.scalars(insert, [key | others]).one_or_none()
    return found or session.scalars(query, key).one()


def get_worker(
    session: Session, crowd: str, environment: Environment, external_id: str, now: datetime
) -> Worker:
    """Return the worker with this id on this crowd, written down on first sight."""
    key = {"crowd": crowd, "environment": environment, "external_id": external_id}
    return _found_or_added(session, Worker, _WORKER, key, {"created_at": now, "details": {}})


def seen_before(
    session: Session, crowd: str, environment: Environment, worker: str, external_id: str
) -> tuple[int | None, Assignment | None]:
    """Return the id of a worker, and their session of that id, as far as there are; only reads."""
    key = {"crowd": crowd, "environment": environment, "worker": worker, "session": external_id}
    row = session.execute(_SEEN, key).one_or_none()
    return (row[0], row[1]) if row else (None, None)


def local_hit(
    session: Session, study: Study, crowd: str, environment: Environment, now: datetime
) -> Hit:
    """Return the one HIT of a study on a crowd where nothing is published (local, simulated)."""
    key = {"crowd": crowd, "environment": environment, "token": f"study-{study.id}"}
    others = {
        "study_id": study.id,
        "state": CallState.DONE,
        "max_assignments": 1,
        "reward_cents": 0,
        "currency": "USD",
        "created_at": now,
        "details": {},
    }
    return _found_or_added(session, Hit, _HIT, key, others)


def published_hit(session: Session, study: Study, crowd: str, external_id: str) -> Hit | None:
    """Return the HIT that a study published under a platform's id; only reads."""
    return session.scalar(
        select(Hit).where(
            Hit.study_id == study.id, Hit.crowd == crowd, Hit.external_id == external_id
        )
    )


def hits_on(
    session: Session,
    study: Study,
    crowd: str,
    environment: Environment,
    *which: ColumnElement[bool],
) -> list[Hit]:
    """Return the HITs of a study on a crowd that fulfil conditions, oldest first; only reads."""
    there = (Hit.study_id == study.id, Hit.crowd == crowd, Hit.environment == environment)
    return list(session.scalars(select(Hit).where(*there, *which).order_by(Hit.id)))


def published_hits(
    session: Session, study: Study, crowd: str, environment: Environment
) -> list[Hit]:
    """Return the HITs of a study that a platform has an id for, oldest first; only reads."""
    return hits_on(session, study, crowd, environment, Hit.external_id.is_not(None))


def our_assignment(
    session: Session, study_id: int, crowd: Crowd, theirs: PlatformAssignment
) -> Assignment | None:
    """Return the session of a study that a platform's assignment is of; only reads."""
    query = (
        select(Assignment)
        .join(Worker)
        .where(
            Assignment.study_id == study_id,
            Assignment.crowd == crowd.name,
            Assignment.environment == crowd.environment,
            Assignment.external_id == theirs.external_id,
            Worker.external_id == theirs.worker,
        )
    )
    return session.scalars(query).one_or_none()


def platform_ids(
    session: Session, study: Study, crowd: Crowd, which: ColumnElement[bool]
) -> dict[tuple[str, str], int]:
    """Return our ids of a study's sessions there that fulfil a condition, in order; only reads.

    They are by the platform's ids, of the session and of its worker.
    """
    query = (
        select(Assignment.external_id, Worker.external_id, Assignment.id)
        .join(Worker)
        .where(
            Assignment.study_id == study.id,
            Assignment.crowd == crowd.name,
            Assignment.environment == crowd.environment,
            which,
        )
        .order_by(Assignment.id)
    )
    return {(theirs, worker): ours for theirs, worker, ours in session.execute(query)}


def lock_worker(session: Session, worker_id: int) -> None:
    """Let one transaction at a time begin or close sessions of a worker; before other locks."""
    session.connection().execute(_LOCK_WORKER, {"worker": worker_id})


def superseded_sessions(
    session: Session, hit: Hit, worker: str, external_id: str, arrived: datetime | None = None
) -> list[Assignment]:
    """Return a worker's open sessions of a HIT under other assignment ids; only reads.

    A platform gives a worker one assignment of a HIT at a time. When they come with another id,
    they returned the earlier one, which the platform does not tell.

    Args:
        session: of any unit.
        hit: under which the worker comes.
        worker: the platform's id.
        external_id: the platform's id of the assignment.
        arrived: when they came with it, aware; sessions begun later are not earlier ones, as where
            a page is still open whose assignment was returned. None is now.
    """
    query = (
        select(Assignment)
        .join(Worker)
        .where(
            Assignment.hit_id == hit.id,
            Assignment.status == AssignmentStatus.ACCEPTED,
            Assignment.external_id != external_id,
            Worker.external_id == worker,
        )
    )
    if arrived is not None:
        query = query.where(Assignment.accepted_at < arrived)
    return list(session.scalars(query))


def sessions_started(session: Session, study: Study, worker_id: int | None) -> int:
    """Count the sessions that a worker has had or is in, but returned ones; only reads."""
    if worker_id is None:  # not seen before
        return 0
    count = session.scalar(
        select(func.count(Assignment.id)).where(
            Assignment.study_id == study.id,
            Assignment.status != AssignmentStatus.RETURNED,
            Assignment.worker_id == worker_id,
        )
    )
    return int(count or 0)


def being_published(session: Session, study: Study, crowd: str) -> bool:
    """Whether a HIT of a study is being written down on a crowd at this moment; only reads."""
    query = select(Hit.id).where(
        Hit.study_id == study.id, Hit.crowd == crowd, Hit.state == CallState.INTENDED
    )
    return session.scalar(query.limit(1)) is not None


def nothing_left(study: Study) -> NothingLeft:
    """Return the error that tells a worker so."""
    return NothingLeft(
        f"study `{study.name}`: no trial is left for this worker; every planned judgment is given "
        "or being given"
    )


def check_allowance(study: Study, had: int) -> None:
    """Refuse a worker who has had so many sessions, or everybody while a study is paused.

    Raises:
        SessionLimit: the worker has had all sessions that the study allows.
        StudyPaused: the study takes nobody new for now.
    """
    allowed = frozen.workers(study).sessions_per_worker
    if had >= allowed:
        raise SessionLimit(
            f"study `{study.name}`: this worker has had {had} of {allowed} allowed sessions"
        )
    if study.paused:
        raise StudyPaused(f"study `{study.name}` is paused; come back later")


def check_may_start(
    session: Session, study: Study, worker_id: int | None, had: int, now: datetime
) -> None:
    """Refuse a worker who could not start a session now; only reads.

    Args:
        session: of any unit.
        study: that they come for.
        worker_id: None for a worker who is not known yet.
        had: sessions that they have had or are in, but those that they gave back.
        now: aware.

    Raises:
        SessionLimit: the worker has had all sessions that the study allows.
        StudyPaused: the study takes nobody new for now.
        NothingLeft: no trial is left for them.
    """
    check_allowance(study, had)
    # Pairs of a session that was given back have been seen, so they are not new to the worker.
    if not has_free_trial(session, study, worker_id, now):
        raise nothing_left(study)


def check_arrival(
    session: Session, study: Study, hit: Hit, worker: str, external_id: str, now: datetime
) -> None:
    """Refuse a worker who comes to a HIT for nothing. Who has the session may always go on.

    Args:
        session: only reads.
        study: of the HIT.
        hit: under which the worker comes.
        worker: the platform's id.
        external_id: the platform's id of the assignment.
        now: aware.

    Raises:
        NothingLeft: as in `check_may_start`.
    """
    worker_id, theirs = seen_before(session, hit.crowd, hit.environment, worker, external_id)
    if theirs is None:
        given_back = superseded_sessions(session, hit, worker, external_id)
        had = sessions_started(session, study, worker_id) - len(given_back)
        check_may_start(session, study, worker_id, had, now)
