"""Who comes, and under which HIT: rows that are written down on first sight, once."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

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
