"""A study as files that can be published: judgments, sessions, clips, study file, dictionary.

`judgment_rows` is also what the analysis reads from a database, so that a table is the same from
either.
"""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from evaluation.columns import (
    CLIP_COLUMNS,
    JUDGMENT_COLUMNS,
    SESSION_COLUMNS,
    Column,
    data_dictionary,
    names,
)
from evaluation.database import Database, find_study
from evaluation.errors import EvaluationError
from evaluation.export_rows import Value, clip_rows, judgment_rows, session_rows
from evaluation.pseudonyms import installation_key, study_key

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
        unlinkable: use a key of this study's own: no pseudonym matches another study's.
        all_judgments: write late and returned judgments too.
        survey: write the survey's answers.

    Raises:
        UsageError: the study must be named, or is not there, or the key is damaged.
        EvaluationError: a file cannot be written (a full disk); the folder is as it was.
    """
    key = key or installation_key(database.url)
    with database.read(snapshot=True) as session, _Folder(out) as folder:
        study = find_study(session, study_name)
        if unlinkable:
            key = study_key(key, study)
        judgments = judgment_rows(session, study, key=key, all_judgments=all_judgments)
        n_judgments = folder.write_csv("judgments.csv", JUDGMENT_COLUMNS, judgments)
        sessions = session_rows(session, study, key=key, survey=survey)
        n_sessions = folder.write_csv("sessions.csv", SESSION_COLUMNS, sessions)
        n_clips = folder.write_csv("clips.csv", CLIP_COLUMNS, clip_rows(session, study))
        folder.write_text("study.toml", study.study_file)
        folder.write_text("data-dictionary.md", data_dictionary())
    return ExportReport(out, n_judgments, n_sessions, n_clips)


class _Folder:
    """A folder whose new files appear together when the `with` block ends well."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts: dict[Path, Path] = {}

    def __enter__(self) -> "_Folder":
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EvaluationError(f"{self._path}: cannot be made ({error.strerror})") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                for part, final in self._parts.items():
                    os.replace(part, final)
        finally:
            for part in self._parts:
                part.unlink(missing_ok=True)

    def write_text(self, name: str, text: str) -> None:
        with self._part(name) as file:
            file.write(text)

    def write_csv(
        self, name: str, columns: tuple[Column, ...], rows: Iterable[Mapping[str, Value]]
    ) -> int:
        """Write the rows under a header line; returns how many there were."""
        order = names(columns)
        count = 0
        with self._part(name) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(order)
            for count, row in enumerate(rows, 1):  # noqa: B007 (the count of rows is wanted)
                writer.writerow([_field(row[column]) for column in order])
        return count

    @contextmanager
    def _part(self, name: str) -> Iterator[TextIO]:
        """Open the new file under a temporary name."""
        final = self._path / name
        part = final.with_name(final.name + ".part")
        self._parts[part] = final
        try:
            with part.open("w", encoding="utf-8", newline="") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise EvaluationError(f"{final}: cannot be written ({error.strerror})") from error


def _field(value: Value) -> str | int | float | None:
    """A field as the file has it: flags in lower case, the rest as the csv module writes it."""
    return str(value).lower() if isinstance(value, bool) else value
