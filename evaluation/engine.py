"""The connections to a study database: which URLs there are, and how SQLite is set up."""

import os
from pathlib import Path
from select import POLLIN, poll
from sqlite3 import Connection as SqliteConnection
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError

from evaluation.errors import DatabaseError

_SETTINGS: dict[str, Any] = {
    "pool_size": 64,  # one for each thread of the largest server; made when needed, then kept
    "hide_parameters": True,  # of a statement that failed: they may be ids of people
}


def shown(url: URL) -> str:
    """The database as a user would recognise it: the file, or the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.render_as_string(hide_password=True)


def typed(url: str) -> str:
    """The URL as a command takes it, without its password, which PostgreSQL's client finds itself.

    >>> typed("postgresql+psycopg://ann:secret@host/studies")
    'postgresql://ann@host/studies'
    """
    parsed = make_url(url).difference_update_query(["password"])
    return parsed._replace(drivername=parsed.get_backend_name(), password=None).render_as_string()


def parsed_url(url: str) -> URL:
    """Read a database URL, or the bare path of a SQLite file.

    Raises:
        DatabaseError: it cannot be read, or names another kind of database.
    """
    try:
        # Made, not read: a percent sign in a path stands for itself.
        parsed = make_url(url) if "://" in url else URL.create("sqlite", database=url)
    except (ArgumentError, ValueError):
        raise DatabaseError(
            "the database URL cannot be read; write sqlite:///study.db or "
            "postgresql://user:password@host/name"
        ) from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseError(
            f"{parsed.get_backend_name()} databases are not supported; "
            "write sqlite:///study.db or postgresql://..."
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise DatabaseError("the database must be a file: write sqlite:///study.db")
    return parsed


def make_engine(url: URL, busy_timeout_s: float) -> Engine:
    """Return an engine for a parsed URL; it connects when it is first used.

    Raises:
        DatabaseError: the driver of PostgreSQL is not installed.
    """
    if url.get_backend_name() == "sqlite":
        arguments = {"timeout": busy_timeout_s}
        engine = create_engine(url, connect_args=arguments, **_SETTINGS)
        event.listen(engine, "do_connect", _connect_sqlite)
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _on_sqlite_begin)
        return engine
    try:
        engine = create_engine(url, **_SETTINGS)
    except ModuleNotFoundError as error:
        raise DatabaseError(
            f"PostgreSQL needs the package {error.name}: pip install 'vgan-eval[postgres]'"
        ) from None
    event.listen(engine, "checkout", _refuse_ended)
    return engine


def _refuse_ended(connection: Any, _record: Any, _proxy: Any) -> None:
    """Let the pool make a new connection for one that the server has ended.

    A server that restarts says goodbye on every connection. One at rest has nothing else to read,
    so a look at its socket tells as much as a question to the server, which costs a round trip.

    Raises:
        DisconnectionError: the pool takes it as the sign to connect again.
    """
    socket = poll()
    if not connection.closed:
        socket.register(connection.fileno(), POLLIN)
    if connection.closed or socket.poll(0):
        raise DisconnectionError("the server has ended the connection")


def sqlite_uri(file: Path) -> str:
    """Return what SQLite opens a file by, so that a copy on a read-only disk can be read.

    Even to read in WAL mode it writes beside the file, unless told that nobody changes that: so
    where we cannot write, and no `-wal` shows that another program is at work, or was killed.
    """
    file = file.resolve()
    can_write = os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)
    still = file.exists() and not can_write and not Path(f"{file}-wal").exists()
    return file.as_uri() + ("?immutable=1" if still else "")


def _connect_sqlite(dialect: Any, _record: Any, names: list[str], settings: dict[str, Any]) -> Any:
    (name,) = names
    return dialect.connect(sqlite_uri(Path(name)), uri=True, **settings)


def _on_sqlite_connect(connection: SqliteConnection, _record: Any) -> None:
    # The driver must not begin by itself: `_on_sqlite_begin` says which kind of unit it is.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")  # judgments are paid for
    connection.execute("PRAGMA foreign_keys = ON")
    # Else what was deleted, or moved to another page, can be read from the file for long.
    connection.execute("PRAGMA secure_delete = ON")


def _on_sqlite_begin(connection: Connection) -> None:
    unit = connection.get_execution_options().get("unit", "read")
    query_only = "OFF" if unit == "write" else "ON"
    # Only where it changes, because SQLite then compiles every statement of the connection again.
    if connection.info.get("query_only") != query_only:
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA query_only = {query_only}")
        connection.info["query_only"] = query_only
    if unit == "write":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif unit == "snapshot":
        connection.exec_driver_sql("BEGIN")
