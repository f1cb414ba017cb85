"""The file of a SQLite database: where it is, and its removal when no study came to be in it."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from evaluation.engine import parsed_url

_PATIENCE_S = 0.2  # who keeps the file open is at work with it


def sqlite_file(url: str) -> Path | None:
    """Return the file of a database, through links to it; None for a database on a server.

    Raises:
        DatabaseError: see `parsed_url`.
    """
    parsed = parsed_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    return Path(str(parsed.database)).resolve()


def remove_unfilled(file: Path) -> None:
    """Remove a database that holds nothing yet, unless another program has it open.

    Another `init` may have found the file meanwhile, and filled it or be about to.
    """
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(file, timeout=_PATIENCE_S, isolation_level=None)) as connection,
    ):
        # In WAL mode whoever has the file open shares a lock on it, also between transactions, and
        # only this asks for all of it.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        if _is_filled(connection):
            return
        for suffix in ("", "-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)


def _is_filled(connection: sqlite3.Connection) -> bool:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if "study" not in tables:
        return bool(tables)
    return connection.execute("SELECT 1 FROM study").fetchone() is not None
