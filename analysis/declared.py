"""What the study file declared about the analysis, read from the copy beside the judgments."""

import tomllib
from pathlib import Path
from typing import Any

from analysis.errors import JudgmentsError


def read_declared(path: Path, study: str) -> dict[str, Any]:
    """Return the seed and the exclusions that a study file declares.

    Only these keys are read: the file's clip folders need not exist where the analysis runs.

    Args:
        path: `study.toml` of the export; it may be missing.
        study: name of the study whose judgments are analysed.

    Returns:
        `seed` and `declared` where the file is there and is of this study, else nothing.

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
    return {"seed": about.get("seed"), "declared": exclusions_of(tables.get("analysis", {}))}


def exclusions_of(analysis: Any) -> tuple[str, ...]:
    """Return the rules in `exclude` of a study's [analysis] table."""
    rules = analysis.get("exclude", ()) if isinstance(analysis, dict) else ()
    return tuple(str(rule) for rule in rules) if isinstance(rules, list | tuple) else (str(rules),)
