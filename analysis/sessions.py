"""What the sessions tell: who finished, who left, on which devices, and what the survey says.

Read from the study database, or from the `sessions.csv` that the export writes beside its
judgments. Survey answers are in that file only where the export was asked for them. Free text is
counted, never printed, because it may name a person: an answer is printed only where the study
file (in the database, or beside the judgments) declares it as a choice.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from analysis.csv_text import read_csv_text
from analysis.database import text_of
from analysis.declared import survey_choices
from analysis.errors import JudgmentsError
from analysis.text import Grid, percent_text
from evaluation import frozen
from evaluation.database import find_study, open_database
from evaluation.exporting.rows import session_rows

_NEEDED = ("study", "status", "seconds", "trials", "judgments")
_USED = (*_NEEDED, "answered", "device", "screen", "refresh_hz", "survey")
_FREE = "free text, not printed"
_NO_FILE = "not printed: no study file declares its choices"
_NOT_DECLARED = "an answer that is not among the choices, not printed"


def read_sessions(
    db: str | None, judgments: Path | None, study: str, *, survey: bool = False
) -> pd.DataFrame | None:
    """Return the sessions of a study as text, one row each, or None where there is no file.

    Its `attrs["choices"]` has the declared choices of each survey question by id; they are empty
    for free text, and a question is missing where no study file declares it.

    Args:
        db: database URL; None to look beside the judgments.
        judgments: the file whose folder may hold `sessions.csv`.
        study: its name.
        survey: read the answers to the survey from a database.

    Raises:
        JudgmentsError: the file is not one that the export wrote.
    """
    if db is not None:
        return _from_database(db, study, survey=survey)
    path = judgments.parent / "sessions.csv" if judgments is not None else None
    if path is None or not path.is_file():
        return None
    frame = read_csv_text(path)
    missing = [name for name in _NEEDED if name not in frame.columns]
    if missing:
        raise JudgmentsError(f"{path}: missing required columns: {', '.join(missing)}")
    for name in _USED:
        if name not in frame.columns:
            frame[name] = ""
    mine = frame[frame["study"] == study]
    mine.attrs["choices"] = survey_choices(path.with_name("study.toml"), study)
    return mine


def _from_database(db: str, study: str, *, survey: bool) -> pd.DataFrame:
    with open_database(db) as database, database.read() as session:
        found = find_study(session, study)
        choices = {question.id: question.choices for question in frozen.survey(found)}
        rows = [
            [text_of(row.get(name)) for name in _USED]
            for row in session_rows(session, found, key=found.secret, survey=survey)
        ]
    frame = pd.DataFrame(rows, columns=list(_USED), dtype=str)
    frame.attrs["choices"] = choices
    return frame


def session_funnel(sessions: pd.DataFrame) -> Grid:
    """Return how many sessions were started, answered, and handed in, and what became of them.

    Args:
        sessions: from `read_sessions`.
    """
    trials, given, answered = (
        pd.to_numeric(sessions[c], errors="coerce") for c in ("trials", "judgments", "answered")
    )
    done = sessions["status"].isin(["submitted", "approved", "rejected"])
    steps = [("started", len(sessions)), ("gave an answer", int((given > 0).sum()))]
    if answered.notna().all():  # an older file has only answers, of which a trial may have several
        steps.append(("answered every trial", int((answered >= trials).sum())))
    steps.append(("handed in", int(done.sum())))
    steps += [(f"now {status}", n) for status, n in sorted(Counter(sessions["status"]).items())]
    rows = [(name, f"{n:,}", _share(n, len(sessions))) for name, n in steps]
    seconds = pd.to_numeric(sessions["seconds"], errors="coerce").dropna()
    if len(seconds):
        rows.append(("minutes, median", f"{seconds.median() / 60:.1f}", ""))
    return ("sessions", "number", "percent"), [tuple(row) for row in rows]


def devices(sessions: pd.DataFrame) -> Grid:
    """Return how many sessions were rated on what: device, screen and refresh rate."""
    rows: list[tuple[str, ...]] = []
    for name, column in (("device", "device"), ("screen", "screen"), ("Hz", "refresh_hz")):
        counts = Counter(value or "not known" for value in sessions[column])
        if list(counts) == ["not known"]:
            continue
        for value, n in counts.most_common(6):
            rows.append((name, value, f"{n:,}", _share(n, len(sessions))))
    return ("what", "value", "sessions", "percent"), rows


def survey_answers(sessions: pd.DataFrame) -> Grid:
    """Return how often each declared choice of the survey was given; other answers as a number.

    Args:
        sessions: from `read_sessions`.

    Raises:
        JudgmentsError: a survey is not the JSON object that the export writes.
    """
    choices: dict[str, tuple[str, ...]] = sessions.attrs.get("choices", {})
    rows: list[tuple[str, ...]] = []
    for question, counts in _answers(sessions["survey"]).items():
        declared, total = choices.get(question, ()), counts.total()
        rows += [(question, c, f"{counts[c]:,}", _share(counts[c], total)) for c in declared]
        others = total - sum(counts[choice] for choice in declared)
        if others:
            what = _NOT_DECLARED if declared else _FREE if question in choices else _NO_FILE
            rows.append((question, what, f"{others:,}", _share(others, total)))
    return ("question", "answer", "sessions", "percent"), rows


def _answers(surveys: Iterable[str]) -> dict[str, Counter[str]]:
    """How often each answer was given, by the id of the question."""
    found: dict[str, Counter[str]] = {}
    for line, text in enumerate(surveys, 2):
        if not text:
            continue
        try:
            answers = json.loads(text)
        except json.JSONDecodeError:
            answers = None
        if not isinstance(answers, dict):
            raise JudgmentsError(f"sessions.csv:{line}: column `survey` is not a JSON object")
        for question, answer in answers.items():
            found.setdefault(str(question), Counter())[str(answer)] += 1
    return found


def _share(n: int, total: int) -> str:
    return percent_text(100 * n / total, 0) if total else percent_text(None)
