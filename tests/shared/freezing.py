"""Freeze a study where only its rows are looked at: without its media, or row by row."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation import schema
from evaluation.planning.design import design_hash, design_of, settings_of
from evaluation.planning.plan_rows import StudyRows
from evaluation.study import Comparison, Design, Source, Study


@contextmanager
def without_media() -> Iterator[None]:
    """Encode and store nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StudyRows, "encode", lambda *_: None)
        patch.setattr("evaluation.stimuli.prepare_stimuli", lambda *_, **__: None)
        yield


def study_of(name: str, *cells: tuple[str, str, str], **tables: Any) -> Study:
    """Return the study file of cells (source_a, source_b, category), with these of its tables."""
    rows = dict.fromkeys((a, b) for a, b, _ in cells)
    sources = dict.fromkeys(source for row in rows for source in row)
    design = Design(
        comparisons=tuple(Comparison(*row) for row in rows),
        categories=tuple(dict.fromkeys(category for *_, category in cells)),
        judgments_per_cell=2,
    )
    study = Study(
        name=name,
        title="Which?",
        seed=1,
        path=Path("study.toml"),
        sources=tuple(Source(one, Path(one), one) for one in sources),
        design=design,
    )
    return replace(study, **tables)


def frozen(study: Study) -> dict[str, Any]:
    """Return what `init` stores of a study file in its row, by the functions that it has."""
    design = design_of(study, study.design.categories, ())
    return {
        "name": study.name,
        "title": study.title,
        "seed": study.seed,
        "design": design,
        "design_hash": design_hash(design),
        "settings": settings_of(study),
    }


def freeze_tables(row: schema.Study, **tables: Any) -> None:
    """Store these tables of a study file in a study's row, in the place of those it has."""
    stored = frozen(study_of(row.name, **tables))
    for column in ("design", "settings"):
        new = {name: stored[column][name] for name in tables if name in stored[column]}
        setattr(row, column, getattr(row, column) | new)
