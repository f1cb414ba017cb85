"""Bonuses on a platform that pays many by one call, and pays twice when it is asked twice.

Before the one call that pays, an event is written with every bonus in it and what its worker had
been paid until then. A bonus in such an event is never asked for again unless the platform refused
the call, or still shows nothing for it after `SETTLE`. Until then a run that finds it waits. What
shows is an amount and no reason, so two bonuses of one amount never wait at once for one worker.
"""

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation.crowd.base import BulkBonuses, CrowdError, CrowdUnreachable, PreparedBonuses
from evaluation.database import Database
from evaluation.events import note_event
from evaluation.schema import CallState, Event, EventKind, Payment, Study
from evaluation.sessions.leases import lock_study

LARGEST_BATCH = 200  # Prolific's advice
SETTLE = timedelta(hours=1)  # payments are asynchronous "over minutes"


@dataclass(frozen=True)
class Line:
    """One bonus as the platform is told of it.

    Args:
        hit: the platform's id.
        assignment: the platform's id.
        cents: for the worker.
    """

    hit: str
    assignment: str
    cents: int


@dataclass(frozen=True)
class Bonus(Line):
    """One bonus that is written down as intended.

    Args:
        payments: ids of its rows in the ledger: the bonus and its fee.
        token: of its row.
    """

    payments: tuple[int, int]
    token: str


L = TypeVar("L", bound=Line)


def price(crowd: BulkBonuses, lines: Sequence[Line]) -> int:
    """Return what bonuses cost with fees and taxes, in cents.

    The platform tells it when they are prepared, which pays nothing.

    Raises:
        CrowdError, CrowdUnreachable: refused, or no answer.
    """
    return sum(_set_up(crowd, batch).total_cents for batch in _batches(lines))


def pay_in_bulk(
    db: Database,
    study_id: int,
    crowd: BulkBonuses,
    wanted: Sequence[Bonus],
    agreed_cents: int,
    now: Callable[[], datetime],
) -> None:
    """Pay bonuses, each once, in as few calls as the platform takes.

    Args:
        db: the study database.
        study_id: our id.
        crowd: the platform.
        wanted: written down as intended.
        agreed_cents: what they may cost in all, with fees and taxes.
        now: the clock.

    Raises:
        CrowdUnreachable: no answer, or an earlier run's call is still to show; run it again.
        CrowdError: refused, for example for lack of funds, or dearer than agreed; nothing of that
            call was paid.
    """
    left, waiting = _look_back(db, study_id, crowd, wanted, now())
    batches = [(batch, _set_up(crowd, batch)) for batch in _batches(left)]
    total = sum(prepared.total_cents for _, prepared in batches)
    if total > agreed_cents:
        raise CrowdError(
            f"the platform asks {total / 100:,.2f} for the bonuses, with fees and taxes, and "
            f"{agreed_cents / 100:,.2f} was agreed to; nothing was paid. Run the same command "
            "again: it shows the new price"
        )
    for batch, prepared in batches:
        _pay(db, study_id, crowd, batch, prepared, now)
    if waiting:
        raise CrowdUnreachable(
            f"{waiting} bonuses were asked for less than {SETTLE.seconds // 3600} h ago and the "
            "platform does not show them yet; run the same command again later: it looks, and "
            "pays nobody twice"
        )


def _look_back(
    db: Database,
    study_id: int,
    crowd: BulkBonuses,
    wanted: Sequence[Bonus],
    now: datetime,
) -> tuple[list[Bonus], int]:
    """Tick off what an interrupted call paid; return what to pay, and how many to wait for."""
    with db.read() as session:
        asked = asked_bonuses(session, study_id)
    left, waiting = [], 0
    for bonus in wanted:
        earlier = asked.get(bonus.token)
        if earlier is None:
            left.append(bonus)
        elif _shown(crowd, bonus) > max(earlier.before, _ticked_off(db, bonus)):
            tick_off(db, [bonus], now)
        elif now - earlier.at >= SETTLE:
            left.append(bonus)
        else:
            waiting += 1
    return left, waiting


@dataclass(frozen=True)
class Asked:
    """When a bonus was asked for, and how many of its amount the platform showed before."""

    at: datetime
    before: int


def asked_bonuses(session: Session, study_id: int) -> dict[str, Asked]:
    """Return the bonuses whose call was made, or may have been, by token; the last call counts."""
    kinds = (EventKind.BONUSES_ASKED, EventKind.BONUSES_REFUSED)
    query = select(Event).where(Event.study_id == study_id, Event.kind.in_(kinds))
    asked: dict[str, Asked] = {}
    for event in session.scalars(query.order_by(Event.id)):
        for token, before in event.details["bonuses"].items():
            if event.kind == EventKind.BONUSES_ASKED:
                asked[token] = Asked(event.created_at, int(before))
            else:
                asked.pop(token, None)
    return asked


def _batches(lines: Sequence[L]) -> Iterator[list[L]]:
    """Yield bonuses that one call takes: those of one HIT, and not too many."""
    of_hit: dict[str, list[L]] = defaultdict(list)
    for line in lines:
        of_hit[line.hit].append(line)
    for found in of_hit.values():
        for first in range(0, len(found), LARGEST_BATCH):
            yield found[first : first + LARGEST_BATCH]


def _set_up(crowd: BulkBonuses, batch: Sequence[Line]) -> PreparedBonuses:
    return crowd.set_up_bonuses(batch[0].hit, [(b.assignment, b.cents) for b in batch])


def _pay(
    db: Database,
    study_id: int,
    crowd: BulkBonuses,
    batch: Sequence[Bonus],
    prepared: PreparedBonuses,
    now: Callable[[], datetime],
) -> None:
    """Write down that a prepared batch is about to be paid, pay it, tick it off."""
    before = {b.token: _shown(crowd, b) for b in batch}
    noted = {"prepared": prepared.id, "bonuses": before}
    with db.write() as session:
        # Two runs at once both come here, one after the other: the second finds the first's event.
        lock_study(session, session.get_one(Study, study_id))
        asked = asked_bonuses(session, study_id)
        if any(b.token in asked and now() - asked[b.token].at < SETTLE for b in batch):
            raise CrowdUnreachable("another run is paying these bonuses; wait for it to end")
        rows = [session.get_one(Payment, b.payments[0]) for b in batch]
        if any(row.state is not CallState.INTENDED for row in rows):
            raise CrowdError("another run settled some of these bonuses; run this command again")
        _check_alone(session, batch, asked)
        _book_fees(session, batch, prepared.total_cents)
        note_event(session, study_id, EventKind.BONUSES_ASKED, noted, now())
    try:
        crowd.pay_bonuses(prepared.id)
    except CrowdError:
        with db.write() as session:
            note_event(session, study_id, EventKind.BONUSES_REFUSED, noted, now())
        raise
    tick_off(db, batch, now())


def _check_alone(session: Session, batch: Sequence[Bonus], asked: Mapping[str, Asked]) -> None:
    """Refuse a bonus while an earlier one of its amount was asked for and is not settled.

    When the amount shows, nobody could say which of the two was paid.

    Raises:
        CrowdError: the message says which command settles the earlier one.
    """
    for bonus in batch:
        for other in _alike(session, bonus, CallState.INTENDED):
            first = asked.get(other.token)
            if first and (bonus.token not in asked or first.at < asked[bonus.token].at):
                raise CrowdError(
                    "another bonus of the same amount was asked for, and it is not known yet "
                    f"whether it was paid; first run `vgan-eval pay --cents {other.cents} --reason "
                    f"{shlex.quote(other.reason)}` to its end, then this command again"
                )


def _book_fees(session: Session, batch: Sequence[Bonus], total_cents: int) -> None:
    """Write the platform's own fee and tax into the ledger, each bonus its share."""
    amount, fees = sum(b.cents for b in batch), total_cents - sum(b.cents for b in batch)
    reached = 0
    for bonus in batch:
        # Shares of a running sum add up to the whole, whatever is rounded.
        part = session.get_one(Payment, bonus.payments[1])
        part.cents = fees * (reached + bonus.cents) // amount - fees * reached // amount
        reached += bonus.cents


def _ticked_off(db: Database, bonus: Bonus) -> int:
    """Count the bonuses of this amount that our books say an assignment has had."""
    with db.read() as session:
        return len(_alike(session, bonus, CallState.DONE))


def _alike(session: Session, bonus: Bonus, state: CallState) -> Sequence[Payment]:
    """Return the bonuses of an amount for an assignment that are in a state, this one too."""
    of = session.get_one(Payment, bonus.payments[0])
    return session.scalars(
        select(Payment).where(
            Payment.assignment_id == of.assignment_id,
            Payment.kind == of.kind,
            Payment.cents == of.cents,
            Payment.state == state,
        )
    ).all()


def _shown(crowd: BulkBonuses, bonus: Bonus) -> int:
    """Count the bonuses of this amount that the platform shows for an assignment."""
    return crowd.bonuses_paid(bonus.assignment).count(bonus.cents)


def tick_off(db: Database, bonuses: Sequence[Bonus], now: datetime) -> None:
    """Note that bonuses were paid, with their fees."""
    with db.write() as session:
        for bonus in bonuses:
            for payment_id in bonus.payments:
                payment = session.get_one(Payment, payment_id)
                payment.state, payment.done_at = CallState.DONE, now
