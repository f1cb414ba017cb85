"""Open the service's database."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from evaluation.sandbox.store.base import VERSION
from evaluation.sandbox.store.service import Service
from evaluation.services import store as service_store

Store = service_store.Store[Service]
Unit = service_store.Unit[Service]


def open_store(
    url: str, clock: Callable[[], datetime], first_rows: Callable[[Session, datetime], None]
) -> Store:
    """Open the database at `url`, creating its tables when it is empty.

    Args:
        url: an SQLAlchemy URL of SQLite (a file) or PostgreSQL.
        clock: gives the aware time.
        first_rows: adds what a new database starts with.

    Raises:
        DatabaseError: not a database URL, unreachable, not ours, or of another version.
    """

    def all_first_rows(session: Session, now: datetime) -> None:
        session.add(Service(id=1, version=VERSION))
        first_rows(session, now)

    return service_store.open_store(url, clock, Service, VERSION, all_first_rows)
