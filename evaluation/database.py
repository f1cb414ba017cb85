"""The door to the study database: SQLite in WAL mode by default, PostgreSQL by URL.

Every change runs in one `write` unit, which on SQLite begins with `BEGIN IMMEDIATE`. A unit that
reads first and then writes under SQLite's plain `BEGIN` fails with "database is locked" whatever
the timeout, because it would have to upgrade a stale snapshot; so `read` sessions cannot write at
all, on either database. The schema is only ever built by Alembic, from `migrations/`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from evaluation import schema
from evaluation.engine import make_engine, parsed_url, shown
from evaluation.errors import DatabaseError, DatabaseOlder, UsageError
from evaluation.files import make_private
from evaluation.outages import Writes, is_locked, is_outage
from evaluation.sqlite_file import remove_unfilled, sqlite_file, told

BUSY_TIMEOUT_S = 15.0
_MIGRATION_LOCK = 0x7667616E  # any fixed number: two programs that upgrade at once take turns
_INIT_LOCK = 0x696E6974  # likewise, with the study's name: two that make the same study at once


class Database:
    """An open study database, closed by `with`; threads may share it.

    Each unit has a connection of its own.
    """

    def __init__(self, engine: Engine, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._engine = engine
        self._busy_timeout_s = busy_timeout_s
        self._turn = threading.Lock()
        self.dialect: str = engine.dialect.name
        self.writes = Writes(self.dialect)
        self.url: str = engine.url.render_as_string(hide_password=False)
        self._writer = engine.execution_options(unit="write")
        self._reader = engine.execution_options(unit="read")
        self._snapshot = engine.execution_options(unit="snapshot")
        if self.dialect == "postgresql":
            self._reader = self._reader.execution_options(postgresql_readonly=True)
            self._snapshot = self._snapshot.execution_options(
                postgresql_readonly=True, isolation_level="REPEATABLE READ"
            )

    def __repr__(self) -> str:
        return f"Database({self._engine.url.render_as_string(hide_password=True)!r})"

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Session]:
        """Yield a session that can only read.

        Args:
            snapshot: hold one moment for all statements (an export while people rate), instead of
                seeing what others commit between two statements.

        Raises:
            DatabaseError: the database went away.
        """
        engine = self._snapshot if snapshot else self._reader
        with (
            self._explained(),
            Session(engine, expire_on_commit=False, autoflush=False) as session,
        ):
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Yield a session whose changes are committed together at the end, or not at all.

        Raises:
            DatabaseError: another program kept the SQLite file locked for the whole busy timeout,
                the disk is full, or the database went away or can only be read.
        """
        with (
            self._in_turn(),
            self._explained(),
            self.writes.noted(),
            Session(self._writer, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn a failure that is not the statement's fault into one line."""
        try:
            yield
        except DBAPIError as error:
            if not is_outage(error):
                raise
            if is_locked(error, self.dialect):
                raise self._locked() from error
            raise DatabaseError(  # without the statement and its values
                f"{shown(self._engine.url)}: the database failed ({told(error.orig)}); "
                "mend that, then try again to go on"
            ) from error

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Let the threads of this program write one after the other on SQLite.

        It has one writer at a time, and who waits for it sleeps and tries again, up to 100 ms
        each; a lock wakes the next one at once.
        """
        if self.dialect != "sqlite":
            yield
            return
        if not self._turn.acquire(timeout=self._busy_timeout_s):
            raise self._locked()
        try:
            yield
        finally:
            self._turn.release()

    def _locked(self) -> DatabaseError:
        return DatabaseError(
            f"{shown(self._engine.url)}: another program keeps the database locked; "
            "try again, or use PostgreSQL for many writers"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def migrations_folder() -> Path:
    """Return where the migrations lie: beside this file in a wheel, else in the checkout."""
    packaged = Path(__file__).with_name("migrations")
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "migrations"


def migration_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration, made in code so that no alembic.ini has to be found."""
    config = Config()
    # ConfigParser reads % as interpolation.
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _require_file(url: URL) -> None:
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        raise DatabaseError(
            f"{url.database}: no database here; make one with `vgan-eval init STUDY.toml`"
        )


def _known_revisions() -> set[str]:
    scripts = ScriptDirectory.from_config(migration_config())
    return {script.revision for script in scripts.walk_revisions()}


def _check_revision(connection: Connection, where: str) -> None:
    """Refuse a database that this program did not make or does not understand."""
    revision = MigrationContext.configure(connection).get_current_revision()
    head = ScriptDirectory.from_config(migration_config()).get_current_head()
    if revision == head:
        return
    tables = set(inspect(connection).get_table_names())
    if revision is None and not tables:
        raise DatabaseError(f"{where}: the database is empty; run `vgan-eval init STUDY.toml`")
    if schema.Study.__tablename__ not in tables:
        raise DatabaseError(f"{where}: not a study database; give another file or database")
    if revision not in _known_revisions():
        raise DatabaseError(
            f"{where}: made by a newer version of vgan-eval (revision {revision}; this one knows "
            f"up to {head}); install that version"
        )
    raise DatabaseOlder(
        f"{where}: made by an older version of vgan-eval (revision {revision}, not {head}); "
        "make a backup (`vgan-eval backup`, or pg_dump), then run `vgan-eval upgrade`",
        str(revision),
    )


@contextmanager
def _opening(url: URL) -> Iterator[None]:
    """Turn the driver's failures to open a database into one line."""
    try:
        yield
    except DBAPIError as error:
        raise DatabaseError(
            f"{shown(url)}: the database cannot be used ({told(error.orig)})"
        ) from error


def open_database(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Database:
    """Open an existing study database.

    Args:
        url: `sqlite:///study.db`, a bare path to a SQLite file, or `postgresql://...`.
        busy_timeout_s: how long a write unit waits for another program's SQLite lock.

    Raises:
        DatabaseError: missing, unreachable, empty, not ours, older or newer than this program.
    """
    parsed = parsed_url(url)
    _require_file(parsed)
    engine = make_engine(parsed, busy_timeout_s)
    try:
        with _opening(parsed), engine.connect() as connection:
            _check_revision(connection, shown(parsed))
    except DatabaseError:
        engine.dispose()
        raise
    return Database(engine, busy_timeout_s=busy_timeout_s)


def _upgrade(engine: Engine, where: str) -> None:
    with engine.execution_options(unit="write").begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        revision = MigrationContext.configure(connection).get_current_revision()
        if revision not in _known_revisions() and inspect(connection).get_table_names():
            _check_revision(connection, where)
        command.upgrade(migration_config(connection), "head")


def create_database(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Database:
    """Open a study database, first making it or upgrading it to this program's schema.

    The upgrade is one transaction; a SQLite file that could not be built is removed again, unless
    another program has it open or has filled it.

    Raises:
        DatabaseError: unreachable, not ours, newer than this program, or the folder is missing.
    """
    parsed = parsed_url(url)
    file = sqlite_file(url)
    if file is not None and not file.parent.is_dir():
        raise DatabaseError(f"{file}: the folder {file.parent} does not exist; make it first")
    is_new = file is not None and not file.exists()
    engine = make_engine(parsed, busy_timeout_s)
    try:
        with _opening(parsed):
            if file is not None and is_new:
                make_private(file)  # SQLite gives what it makes beside it the same mode
                _make_wal(engine)
            _upgrade(engine, shown(parsed))
    except BaseException:
        engine.dispose()
        if file is not None and is_new:
            remove_unfilled(file)
        raise
    return Database(engine, busy_timeout_s=busy_timeout_s)


@contextmanager
def database_to_fill(url: str) -> Iterator[Database]:
    """Yield `create_database(url)`, closed at the end.

    A new SQLite file in which no study could be made is removed again, as by `create_database`.
    """
    file = sqlite_file(url)
    is_new = file is not None and not file.exists()
    database = create_database(url)
    try:
        with database:
            yield database
    except BaseException:
        if file is not None and is_new:
            remove_unfilled(file)
        raise


def _make_wal(engine: Engine) -> None:
    # The mode stays with the file, and it cannot be changed inside a transaction.
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA query_only = OFF")
        driver.execute("PRAGMA journal_mode = WAL")


def lock_name(session: Session, name: str) -> None:
    """Let one transaction at a time make the study of a name; the row to lock is not there yet.

    On SQLite write units take turns anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        lock = text("SELECT pg_advisory_xact_lock(:kind, hashtext(:name))")
        session.execute(lock, {"kind": _INIT_LOCK, "name": name})


def find_study(session: Session, name: str | None, option: str = "--study") -> schema.Study:
    """Return the study of that name, or the only one when no name is given; else name the option.

    Raises:
        UsageError: no study of that name, or several and no name.
        DatabaseError: the database holds no study at all.
    """
    if name is not None:
        named = session.scalar(select(schema.Study).where(schema.Study.name == name))
        if named is not None:
            return named
    studies = {s.name: s for s in session.scalars(select(schema.Study).order_by(schema.Study.id))}
    if not studies:
        raise DatabaseError("the database holds no study; run `vgan-eval init STUDY.toml`")
    if name is None and len(studies) == 1:
        return next(iter(studies.values()))
    known = ", ".join(studies)
    if name is None:
        raise UsageError(f"the database holds several studies; say which with {option}: {known}")
    raise UsageError(f"no study `{name}` in the database; it holds: {known}")
