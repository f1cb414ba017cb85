"""To which questions the good clip of a gold or practice pair is the right answer."""

from typing import Any

from sqlalchemy import ColumnElement, case, select

from evaluation import frozen
from evaluation.schema import Judgment, Question, Study, Trial


def known_answer(study: Study) -> ColumnElement[Any]:
    """Return the right answer to a judgment's question, for a query of judgments and trials.

    Returns:
        A column with the side of the good clip; null where there is none, and for questions to
        which it need not be the answer.
    """
    answered = select(Question.id).where(
        Question.study_id == study.id, Question.name.in_(frozen.gold_questions(study))
    )
    return case((Judgment.question_id.in_(answered), Trial.correct))
