"""Review: collect what workers submitted, decide by a policy, tell the platform, keep the books.

Each call to a platform is written down, made, and ticked off. A process killed before or after
any single call leaves a row in state `intended`; the next run looks at what the platform shows and
only then makes the call. So nothing is approved or rejected twice, and nothing is forgotten. The
policy decides about pay only: what enters a table is decided by the analysis, later and apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation import schema
from evaluation.arrivals import get_worker, published_hits
from evaluation.crowd.base import Crowd, Growing, PlatformAssignment
from evaluation.database import Database, find_study
from evaluation.erasing import settled_digest, settled_digests
from evaluation.growing import close_returned
from evaluation.ledger import intend_reward, settle_reward
from evaluation.offers import once_group
from evaluation.policy import JUDGED, Policy, decide
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    CallState,
    Hit,
    Review,
    ReviewDecision,
    Worker,
)

_STATUS = {decision: status for status, decision in JUDGED.items()}

Clock = Callable[[], datetime]


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ReviewPlan:
    """What a review is about to do, or did.

    Args:
        approve: assignments to approve.
        reject: assignments to reject.
        noted: assignments decided on the platform (by a person, or by auto-approval) that are
            written into our books.
        already: assignments that were settled before.
        undecided: platform ids of submitted assignments without a finished session here; they are
            left for a person to look at (the platform approves them by itself in the end).
        unlisted: sessions finished here that the platform does not list: handed in a moment later,
            never handed in, or made up by somebody who knows the page's address.
        reward_cents: of those to approve; their money is on hold since publishing.
    """

    approve: int
    reject: int
    noted: int
    already: int
    undecided: tuple[str, ...]
    unlisted: int
    reward_cents: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.approve or self.reject or self.noted)


@dataclass(frozen=True)
class _Due:
    """One assignment to settle: what the platform says, and what is to become of it."""

    theirs: PlatformAssignment
    hit_id: int
    decision: ReviewDecision
    text: str


def review(
    db: Database,
    study_name: str | None,
    crowd: Crowd,
    policy: Policy | None = None,
    *,
    confirm: Callable[[ReviewPlan], bool] = lambda _: True,
    now: Clock = _utc_now,
) -> ReviewPlan:
    """Collect what workers submitted, decide by the policy, and tell the platform.

    Workers who have had all sessions that the study allows are put into the group that cannot
    take its next HITs.

    Args:
        db: the study database.
        study_name: slug; None where there is one study.
        crowd: the platform.
        policy: who is paid; the default pays all who finished.
        confirm: asked before anything is written or called; False stops.
        now: the clock.

    Raises:
        CrowdError: the platform refused or did not answer; run it again.
    """
    policy = policy or Policy()
    if policy.reject_unfinished and isinstance(crowd, Growing):
        crowd.check_rejection(policy.reason)
    with db.read() as session:
        study = find_study(session, study_name)
        published = published_hits(session, study, crowd.name, crowd.environment)
        hits = [(hit.id, str(hit.external_id)) for hit in published]
    collected = [(hit_id, theirs) for hit_id, hit in hits for theirs in crowd.assignments(hit)]
    with db.read() as session:
        plan, due = _planned(session, study, crowd, collected, policy)
    if not confirm(plan):
        return plan
    close_returned(db, study_name, crowd, now)
    for one in due:
        _settle(db, study.id, crowd, one, now)
    for hit_id, theirs in collected:
        _bar(db, study.id, crowd, hit_id, theirs)
    return plan


def _ours(
    session: Session, study_id: int, crowd: Crowd, theirs: PlatformAssignment
) -> Assignment | None:
    query = (
        select(Assignment)
        .join(Worker)
        .where(
            Assignment.study_id == study_id,
            Assignment.crowd == crowd.name,
            Assignment.environment == crowd.environment,
            Assignment.external_id == theirs.external_id,
            Worker.external_id == theirs.worker,
        )
    )
    return session.scalars(query).one_or_none()


def _latest(session: Session, assignment: Assignment) -> Review | None:
    query = select(Review).where(Review.assignment_id == assignment.id)
    return session.scalars(query.order_by(Review.number.desc()).limit(1)).first()


def _planned(
    session: Session,
    study: schema.Study,
    crowd: Crowd,
    collected: list[tuple[int, PlatformAssignment]],
    policy: Policy,
) -> tuple[ReviewPlan, list[_Due]]:
    """Decide about every collected assignment; only reads."""
    due, already, undecided, reward = [], 0, [], 0
    without_ids = settled_digests(session, study)
    for hit_id, theirs in collected:
        if settled_digest(study, theirs.external_id, theirs.worker) in without_ids:
            already += 1
            continue
        ours = _ours(session, study.id, crowd, theirs)
        latest = _latest(session, ours) if ours else None
        if latest and latest.state is CallState.DONE and _STATUS[latest.decision] is theirs.status:
            already += 1
            continue
        decided = decide(theirs, ours, latest, policy)
        if decided is None:
            undecided.append(theirs.external_id)
            continue
        due.append(_Due(theirs, hit_id, *decided))
        if theirs.status not in JUDGED and decided[0] is ReviewDecision.APPROVE:
            reward += session.get_one(Hit, hit_id).reward_cents
    calls = [one.decision for one in due if one.theirs.status not in JUDGED]
    approve = calls.count(ReviewDecision.APPROVE)
    plan = ReviewPlan(
        approve=approve,
        reject=len(calls) - approve,
        noted=len(due) - len(calls),
        already=already,
        undecided=tuple(undecided),
        unlisted=_unlisted(session, study, crowd, [theirs for _, theirs in collected]),
        reward_cents=reward,
    )
    return plan, due


def _unlisted(
    session: Session, study: schema.Study, crowd: Crowd, collected: list[PlatformAssignment]
) -> int:
    """Count the sessions finished here that are not among what the platform lists."""
    finished = session.execute(
        select(Assignment.external_id, Worker.external_id)
        .join(Worker)
        .where(
            Assignment.study_id == study.id,
            Assignment.crowd == crowd.name,
            Assignment.environment == crowd.environment,
            Assignment.status == AssignmentStatus.SUBMITTED,
        )
    ).all()
    listed = {(theirs.external_id, theirs.worker) for theirs in collected}
    return sum((assignment, worker) not in listed for assignment, worker in finished)


def _settle(db: Database, study_id: int, crowd: Crowd, due: _Due, now: Clock) -> None:
    """Write one decision down, tell the platform, tick it off."""
    theirs = due.theirs
    with db.write() as session:
        study = session.get_one(schema.Study, study_id)
        ours = _ours(session, study_id, crowd, theirs) or _note_unknown(session, study, due, now())
        review_id = _intend(session, study, ours, due, now())
    if theirs.status not in JUDGED:
        if due.decision is ReviewDecision.APPROVE:
            crowd.approve(theirs.external_id, due.text)
        else:
            crowd.reject(theirs.external_id, due.text)
    with db.write() as session:
        _tick_off(session, session.get_one(Review, review_id), now())


def _note_unknown(session: Session, study: schema.Study, due: _Due, now: datetime) -> Assignment:
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


def _intend(
    session: Session, study: schema.Study, ours: Assignment, due: _Due, now: datetime
) -> int:
    """Write down the decision, unless an interrupted run has; return the review's id."""
    latest = _latest(session, ours)
    if latest is not None:
        if latest.state is not CallState.FAILED and latest.decision is due.decision:
            return latest.id
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
    return made.id


def _tick_off(session: Session, review: Review, now: datetime) -> None:
    review.state, review.done_at = CallState.DONE, now
    assignment = session.get_one(Assignment, review.assignment_id)
    if assignment.status is not AssignmentStatus.WITHDRAWN:  # paid all the same
        assignment.status = _STATUS[review.decision]
    settle_reward(session, assignment, now, paid=review.decision is ReviewDecision.APPROVE)


def _bar(
    db: Database, study_id: int, crowd: Crowd, hit_id: int, theirs: PlatformAssignment
) -> None:
    """Bar a worker who has had all their sessions from the study's next HITs, once."""
    with db.read() as session:
        study = session.get_one(schema.Study, study_id)
        ours = _ours(session, study_id, crowd, theirs)
        if ours is None:
            return
        had = session.scalar(
            select(func.count()).where(
                Assignment.worker_id == ours.worker_id,
                Assignment.study_id == study_id,
                Assignment.status != AssignmentStatus.RETURNED,
            )
        )
        group = once_group(study)
        barred = list(ours.worker.details.get("barred", []))
    if group in barred or int(had or 0) < study.design["workers"]["sessions_per_worker"]:
        return
    crowd.bar(group, theirs.worker)
    with db.write() as session:
        worker = session.get_one(Worker, ours.worker_id)
        worker.details = {**worker.details, "barred": [*barred, group]}
