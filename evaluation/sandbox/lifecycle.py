"""What happens to HITs and assignments: by a call, by a worker, or because time has passed.

Every change of an assignment goes through `move`, every change of a HIT ends in `refresh`: status
and held money follow from the counters, the open assignments and the time, and from nothing else.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select

from evaluation.budget import fee_cents
from evaluation.sandbox import accounts
from evaluation.sandbox.eligibility import MASTERS
from evaluation.sandbox.notifications import emit
from evaluation.sandbox.store import (
    Assignment,
    AssignmentStatus,
    EntryKind,
    Hit,
    HitStatus,
    HitType,
    Unit,
)

DISPOSED_AFTER = timedelta(days=120)

_COUNTERS = {
    AssignmentStatus.ACCEPTED: "n_pending",
    AssignmentStatus.SUBMITTED: "n_submitted",
    AssignmentStatus.APPROVED: "n_approved",
    AssignmentStatus.REJECTED: "n_rejected",
}
_OPEN = (AssignmentStatus.ACCEPTED, AssignmentStatus.SUBMITTED)


def fee_of(hit_type: HitType, max_assignments: int) -> int:
    """The fee in cents for one assignment of a HIT of so many, at a type's terms."""
    masters = any(r["QualificationTypeId"] in MASTERS for r in hit_type.requirements)
    return fee_cents(hit_type.reward_cents, max_assignments, masters=masters)


def cost_of(hit_type: HitType, max_assignments: int) -> int:
    """What one assignment costs in cents, reward and fee."""
    return hit_type.reward_cents + fee_of(hit_type, max_assignments)


def refresh(unit: Unit, hit: Hit, at: datetime | None = None) -> None:
    """Bring a HIT's status and held money up to date with its counters and the time.

    Args:
        unit: the transaction.
        hit: the HIT whose counters, maximum, expiry or type changed.
        at: when that was; now by default.

    Raises:
        ApiError: InsufficientFunds, when more must be held than is available.
    """
    if hit.status is HitStatus.DISPOSED:
        return
    at = at or unit.now
    expired = hit.expires_at <= at
    before, hit.status = hit.status, _status(hit, expired)
    held = _open_cents(unit, hit)
    if not expired:
        held += hit.n_available * cost_of(hit.type, hit.max_assignments)
    if held > hit.held_cents:
        accounts.require_funds(hit.account, held - hit.held_cents)
    hit.account.held_cents += held - hit.held_cents
    hit.held_cents = held
    if hit.status is HitStatus.REVIEWABLE and before not in {
        HitStatus.REVIEWABLE,
        HitStatus.REVIEWING,
    }:
        emit(unit, "HITReviewable", hit, at)


def _open_cents(unit: Unit, hit: Hit) -> int:
    """What a HIT's accepted and submitted assignments may still cost, each at its own terms."""
    counted = unit.session.execute(
        select(HitType, func.count())
        .join(Assignment, Assignment.type_id == HitType.id)
        .where(Assignment.hit_id == hit.id, Assignment.status.in_(_OPEN))
        .group_by(HitType.id)
    )
    return sum(n * cost_of(hit_type, hit.max_assignments) for hit_type, n in counted)


def _status(hit: Hit, expired: bool) -> HitStatus:
    """The status that follows from the counters; Reviewing is kept while it still may be."""
    if hit.n_available > 0 and not expired:
        return HitStatus.ASSIGNABLE
    if hit.n_pending > 0:
        return HitStatus.UNASSIGNABLE
    return HitStatus.REVIEWING if hit.status is HitStatus.REVIEWING else HitStatus.REVIEWABLE


def move(
    unit: Unit, assignment: Assignment, status: AssignmentStatus, at: datetime | None = None
) -> None:
    """Change an assignment's status, the HIT's counters, its status and what is held for it."""
    hit = assignment.hit
    for of_status, step in ((assignment.status, -1), (status, 1)):
        counter = _COUNTERS.get(of_status)
        if counter is not None:
            setattr(hit, counter, getattr(hit, counter) + step)
    assignment.status = status
    refresh(unit, hit, at)
    emit(unit, f"Assignment{status}", hit, at or unit.now, assignment)


def approve(unit: Unit, assignment: Assignment, at: datetime) -> None:
    """Approve an assignment and write its reward and fee into the books.

    Raises:
        ApiError: InsufficientFunds; only a reversed rejection has nothing held for it.
    """
    hit = assignment.hit
    reward = assignment.type.reward_cents
    fee = fee_of(assignment.type, hit.max_assignments)
    if assignment.status is AssignmentStatus.REJECTED:
        accounts.require_funds(hit.account, reward + fee)
    assignment.approved_at, assignment.rejected_at = at, None
    move(unit, assignment, AssignmentStatus.APPROVED, at)
    accounts.pay(unit, assignment, EntryKind.REWARD, reward, fee, at)


def settle(unit: Unit) -> None:
    """Let happen what the passing of time makes happen, each thing at its own time.

    Assignments past their deadline are abandoned, HITs past their expiry leave the list,
    submissions are approved when their delay is over, and HITs are disposed of after 120 days.
    """
    session, now = unit.session, unit.now
    for late in _all(unit, _due(AssignmentStatus.ACCEPTED).where(Assignment.deadline <= now)):
        move(unit, late, AssignmentStatus.ABANDONED, late.deadline)
    over = select(Hit).where(
        Hit.status.in_([HitStatus.ASSIGNABLE, HitStatus.UNASSIGNABLE]), Hit.expires_at <= now
    )
    for hit in session.scalars(over.order_by(Hit.id)).all():
        was_open = hit.status is HitStatus.ASSIGNABLE
        refresh(unit, hit, hit.expires_at)
        if was_open:
            emit(unit, "HITExpired", hit, hit.expires_at)
    unpaid = _due(AssignmentStatus.SUBMITTED).where(Assignment.auto_approve_at <= now)
    for assignment in _all(unit, unpaid):
        assert assignment.auto_approve_at is not None
        approve(unit, assignment, assignment.auto_approve_at)
    old = select(Hit).where(
        Hit.status.in_([HitStatus.REVIEWABLE, HitStatus.REVIEWING]),
        Hit.expires_at <= now - DISPOSED_AFTER,
        Hit.n_submitted == 0,
    )
    for hit in session.scalars(old.order_by(Hit.id)).all():
        dispose(unit, hit)
    session.flush()


def dispose(unit: Unit, hit: Hit) -> None:
    """Take a HIT away for good; nothing is held for it any more."""
    hit.account.held_cents -= hit.held_cents
    hit.held_cents = 0
    hit.status = HitStatus.DISPOSED
    emit(unit, "HITDisposed", hit, unit.now)


def _due(status: AssignmentStatus) -> Select[Assignment]:
    """Assignments of a status, in the order in which they were taken."""
    return select(Assignment).where(Assignment.status == status).order_by(Assignment.id)


def _all(unit: Unit, query: Select[Assignment]) -> Iterable[Assignment]:
    """All rows, read before the first of them is changed."""
    return unit.session.scalars(query).all()
