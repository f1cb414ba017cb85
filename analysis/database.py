"""Judgments straight from a study database, as the text the export would have written."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import select

from analysis.declared import Declared
from evaluation.database import find_study, open_database
from evaluation.export import judgment_rows
from evaluation.exporting.columns import JUDGMENT_COLUMNS, names
from evaluation.planning.progress import first_plan
from evaluation.schema import Clip
from evaluation.sessions.stopped import cut_short

_COLUMNS = names(JUDGMENT_COLUMNS)


def read_database(url: str, study: str | None) -> pd.DataFrame:
    """Return the judgments of one study as text in the contract's columns.

    Args:
        url: of the database.
        study: its name, where the database holds several.

    Raises:
        DatabaseError: the database is missing or of another version.
        UsageError: the study must be named, or is not there.
    """
    with open_database(url) as database, database.read() as session:
        found = find_study(session, study)
        # Any key gives the same numbers: pseudonyms only tell workers apart.
        rows = [
            [text_of(row[column]) for column in _COLUMNS]
            for row in judgment_rows(session, found, key=found.secret)
        ]
        frame = pd.DataFrame(rows, columns=list(_COLUMNS), dtype=str)
        declared = Declared.of(found.seed, {**found.design, **found.settings})
        planned = first_plan(session, found)
        frame.attrs["declared"] = replace(declared, planned=planned)
        frame.attrs["stopped"] = cut_short(session, found)
    return frame


def text_of(value: Any) -> str:
    """One field as the export writes it; missing is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def clips_of(url: str, study: str | None) -> Callable[[str], Path | None]:
    """Look clips up where they lay when the study was made."""
    with open_database(url) as database, database.read() as session:
        found = find_study(session, study)
        query = select(Clip.name, Clip.path).where(Clip.study_id == found.id)
        places = {name: Path(path) for name, path in session.execute(query)}

    def find(clip: str) -> Path | None:
        path = places.get(clip)
        return path if path is not None and path.is_file() else None

    return find
