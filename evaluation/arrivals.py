"""Who comes, and under which HIT: rows that are written down on first sight, once."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from evaluation.leases import has_free_trial
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


def _insert_once(session: Session, table: type[Base], values: dict[str, Any]) -> None:
    """Insert a row unless an equal one is there, whoever else is inserting it now."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(postgresql.insert(table).values(values).on_conflict_do_nothing())
    else:
        session.execute(sqlite.insert(table).values(values).on_conflict_do_nothing())


def get_worker(
    session: Session, crowd: str, environment: Environment, external_id: str, now: datetime
) -> Worker:
    """Return the worker with this id on this crowd, written down on first sight."""
    query = select(Worker).where(
        Worker.crowd == crowd,
        Worker.environment == environment,
        Worker.external_id == external_id,
    )
    found = session.scalar(query)
    if found is None:
        identity = {"crowd": crowd, "environment": environment, "external_id": external_id}
        _insert_once(session, Worker, {**identity, "created_at": now, "details": {}})
        found = session.scalars(query).one()
    return found


def local_hit(
    session: Session, study: Study, crowd: str, environment: Environment, now: datetime
) -> Hit:
    """Return the one HIT of a study on a crowd where nothing is published (local, simulated)."""
    token = f"study-{study.id}"
    query = select(Hit).where(
        Hit.crowd == crowd, Hit.environment == environment, Hit.token == token
    )
    found = session.scalar(query)
    if found is None:
        _insert_once(
            session,
            Hit,
            {
                "study_id": study.id,
                "crowd": crowd,
                "environment": environment,
                "token": token,
                "state": CallState.DONE,
                "max_assignments": 1,
                "reward_cents": 0,
                "currency": "USD",
                "created_at": now,
                "details": {},
            },
        )
        found = session.scalars(query).one()
    return found


def published_hit(session: Session, study: Study, crowd: str, external_id: str) -> Hit | None:
    """Return the HIT that a study published under a platform's id; only reads."""
    return session.scalar(
        select(Hit).where(
            Hit.study_id == study.id, Hit.crowd == crowd, Hit.external_id == external_id
        )
    )


def superseded_sessions(
    session: Session, hit: Hit, worker: str, external_id: str
) -> list[Assignment]:
    """Return a worker's open sessions of a HIT under other assignment ids; only reads.

    A platform gives a worker one assignment of a HIT at a time. When they come with another id,
    they returned the earlier one, which the platform does not tell.
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
    return list(session.scalars(query))


def sessions_had(session: Session, study: Study, hit: Hit, worker: str) -> int:
    """Count the sessions that a worker of a HIT's crowd has had or is in; only reads."""
    count = session.scalar(
        select(func.count(Assignment.id))
        .join(Worker)
        .where(
            Assignment.study_id == study.id,
            Assignment.status != AssignmentStatus.RETURNED,
            Worker.crowd == hit.crowd,
            Worker.environment == hit.environment,
            Worker.external_id == worker,
        )
    )
    return int(count or 0)


def sessions_started(session: Session, study: Study, worker_id: int) -> int:
    """Count the sessions that a worker has had or is in, but returned ones; only reads."""
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


def why_not(
    session: Session, study: Study, hit: Hit, worker: str, external_id: str, now: datetime
) -> str | None:
    """Say why a worker cannot work on a HIT, or None. Who has a session may always go on.

    Args:
        session: only reads.
        study: of the HIT.
        hit: under which the worker comes.
        worker: the platform's id.
        external_id: the platform's id of the assignment.
        now: aware.

    Returns:
        `limit`, `paused` or `nothing-left`.
    """
    rows = session.execute(
        select(Assignment.external_id, Worker.id)
        .join(Worker, Assignment.worker_id == Worker.id)
        .where(
            Assignment.study_id == study.id,
            Worker.crowd == hit.crowd,
            Worker.environment == hit.environment,
            Worker.external_id == worker,
        )
    ).all()
    if any(known == external_id for known, _ in rows):
        return None
    given_back = superseded_sessions(session, hit, worker, external_id)
    had = sessions_had(session, study, hit, worker) - len(given_back)
    if had >= study.design["workers"]["sessions_per_worker"]:
        return "limit"
    # Pairs of a session that was given back have been seen, so they are not new to the worker.
    return nothing_to_do(session, study, rows[0][1] if rows else None, now)


def nothing_to_do(
    session: Session, study: Study, worker_id: int | None, now: datetime
) -> str | None:
    """Say why nobody, or not this worker, can begin a session now, or None; only reads."""
    if study.paused:
        return "paused"
    return None if has_free_trial(session, study, worker_id, now) else "nothing-left"
