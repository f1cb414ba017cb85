"""What a study declared of its analysis: from its file beside the judgments, or its database."""

import csv
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import JudgmentsError
from analysis.names import Names
from evaluation.planning.unmatched import Items, Unmatched, items_held, unmatched_items
from evaluation.study import DEFAULT_SEED, Comparison, Question


@dataclass(frozen=True)
class Declared:
    """What a study fixed of its analysis before its data; empty where nobody recorded it.

    Args:
        seed: of the plan, or None.
        comparisons: the rows, in the study's order.
        categories: of every row.
        exclude: the exclusion rules in force.
        primary: the rows whose tests are primary.
        stop_when: the stopping rule, or None.
        planned: test judgments of each row in the first plan, by its name in data; a row is left
            out where they are not known.
        names: of its sources and categories, for print.
        wordings: what each question asks, by its id.
        allow_tie: whether it offers "no difference" as an answer.
        unmatched: the cells that leave items out, as a source lacks them.
    """

    seed: int | None = None
    comparisons: tuple[Comparison, ...] = ()
    categories: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    primary: tuple[Comparison, ...] = ()
    stop_when: str | None = None
    planned: Mapping[str, int] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    wordings: Mapping[str, str] = field(default_factory=dict)
    allow_tie: bool = False
    unmatched: tuple[Unmatched, ...] = ()

    def __deepcopy__(self, memo: object) -> "Declared":
        """Return itself: pandas copies a frame's `attrs` with every column that is read."""
        return self


def declared_of(judgments: pd.DataFrame) -> Declared:
    """Return what the study of these judgments declares, which `load_judgments` puts there."""
    found: Declared = judgments.attrs.get("declared", Declared())
    return found


def read_declared(path: Path, study: str) -> Declared:
    """Return what a study file declares.

    Only these keys are read: the file's clip folders need not exist where the analysis runs. A
    file that names no categories has those of its clips, which the export lists in `clips.csv`.

    Args:
        path: `study.toml` of the export; it may be missing.
        study: name of the study whose judgments are analysed.

    Returns:
        Nothing where the file is not there or of another study.

    Raises:
        JudgmentsError: the file is not TOML, or `clips.csv` not CSV.
    """
    tables = _tables(path, study)
    if not tables:
        return Declared()
    found = _of_tables(tables)
    clips = _clips_in(path.with_name("clips.csv"), study)
    compared = {source for row in found.comparisons for source in row.sources}
    judged = sorted({name for source, name in clips if source in compared})
    categories = found.categories or tuple(judged)
    design = _table(tables, "design")
    planned = _planned(design, found.comparisons, categories, clips)
    unmatched: tuple[Unmatched, ...] = ()
    if design.get("unmatched") == "leave-out":
        unmatched = unmatched_items(found.comparisons, categories, clips)
    return replace(found, categories=categories, planned=planned, unmatched=unmatched)


def survey_choices(path: Path, study: str) -> dict[str, tuple[str, ...]]:
    """Return the declared choices of each survey question by its id; empty for free text.

    The arguments are those of `read_declared`.

    Raises:
        JudgmentsError: the file is not TOML.
    """
    survey = _tables(path, study).get("survey", ())
    found = {}
    for question in survey if isinstance(survey, list) else ():
        if isinstance(question, dict) and "id" in question:
            choices = question.get("choices", ())
            listed = choices if isinstance(choices, list | tuple) else ()
            found[str(question["id"])] = tuple(map(str, listed))
    return found


def _tables(path: Path, study: str) -> dict[str, Any]:
    """The tables of a study file; empty where it is missing or of another study."""
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise JudgmentsError(f"{path}: not a TOML file ({error})") from None
    about = tables.get("study", {})
    return tables if isinstance(about, dict) and about.get("name") == study else {}


def _table(tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A table of the file; empty where there is none, or something else has its name."""
    table = tables.get(name)
    return table if isinstance(table, dict) else {}


def _of_tables(tables: Mapping[str, Any]) -> Declared:
    """What the tables of a study file declare, but for what they leave to the clips."""
    design, analysis, sources, categories = (
        _table(tables, name) for name in ("design", "analysis", "sources", "categories")
    )
    rows, rule = design.get("comparisons", ()), analysis.get("stop_when")
    every = tuple(Comparison(a, b) for a, b in combinations(sources, 2))
    named = {slug: s.get("name") for slug, s in sources.items() if isinstance(s, dict)}
    return Declared(
        seed=tables["study"].get("seed", DEFAULT_SEED),
        comparisons=every if rows == "all" else _comparisons(rows),
        categories=_texts(design.get("categories", ())),
        exclude=_texts(analysis.get("exclude", ())),
        primary=_comparisons(analysis.get("primary", ())),
        stop_when=str(rule) if rule else None,
        names=Names.of(named, categories),
        wordings=_wordings(tables.get("questions", ())),
        allow_tie=design.get("allow_tie") is True,
    )


def _wordings(questions: Any) -> dict[str, str]:
    """What each question asks; without any, there is the default one."""
    given = [q for q in questions if isinstance(q, dict)] if isinstance(questions, list) else []
    default = asdict(Question())
    return {str(q["id"]): str(q["text"]) for q in ({**default, **one} for one in given or [{}])}


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(map(str, values)) if isinstance(values, list | tuple) else (str(values),)


def _comparisons(rows: Any) -> tuple[Comparison, ...]:
    if not isinstance(rows, list | tuple):
        return ()
    pairs = [row for row in rows if isinstance(row, list | tuple) and len(row) == 2]
    return tuple(Comparison(str(a), str(b)) for a, b in pairs)


def _clips_in(path: Path, study: str) -> Items:
    """Return the items of an exported `clips.csv` by source and category."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return items_held(
                (clip.get("source") or "", clip["category"], clip.get("item") or "")
                for clip in csv.DictReader(file)
                if clip.get("study") == study and clip.get("category")
            )
    except OSError:
        return {}  # only the judgments were kept
    except (UnicodeDecodeError, csv.Error) as error:
        raise JudgmentsError(f"{path}: not a UTF-8 CSV file ({error})") from None


def _planned(
    design: Mapping[str, Any],
    rows: Sequence[Comparison],
    categories: Sequence[str],
    held: Items,
) -> dict[str, int]:
    """Test judgments of each row in the first plan; a row is left out where they are not known."""
    per_cell, per_pair = design.get("judgments_per_cell"), design.get("judgments_per_pair")
    planned = {}
    for row in rows:
        if isinstance(per_cell, int):
            n = per_cell * len(categories)
        elif isinstance(per_pair, int):  # by item: of those that both sources have
            n = per_pair * sum(Unmatched.of(row, name, held).left for name in categories)
        else:
            n = 0
        if n > 0:
            planned[row.label] = n
    return planned
