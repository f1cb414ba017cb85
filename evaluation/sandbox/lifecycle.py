"""What happens to HITs and assignments: by a call, by a worker, or because time has passed.

Every change of an assignment goes through `move`, every change of a HIT ends in `refresh`: status
and held money follow from the counters, the open assignments and the time, and from nothing else.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter

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
_OVER = (HitStatus.REVIEWABLE, HitStatus.REVIEWING)
_LIVING = (HitStatus.ASSIGNABLE, HitStatus.UNASSIGNABLE, *_OVER)

Due = tuple[datetime, Callable[[datetime], None]]
"""When something happens by itself, and what."""


def fee_of(hit_type: HitType, max_assignments: int) -> int:
    """The fee in cents for one assignment of a HIT of so many, at a type's terms."""
    masters = any(r["QualificationTypeId"] in MASTERS for r in hit_type.requirements)
    return fee_cents(hit_type.reward_cents, max_assignments, masters=masters)


def cost_of(hit_type: HitType, max_assignments: int) -> int:
    """What one assignment costs in cents, reward and fee."""
    return hit_type.reward_cents + fee_of(hit_type, max_assignments)


def require_funds(unit: Unit, hit: Hit) -> None:
    """Refuse a requester's own change to a HIT that the account cannot cover.

    Args:
        unit: the transaction.
        hit: changed, and not yet refreshed.

    Raises:
        ApiError: InsufficientFunds, when more must be held than is available.
    """
    accounts.require_funds(hit.account, _held_cents(unit, hit, unit.now) - hit.held_cents)


def refresh(unit: Unit, hit: Hit, at: datetime | None = None) -> None:
    """Bring a HIT's status and held money up to date with its counters and the time.

    It never refuses: what workers do and what time brings about happens to every requester.

    Args:
        unit: the transaction.
        hit: the HIT whose counters, maximum, expiry or type changed.
        at: when that was; now by default.
    """
    if hit.status is HitStatus.DISPOSED:
        return
    at = at or unit.now
    before, hit.status = hit.status, _status(hit, expired=hit.expires_at <= at)
    held = _held_cents(unit, hit, at)
    hit.account.held_cents += held - hit.held_cents
    hit.held_cents = held
    if hit.status is HitStatus.REVIEWABLE and before not in _OVER:
        emit(unit, "HITReviewable", hit, at)


def _held_cents(unit: Unit, hit: Hit, at: datetime) -> int:
    """What a HIT may still cost: its free places until it expires, and its open assignments.

    An open assignment costs what its own terms say. One that is given back is offered again at
    those of the HIT, which may be dearer by now: so work in hand holds the dearer of both.
    """
    offered = 0 if hit.expires_at <= at else cost_of(hit.type, hit.max_assignments)
    counted = unit.session.execute(
        select(HitType, Assignment.status, func.count())
        .join(Assignment, Assignment.type_id == HitType.id)
        .where(Assignment.hit_id == hit.id, Assignment.status.in_(_OPEN))
        .group_by(HitType.id, Assignment.status)
    )
    held = hit.n_available * offered
    for hit_type, status, n in counted:
        own = cost_of(hit_type, hit.max_assignments)
        held += n * (max(own, offered) if status is AssignmentStatus.ACCEPTED else own)
    return held


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
    emit(unit, f"Assignment{status}", hit, at or unit.now, assignment)
    refresh(unit, hit, at)


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
    """Let happen what the passing of time makes happen, each thing at its own time, in order.

    HITs past their expiry leave the list, assignments past their deadline are abandoned,
    submissions are approved when their delay is over, and HITs are disposed of after 120 days.
    """
    for at, happen in sorted(_due(unit), key=itemgetter(0)):
        happen(at)
    unit.session.flush()


def _due(unit: Unit) -> list[Due]:
    """Everything that is due, and when; what is due at one time in the order in which it happens.

    An old HIT with submissions that waited is disposed of after the last of them.
    """
    rows, now = unit.session.scalars, unit.now
    over = _hits(HitStatus.ASSIGNABLE, HitStatus.UNASSIGNABLE).where(Hit.expires_at <= now)
    due: list[Due] = [(hit.expires_at, partial(_expire, unit, hit)) for hit in rows(over)]
    settled: dict[int, datetime] = {}
    late = _assignments(AssignmentStatus.ACCEPTED).where(Assignment.deadline <= now)
    unpaid = _assignments(AssignmentStatus.SUBMITTED).where(Assignment.auto_approve_at <= now)
    for query, becomes in ((late, _abandon), (unpaid, approve)):
        for assignment in rows(query):
            at = assignment.auto_approve_at or assignment.deadline
            due.append((at, partial(becomes, unit, assignment)))
            settled[assignment.hit_id] = max(at, settled.get(assignment.hit_id, at))
    old = _hits(*_LIVING).where(Hit.expires_at <= now - DISPOSED_AFTER)
    for hit in rows(old):
        at = hit.expires_at + DISPOSED_AFTER
        due.append((max(at, settled.get(hit.id, at)), partial(_dispose_old, unit, hit)))
    return due


def _expire(unit: Unit, hit: Hit, at: datetime) -> None:
    """Take a HIT off the list; only one with places on offer is said to expire."""
    if hit.status is HitStatus.ASSIGNABLE:
        emit(unit, "HITExpired", hit, at)
    refresh(unit, hit, at)


def _abandon(unit: Unit, assignment: Assignment, at: datetime) -> None:
    """Take an assignment back whose time is over."""
    move(unit, assignment, AssignmentStatus.ABANDONED, at)


def _dispose_old(unit: Unit, hit: Hit, at: datetime) -> None:
    """Dispose of a HIT whose time is over, unless work on it is still open."""
    if hit.status in _OVER and hit.n_submitted == 0:
        dispose(unit, hit, at)


def dispose(unit: Unit, hit: Hit, at: datetime) -> None:
    """Take a HIT away for good; nothing is held for it any more."""
    hit.account.held_cents -= hit.held_cents
    hit.held_cents = 0
    hit.status = HitStatus.DISPOSED
    emit(unit, "HITDisposed", hit, at)


def _assignments(status: AssignmentStatus) -> Select[Assignment]:
    """Assignments of a status, in the order in which they were taken."""
    return select(Assignment).where(Assignment.status == status).order_by(Assignment.id)


def _hits(*statuses: HitStatus) -> Select[Hit]:
    """HITs of some statuses, in the order in which they were made."""
    return select(Hit).where(Hit.status.in_(statuses)).order_by(Hit.id)
