"""Judgments straight from a study database, as the text the export would have written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import select

from analysis.declared import (
    categories_of,
    comparisons_of,
    exclusions_of,
    primary_of,
    stop_when_of,
)
from analysis.load import COLUMNS
from analysis.stopping import first_plan
from evaluation.database import find_study, open_database
from evaluation.export import judgment_rows
from evaluation.schema import Clip


def read_database(url: str, study: str | None) -> pd.DataFrame:
    """Return the judgments of one study as text in the contract's columns.

    Args:
        url: of the database.
        study: its name, where the database holds several.

    Raises:
        DatabaseError: the database is missing or of another version.
        UsageError: the study must be named, or is not there.
    """
    database = open_database(url)
    try:
        with database.read() as session:
            found = find_study(session, study)
            # Any key gives the same numbers: pseudonyms only tell workers apart.
            rows = [
                [text_of(row.get(column)) for column in COLUMNS]
                for row in judgment_rows(session, found, key=found.secret)
            ]
            frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype=str)
            analysis = found.design.get("analysis", {})
            stop_when = stop_when_of(analysis)
            frame.attrs.update(
                seed=found.seed,
                comparisons=comparisons_of(found.design.get("design", {}), ()),
                categories=categories_of(found.design.get("design", {})),
                declared=exclusions_of(analysis),
                primary=primary_of(analysis),
                stop_when=stop_when,
                planned=first_plan(session, found) if stop_when else {},
            )
    finally:
        database.close()
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
    database = open_database(url)
    try:
        with database.read() as session:
            found = find_study(session, study)
            query = select(Clip.name, Clip.path).where(Clip.study_id == found.id)
            places = {name: Path(path) for name, path in session.execute(query)}
    finally:
        database.close()

    def find(clip: str) -> Path | None:
        path = places.get(clip)
        return path if path is not None and path.is_file() else None

    return find
