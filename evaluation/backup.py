"""A copy of a SQLite study database that is whole, made while people rate.

A plain copy of the file is not: what was written last lies in the `-wal` file beside it.
"""

import os
import sqlite3
from pathlib import Path

from evaluation.engine import parsed_url, sqlite_uri
from evaluation.errors import DatabaseError, UsageError
from evaluation.files import make_private, part_of
from evaluation.sqlite_file import told


def back_up(url: str, out: Path) -> None:
    """Copy a SQLite database as it is at one moment; one of an older version too.

    Args:
        url: as for `open_database`.
        out: the copy, for its owner only; it appears when it is whole.

    Raises:
        UsageError: the database is no SQLite file, or `out` exists.
        DatabaseError: it is missing or damaged, or the copy cannot be written.
    """
    source = parsed_url(url)
    if source.get_backend_name() != "sqlite":
        raise UsageError(
            f"PostgreSQL makes its own backups: pg_dump --format=custom --file={out} --dbname=URL"
        )
    file = Path(str(source.database))
    if not file.is_file():
        raise DatabaseError(f"{file}: no database here")
    if not out.parent.is_dir():
        raise DatabaseError(f"{out}: the folder {out.parent} does not exist; make it first")
    if out.exists():
        raise _exists(out)
    part = part_of(out)
    try:
        make_private(part)
        _copy(file, part)
        _move(part, out)
    except (sqlite3.Error, OSError) as error:
        raise DatabaseError(f"{file}: cannot be copied to {out} ({told(error)})") from None
    finally:
        for left in (part, part.with_name(f"{part.name}-journal")):
            left.unlink(missing_ok=True)


def _exists(out: Path) -> UsageError:
    return UsageError(f"{out}: exists already; give the copy another name")


def _move(part: Path, out: Path) -> None:
    """Give the copy its name, which may have been taken while it was made."""
    try:
        os.link(part, out)  # unlike a rename, this never replaces
    except FileExistsError:
        raise _exists(out) from None
    except OSError:  # a memory stick knows no links
        if out.exists():
            raise _exists(out) from None
        part.replace(out)


def _copy(file: Path, part: Path) -> None:
    source, copy = sqlite3.connect(sqlite_uri(file), uri=True), sqlite3.connect(part)
    try:
        source.backup(copy)
    finally:
        copy.close()
        source.close()
