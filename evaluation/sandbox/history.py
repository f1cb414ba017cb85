"""What a worker has done and earned."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from evaluation.sandbox.store import (
    Assignment,
    AssignmentStatus,
    Bonus,
    Entry,
    EntryKind,
    HitType,
    Message,
    Unit,
    Worker,
)

SHOWN_ROWS = 200


@dataclass(frozen=True)
class Earnings:
    """What a worker is owed, in cents; `waiting` is submitted and not yet judged."""

    rewards: int
    bonuses: int
    waiting: int

    @property
    def total(self) -> int:
        """Rewards and bonuses."""
        return self.rewards + self.bonuses


def earnings(unit: Unit, worker: Worker) -> Earnings:
    """Sum up a worker's books."""
    summed = unit.session.execute(
        select(Entry.kind, func.sum(Entry.cents))
        .where(Entry.worker_id == worker.id)
        .group_by(Entry.kind)
    )
    sums = dict(summed.all())
    waiting = unit.session.scalar(
        select(func.sum(HitType.reward_cents))
        .select_from(Assignment)
        .join(HitType)
        .where(Assignment.worker_id == worker.id, Assignment.status == AssignmentStatus.SUBMITTED)
    )
    return Earnings(
        rewards=-int(sums.get(EntryKind.REWARD, 0)),
        bonuses=-int(sums.get(EntryKind.BONUS, 0)),
        waiting=int(waiting or 0),
    )


def bonuses(unit: Unit, worker: Worker) -> Sequence[Bonus]:
    """Return a worker's bonuses, the newest first."""
    query = select(Bonus).join(Assignment).where(Assignment.worker_id == worker.id)
    return unit.session.scalars(query.order_by(Bonus.id.desc()).limit(SHOWN_ROWS)).all()


def assignments(unit: Unit, worker: Worker, *, accepted: bool) -> Sequence[Assignment]:
    """Return a worker's assignments: those being worked on, or all others; the newest first."""
    is_accepted = Assignment.status == AssignmentStatus.ACCEPTED
    query = select(Assignment).where(
        Assignment.worker_id == worker.id, is_accepted if accepted else ~is_accepted
    )
    return unit.session.scalars(query.order_by(Assignment.id.desc()).limit(SHOWN_ROWS)).all()


def messages(unit: Unit, worker: Worker) -> Sequence[Message]:
    """Return what requesters wrote to a worker, the newest first."""
    query = select(Message).where(Message.worker_id == worker.id)
    return unit.session.scalars(query.order_by(Message.id.desc()).limit(SHOWN_ROWS)).all()
