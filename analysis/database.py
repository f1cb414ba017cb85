"""Judgments straight from a study database, as the text the export would have written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from analysis.declared import Declared
from analysis.names import Names
from evaluation import frozen
from evaluation.database import find_study, open_database
from evaluation.export import judgment_rows
from evaluation.exporting.columns import JUDGMENT_COLUMNS, names
from evaluation.planning.progress import first_plan
from evaluation.planning.unmatched import Unmatched, items_held, unmatched_items
from evaluation.privacy.pseudonyms import known_key
from evaluation.schema import Clip, Source, Study
from evaluation.sessions.stopped import cut_short
from evaluation.study import Comparison

_COLUMNS = names(JUDGMENT_COLUMNS)


def read_database(url: str, study: str | None, option: str = "--study") -> pd.DataFrame:
    """Return the judgments of one study as text in the contract's columns.

    Args:
        url: of the database.
        study: its name, where the database holds several.
        option: what names it, for the message that asks for it.

    Raises:
        DatabaseError: the database is missing or of another version.
        UsageError: the study must be named, or is not there.
    """
    with open_database(url) as database, database.read() as session:
        found = find_study(session, study, option)
        # Pseudonyms only tell workers apart, which any key does until somebody comes back after
        # `forget`; then there is a key.
        key = known_key(database.url) or found.secret
        rows = [
            [text_of(row[column]) for column in _COLUMNS]
            for row in judgment_rows(session, found, key=key)
        ]
        frame = pd.DataFrame(rows, columns=list(_COLUMNS), dtype=str)
        frame.attrs["declared"] = _declared(session, found)
        frame.attrs["stopped"] = cut_short(session, found)
    return frame


def _declared(session: Session, study: Study) -> Declared:
    design, analysis = frozen.design(study), frozen.analysis(study)
    unmatched: tuple[Unmatched, ...] = ()
    if design.leaves_out:
        held = (
            select(Source.name, Clip.category, Clip.item)
            .join(Source, Clip.source_id == Source.id)
            .where(Clip.study_id == study.id)
        )
        clips = items_held(session.execute(held))
        unmatched = unmatched_items(design.comparisons, design.categories, clips)
    return Declared(
        seed=study.seed,
        comparisons=design.comparisons,
        categories=design.categories,
        exclude=analysis.exclude,
        primary=tuple(Comparison(*row) for row in analysis.primary),
        stop_when=analysis.stop_when,
        planned=first_plan(session, study),
        names=Names.of(frozen.source_names(study), frozen.category_names(study)),
        wordings=frozen.wordings(study),
        allow_tie=design.allow_tie,
        unmatched=unmatched,
    )


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
