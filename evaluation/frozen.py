"""A frozen study read back: what `init` stored, in the dataclasses of `evaluation.study`.

The one door to the columns `design` and `settings` of a study, which `planning.design` writes. A
key that an older version did not store has its default, where nothing else is said here.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from evaluation.schema import Study
from evaluation.study import (
    Analysis,
    Comparison,
    Consent,
    Design,
    Display,
    Link,
    Pay,
    Prolific,
    Recruit,
    Session,
    SurveyQuestion,
    Workers,
)

T = TypeVar("T")


def design(study: Study) -> Design:
    """Return [design], with the categories that it came to."""
    stored = study.design["design"]
    rows = tuple(Comparison(a, b) for a, b in stored["comparisons"])
    return _table(Design, stored, comparisons=rows)


def session(study: Study) -> Session:
    """Return [session]."""
    return _table(Session, study.design["session"])


def wordings(study: Study) -> dict[str, str]:
    """Return what each question asks, by its id."""
    return {question["id"]: question["text"] for question in study.design["questions"]}


def gold_questions(study: Study) -> tuple[str, ...]:
    """Return the questions to which the good clip of a gold or practice pair is the answer."""
    named: list[str] = study.design["gold"].get("questions", [])
    return tuple(named or (question["id"] for question in study.design["questions"]))


def display(study: Study) -> Display:
    """Return [display]."""
    return _table(Display, study.design["display"])


def workers(study: Study) -> Workers:
    """Return [workers], with how many are expected."""
    expected = study.settings["expected_workers"]  # which is no part of the design
    return _table(Workers, study.design["workers"], workers=expected)


def analysis(study: Study) -> Analysis:
    """Return [analysis]."""
    return _table(Analysis, study.design["analysis"])


def pay(study: Study) -> Pay:
    """Return [pay]."""
    return _table(Pay, study.settings["pay"])


def recruit(study: Study) -> Recruit:
    """Return [recruit]."""
    stored = study.settings["recruit"]
    # The studies before [recruit.prolific] say nothing to people who find nothing left: unpaid.
    prolific = {"screen_out_cents": 0} | stored.get("prolific", {})
    return _table(
        Recruit,
        stored,
        link=_table(Link, stored.get("link", {})),
        prolific=_table(Prolific, prolific),
    )


def text(study: Study) -> dict[str, dict[str, str]]:
    """Return the study's own texts, by language."""
    texts: dict[str, dict[str, str]] = study.settings["text"]
    return texts


def consent(study: Study) -> Consent | None:
    """Return [consent]; None where nothing is consented to."""
    stored = study.settings["consent"]
    return stored and _table(Consent, stored)


def survey(study: Study) -> tuple[SurveyQuestion, ...]:
    """Return the questions that a session ends with."""
    return tuple(_table(SurveyQuestion, stored) for stored in study.settings["survey"])


def category_names(study: Study) -> dict[str, str]:
    """Return the names for print of the categories that have one."""
    names: dict[str, str] = study.settings["categories"]
    return names


def source_names(study: Study) -> dict[str, str]:
    """Return the names for print of the study file's sources."""
    return {name: stored["name"] for name, stored in study.settings["sources"].items()}


def retention_days(study: Study) -> int | None:
    """Return how long the platforms' ids are kept; None is for ever."""
    days: int | None = study.settings.get("retention_days")
    return days


def _table(kind: type[T], stored: Mapping[str, Any], **made: Any) -> T:
    """Return a table as its dataclass.

    Args:
        kind: the dataclass.
        stored: its keys; those that it does not know, of another version, are passed over.
        made: fields that JSON has in a form of its own.
    """
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type] # T is a dataclass
    values = {key: _tuples(value) for key, value in stored.items() if key in known}
    return kind(**values | made)


def _tuples(value: Any) -> Any:
    """Return the lists of JSON as the tuples that they were."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
