"""Other people's studies: a long pairwise table becomes a judgments.csv in the contract's columns.

Nothing is guessed. A column of the contract is mapped to a column of the table, or set to one value
for all rows, or derived as said below, or left empty where the analysis can do without it.

Derived: `pair_type`, `label`, and `choice` from `left_chosen` (1, 0, or 0.5 for a tie) or `winner`
(the name of the chosen source, or `tie`); clip ids from source, category and `item`, where the
table names what is shown but not the files; `trial` from the row's line; `assignment` from the
worker (or the worker and `session`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.csv_text import read_csv_text
from analysis.errors import JudgmentsError, UsageError
from analysis.load import COLUMNS, REQUIRED, check_judgments
from evaluation.files import write_atomic

# What the analysis cannot do without, and what to say where it is missing.
_ESSENTIAL = {
    "worker": "who judged; without it no interval can be right",
    "left_source": "the source on the left (or the first of the pair)",
    "right_source": "the source on the right (or the second of the pair)",
}
_CHOSEN = ("choice", "left_chosen", "winner")
_DEFAULTS = {"trial_kind": "test", "category": "all", "crowd": "imported"}
_TARGETS = (*COLUMNS, "left_chosen", "winner")
_CHOICES = ("left", "right", "tie")
_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


@dataclass(frozen=True)
class Imported:
    """What an import wrote.

    Args:
        judgments: how many rows.
        workers: how many people.
        notes: what was derived, set or is missing, one sentence each.
    """

    judgments: int
    workers: int
    notes: tuple[str, ...]


def parse_assignments(option: str, values: tuple[str, ...]) -> dict[str, str]:
    """Read `COLUMN=VALUE` options.

    Args:
        option: its name, for messages.
        values: as given.

    Raises:
        UsageError: one is not of this form, names no column of the contract, or comes twice.
    """
    found: dict[str, str] = {}
    for text in values:
        column, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not value:
            raise UsageError(f"{option} {text}: write COLUMN=VALUE, such as worker=observer")
        if column not in _TARGETS:
            raise UsageError(
                f"{option} {text}: no column {column!r} in judgments.csv; it has "
                f"{', '.join(_TARGETS)}"
            )
        if column in found:
            raise UsageError(f"{option} {text}: {column} is given twice")
        found[column] = value
    return found


def parse_answers(values: tuple[str, ...]) -> dict[str, str]:
    """Read `THEIRS=CHOICE` options: what a table writes for left, right and tie.

    Raises:
        UsageError: one is not of this form, or comes twice.
    """
    found: dict[str, str] = {}
    for text in values:
        theirs, equals, choice = (part.strip() for part in text.rpartition("="))
        if not equals or choice not in _CHOICES:
            raise UsageError(
                f"--answer {text}: write THEIRS=left, THEIRS=right or THEIRS=tie, such as "
                "model_a=left"
            )
        if theirs in found:
            raise UsageError(f"--answer {text}: {theirs!r} is given twice")
        found[theirs] = choice
    return found


def import_table(
    path: Path,
    out: Path,
    study: str,
    columns: Mapping[str, str],
    constants: Mapping[str, str],
    *,
    answers: Mapping[str, str] | None = None,
    ratings: Sequence[str] = (),
) -> Imported:
    """Turn a published table, one row per judgment, into judgments.csv.

    Args:
        path: CSV with a header, or tab-separated where its name ends in .tsv.
        out: the file to write.
        study: name of the study.
        columns: column of the table by column of the contract, or by `left_chosen` or `winner`.
        constants: one value for all rows, by column of the contract.
        answers: left, right or tie by what the column mapped to `choice` has.
        ratings: columns of a rating matrix, each named after a source: every two of them make a
            judgment, which the higher rating wins; equal ratings are a tie, empty ones nothing.

    Raises:
        UsageError: the mapping lacks what cannot be derived, or names a column that is not there.
        JudgmentsError: the table cannot be read, or a value breaks the contract; the message names
            the line.
    """
    if out.resolve() == path.resolve():
        raise UsageError(f"--out {out}: this is the table itself; write to another file")
    table = _read(path)
    columns = dict(columns)
    if ratings:
        table = _pairs_of_ratings(path, table, ratings)
        columns |= {name: name for name in ("left_source", "right_source", "choice")}
    _check_mapping(path, table, columns, constants)
    frame = pd.DataFrame(index=table.index)
    for target, column in columns.items():
        frame[target] = table[column].str.strip()
    if answers:
        _translate(frame, path, answers)
    for target, value in {**_DEFAULTS, **constants, "study": study}.items():
        if target not in columns:
            frame[target] = value
    notes = [f"each two of {', '.join(ratings)} are a judgment"] if ratings else []
    notes += [f"{c} is `{v}` in all rows" for c, v in _DEFAULTS.items() if _free(c, frame, v)]
    notes += _fill(frame, path)
    missing = [c for c in REQUIRED if (frame[c] == "").all()]
    if missing:
        notes.append(f"not in the table, and left empty: {', '.join(missing)}")
    if "loops" not in frame or (frame["loops"] == "").all():
        notes.append("without loops the rule `too-fast` cannot be applied")
    notes.append("sides are as mapped: where the table has no sides, side bias means nothing")
    frame = frame[[c for c in COLUMNS if c in frame]]
    check_judgments(frame, str(path))
    write_atomic(out, frame.to_csv(index=False, lineterminator="\n").encode())
    return Imported(len(frame), int(frame["worker"].nunique()), tuple(notes))


def _pairs_of_ratings(path: Path, table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Turn one row per worker and item, a rating per source, into one row per pair of sources."""
    for name in names:
        if name not in table.columns:
            there = ", ".join(map(str, table.columns))
            raise UsageError(f"--ratings {name}: {path} has no such column; it has {there}")
    if len(set(names)) < 2:
        raise UsageError("--ratings: name two columns or more, joined by commas")
    values = {name: _ratings(path, table, name) for name in names}
    others = table.drop(columns=list(names))
    parts = []
    for a, b in combinations(dict.fromkeys(names), 2):
        difference = (values[a] - values[b]).to_numpy()
        choice = np.select([difference > 0, difference < 0], ["left", "right"], "tie")
        pair = others.assign(left_source=a, right_source=b, choice=choice)
        parts.append(pair[~np.isnan(difference)])
    pairs = pd.concat(parts, ignore_index=True)
    if pairs.empty:
        raise JudgmentsError(f"{path}: no row has two ratings to compare")
    return pairs


def _ratings(path: Path, table: pd.DataFrame, name: str) -> "pd.Series[float]":
    text = table[name].str.strip()
    numbers = pd.to_numeric(text.where(text != "", None), errors="coerce").astype(float)
    bad = np.flatnonzero(((text != "") & numbers.isna()).to_numpy())
    if len(bad):
        raise JudgmentsError(
            f"{path}:{bad[0] + 2}: column {name!r} is not a rating: {text.iloc[bad[0]]!r}"
        )
    return numbers


def _translate(frame: pd.DataFrame, path: Path, answers: Mapping[str, str]) -> None:
    """Write left, right and tie for what the table has, in place."""
    if "choice" not in frame:
        raise UsageError("--answer is for the column mapped to choice: --map choice=COLUMN")
    bad = np.flatnonzero(~frame["choice"].isin(list(answers)).to_numpy())
    if len(bad):
        raise JudgmentsError(
            f"{path}:{bad[0] + 2}: choice {frame['choice'].iloc[bad[0]]!r} is in no --answer; "
            f"there is {', '.join(answers)}"
        )
    frame["choice"] = frame["choice"].map(dict(answers))


def _free(column: str, frame: pd.DataFrame, value: str) -> bool:
    return bool((frame[column] == value).all())


def _read(path: Path) -> pd.DataFrame:
    table = read_csv_text(path, "\t" if path.suffix.lower() == ".tsv" else ",")
    if table.empty:
        raise JudgmentsError(f"{path}: no judgments")
    return table


def _check_mapping(
    path: Path, table: pd.DataFrame, columns: Mapping[str, str], constants: Mapping[str, str]
) -> None:
    there = ", ".join(map(str, table.columns))
    for target, column in columns.items():
        if column not in table.columns:
            raise UsageError(f"--map {target}={column}: {path} has no such column; it has {there}")
    if twice := sorted(columns.keys() & constants.keys()):
        raise UsageError(f"{twice[0]} is both mapped and set; keep one")
    known = columns.keys() | constants.keys()
    for target, why in _ESSENTIAL.items():
        if target not in known:
            raise UsageError(f"--map {target}=COLUMN is missing: {why}; {path} has {there}")
    chosen = [c for c in _CHOSEN if c in known]
    if len(chosen) != 1:
        raise UsageError(
            "map exactly one of choice (left, right, tie), left_chosen (1, 0) and winner "
            f"(the chosen source); {path} has {there}"
        )
    clips = {"left_clip", "right_clip"} <= known
    if not clips and "item" not in known:
        raise UsageError(
            "--map left_clip=COLUMN and --map right_clip=COLUMN are missing; or, where the table "
            "only says what was shown (a scene, a prompt), --map item=COLUMN"
        )


def _fill(frame: pd.DataFrame, path: Path) -> list[str]:
    """Derive what the mapping left open, in place; say what."""
    notes = []
    if "trial" not in frame:
        frame["trial"] = [f"line-{i + 2}" for i in range(len(frame))]
        notes.append("every line is a trial of its own")
    if "assignment" not in frame:
        session = frame["worker"]
        if "session" in frame:
            session = session + "-" + frame["session"]
        frame["assignment"] = session
    _fill_pair(frame, notes)
    if "choice" in frame:
        frame["choice"] = frame["choice"].str.lower()
    else:
        frame["choice"] = _choices(frame, path)
    if "label" not in frame:
        frame["label"] = np.select(
            [frame["choice"] == "left", frame["choice"] == "right"],
            [frame["left_clip"], frame["right_clip"]],
            "",
        )
    for column in ("hit", "rt_ms", "answered_at"):
        if column not in frame:
            frame[column] = ""
    return notes


def _fill_pair(frame: pd.DataFrame, notes: list[str]) -> None:
    for side in ("left", "right"):
        if f"{side}_clip" not in frame:
            place = frame[f"{side}_source"] + "/" + frame["category"] + "/"
            frame[f"{side}_clip"] = place + frame["item"]
            notes.append(f"{side}_clip is source/category/item")
    left, right = frame["left_source"], frame["right_source"]
    if "pair_type" not in frame:
        lower, upper = left.where(left <= right, right), right.where(left <= right, left)
        frame["pair_type"] = lower + "__" + upper


def _choices(frame: pd.DataFrame, path: Path) -> np.ndarray:
    """Tell left, right or tie from `left_chosen` or `winner`."""
    if "left_chosen" in frame:
        value, lower = frame["left_chosen"], frame["left_chosen"].str.lower()
        sides = [lower.isin(_YES), lower.isin(_NO), lower == "0.5"]
        rule = "left_chosen must be 1, 0, or 0.5 for a tie"
    else:
        value = frame["winner"]
        same = frame["left_source"] == frame["right_source"]
        sides = [(value == frame["left_source"]) & ~same, (value == frame["right_source"]) & ~same]
        sides.append(value == "tie")
        rule = "winner must be one of the two sources shown, or tie"
    choice = np.select(sides, ["left", "right", "tie"], "")
    bad = np.flatnonzero(choice == "")
    if len(bad):
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise JudgmentsError(f"{path}:{bad[0] + 2}: {rule}, not {value.iloc[bad[0]]!r}{more}")
    return choice
