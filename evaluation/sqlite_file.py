"""The file of a SQLite database: where it is, what lies beside it, its failures, its removal."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from evaluation.engine import parsed_url

_PATIENCE_S = 0.2  # who keeps the file open is at work with it
_ENDINGS = {".db", ".sqlite", ".sqlite3"}  # any other may be what tells two studies apart

_UNWRITABLE = ("readonly database", "unable to open database file", "disk I/O error")


def sqlite_file(url: str) -> Path | None:
    """Return the file of a database, through links to it; None for a database on a server.

    Raises:
        DatabaseError: see `parsed_url`.
    """
    if parsed_url(url).get_backend_name() != "sqlite":
        return None
    return _named(url).resolve()


def key_beside(url: str) -> Path | None:
    """Return the file of a SQLite database's pseudonym key: `study.db.key` of `study.db`.

    It lies beside the file itself, or beside a link to it where an earlier version put it.
    """
    file = sqlite_file(url)
    if file is None:
        return None
    return _first_there(*(Path(f"{path}.key") for path in (file, _named(url))))


def files_beside(url: str) -> Path | None:
    """Return the folder of a SQLite database's files: `study.files` of `study.db`.

    An earlier version put it beside a link to the file, and took any ending away, so that
    `study.v1` and `study.v2` shared it; a database made then keeps it.
    """
    file = sqlite_file(url)
    if file is None:
        return None
    stem = file.stem if file.suffix in _ENDINGS else file.name
    folder = file.with_name(f"{stem}.files")
    if not file.exists():
        return folder
    return _first_there(folder, *(path.with_suffix(".files") for path in (file, _named(url))))


def _named(url: str) -> Path:
    """The file as the URL names it, which may be a link."""
    return Path(str(parsed_url(url).database))


def _first_there(*paths: Path) -> Path:
    return next((path for path in paths if path.exists()), paths[0])


def told(error: object) -> str:
    """Return in one line what a driver says, and what to do where SQLite could not write.

    It writes `-wal` and `-shm` even to read, but for what `engine.sqlite_uri` says.
    """
    text = " ".join(str(error).split())
    if any(words in text for words in _UNWRITABLE):
        text += (
            ": to be written, or read with a -wal beside it, the file and its folder must be "
            "writable, with space left; else copy the file, and its -wal if there is one, to a "
            "folder of yours"
        )
    return text


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
