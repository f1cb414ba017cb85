"""Open the fake's database: create it when empty, refuse every other one.

One transaction runs at a time, so that places and money add up.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from evaluation.errors import DatabaseError
from evaluation.prolific_sandbox.store import VERSION, Base, Service, new_id
from evaluation.sandbox.store.engine import sqlite_engine


@dataclass(frozen=True)
class Unit:
    """One transaction of the fake: its session, its settings and its time (aware, UTC)."""

    session: Session
    service: Service
    now: datetime


class Store:
    """The fake's database.

    Args:
        engine: of `open_store`.
        clock: the time before the offset kept in the database is added.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self.engine = engine
        self._clock = clock

    @contextmanager
    def transaction(self) -> Iterator[Unit]:
        """Run one unit of work: commit at the end, roll back on any error."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            service = session.get_one(Service, 1, with_for_update=True)
            now = self._clock() + timedelta(seconds=service.clock_offset_s)
            yield Unit(session, service, now)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_store(url: str, clock: Callable[[], datetime]) -> Store:
    """Open the database at `url`, creating its tables when it is empty.

    Raises:
        DatabaseError: no SQLite file's URL, not to be opened, not ours, or of another version.
    """
    engine = _engine(url)
    try:
        with engine.begin() as connection:
            if not inspect(connection).get_table_names():
                Base.metadata.create_all(connection)
                first = Service(id=1, version=VERSION, workspace=new_id(), project=new_id())
                session = Session(connection, join_transaction_mode="control_fully")
                session.add(first)
                session.flush()
            _check_ours(connection, url)
    except SQLAlchemyError as error:
        engine.dispose()
        cause = getattr(error, "orig", None) or error
        raise DatabaseError(f"cannot open the sandbox database {url}: {cause}") from error
    except DatabaseError:
        engine.dispose()
        raise
    return Store(engine, clock)


def _check_ours(connection: Connection, url: str) -> None:
    if Service.__tablename__ not in inspect(connection).get_table_names():
        raise DatabaseError(f"{url} holds other tables; give the sandbox a database of its own")
    if connection.exec_driver_sql("SELECT version FROM prolific_service").scalar() != VERSION:
        raise DatabaseError(f"{url} is of another version; start the sandbox on a new database")


def _engine(url: str) -> Engine:
    """An SQLite engine whose transactions take the write lock when they begin."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DatabaseError(f"not a database URL: {url!r}; try sqlite:///sandbox.db") from error
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise DatabaseError("the sandbox keeps its state in a file, such as sqlite:///sandbox.db")
    if not Path(str(parsed.database)).absolute().parent.is_dir():
        raise DatabaseError(f"no folder for the sandbox database {parsed.database}")
    return sqlite_engine(parsed, synchronous="NORMAL")
