"""What a platform paid to people who came and found nothing left, taken into the ledger.

The platform pays them by itself, for a code that they bring. Nothing is kept of them here: such a
payment is of a HIT, and its token, made from the platform's id of the submission, tells a later
run that it is booked.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation import schema
from evaluation.clock import Clock
from evaluation.crowd.base import Crowd, Growing, Offer, grows
from evaluation.database import Database, find_study
from evaluation.schema import CallState, Hit, Payment, PaymentKind
from evaluation.secret import payment_token
from evaluation.sessions.arrivals import published_hits
from evaluation.sessions.leases import lock_study

_FEE_ON = "screen-out"


@dataclass(frozen=True)
class ScreenOuts:
    """Payments that were taken into the ledger, and what they and their fees come to, in cents."""

    paid: int
    cents: int


NONE_PAID = ScreenOuts(0, 0)


def book_screen_outs(db: Database, study_name: str | None, crowd: Crowd, now: Clock) -> ScreenOuts:
    """Take into the ledger what the platform paid to people who found nothing left; each once.

    Args:
        db: the study database.
        study_name: slug; None where there is one study.
        crowd: asked who was paid so, and for the fee.
        now: the clock.

    Raises:
        CrowdError, CrowdUnreachable: refused or no answer; run it again.
    """
    if not grows(crowd):
        return NONE_PAID
    with db.read() as session:
        study = find_study(session, study_name)
        hits = published_hits(session, study, crowd.name, crowd.environment)
    booked = [_of_hit(db, study, crowd, hit, now) for hit in hits]
    return ScreenOuts(sum(one.paid for one in booked), sum(one.cents for one in booked))


def _of_hit(db: Database, study: schema.Study, crowd: Growing, hit: Hit, now: Clock) -> ScreenOuts:
    cents = Offer.from_json(hit.details["offer"]).screen_out_cents
    if not cents:
        return NONE_PAID
    kind = PaymentKind.SCREEN_OUT.value
    listed = [
        payment_token(study.secret, kind, hit.id, submission)
        for submission in crowd.screened_out(str(hit.external_id))
    ]
    with db.read() as session:
        known = _booked(session, hit)
    paid = len(known.union(listed))
    if paid == len(known):
        return NONE_PAID
    fees = crowd.cost(cents, paid) - paid * cents  # rounded once, for all of them
    with db.write() as session:
        lock_study(session, study)  # two runs at once book each of them once
        known = _booked(session, hit)
        new = [token for token in listed if token not in known]
        before = reached = _fees(session, hit)
        for number, token in enumerate(new, len(known) + 1):
            _book(session, hit, PaymentKind.SCREEN_OUT, cents, token, now())
            fee = max(0, fees * number // paid - reached)
            fee_token = payment_token(study.secret, PaymentKind.FEE.value, hit.id, token)
            _book(session, hit, PaymentKind.FEE, fee, fee_token, now())
            reached += fee
        return ScreenOuts(len(new), len(new) * cents + reached - before)


def _booked(session: Session, hit: Hit) -> set[str]:
    query = select(Payment.token).where(
        Payment.hit_id == hit.id, Payment.kind == PaymentKind.SCREEN_OUT
    )
    return set(session.scalars(query))


def _fees(session: Session, hit: Hit) -> int:
    query = select(func.sum(Payment.cents)).where(
        Payment.hit_id == hit.id, Payment.kind == PaymentKind.FEE, Payment.assignment_id.is_(None)
    )
    return int(session.scalar(query) or 0)


def _book(
    session: Session, hit: Hit, kind: PaymentKind, cents: int, token: str, now: datetime
) -> None:
    made = Payment(
        study_id=hit.study_id,
        hit_id=hit.id,
        kind=kind,
        cents=cents,
        currency=hit.currency,
        token=token,
        state=CallState.DONE,
        reason=_FEE_ON if kind is PaymentKind.FEE else "",
        created_at=now,
        done_at=now,
    )
    session.add(made)
