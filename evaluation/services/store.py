"""The database of a bundled service: created when empty, every other one refused.

The study schema is Alembic's; a service's is small, belongs to a sandbox, and carries a version
stamp instead of migrations: in the one row that every transaction reads first, locked. So they run
one after the other on PostgreSQL as they do under `BEGIN IMMEDIATE` on SQLite, and counts and money
add up.
"""

import enum
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import (
    JSON,
    URL,
    Connection,
    Engine,
    Enum,
    MetaData,
    Table,
    create_engine,
    event,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, class_mapper, mapped_column, registry

from evaluation.errors import DatabaseError
from evaluation.files import make_private
from evaluation.schema import CONSTRAINT_NAMES, UtcDateTime


def service_registry() -> registry:
    """Return a registry for one service's tables, named and typed by the study schema's rules."""
    return registry(
        metadata=MetaData(naming_convention=CONSTRAINT_NAMES),
        type_annotation_map={
            datetime: UtcDateTime,
            dict[str, Any]: JSON,
            list[str]: JSON,
            list[dict[str, Any]]: JSON,
        },
    )


def enum_column(cls: type[enum.StrEnum]) -> Enum:
    """An enum column stored by value as text."""
    return Enum(
        cls,
        values_callable=lambda members: [m.value for m in members],
        native_enum=False,
        length=24,
        validate_strings=True,
    )


class ServiceRow:
    """What the one row of every service has, a mix-in of its mapped class; the row's id is 1."""

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int]
    clock_offset_s: Mapped[float] = mapped_column(default=0.0)


Row = TypeVar("Row", bound=ServiceRow)


@dataclass(frozen=True)
class Unit(Generic[Row]):
    """One transaction of a service: its session, its settings and its time (aware, UTC)."""

    session: Session
    service: Row
    now: datetime


class Store(Generic[Row]):
    """A service's database.

    Args:
        engine: of `open_store`.
        row: the class of the service's row.
        clock: the time before the offset kept in the database is added.
    """

    def __init__(self, engine: Engine, row: type[Row], clock: Callable[[], datetime]) -> None:
        self.engine = engine
        self._row = row
        self._clock = clock

    @contextmanager
    def transaction(self) -> Iterator[Unit[Row]]:
        """Run one unit of work: commit at the end, roll back on any error."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            service = session.get_one(self._row, 1, with_for_update=True)
            yield Unit(session, service, self._clock() + timedelta(seconds=service.clock_offset_s))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_store(
    url: str,
    clock: Callable[[], datetime],
    row: type[Row],
    version: int,
    first_rows: Callable[[Session, datetime], None],
    *,
    backends: Collection[str] = ("SQLite", "PostgreSQL"),
    synchronous: str = "FULL",
) -> Store[Row]:
    """Open the database at `url`, creating its tables when it is empty.

    Args:
        url: an SQLAlchemy URL; of SQLite, that of a file.
        clock: gives the aware time.
        row: the class of the service's row.
        version: that the row of a database must have.
        first_rows: adds what a new database starts with, the service's row among it.
        backends: databases that the service keeps its state in.
        synchronous: SQLite's word for how sure a commit is to be on the disk.

    Raises:
        DatabaseError: not a database URL, unreachable, not ours, or of another version.
    """
    engine = _engine(url, backends, synchronous)
    try:
        with engine.begin() as connection:
            table = cast(Table, class_mapper(row).local_table)
            if _is_new(connection, table, version):
                table.metadata.create_all(connection)
                session = Session(connection, join_transaction_mode="control_fully")
                first_rows(session, clock())
                session.flush()
    except SQLAlchemyError as error:
        engine.dispose()
        cause = getattr(error, "orig", None) or error
        raise DatabaseError(f"cannot open the sandbox database {engine.url!r}: {cause}") from error
    except DatabaseError:
        engine.dispose()
        raise
    return Store(engine, row, clock)


def _engine(url: str, backends: Collection[str], synchronous: str) -> Engine:
    """An engine whose transactions take the write lock when they begin."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DatabaseError(f"not a database URL: {url!r}; try sqlite:///sandbox.db") from error
    backend = parsed.get_backend_name()
    if backend not in {name.lower() for name in backends}:
        raise DatabaseError(
            f"the sandbox keeps its state in {' or '.join(backends)}, not {backend}; "
            "try sqlite:///sandbox.db"
        )
    if backend == "postgresql":
        return create_engine(parsed, pool_pre_ping=True)
    if not parsed.database or parsed.database == ":memory:":
        raise DatabaseError("the sandbox needs a file, for example sqlite:///sandbox.db")
    if not Path(parsed.database).absolute().parent.is_dir():
        raise DatabaseError(f"no folder for the sandbox database {parsed.database}")
    make_private(Path(parsed.database))  # people's ids; SQLite gives what is beside it its mode
    return _sqlite_engine(parsed, synchronous)


def _sqlite_engine(url: URL, synchronous: str) -> Engine:
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


def _is_new(connection: Connection, table: Table, version: int) -> bool:
    """Whether the database is empty; another program's or another version's is refused."""
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return True
    where = connection.engine.url.render_as_string(hide_password=True)
    if table.name not in tables:
        raise DatabaseError(f"{where} holds other tables; give the sandbox a database of its own")
    found = connection.scalar(select(table.c.version))
    if found != version:
        raise DatabaseError(
            f"{where} is sandbox version {found}, this program has version {version}; "
            "start the sandbox on a new database"
        )
    return False
