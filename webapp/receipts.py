"""What the page hands in to a platform when a session is finished.

The database is the record; the receipt lets a person see in the platform's own list that a
submission belongs to it, and which answers it stood for.
"""

import hashlib

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation.schema import Assignment, Judgment, Question, Showing, Study

_DIGITS = 16


def receipt(session: Session, study: Study, assignment: Assignment) -> dict[str, str]:
    """Return the form fields: ids, the design's hash, how many judgments, and their checksum.

    The checksum is over position, question and choice of every judgment, in order of showing.
    """
    rows = session.execute(
        select(Showing.position, Question.name, Judgment.choice)
        .join(Judgment, Judgment.showing_id == Showing.id)
        .join(Question, Question.id == Judgment.question_id)
        .where(Showing.assignment_id == assignment.id)
        .order_by(Showing.position, Question.position)
    ).all()
    text = "\n".join(f"{position} {question} {choice}" for position, question, choice in rows)
    return {
        "assignmentId": assignment.external_id,
        "design": study.design_hash[:_DIGITS],
        "judgments": str(len(rows)),
        "checksum": hashlib.sha256(text.encode()).hexdigest()[:_DIGITS],
    }
