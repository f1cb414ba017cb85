"""What a study has spent and what it may still have to pay, per environment and currency."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation.money.ledger import session_fee_cents
from evaluation.publishing.offers import takes_a_place
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    CallState,
    Environment,
    Hit,
    Payment,
    Study,
)


@dataclass
class Spend:
    """Money of one environment and currency, in cents, fees included.

    Args:
        environment: where it is paid. In the sandbox no money moves.
        currency: ISO 4217.
        paid: in the ledger as done.
        written: in the ledger, but the call that pays it is not known to have ended well.
        owed: sessions that were handed in and wait for review.
        working: sessions under a live lease.
        offered: places of open HITs that nobody has taken.
        sessions: that were paid.
    """

    environment: Environment
    currency: str
    paid: int = 0
    written: int = 0
    owed: int = 0
    working: int = 0
    offered: int = 0
    sessions: int = 0

    @property
    def committed(self) -> int:
        """What is paid and all that may follow if everybody finishes; bonuses not yet decided."""
        return self.paid + self.written + self.owed + self.working + self.offered


def spend(session: Session, study: Study, now: datetime) -> list[Spend]:
    """Return the money of a study; only reads, three statements whatever its size."""
    found: dict[tuple[Environment, str], Spend] = {}

    def line(environment: Environment, currency: str) -> Spend:
        return found.setdefault((environment, currency), Spend(environment, currency))

    _add_payments(session, study, line)
    owed, working, taken = _sessions_by_hit(session, study, now)
    paid = select(Hit).where(
        Hit.study_id == study.id, Hit.state != CallState.FAILED, Hit.reward_cents > 0
    )
    for hit in session.scalars(paid):
        each = hit.reward_cents + session_fee_cents(hit)
        money = line(hit.environment, hit.currency)
        money.owed += each * owed[hit.id]
        money.working += each * working[hit.id]
        if hit.is_open(now):
            money.offered += each * max(0, hit.max_assignments - taken[hit.id])
    return [found[key] for key in sorted(found)]


def _add_payments(
    session: Session, study: Study, line: Callable[[Environment, str], Spend]
) -> None:
    rows = session.execute(
        select(
            Hit.environment,
            Payment.currency,
            Payment.state,
            func.sum(Payment.cents),
            func.count(func.distinct(Payment.assignment_id)),
        )
        .join(Hit, Payment.hit_id == Hit.id)
        .where(Payment.study_id == study.id)
        .group_by(Hit.environment, Payment.currency, Payment.state)
    )
    for environment, currency, state, cents, sessions in rows:
        if state is CallState.DONE:
            line(environment, currency).paid += int(cents)
            line(environment, currency).sessions += int(sessions)
        elif state is CallState.INTENDED:
            line(environment, currency).written += int(cents)


def _sessions_by_hit(
    session: Session, study: Study, now: datetime
) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
    """Sessions of each HIT: handed in without a line in the ledger, at work, and places taken."""
    ledger = select(Payment.assignment_id).where(Payment.study_id == study.id).distinct().subquery()
    waits = (Assignment.status == AssignmentStatus.SUBMITTED) & ledger.c.assignment_id.is_(None)
    works = (Assignment.status == AssignmentStatus.ACCEPTED) & (Assignment.lease_until > now)
    counted = (waits, works, takes_a_place(now))
    rows = session.execute(
        select(Assignment.hit_id, *(func.count().filter(one) for one in counted))
        .outerjoin(ledger, ledger.c.assignment_id == Assignment.id)
        .where(Assignment.study_id == study.id)
        .group_by(Assignment.hit_id)
    )
    owed: dict[int, int] = defaultdict(int)
    working: dict[int, int] = defaultdict(int)
    taken: dict[int, int] = defaultdict(int)
    for hit_id, *counts in rows:
        owed[hit_id], working[hit_id], taken[hit_id] = map(int, counts)
    return owed, working, taken
