"""How a session ends: finished, returned, or withdrawn by its worker."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from evaluation.errors import SessionClosed, SessionIncomplete
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    Judgment,
    JudgmentStatus,
    Question,
    Showing,
    ShowingStatus,
    Study,
)
from evaluation.secret import completion_code
from evaluation.sessions.leases import free_trials, locked_showings, set_status


def finish_session(
    session: Session, assignment: Assignment, now: datetime, survey: Mapping[str, str] | None = None
) -> str:
    """Mark a wholly answered session as submitted; a late worker's too.

    Args:
        session: of a write unit.
        assignment: the session.
        now: aware.
        survey: its answers; those of the first of several posts are kept.

    Returns:
        The completion code. Finishing again returns the same one and changes nothing.

    Raises:
        SessionIncomplete: a showing lacks an answer; the message names it.
        SessionClosed: the session was returned or withdrawn.
    """
    session.refresh(assignment, with_for_update={"key_share": True})
    if assignment.status in (AssignmentStatus.RETURNED, AssignmentStatus.WITHDRAWN):
        raise SessionClosed(f"this session was {assignment.status}; it cannot be finished")
    if assignment.status is not AssignmentStatus.ACCEPTED:
        return assignment.completion_code
    missing = _missing_answers(session, assignment)
    if missing:
        shown = ", ".join(f"{position} ({question})" for position, question in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise SessionIncomplete(f"the session lacks the answers of showing {shown}{more}")
    study = session.get_one(Study, assignment.study_id)
    assignment.status = AssignmentStatus.SUBMITTED
    assignment.submitted_at = now
    assignment.completion_code = completion_code(study.secret, assignment.id, assignment.nonce)
    assignment.survey = dict(survey or {})
    session.flush()
    return assignment.completion_code


def _missing_answers(session: Session, assignment: Assignment) -> list[tuple[int, str]]:
    """Return position and question of each answer that a session lacks, in order."""
    rows = session.execute(
        select(Showing.position, Question.name)
        .join(Question, Question.study_id == assignment.study_id)
        .outerjoin(
            Judgment,
            (Judgment.showing_id == Showing.id) & (Judgment.question_id == Question.id),
        )
        .where(Showing.assignment_id == assignment.id, Judgment.id.is_(None))
        .order_by(Showing.position, Question.position)
    )
    return [(row.position, row.name) for row in rows]


def answered_trials(session: Session, assignments: Collection[int]) -> dict[int, tuple[int, int]]:
    """Return how many of their trials sessions answered, and how many they have; only reads.

    They are by our ids; a session without trials is not in the result.
    """
    given = (
        select(func.count(Judgment.id))
        .where(Judgment.showing_id == Showing.id)
        .correlate(Showing)
        .scalar_subquery()
    )
    asked = (
        select(func.count(Question.id))
        .where(Question.study_id == Assignment.study_id)
        .correlate(Assignment)
        .scalar_subquery()
    )
    query = (
        select(Showing.assignment_id, func.sum(case((given >= asked, 1), else_=0)), func.count())
        .join(Assignment, Showing.assignment_id == Assignment.id)
        .where(Showing.assignment_id.in_(assignments))
        .group_by(Showing.assignment_id)
    )
    return {one: (int(answered), trials) for one, answered, trials in session.execute(query)}


def end_leases(session: Session, assignment: Assignment) -> None:
    """Free the trials that a session still holds; the answers that it gave stay."""
    leased = Showing.status == ShowingStatus.LEASED
    showings, trials = locked_showings(session, assignment, leased)
    if showings:
        set_status(session, showings, ShowingStatus.EXPIRED)
        free_trials(session, session.get_one(Study, assignment.study_id), trials)


def return_session(session: Session, assignment: Assignment) -> None:
    """Give a session back: its judgments count no more and its trials are free again.

    Raises:
        SessionClosed: already submitted or withdrawn. Returning twice is harmless.
    """
    session.refresh(assignment, with_for_update={"key_share": True})
    if assignment.status is AssignmentStatus.RETURNED:
        return
    if assignment.status is not AssignmentStatus.ACCEPTED:
        raise SessionClosed(f"this session is {assignment.status}; it cannot be returned")
    _close(session, assignment, ShowingStatus.RETURNED, JudgmentStatus.RETURNED)
    assignment.status = AssignmentStatus.RETURNED
    session.flush()


def withdraw_session(session: Session, assignment: Assignment) -> None:
    """Take a worker's session out of the study at their wish, whatever its state, and free it.

    What is owed for it stays owed: payments look at reviews, not at judgments.
    """
    session.refresh(assignment, with_for_update={"key_share": True})
    if assignment.status is AssignmentStatus.WITHDRAWN:
        return
    _close(session, assignment, ShowingStatus.WITHDRAWN, JudgmentStatus.WITHDRAWN)
    assignment.status = AssignmentStatus.WITHDRAWN
    session.flush()


def _close(
    session: Session,
    assignment: Assignment,
    showing_status: ShowingStatus,
    judgment_status: JudgmentStatus,
) -> None:
    showings, trials = locked_showings(session, assignment)
    set_status(session, showings, showing_status)
    # After the showings are locked: a judgment that was being recorded is committed by now.
    session.execute(
        update(Judgment).where(Judgment.showing_id.in_(showings)).values(status=judgment_status),
        execution_options={"synchronize_session": "evaluate"},
    )
    free_trials(session, session.get_one(Study, assignment.study_id), trials)
