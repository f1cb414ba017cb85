"""What the study file declared about the analysis, read from the copy beside the judgments."""

import csv
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from analysis.errors import JudgmentsError
from analysis.preference import Comparison


def read_declared(path: Path, study: str) -> dict[str, Any]:
    """Return what a study file declares of its seed, rows, categories, plan and analysis.

    Only these keys are read: the file's clip folders need not exist where the analysis runs. A
    file that names no categories has those of its clips, which the export lists in `clips.csv`.

    Args:
        path: `study.toml` of the export; it may be missing.
        study: name of the study whose judgments are analysed.

    Returns:
        `seed`, `comparisons`, `categories`, `declared`, `primary`, `stop_when` and, with a stopping
        rule, `planned` (test judgments of each row in the first plan, by its name in data, where
        the file tells) where the file is there and is of this study, else nothing.

    Raises:
        JudgmentsError: the file is not TOML, or `clips.csv` not CSV.
    """
    tables = _tables(path, study)
    if not tables:
        return {}
    analysis, design = tables.get("analysis", {}), tables.get("design", {})
    sources = tables.get("sources", {})
    rows = comparisons_of(design, list(sources) if isinstance(sources, dict) else [])
    compared = {source for row in rows for source in row}
    named, stop_when = categories_of(design), stop_when_of(analysis)
    needed = stop_when or not named
    clips = _clips_in(path.with_name("clips.csv"), study) if needed else Counter()
    categories = named or tuple(sorted({name for source, name in clips if source in compared}))
    return {
        "seed": tables["study"].get("seed"),
        "comparisons": rows,
        "categories": categories,
        "declared": exclusions_of(analysis),
        "primary": primary_of(analysis),
        "stop_when": stop_when,
        "planned": _planned(design, rows, categories, clips) if stop_when else {},
    }


def survey_choices(path: Path, study: str) -> dict[str, tuple[str, ...]]:
    """Return the declared choices of each survey question by its id; empty for free text.

    Args:
        path: as in `read_declared`.
        study: as in `read_declared`.

    Raises:
        JudgmentsError: the file is not TOML.
    """
    return choices_of(_tables(path, study).get("survey", ()))


def choices_of(survey: Any) -> dict[str, tuple[str, ...]]:
    """Return the declared choices by question id, of the questions of a study's [[survey]]."""
    questions = survey if isinstance(survey, list | tuple) else ()
    found = {}
    for question in questions:
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


def exclusions_of(analysis: Any) -> tuple[str, ...]:
    """Return the rules in `exclude` of a study's [analysis] table."""
    rules = analysis.get("exclude", ()) if isinstance(analysis, dict) else ()
    return tuple(str(rule) for rule in rules) if isinstance(rules, list | tuple) else (str(rules),)


def comparisons_of(design: Any, sources: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of sources in `comparisons` of a study's [design] table, in its order."""
    rows = design.get("comparisons", ()) if isinstance(design, dict) else ()
    return tuple(combinations(sources, 2)) if rows == "all" else _pairs(rows)


def categories_of(design: Any) -> tuple[str, ...]:
    """Return `categories` of a study's [design] table; empty where it names none."""
    names = design.get("categories", ()) if isinstance(design, dict) else ()
    return tuple(map(str, names)) if isinstance(names, list | tuple) else ()


def _clips_in(path: Path, study: str) -> Counter[tuple[str, str]]:
    """Count the clips in an exported `clips.csv` by source and category."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return Counter(
                (clip.get("source") or "", clip["category"])
                for clip in csv.DictReader(file)
                if clip.get("study") == study and clip.get("category")
            )
    except OSError:
        return Counter()  # only the judgments were kept
    except (UnicodeDecodeError, csv.Error) as error:
        raise JudgmentsError(f"{path}: not a UTF-8 CSV file ({error})") from None


def _planned(
    design: Any,
    rows: Sequence[tuple[str, str]],
    categories: Sequence[str],
    clips: Mapping[tuple[str, str], int],
) -> dict[str, int]:
    """Test judgments of each row in the first plan; a row is left out where they are not known."""
    counts = design if isinstance(design, dict) else {}
    per_cell, per_pair = counts.get("judgments_per_cell"), counts.get("judgments_per_pair")
    planned = {}
    for a, b in rows:
        if isinstance(per_cell, int):
            n = per_cell * len(categories)
        elif isinstance(per_pair, int):  # by item: every clip of A has one partner
            n = per_pair * sum(clips.get((a, category), 0) for category in categories)
        else:
            n = 0
        if n > 0:
            planned[Comparison(a, b).label] = n
    return planned


def primary_of(analysis: Any) -> tuple[tuple[str, str], ...]:
    """Return the pairs of sources in `primary` of a study's [analysis] table."""
    return _pairs(analysis.get("primary", ()) if isinstance(analysis, dict) else ())


def stop_when_of(analysis: Any) -> str | None:
    """Return `stop_when` of a study's [analysis] table; None where there is no stopping rule."""
    rule = analysis.get("stop_when") if isinstance(analysis, dict) else None
    return str(rule) if rule else None


def _pairs(rows: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(rows, list | tuple):
        return ()
    pairs = [row for row in rows if isinstance(row, list | tuple) and len(row) == 2]
    return tuple((str(a), str(b)) for a, b in pairs)
