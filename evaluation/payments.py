"""Pay bonuses, each exactly once: written down with its token, paid, ticked off.

A process killed before or after any call leaves rows in state `intended`; the next run asks the
platform which tokens were paid before it pays one. Rewards are paid by approving, in
`evaluation.reviews`; the rows of both are in `evaluation.money.ledger`.
"""

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from evaluation import frozen, schema
from evaluation.budget import crowd_fee_cents
from evaluation.clock import Clock, utc_now
from evaluation.crowd.base import (
    Crowd,
    CrowdError,
    TokenBonuses,
    pays_by_token,
    pays_in_bulk,
)
from evaluation.database import Database, find_study
from evaluation.errors import EvaluationError, UsageError
from evaluation.money.bulk_bonuses import Bonus, Line, pay_in_bulk, price, tick_off
from evaluation.money.ledger import bonus_fee, intend_payment
from evaluation.privacy.erasing import is_gone
from evaluation.schema import (
    Assignment,
    CallState,
    Hit,
    Payment,
    PaymentKind,
    Review,
    ReviewDecision,
    Worker,
)
from evaluation.secret import payment_token
from evaluation.sessions.leases import lock_study

LONGEST_REASON = 1000  # with the token in brackets, well under the platforms' limits


@dataclass(frozen=True)
class BonusPlan:
    """The bonuses that are still to be paid.

    Args:
        bonuses: how many.
        approved: assignments that may have one, paid or not.
        cents: what workers get, all together.
        fee_cents: the platform's fees on top.
        currency: ISO 4217.
        others: how many have had another amount under this reason, by the amount in cents.
        gone: approved assignments without a bonus that can have none, as their ids were taken away.
    """

    bonuses: int
    approved: int
    cents: int
    fee_cents: int
    currency: str
    others: Mapping[int, int]
    gone: int

    @property
    def total_cents(self) -> int:
        """Bonuses and fees."""
        return self.cents + self.fee_cents


def _check_bonus(cents: int, reason: str) -> None:
    if cents <= 0 or not reason.strip():
        raise UsageError("a bonus needs an amount above zero and a reason that the worker can read")
    if len(reason) > LONGEST_REASON:
        raise UsageError(f"the reason is longer than {LONGEST_REASON} characters")


_Approved = list[tuple[Assignment, str]]  # with the worker's id there


def _approved(session: Session, study: schema.Study, crowd: Crowd) -> tuple[_Approved, _Approved]:
    """Return the assignments that were approved, withdrawn ones too, with their workers' ids.

    Second are those whose ids were taken away: nobody can be paid under them.
    """
    approved = exists().where(
        Review.assignment_id == Assignment.id,
        Review.decision == ReviewDecision.APPROVE,
        Review.state == CallState.DONE,
    )
    query = (
        select(Assignment, Worker.external_id)
        .join(Worker)
        .where(
            Assignment.study_id == study.id,
            Assignment.crowd == crowd.name,
            Assignment.environment == crowd.environment,
            approved,
        )
        .order_by(Assignment.id)
    )
    rows = [(one, worker) for one, worker in session.execute(query)]
    gone = [row for row in rows if is_gone(row[0].external_id)]
    return [row for row in rows if not is_gone(row[0].external_id)], gone


def _plan(
    session: Session, study: schema.Study, crowd: Crowd, cents: int, reason: str
) -> tuple[BonusPlan, list[Line]]:
    """Return what is to be paid, with the fees of our price list, and each bonus of it."""
    approved, gone = _approved(session, study, crowd)
    lines, others = _lacking(session, study, approved, cents, reason)
    without, _ = _lacking(session, study, gone, cents, reason)
    may_have = len(approved) + len(gone) - len(without)
    amounts = [line.cents for line in lines]
    fees = sum(crowd_fee_cents(crowd.name, amount) for amount in amounts)
    currency = frozen.pay(study).currency
    plan = BonusPlan(
        len(amounts), may_have, sum(amounts), fees, currency, others, gone=len(without)
    )
    return plan, lines


def _lacking(
    session: Session,
    study: schema.Study,
    approved: Sequence[tuple[Assignment, str]],
    cents: int,
    reason: str,
) -> tuple[list[Line], Counter[int]]:
    """Return the bonuses that are not ticked off; and of another amount, how many are."""
    lines: list[Line] = []
    others: Counter[int] = Counter()
    for assignment, _ in approved:
        token = payment_token(study.secret, PaymentKind.BONUS.value, assignment.id, reason)
        row = session.scalars(select(Payment).where(Payment.token == token)).one_or_none()
        if row is not None:
            _check_amount(row, cents)
        if row is None or row.state is not CallState.DONE:
            lines.append(Line(_hit_id(session, assignment), assignment.external_id, cents))
        elif row.cents != cents:
            others[row.cents] += 1
    return lines, others


def _check_amount(row: Payment, cents: int) -> None:
    """Refuse another amount for a bonus that an interrupted run wrote down.

    Raises:
        EvaluationError: the message has both amounts, and what settles the first one.
    """
    if row.state is CallState.INTENDED and row.cents != cents:
        again = f"`vgan-eval pay --reason {shlex.quote(row.reason)}"
        raise EvaluationError(
            f"an interrupted run wrote bonuses of {row.cents / 100:,.2f} {row.currency} down under "
            f"this reason, and now they would be {cents / 100:,.2f}; pay those first with {again} "
            f"--cents {row.cents}`, or take them back with {again} --cancel`"
        )


def _hit_id(session: Session, assignment: Assignment) -> str:
    return str(session.get_one(Hit, assignment.hit_id).external_id)


def pay_bonuses(
    db: Database,
    study_name: str | None,
    crowd: Crowd,
    *,
    cents: int,
    reason: str,
    confirm: Callable[[BonusPlan], bool] = lambda _: True,
    now: Clock = utc_now,
) -> BonusPlan:
    """Pay one bonus to every approved assignment that has not had it; again pays nobody twice.

    Args:
        db: the study database.
        study_name: slug; None where there is one study.
        crowd: the platform.
        cents: for each assignment.
        reason: what the worker reads; one bonus is paid per assignment and reason.
        confirm: asked with the cost before anything is written or paid; False stops.
        now: the clock.

    Returns:
        What was to be paid when it began.

    Raises:
        UsageError: no amount or no reason.
        CrowdError: no funds, refused, or dearer than confirmed; run it again.
        CrowdUnreachable: no answer; run it again.
        EvaluationError: an interrupted run wrote another amount down under this reason.
    """
    if not (pays_by_token(crowd) or pays_in_bulk(crowd)):
        raise UsageError(f"the crowd {crowd.name} pays no bonuses; pay them by hand")
    _check_bonus(cents, reason)
    with db.read() as session:
        study = find_study(session, study_name)
        plan, lines = _plan(session, study, crowd, cents, reason)
    if pays_in_bulk(crowd) and lines:
        # Taxes and the account's own fee are in no price list of ours.
        plan = replace(plan, fee_cents=price(crowd, lines) - plan.cents)
    if not plan.bonuses or not confirm(plan):
        return plan
    balance = crowd.balance_cents()
    if balance is not None and balance < plan.total_cents:
        raise CrowdError(
            f"the bonuses cost {plan.total_cents / 100:,.2f} {plan.currency} and the account "
            f"holds {balance / 100:,.2f}; add funds, then run it again"
        )
    with db.write() as session:
        study = find_study(session, study_name)
        lock_study(session, study)  # two runs at once write every bonus down once
        wanted = _intend(session, study, crowd, cents, reason, now())
        study_id = study.id
    if pays_in_bulk(crowd):
        bonuses = [bonus for bonus, _ in wanted]
        pay_in_bulk(db, study_id, crowd, bonuses, plan.total_cents, now)
    elif pays_by_token(crowd):
        _pay_by_token(db, crowd, wanted, reason, now)
    return plan


def _pay_by_token(
    db: Database,
    crowd: TokenBonuses,
    wanted: Sequence[tuple[Bonus, str]],
    reason: str,
    now: Clock,
) -> None:
    """Pay bonuses one by one, each unless the platform shows that it was paid; tick each off."""
    for bonus, worker in wanted:
        with db.read() as session:
            if session.get_one(Payment, bonus.payments[0]).state is not CallState.INTENDED:
                continue  # paid, or taken back, meanwhile
        if bonus.token not in crowd.bonus_tokens(bonus.assignment):
            crowd.bonus(bonus.assignment, worker, bonus.cents, reason, bonus.token)
        tick_off(db, [bonus], now())


def _intend(
    session: Session, study: schema.Study, crowd: Crowd, cents: int, reason: str, now: datetime
) -> list[tuple[Bonus, str]]:
    """Write down every bonus still to pay, and its fee; return it with the platform's worker."""
    wanted: list[tuple[Bonus, str]] = []
    approved, _ = _approved(session, study, crowd)
    for assignment, worker in approved:
        bonus = intend_payment(
            session, study, assignment, PaymentKind.BONUS, cents, now, what=reason
        )
        _check_amount(bonus, cents)
        fee_cents = crowd_fee_cents(crowd.name, bonus.cents)
        fee = intend_payment(
            session, study, assignment, PaymentKind.FEE, fee_cents, now, what=bonus_fee(reason)
        )
        if bonus.state is CallState.INTENDED:
            hit, ids = _hit_id(session, assignment), (bonus.id, fee.id)
            row = Bonus(hit, assignment.external_id, bonus.cents, ids, bonus.token)
            wanted.append((row, worker))
    return wanted


def declared_bonus(db: Database, study_name: str | None) -> int:
    """Return the bonus that the study file declares, in cents.

    Raises:
        UsageError: it declares none.
    """
    with db.read() as session:
        study = find_study(session, study_name)
        cents = frozen.pay(study).bonus_cents
    if not cents:
        raise UsageError(f"study `{study.name}` declares no bonus_cents in [pay]; give --cents")
    return cents
