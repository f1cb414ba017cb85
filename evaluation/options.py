"""Options that several `vgan-eval` commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from evaluation.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

Folder = click.Path(path_type=Path)

database_option = click.option(
    "--db",
    metavar="URL",
    envvar="VGAN_EVAL_DB",
    default="sqlite:///vgan-eval.db",
    show_default=True,
    help="The study database: sqlite:///FILE or postgresql://USER@HOST/NAME. [env: VGAN_EVAL_DB]",
)
study_option = click.option(
    "--study", metavar="NAME", help="Which study, where the database holds more than one."
)
files_option = click.option(
    "--files",
    metavar="DIR",
    envvar="VGAN_EVAL_FILES",
    type=Folder,
    help="Folder of the database's files: encoded clips and clips made for gold trials "
    "(default: FILE.files beside an SQLite database). [env: VGAN_EVAL_FILES]",
)
media_option = click.option(
    "--media",
    metavar="WHERE",
    envvar="VGAN_EVAL_MEDIA",
    help="Where encoded clips lie: a folder or s3://BUCKET/PREFIX (default: media/ in --files). "
    "[env: VGAN_EVAL_MEDIA]",
)
port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)


def study_options(function: F) -> F:
    """Add --db and --study."""
    return database_option(study_option(function))


def media_options(function: F) -> F:
    """Add --files and --media."""
    return files_option(media_option(function))


def files_folder(db: str, files: Path | None) -> Path:
    """Return the folder that belongs to a database.

    Raises:
        UsageError: the database is no local file and no folder was named.
    """
    if files is not None:
        return files
    prefix = "sqlite:///"
    if db.startswith(prefix):
        return Path(db.removeprefix(prefix)).with_suffix(".files")
    if "://" not in db:
        return Path(db).with_suffix(".files")
    raise UsageError("--files DIR is missing: a database server has no folder beside it")


def media_store(db: str, files: Path | None, media: str | None) -> str:
    """Return where the encoded clips of a database lie, for `open_store`."""
    return media or str(files_folder(db, files) / "media")
