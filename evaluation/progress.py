"""How far a study is: what is planned, counted and under lease, per cell, and what is stuck."""

from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation.schema import (
    Assignment,
    Environment,
    Judgment,
    JudgmentStatus,
    Pair,
    Question,
    Showing,
    ShowingStatus,
    Study,
    Trial,
    TrialKind,
)

_Cell = tuple[str, str, str]


class CellProgress(NamedTuple):
    """Test trials of one cell and question.

    Args:
        source_a: first source of the comparison.
        source_b: second source.
        category: of the pairs.
        question: name of the question.
        planned: trials in the plan.
        counted: those with a counted judgment for this question.
        leased: those that a worker has under a live lease, or one that nobody has ended yet.
    """

    source_a: str
    source_b: str
    category: str
    question: str
    planned: int
    counted: int
    leased: int


class StarvedTrial(NamedTuple):
    """A test trial that was handed out again and again and still lacks a counted judgment."""

    trial: int
    source_a: str
    source_b: str
    category: str
    leases: int


def has_simulated(session: Session, study: Study) -> bool:
    """Tell whether simulated raters have started sessions of the study; only reads."""
    found = select(Assignment.id).where(
        Assignment.study_id == study.id, Assignment.environment == Environment.SIMULATED
    )
    return session.scalar(found.limit(1)) is not None


def _cell() -> tuple[Any, ...]:
    return (Pair.source_a, Pair.source_b, Pair.category)


def study_progress(session: Session, study: Study) -> list[CellProgress]:
    """Return the progress of every cell and question, in the order of the plan; only reads."""
    test = (Trial.study_id == study.id, Trial.kind == TrialKind.TEST)
    planned = session.execute(
        select(*_cell(), func.count(), func.min(Trial.id).label("first"))
        .join(Trial, Trial.pair_id == Pair.id)
        .where(*test)
        .group_by(*_cell())
        .order_by("first")
    ).all()
    leased: dict[_Cell, int] = {
        (row[0], row[1], row[2]): row[3]
        for row in session.execute(
            select(*_cell(), func.count())
            .join(Trial, Trial.pair_id == Pair.id)
            .join(Showing, Showing.trial_id == Trial.id)
            .where(*test, Showing.status == ShowingStatus.LEASED)
            .group_by(*_cell())
        )
    }
    counted: dict[tuple[_Cell, int], int] = {
        ((row[0], row[1], row[2]), row[3]): row[4]
        for row in session.execute(
            select(*_cell(), Judgment.question_id, func.count())
            .join(Trial, Trial.pair_id == Pair.id)
            .join(Judgment, Judgment.trial_id == Trial.id)
            .where(*test, Judgment.status == JudgmentStatus.COUNTED)
            .group_by(*_cell(), Judgment.question_id)
        )
    }
    questions = session.execute(
        select(Question.id, Question.name)
        .where(Question.study_id == study.id)
        .order_by(Question.position)
    ).all()
    return [
        CellProgress(*cell, name, row[3], counted.get((cell, question_id), 0), leased.get(cell, 0))
        for row in planned
        for cell in [(row[0], row[1], row[2])]
        for question_id, name in questions
    ]


def starved_trials(session: Session, study: Study, *, leases: int = 3) -> list[StarvedTrial]:
    """Return the free test trials that had at least so many leases, the hungriest first."""
    given = func.count().label("given")
    rows = session.execute(
        select(Trial.id, *_cell(), given)
        .join(Pair, Trial.pair_id == Pair.id)
        .join(Showing, Showing.trial_id == Trial.id)
        .where(Trial.study_id == study.id, Trial.kind == TrialKind.TEST, Trial.free)
        .group_by(Trial.id, *_cell())
        .having(given >= leases)
        .order_by(given.desc(), Trial.id)
    )
    return [StarvedTrial(row[0], row[1], row[2], row[3], row[4]) for row in rows]
