"""Where what belongs to a study lies, if nothing else is said: its database, files and clips."""

from pathlib import Path

from evaluation.errors import UsageError

DATABASE_URL = "sqlite:///vgan-eval.db"


def files_folder(db: str, files: Path | None) -> Path:
    """Return the folder that belongs to a database.

    Raises:
        UsageError: the database is no local file and no folder was named.
        DatabaseError: see `parsed_url`.
    """
    from evaluation.sqlite_file import files_beside

    folder = files or files_beside(db)
    if folder is None:
        raise UsageError("--files DIR is missing: a database server has no folder beside it")
    return folder


def media_store(db: str, files: Path | None, media: str | None) -> str:
    """Return where the encoded clips of a database lie, for `open_store`."""
    return media or str(files_folder(db, files) / "media")
