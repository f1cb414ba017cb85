"""Who comes, and under which HIT: rows that are written down on first sight, once."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from evaluation.schema import Base, CallState, Environment, Hit, Study, Worker


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
