"""Open the service's database: create it when empty, refuse every other one.

The study schema is Alembic's; this one is small, belongs to a sandbox and carries a version
stamp instead of migrations.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from evaluation.errors import DatabaseError
from evaluation.sandbox.store.base import VERSION, Base
from evaluation.sandbox.store.service import Service


@dataclass(frozen=True)
class Unit:
    """One transaction of the service: its session, its settings and its time (aware, UTC)."""

    session: Session
    service: Service
    now: datetime


class Store:
    """The service's database. One transaction runs at a time, so that counts and money add up.

    Args:
        engine: an engine from `open_store`.
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
            yield Unit(session, service, self.clock(service))

    def clock(self, service: Service) -> datetime:
        """Return the service's time: the clock's plus the stored offset."""
        return self._clock() + timedelta(seconds=service.clock_offset_s)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


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
    engine = _engine(url)
    try:
        with engine.begin() as connection:
            if _is_new(connection, engine):
                Base.metadata.create_all(connection)
                session = Session(connection, join_transaction_mode="control_fully")
                session.add(Service(id=1, version=VERSION))
                first_rows(session, clock())
                session.flush()
    except SQLAlchemyError as error:
        engine.dispose()
        cause = getattr(error, "orig", None) or error
        raise DatabaseError(f"cannot open the sandbox database {engine.url!r}: {cause}") from error
    except DatabaseError:
        engine.dispose()
        raise
    return Store(engine, clock)


def _engine(url: str) -> Engine:
    """An engine whose transactions take the write lock when they begin."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DatabaseError(f"not a database URL: {url!r}; try sqlite:///sandbox.db") from error
    backend = parsed.get_backend_name()
    if backend not in {"sqlite", "postgresql"}:
        raise DatabaseError(f"the sandbox keeps its state in SQLite or PostgreSQL, not {backend}")
    if backend == "postgresql":
        return create_engine(parsed, pool_pre_ping=True)
    if not parsed.database or parsed.database == ":memory:":
        raise DatabaseError("the sandbox needs a file, for example sqlite:///sandbox.db")
    if not Path(parsed.database).absolute().parent.is_dir():
        raise DatabaseError(f"no folder for the sandbox database {parsed.database}")
    return sqlite_engine(parsed, synchronous="FULL")


def sqlite_engine(url: URL, *, synchronous: str) -> Engine:
    """Return an engine for a SQLite file whose transactions take the write lock when they begin.

    Args:
        url: of the file.
        synchronous: SQLite's word for how sure a commit is to be on the disk.
    """
    engine = create_engine(url, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # The driver must not begin by itself: a SELECT before BEGIN IMMEDIATE would read a
        # snapshot that cannot be upgraded to a write.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _is_new(connection: Connection, engine: Engine) -> bool:
    """Whether the database is empty; another program's or another version's is refused."""
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return True
    where = engine.url.render_as_string(hide_password=True)
    if Service.__tablename__ not in tables:
        raise DatabaseError(f"{where} holds other tables; give the sandbox a database of its own")
    version = connection.execute(text("SELECT version FROM sandbox_service")).scalar()
    if version != VERSION:
        raise DatabaseError(
            f"{where} is sandbox version {version}, this program has version {VERSION}; "
            "start the sandbox on a new database"
        )
    return False
