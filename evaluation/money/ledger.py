"""The ledger: every reward, bonus and fee is a row, written before the call that pays it."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation import schema
from evaluation.budget import crowd_fee_cents
from evaluation.publishing.offers import quotes
from evaluation.schema import Assignment, CallState, Hit, Payment, PaymentKind
from evaluation.secret import payment_token


class LedgerLine(NamedTuple):
    """The sum of one kind of payment in one state, in cents."""

    kind: PaymentKind
    state: CallState
    currency: str
    payments: int
    cents: int


def intend_payment(
    session: Session,
    study: schema.Study,
    assignment: Assignment,
    kind: PaymentKind,
    cents: int,
    now: datetime,
    *,
    what: str = "",
) -> Payment:
    """Write a payment down, or return the row that an earlier run wrote.

    Args:
        session: of a write unit.
        study: pays.
        assignment: is paid for.
        kind: reward, bonus or fee.
        cents: at least 0; an existing row keeps its own, but one that came to nothing.
        now: aware.
        what: tells several payments of one kind apart; a bonus's reason.
    """
    token = payment_token(study.secret, kind.value, assignment.id, what)
    found = session.scalars(select(Payment).where(Payment.token == token)).one_or_none()
    if found is not None:
        if found.state is CallState.FAILED:
            found.state, found.cents = CallState.INTENDED, cents
        return found
    made = Payment(
        study_id=study.id,
        assignment_id=assignment.id,
        hit_id=assignment.hit_id,
        kind=kind,
        cents=cents,
        currency=session.get_one(Hit, assignment.hit_id).currency,
        token=token,
        state=CallState.INTENDED,
        reason=what,
        created_at=now,
    )
    session.add(made)
    session.flush()
    return made


def bonus_fee(reason: str) -> str:
    """Return what tells the fee on a bonus apart, for `intend_payment`."""
    return f"bonus: {reason}"


def open_bonuses(
    session: Session, workers: Collection[int], study: int | None = None
) -> tuple[tuple[int, str], ...]:
    """Return cents and reason of the bonuses of workers that are written down and not made.

    Args:
        session: of any unit.
        workers: our ids.
        study: our id; None for all of the database.
    """
    query = (
        select(Payment.cents, Payment.reason)
        .join(Assignment, Payment.assignment_id == Assignment.id)
        .where(
            Assignment.worker_id.in_(workers),
            Payment.kind == PaymentKind.BONUS,
            Payment.state == CallState.INTENDED,
        )
        .distinct()
        .order_by(Payment.reason, Payment.cents)
    )
    if study is not None:
        query = query.where(Payment.study_id == study)
    return tuple((cents, reason) for cents, reason in session.execute(query))


def _reward_rows(session: Session, assignment: Assignment) -> list[Payment]:
    query = select(Payment).where(
        Payment.assignment_id == assignment.id,
        Payment.kind.in_([PaymentKind.REWARD, PaymentKind.FEE]),
        Payment.reason == "",
    )
    return list(session.scalars(query))


def session_fee_cents(hit: Hit) -> int:
    """Return the crowd's fee on the reward of one session of a HIT, rounded up."""
    # What the platform said when it was asked goes before our price list.
    return int(hit.details.get("fee_cents", crowd_fee_cents(hit.crowd, hit.reward_cents)))


def _fee_share(session: Session, hit: Hit) -> int:
    """Return the fee of one more session of a HIT: its share of what the platform named."""
    quoted = quotes(hit)
    if not quoted:
        return session_fee_cents(hit)
    cents, places = sum(one.cents for one in quoted), sum(one.places for one in quoted)
    booked = select(func.count(), func.coalesce(func.sum(Payment.cents), 0)).join(
        Assignment, Payment.assignment_id == Assignment.id
    )
    n, so_far = session.execute(
        booked.where(
            Assignment.hit_id == hit.id,
            Payment.kind == PaymentKind.FEE,
            Payment.reason == "",
            Payment.state != CallState.FAILED,
        )
    ).one()
    # What was booked is taken off the sum that is reached, so that the shares add up to the whole.
    return max(0, (cents - places * hit.reward_cents) * (n + 1) // places - int(so_far))


def intend_reward(
    session: Session, study: schema.Study, assignment: Assignment, now: datetime
) -> None:
    """Write down the reward of an assignment, and the crowd's fee on it."""
    hit = session.get_one(Hit, assignment.hit_id)
    intend_payment(session, study, assignment, PaymentKind.REWARD, hit.reward_cents, now)
    intend_payment(session, study, assignment, PaymentKind.FEE, _fee_share(session, hit), now)


def settle_reward(session: Session, assignment: Assignment, now: datetime, *, paid: bool) -> None:
    """Tick the reward and its fee off, or mark what was intended as not paid."""
    for payment in _reward_rows(session, assignment):
        payment.state = CallState.DONE if paid else CallState.FAILED
        payment.done_at = now if paid else None


def ledger(session: Session, study: schema.Study) -> list[LedgerLine]:
    """Return what was paid, what is only intended, and what came to nothing, by kind."""
    of_study = (
        select(
            Payment.kind, Payment.state, Payment.currency, func.count(), func.sum(Payment.cents)
        )
        .where(Payment.study_id == study.id)
        .group_by(Payment.kind, Payment.state, Payment.currency)
        .order_by(Payment.kind.desc(), Payment.state, Payment.currency)
    )  # fmt: skip
    return [
        LedgerLine(kind, state, currency, int(n), int(cents))
        for kind, state, currency, n, cents in session.execute(of_study)
    ]
