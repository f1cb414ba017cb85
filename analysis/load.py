"""Judgments from a study database or an exported file, checked against the contract.

`load_judgments` is the one door: whatever comes out of it has every column of the contract, no
duplicate, no naive time, no label that is in neither clip, and one study and question. What is to
be said of all of them is in `frame.attrs`: `study`, `study_hash`, `question` and `simulated`;
`notes` about what was ignored and `absent`, the columns that were not there; `declared`, a
`Declared`; and, from a database, `stopped`, the rows that lack judgments as a look stopped them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.csv_text import read_csv_text
from analysis.declared import read_declared
from analysis.errors import JudgmentsError, UsageError
from evaluation.exporting.columns import OPTIONAL_JUDGMENT_COLUMNS, REQUIRED_JUDGMENT_COLUMNS, names
from evaluation.quantities import quantity

REQUIRED = names(REQUIRED_JUDGMENT_COLUMNS)
OPTIONAL = names(OPTIONAL_JUDGMENT_COLUMNS)
COLUMNS = REQUIRED + OPTIONAL

_NUMBERS = ("rt_ms", "clip_ms", "loops", "position", "batch")
_FROM_ZERO = ("rt_ms", "clip_ms", "loops")
_FLAGS = {"counted": True, "simulated": False}  # what an empty field means
_TRUE, _FALSE = ("true", "1", "yes", "t"), ("false", "0", "no", "f")
_KINDS = ("test", "gold", "practice", "repeat", "identical")
_CHOICES = ("left", "right", "tie")
_NEEDED = tuple(c for c in REQUIRED if c not in ("label", "hit", "rt_ms", "answered_at"))


def load_judgments(
    db: str | None = None,
    file: Path | None = None,
    study: str | None = None,
    *,
    question: str | None = None,
    simulated: str = "refuse",
    duplicates: str = "refuse",
    options: str = "--",
) -> pd.DataFrame:
    """Load the judgments of one study and question.

    Args:
        db: database URL; give this or `file`.
        file: a `judgments.csv` in the contract's columns.
        study: which study, where there are several.
        question: which question, where there are several.
        simulated: where simulated and real rows are mixed: `refuse`, `include` or `exclude`.
        duplicates: for a second answer of one assignment to one trial: `refuse` or `keep-first`.
        options: what the options that choose one study or question begin with, for messages.

    Returns:
        One row per judgment, in the order given, all columns of the contract; numbers as float,
        `counted` and `simulated` as bool, `answered_at` in UTC, text as str (empty: missing).

    Raises:
        UsageError: neither or both of `db` and `file`, or the study or question must be named.
        JudgmentsError: the data breaks the contract; the message names the line and the column.
    """
    if (db is None) == (file is None):
        raise UsageError("give either --db URL or --judgments FILE")
    if file is not None:
        raw, name = read_csv_text(file), str(file)
    else:
        from analysis.database import read_database

        assert db is not None
        raw, name = read_database(db, study, f"{options}study"), "database"
    frame = check_judgments(raw, name)
    frame = _one_of(frame, "study", study, name, options)
    frame = _of_question(frame, question, name, options)
    frame = _duplicates(frame, duplicates, name)
    frame = _simulated(frame, simulated, name)
    _describe(frame, file)
    return frame


def check_judgments(raw: pd.DataFrame, name: str = "judgments") -> pd.DataFrame:
    """Check text columns against the contract and give them their types.

    Args:
        raw: text in every column; row i is line i + 2 of a file.
        name: of the file, for messages.

    Raises:
        JudgmentsError: a column is missing, a value is not allowed, or there are no rows.
    """
    missing = [c for c in REQUIRED if c not in raw.columns]
    if missing:
        raise JudgmentsError(f"{name}: missing required columns: {', '.join(missing)}")
    if raw.empty:
        raise JudgmentsError(f"{name}: no judgments")
    unknown = [str(c) for c in raw.columns if c not in COLUMNS]
    notes = [f"ignored unknown columns: {', '.join(unknown)}"] if unknown else []
    frame = raw[[c for c in COLUMNS if c in raw.columns]].copy()
    absent = [c for c in OPTIONAL if c not in frame.columns]
    for column in absent:
        frame[column] = ""
    frame.loc[frame["question"] == "", "question"] = "realism"
    _check_text(frame, name)
    for column in _NUMBERS:
        frame[column] = _numbers(frame, column, name)
    for column, empty in _FLAGS.items():
        frame[column] = _flags(frame, column, empty, name)
    if "simulated" in absent or (raw["simulated"] == "").any():
        # Older files may lack the flag but name the environment.
        frame["simulated"] |= frame["environment"] == "simulated"
    frame["answered_at"] = _times(frame, name)
    frame = frame[list(COLUMNS)]
    frame.attrs["notes"] = notes
    frame.attrs["absent"] = absent
    return frame


def _fail(name: str, bad: NDArray[np.bool_], message: str) -> None:
    """Raise for the first bad row, saying how many others there are."""
    rows = np.flatnonzero(bad)
    if len(rows):
        more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
        raise JudgmentsError(f"{name}:{rows[0] + 2}: {message}{more}")


def _values(frame: pd.DataFrame, column: str) -> NDArray[np.object_]:
    return frame[column].to_numpy(dtype=object)


def _check_text(frame: pd.DataFrame, name: str) -> None:
    """Check the words, that the label is the chosen clip, and that the pair type is right."""
    for column in _NEEDED:
        _fail(name, _values(frame, column) == "", f"column `{column}` is empty")
    for column, allowed in (("trial_kind", _KINDS), ("choice", _CHOICES)):
        bad = ~frame[column].isin(allowed).to_numpy()
        _fail(name, bad, f"column `{column}` must be one of {', '.join(allowed)}")
    choice, label = _values(frame, "choice"), _values(frame, "label")
    left, right = _values(frame, "left_clip"), _values(frame, "right_clip")
    tie = choice == "tie"
    _fail(name, tie & (label != ""), "a tie has a label; it must be empty")
    _fail(
        name,
        ~tie & (label != left) & (label != right),
        "the label is in neither clip: it must be left_clip or right_clip",
    )
    chosen = np.where(choice == "left", left, right)
    _fail(name, ~tie & (label != chosen), "the label is not the clip on the chosen side")
    _check_sources(frame, name)


def _check_sources(frame: pd.DataFrame, name: str) -> None:
    left, right = frame["left_source"], frame["right_source"]
    lower = left.where(left <= right, right)
    upper = right.where(left <= right, left)
    bad = (frame["pair_type"] != lower + "__" + upper).to_numpy()
    _fail(name, bad, "pair_type must be the two source names, sorted, joined by `__`")
    a, b = frame["source_a"], frame["source_b"]
    given = (a != "") | (b != "")
    matches = ((a == left) & (b == right)) | ((a == right) & (b == left))
    _fail(name, (given & ~matches).to_numpy(), "source_a, source_b are not the sources shown")


def _numbers(frame: pd.DataFrame, column: str, name: str) -> "pd.Series[float]":
    text = frame[column]
    numbers = pd.to_numeric(text.where(text != "", None), errors="coerce").astype(float)
    bad = ((text != "") & numbers.isna()).to_numpy() | np.isinf(numbers.to_numpy())
    _fail(name, bad, f"column `{column}` is not a number")
    if column in _FROM_ZERO:
        _fail(name, (numbers < 0).to_numpy(), f"column `{column}` is negative")
    return numbers


def _flags(frame: pd.DataFrame, column: str, empty: bool, name: str) -> "pd.Series[bool]":
    text = frame[column].str.lower()
    true = text.isin(_TRUE)
    bad = ~(true | text.isin(_FALSE) | (text == "")).to_numpy()
    _fail(name, bad, f"column `{column}` must be true or false")
    return true | (text == "") if empty else true


def _times(frame: pd.DataFrame, name: str) -> "pd.Series[pd.Timestamp]":
    """Parse ISO 8601 times; a time without a zone is refused, its zone would be a guess.

    An empty time is missing: published tables often have none.
    """
    text = frame["answered_at"]
    given = text != ""
    utc = text.str.endswith("Z") | text.str.endswith("+00:00")
    zoned = text.str.contains(r"[+-]\d{2}:?\d{2}$", regex=True)
    _fail(
        name,
        (given & ~utc & ~zoned).to_numpy(),
        "answered_at has no time zone; write 2026-01-31T12:00Z",
    )
    _fail(
        name,
        (given & ~utc & zoned).to_numpy(),
        "answered_at is not UTC; convert it, and end it in Z",
    )
    times = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    _fail(name, (given & times.isna()).to_numpy(), "answered_at is not an ISO 8601 time")
    return times


def _one_of(
    frame: pd.DataFrame, column: str, wanted: str | None, name: str, options: str
) -> pd.DataFrame:
    """Keep one study or question; refuse to choose one silently."""
    names = sorted(frame[column].unique())
    if wanted is None and len(names) > 1:
        listed = ", ".join(names[:8])
        raise UsageError(
            f"{name}: several {_plural(column)} ({listed}); choose by {options}{column} NAME"
        )
    if wanted is None:
        return frame
    if wanted not in names:
        listed = ", ".join(names[:8])
        raise UsageError(f"{name}: no {column} {wanted!r}; there is {listed}")
    return frame[frame[column] == wanted]


def _of_question(frame: pd.DataFrame, wanted: str | None, name: str, options: str) -> pd.DataFrame:
    """Keep one question, with the gold answers to others where it has no right answer itself.

    Who does not look is found by what has a right answer, whichever question a table is of.
    """
    kept = _one_of(frame, "question", wanted, name, options)
    question = str(kept["question"].iloc[0])
    gold = frame["trial_kind"] == "gold"
    mine, known = frame["question"] == question, gold & (frame["correct_choice"] != "")
    if known.any() and not (mine & known).any():
        kept = frame[mine & ~gold | known]
        others = " and ".join(sorted(frame.loc[known, "question"].unique()))
        kept.attrs["notes"] = [
            *kept.attrs["notes"],
            f"gold trials count by the answers to {others}, as none is right for {question}",
        ]
    kept.attrs["question"] = question
    return kept


def _plural(column: str) -> str:
    return "studies" if column == "study" else f"{column}s"


def _duplicates(frame: pd.DataFrame, policy: str, name: str) -> pd.DataFrame:
    """One answer per assignment, trial and question; one counted answer per trial and question."""
    again = frame.duplicated(["assignment", "worker", "trial", "question"])
    if "counted" not in frame.attrs["absent"]:
        counted = frame["counted"]
        again = again | (frame.duplicated(["trial", "question", "counted"]) & counted)
    if not again.any():
        return frame
    count = int(again.sum())
    if policy == "keep-first":
        frame.attrs["notes"].append(
            f"duplicates: {quantity(count, 'judgment')} left out, the first kept"
        )
        return frame[~again]
    line = int(frame.index[again.to_numpy()][0]) + 2
    raise JudgmentsError(
        f"{name}:{line}: the trial was already judged ({quantity(count, 'duplicate judgment')}); "
        "remove them, or use --exclude duplicates to keep the first"
    )


def _simulated(frame: pd.DataFrame, policy: str, name: str) -> pd.DataFrame:
    """Refuse to mix simulated and real judgments unless asked."""
    flag = frame["simulated"]
    if not flag.any() or policy == "include" or (policy == "refuse" and flag.all()):
        return frame
    if policy == "exclude":
        if flag.all():
            raise JudgmentsError(f"{name}: all judgments are simulated, so none is left")
        frame.attrs["notes"].append(f"{quantity(int(flag.sum()), 'simulated judgment')} left out")
        return frame[~flag]
    raise JudgmentsError(
        f"{int(flag.sum())} of {len(frame)} judgments are simulated; "
        "say --include-simulated or --exclude-simulated"
    )


def _describe(frame: pd.DataFrame, file: Path | None) -> None:
    """Put what the report prints under its tables into `frame.attrs`."""
    hashes = sorted(h for h in frame["study_hash"].unique() if h)
    if len(hashes) > 1:
        raise JudgmentsError(
            f"judgments of {len(hashes)} designs under one study name (study_hash differs)"
        )
    frame.attrs["study"] = str(frame["study"].iloc[0])
    frame.attrs["study_hash"] = hashes[0] if hashes else ""
    frame.attrs["simulated"] = bool(frame["simulated"].any())
    if file is not None:  # a database says it itself
        declared = read_declared(file.with_name("study.toml"), frame.attrs["study"])
        frame.attrs["declared"] = declared
