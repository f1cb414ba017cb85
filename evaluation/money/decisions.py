"""The rows of a review: a decision is written down before the platform is told, then ticked off."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation import schema
from evaluation.crowd.base import PlatformAssignment
from evaluation.money.ledger import intend_reward, settle_reward
from evaluation.money.policy import JUDGED
from evaluation.privacy.erasing import keep_decisions, rejected_stone, settled_digests
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    CallState,
    Hit,
    Judgment,
    Review,
    ReviewDecision,
    Showing,
)
from evaluation.sessions.arrivals import get_worker
from evaluation.sessions.closing import end_leases

STATUS = {decision: status for status, decision in JUDGED.items()}


@dataclass(frozen=True)
class Due:
    """One assignment to settle: what the platform says, and what is to become of it.

    Args:
        theirs: as the platform lists it.
        hit_id: ours.
        decision: approve or reject.
        text: for the worker.
        digest: of a session whose ids are gone; else empty.
    """

    theirs: PlatformAssignment
    hit_id: int
    decision: ReviewDecision
    text: str
    digest: str = ""


def latest_review(session: Session, assignment: Assignment) -> Review | None:
    """Return the last decision about a session, whatever became of it."""
    query = select(Review).where(Review.assignment_id == assignment.id)
    return session.scalars(query.order_by(Review.number.desc()).limit(1)).first()


def count_answers(session: Session, assignment: Assignment) -> int:
    """Return how many answers a session gave, whatever became of them."""
    query = select(func.count(Judgment.id)).join(Showing, Judgment.showing_id == Showing.id)
    return int(session.scalar(query.where(Showing.assignment_id == assignment.id)) or 0)


def note_unknown(session: Session, study: schema.Study, due: Due, now: datetime) -> Assignment:
    """Write down a submission by a worker who never started here: it may cost money too."""
    hit = session.get_one(Hit, due.hit_id)
    at = due.theirs.submitted_at or now
    worker = get_worker(session, hit.crowd, hit.environment, due.theirs.worker, now)
    ours = Assignment(
        study_id=study.id,
        hit_id=hit.id,
        worker_id=worker.id,
        crowd=hit.crowd,
        environment=hit.environment,
        external_id=due.theirs.external_id,
        status=AssignmentStatus.SUBMITTED,
        accepted_at=at,
        lease_until=at,
        submitted_at=at,
    )
    session.add(ours)
    session.flush()
    return ours


def intend_review(
    session: Session, study: schema.Study, ours: Assignment, due: Due, now: datetime
) -> Review:
    """Write down the decision, unless an interrupted run has."""
    latest = latest_review(session, ours)
    if latest is not None:
        if latest.decision is due.decision:
            return latest
        if latest.state is CallState.INTENDED:
            latest.state = CallState.FAILED  # the platform was told otherwise meanwhile
    made = Review(
        assignment_id=ours.id,
        number=latest.number + 1 if latest else 1,
        decision=due.decision,
        reason=due.text,
        state=CallState.INTENDED,
        created_at=now,
    )
    session.add(made)
    session.flush()
    if due.decision is ReviewDecision.APPROVE:
        intend_reward(session, study, ours, now)
    return made


def tick_off(session: Session, review: Review, now: datetime) -> None:
    """Note that the platform knows a decision: the session's status, and the ledger.

    Who was at work by our books has left on the platform: what they still hold is free again.
    """
    review.state, review.done_at = CallState.DONE, now
    assignment = session.get_one(Assignment, review.assignment_id)
    if assignment.status is AssignmentStatus.ACCEPTED:
        end_leases(session, assignment)
    if assignment.status is not AssignmentStatus.WITHDRAWN:  # paid all the same
        assignment.status = STATUS[review.decision]
    settle_reward(session, assignment, now, paid=review.decision is ReviewDecision.APPROVE)


def note_reversal(session: Session, study: schema.Study, due: Due, now: datetime) -> None:
    """Book a rejection that was reversed on the platform after the ids were taken away, once."""
    if settled_digests(session, study)[due.digest] is due.decision:
        return  # another run was first
    stone = rejected_stone(session, due.hit_id)
    tick_off(session, intend_review(session, study, stone, due, now), now)
    keep_decisions(session, study.id, {due.digest: due.decision}, now)
