"""Take bonuses back that were written down, where the platform was certainly never asked for them.

A run that was interrupted leaves bonuses as intended, at its amount. They are paid by the same
`pay` again; this is the other way out. What the platform was asked for is not taken back: where
bonuses have tokens it is known to be paid, and ticked off; where they have none, only `pay` may
look whether it was.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation.clock import Clock, utc_now
from evaluation.crowd.base import Crowd, pays_by_token
from evaluation.database import Database, find_study
from evaluation.money.bulk_bonuses import asked_bonuses
from evaluation.money.ledger import bonus_fee
from evaluation.schema import Assignment, CallState, Payment, PaymentKind, Study
from evaluation.sessions.leases import lock_study


@dataclass(frozen=True)
class Cancellation:
    """What becomes of the bonuses that were written down and not ticked off.

    Args:
        cancelled: how many are taken back.
        cents: of those together, without fees.
        paid: that the platform shows as paid; they are ticked off.
        asked: that the platform was asked for, and does not tell yet whether it paid them.
    """

    cancelled: int
    cents: int
    paid: int
    asked: int


def cancel_bonuses(
    db: Database,
    study_name: str | None,
    crowd: Crowd,
    *,
    reason: str,
    cents: int | None = None,
    confirm: Callable[[Cancellation], bool] = lambda _: True,
    now: Clock = utc_now,
) -> Cancellation:
    """Take back the bonuses of a reason that an interrupted run wrote down; pays nothing.

    Args:
        db: the study database.
        study_name: slug; None where there is one study.
        crowd: the platform.
        reason: of the bonuses.
        cents: only those of this amount; None is any.
        confirm: asked before anything is written; False stops.
        now: the clock.

    Raises:
        CrowdError, CrowdUnreachable: refused or no answer; run it again.
    """
    with db.read() as session:
        study = find_study(session, study_name)
        found = _written_down(session, study, crowd, reason, cents)
        asked = asked_bonuses(session, study.id).keys()
    paid = set()
    if pays_by_token(crowd):
        for row, assignment in found:
            paid |= {row.token} & crowd.bonus_tokens(assignment)
    never = [row for row, _ in found if row.token not in paid | asked]
    n_asked = len(found) - len(never) - len(paid)
    plan = Cancellation(len(never), sum(row.cents for row in never), len(paid), n_asked)
    if not (never or paid) or not confirm(plan):
        return plan
    looked_at = {row.token for row, _ in found}
    with db.write() as session:
        lock_study(session, study)
        asked = asked_bonuses(session, study.id).keys()  # another run may have begun to pay
        for row, _ in _written_down(session, study, crowd, reason, cents):
            if row.token in looked_at - asked:
                state = CallState.DONE if row.token in paid else CallState.FAILED
                for payment in (row, *_fee_on(session, row)):
                    payment.state = state
                    payment.done_at = now() if state is CallState.DONE else None
    return plan


def _written_down(
    session: Session, study: Study, crowd: Crowd, reason: str, cents: int | None
) -> list[tuple[Payment, str]]:
    """Return the intended bonuses of a reason, with the platform's ids of their assignments."""
    query = (
        select(Payment, Assignment.external_id)
        .join(Assignment, Payment.assignment_id == Assignment.id)
        .where(
            Payment.study_id == study.id,
            Assignment.crowd == crowd.name,
            Assignment.environment == crowd.environment,
            Payment.kind == PaymentKind.BONUS,
            Payment.state == CallState.INTENDED,
            Payment.reason == reason,
        )
        .order_by(Payment.id)
    )
    if cents is not None:
        query = query.where(Payment.cents == cents)
    return [(row, assignment) for row, assignment in session.execute(query)]


def _fee_on(session: Session, bonus: Payment) -> list[Payment]:
    query = select(Payment).where(
        Payment.assignment_id == bonus.assignment_id,
        Payment.kind == PaymentKind.FEE,
        Payment.reason == bonus_fee(bonus.reason),
    )
    return list(session.scalars(query))
