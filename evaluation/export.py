"""A study as files that can be published: judgments, sessions, clips, study file, dictionary.

`judgment_rows` is also what the analysis reads from a database, so that a table is the same from
either.
"""

import csv
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from evaluation.database import Database, find_study
from evaluation.errors import UsageError
from evaluation.exporting.columns import (
    CLIP_COLUMNS,
    JUDGMENT_COLUMNS,
    SESSION_COLUMNS,
    Column,
    Value,
    data_dictionary,
    names,
)
from evaluation.exporting.rows import clip_rows, judgment_rows, session_rows
from evaluation.exporting.study_text import public_text
from evaluation.files import make_private, remove_parts, written_whole
from evaluation.privacy.pseudonyms import database_key

__all__ = ["ExportReport", "export_study", "judgment_rows", "session_rows"]


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote, in rows."""

    folder: Path
    judgments: int
    sessions: int
    clips: int


def export_study(
    database: Database,
    study_name: str | None,
    out: Path,
    *,
    key: bytes | None = None,
    unlinkable: bool = False,
    all_judgments: bool = False,
    survey: bool = False,
) -> ExportReport:
    """Write a study into a folder; files that are there are replaced, all or none.

    Args:
        database: holding the study.
        study_name: None where the database holds one study only.
        out: the folder, made if needed.
        key: of the pseudonyms; None takes the installation's, made on first use.
        unlinkable: give pseudonyms that match no other study's.
        all_judgments: write late and returned judgments too.
        survey: write the survey's answers.

    Raises:
        UsageError: the study must be named, or is not there, the key is damaged, or the folder
            holds another study, or a study file that is no export's.
        EvaluationError: a file cannot be written (a full disk); the folder is as it was.
    """
    key = key or database_key(database)
    with database.read(snapshot=True) as session, ExitStack() as together:

        def new(name: str) -> Path:
            remove_parts(out / name)  # they would be published with the folder
            return together.enter_context(written_whole(out / name))

        study = find_study(session, study_name)
        _check_folder(out, study.name)
        judgments = judgment_rows(
            session, study, key=key, unlinkable=unlinkable, all_judgments=all_judgments
        )
        n_judgments = _write_csv(new("judgments.csv"), JUDGMENT_COLUMNS, judgments)
        sessions = session_rows(session, study, key=key, unlinkable=unlinkable, survey=survey)
        part = new("sessions.csv")
        if survey:
            make_private(part)  # what people wrote may say who they are
        n_sessions = _write_csv(part, SESSION_COLUMNS, sessions)
        n_clips = _write_csv(new("clips.csv"), CLIP_COLUMNS, clip_rows(session, study))
        _write_text(new("study.toml"), public_text(study.study_file))
        _write_text(new("data-dictionary.md"), data_dictionary())
    return ExportReport(out, n_judgments, n_sessions, n_clips)


def _check_folder(out: Path, study: str) -> None:
    file = out / "study.toml"
    # Of an export that was killed the dictionary is there first.
    if file.exists() and not (out / "data-dictionary.md").exists():
        raise UsageError(
            f"{file} is no export's, and would be replaced by its public text; name another folder"
        )
    try:
        held = tomllib.loads(file.read_text(encoding="utf-8-sig"))["study"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # nothing that names a study
    if held != study:
        raise UsageError(
            f"{out} holds study `{held}`, which an export of `{study}` would replace; name another "
            "folder"
        )


def _write_text(path: Path, text: str) -> None:
    with _new(path) as file:
        file.write(text)


def _write_csv(path: Path, columns: tuple[Column, ...], rows: Iterable[Mapping[str, Value]]) -> int:
    """Write the rows under a header line; returns how many there were."""
    order = names(columns)
    count = 0
    with _new(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(order)
        for count, row in enumerate(rows, 1):  # noqa: B007 (the count of rows is wanted)
            writer.writerow([_field(row[column]) for column in order])
    return count


@contextmanager
def _new(path: Path) -> Iterator[TextIO]:
    """Open a new file, and see that it is on the disk before the others of its folder follow."""
    with path.open("w", encoding="utf-8", newline="") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _field(value: Value) -> str | int | float | None:
    """A field as the file has it: flags in lower case, the rest as the csv module writes it."""
    return str(value).lower() if isinstance(value, bool) else value
