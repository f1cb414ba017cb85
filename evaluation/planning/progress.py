"""How far a study is: what is planned, counted and under lease, per cell, and what is stuck."""

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation import frozen
from evaluation.budget import PairUse
from evaluation.schema import (
    Assignment,
    Environment,
    Judgment,
    JudgmentStatus,
    Pair,
    PlanBatch,
    Question,
    Showing,
    ShowingStatus,
    Study,
    Trial,
    TrialKind,
)
from evaluation.study import Comparison

_Cell = tuple[str, str, str]
_CELL: tuple[Any, ...] = (Pair.source_a, Pair.source_b, Pair.category)
_MANY_LEASES = 3  # without an answer, as a trial has them that people give up on


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

    @property
    def comparison(self) -> Comparison:
        """The row it is in."""
        return Comparison(self.source_a, self.source_b)


class StarvedTrial(NamedTuple):
    """A test trial that was handed out again and again and still lacks a counted judgment."""

    trial: int
    source_a: str
    source_b: str
    category: str
    leases: int

    @property
    def comparison(self) -> Comparison:
        """The row it is in."""
        return Comparison(self.source_a, self.source_b)


def has_simulated(session: Session, study: Study) -> bool:
    """Tell whether simulated raters have started sessions of the study; only reads."""
    found = select(Assignment.id).where(
        Assignment.study_id == study.id, Assignment.environment == Environment.SIMULATED
    )
    return session.scalar(found.limit(1)) is not None


def planned_use(session: Session, study: Study) -> PairUse:
    """Return how many test trials the plan has, later batches included; only reads."""
    of_pairs = (
        select(func.count())
        .where(Trial.study_id == study.id, Trial.kind == TrialKind.TEST)
        .group_by(Trial.pair_id)
    )
    return PairUse.of(session.scalars(of_pairs))


def study_progress(session: Session, study: Study) -> list[CellProgress]:
    """Return the progress of every cell and question, in the study file's order; only reads."""
    test = (Trial.study_id == study.id, Trial.kind == TrialKind.TEST)
    planned = session.execute(
        select(*_CELL, func.count())
        .join(Trial, Trial.pair_id == Pair.id)
        .where(*test)
        .group_by(*_CELL)
        .order_by(func.min(Trial.id))
    ).all()
    leased: dict[_Cell, int] = {
        (row[0], row[1], row[2]): row[3]
        for row in session.execute(
            select(*_CELL, func.count())
            .join(Trial, Trial.pair_id == Pair.id)
            .join(Showing, Showing.trial_id == Trial.id)
            .where(*test, Showing.status == ShowingStatus.LEASED)
            .group_by(*_CELL)
        )
    }
    counted: dict[tuple[_Cell, int], int] = {
        ((row[0], row[1], row[2]), row[3]): row[4]
        for row in session.execute(
            select(*_CELL, Judgment.question_id, func.count())
            .join(Trial, Trial.pair_id == Pair.id)
            .join(Judgment, Judgment.trial_id == Trial.id)
            .where(*test, Judgment.status == JudgmentStatus.COUNTED)
            .group_by(*_CELL, Judgment.question_id)
        )
    }
    questions = session.execute(
        select(Question.id, Question.name)
        .where(Question.study_id == study.id)
        .order_by(Question.position)
    ).all()
    return [
        CellProgress(*cell, name, row[3], counted.get((cell, question_id), 0), leased.get(cell, 0))
        for row in sorted(planned, key=_declared_order(study))
        for cell in [(row[0], row[1], row[2])]
        for question_id, name in questions
    ]


def _declared_order(study: Study) -> Callable[[Any], tuple[int, int]]:
    """Return the key by which cells are sorted: rows, then categories, as the study names them."""
    design = frozen.design(study)
    rows = {row: i for i, row in enumerate(design.comparisons)}
    categories = {name: i for i, name in enumerate(design.categories)}

    def key(row: Any) -> tuple[int, int]:
        a, b, category = row[:3]
        return rows.get(Comparison(a, b), len(rows)), categories.get(category, len(categories))

    return key


def first_plan(session: Session, study: Study) -> dict[str, int]:
    """Return the judgments of each row in its first plan batch, by the row's name; only reads.

    They were fixed before anybody looked, whatever was added since.
    """
    rows = session.execute(
        select(Pair.source_a, Pair.source_b, PlanBatch.number, func.count())
        .join(Trial, Trial.pair_id == Pair.id)
        .join(PlanBatch, PlanBatch.id == Trial.batch_id)
        .where(Trial.study_id == study.id, Trial.kind == TrialKind.TEST)
        .group_by(Pair.source_a, Pair.source_b, PlanBatch.number)
        .order_by(PlanBatch.number.desc())  # so that the first batch has the last word
    )
    return {Comparison(a, b).label: int(n) for a, b, _, n in rows}


def starved_trials(session: Session, study: Study) -> list[StarvedTrial]:
    """Return the free test trials that had many leases, the hungriest first."""
    given = func.count().label("given")
    rows = session.execute(
        select(Trial.id, *_CELL, given)
        .join(Pair, Trial.pair_id == Pair.id)
        .join(Showing, Showing.trial_id == Trial.id)
        .where(Trial.study_id == study.id, Trial.kind == TrialKind.TEST, Trial.free)
        .group_by(Trial.id, *_CELL)
        .having(given >= _MANY_LEASES)
        .order_by(given.desc(), Trial.id)
    )
    return [StarvedTrial(row[0], row[1], row[2], row[3], row[4]) for row in rows]
