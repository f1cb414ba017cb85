"""What the study file declared about the analysis, read from the copy beside the judgments."""

import tomllib
from pathlib import Path
from typing import Any

from analysis.errors import JudgmentsError


def read_declared(path: Path, study: str) -> dict[str, Any]:
    """Return the seed, the exclusions and the primary rows that a study file declares.

    Only these keys are read: the file's clip folders need not exist where the analysis runs.

    Args:
        path: `study.toml` of the export; it may be missing.
        study: name of the study whose judgments are analysed.

    Returns:
        `seed`, `declared` and `primary` where the file is there and is of this study, else nothing.

    Raises:
        JudgmentsError: the file is not TOML.
    """
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise JudgmentsError(f"{path}: not a TOML file ({error})") from None
    about = tables.get("study", {})
    if not isinstance(about, dict) or about.get("name") != study:
        return {}
    analysis = tables.get("analysis", {})
    return {
        "seed": about.get("seed"),
        "declared": exclusions_of(analysis),
        "primary": primary_of(analysis),
    }


def exclusions_of(analysis: Any) -> tuple[str, ...]:
    """Return the rules in `exclude` of a study's [analysis] table."""
    rules = analysis.get("exclude", ()) if isinstance(analysis, dict) else ()
    return tuple(str(rule) for rule in rules) if isinstance(rules, list | tuple) else (str(rules),)


def primary_of(analysis: Any) -> tuple[tuple[str, str], ...]:
    """Return the pairs of sources in `primary` of a study's [analysis] table."""
    rows = analysis.get("primary", ()) if isinstance(analysis, dict) else ()
    if not isinstance(rows, list | tuple):
        return ()
    pairs = [row for row in rows if isinstance(row, list | tuple) and len(row) == 2]
    return tuple((str(a), str(b)) for a, b in pairs)
