"""Bonuses on a platform that pays many by one call, and pays twice when it is asked twice.

Before the one call that pays, an event is written with every bonus in it and what its worker had
been paid until then. A bonus in such an event is never asked for again unless the platform refused
the call, or still shows nothing for it after `SETTLE`. Until then a run that finds it waits.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation.crowd.base import BulkBonuses, CrowdError, CrowdUnreachable
from evaluation.database import Database
from evaluation.leases import lock_study
from evaluation.schema import Assignment, CallState, Event, Hit, Payment, Study

LARGEST_BATCH = 200  # Prolific's advice
SETTLE = timedelta(hours=1)  # payments are asynchronous "over minutes"
ASKED = "bonuses-asked"
REFUSED = "bonuses-refused"


@dataclass(frozen=True)
class Bonus:
    """One bonus that is written down as intended.

    Args:
        payments: ids of its rows in the ledger: the bonus and its fee.
        assignment: the platform's id.
        cents: for the worker.
        token: of its row.
    """

    payments: tuple[int, int]
    assignment: str
    cents: int
    token: str


def pay_in_bulk(
    db: Database,
    study_id: int,
    crowd: BulkBonuses,
    wanted: Sequence[Bonus],
    now: Callable[[], datetime],
) -> None:
    """Pay bonuses, each once, in as few calls as the platform takes.

    Args:
        db: the study database.
        study_id: our id.
        crowd: the platform.
        wanted: written down as intended.
        now: the clock.

    Raises:
        CrowdUnreachable: no answer, or an earlier run's call is still to show; run it again.
        CrowdError: refused, for example for lack of funds; nothing of that call was paid.
    """
    left, waiting = _look_back(db, study_id, crowd, wanted, now())
    for hit, bonuses in _by_hit(db, left).items():
        for first in range(0, len(bonuses), LARGEST_BATCH):
            _pay(db, study_id, crowd, hit, bonuses[first : first + LARGEST_BATCH], now)
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
        asked = _asked(session, study_id)
    left, waiting = [], 0
    for bonus in wanted:
        earlier = asked.get(bonus.token)
        if earlier is None:
            left.append(bonus)
        elif crowd.bonuses_paid(bonus.assignment).count(bonus.cents) > earlier.before:
            _tick_off(db, [bonus], now)
        elif now - earlier.at >= SETTLE:
            left.append(bonus)
        else:
            waiting += 1
    return left, waiting


@dataclass(frozen=True)
class _Asked:
    """When a bonus was asked for, and how many of its amount its worker had had before."""

    at: datetime
    before: int


def _asked(session: Session, study_id: int) -> dict[str, _Asked]:
    """Return the bonuses whose call was made, or may have been, by token; the last call counts."""
    query = select(Event).where(Event.study_id == study_id, Event.kind.in_([ASKED, REFUSED]))
    asked: dict[str, _Asked] = {}
    for event in session.scalars(query.order_by(Event.id)):
        for token, before in event.details["bonuses"].items():
            if event.kind == ASKED:
                asked[token] = _Asked(event.created_at, int(before))
            else:
                asked.pop(token, None)
    return asked


def _by_hit(db: Database, bonuses: Sequence[Bonus]) -> dict[str, list[Bonus]]:
    """Sort bonuses by the platform's id of their HIT: one call takes those of one."""
    found = defaultdict(list)
    with db.read() as session:
        for bonus in bonuses:
            payment = session.get_one(Payment, bonus.payments[0])
            assignment = session.get_one(Assignment, payment.assignment_id)
            found[str(session.get_one(Hit, assignment.hit_id).external_id)].append(bonus)
    return found


def _pay(
    db: Database,
    study_id: int,
    crowd: BulkBonuses,
    hit: str,
    batch: Sequence[Bonus],
    now: Callable[[], datetime],
) -> None:
    """Prepare one batch, write down that it is about to be paid, pay it, tick it off."""
    before = {b.token: _paid_before(db, crowd, b) for b in batch}
    prepared = crowd.set_up_bonuses(hit, [(b.assignment, b.cents) for b in batch])
    with db.write() as session:
        # Two runs at once both come here, one after the other: the second finds the first's event.
        lock_study(session, session.get_one(Study, study_id))
        asked = _asked(session, study_id)
        if any(b.token in asked and now() - asked[b.token].at < SETTLE for b in batch):
            raise CrowdUnreachable("another run is paying these bonuses; wait for it to end")
        _note(session, study_id, ASKED, {"prepared": prepared, "bonuses": before}, now())
    try:
        crowd.pay_bonuses(prepared)
    except CrowdUnreachable:
        raise
    except CrowdError:
        with db.write() as session:
            _note(session, study_id, REFUSED, {"prepared": prepared, "bonuses": before}, now())
        raise
    _tick_off(db, batch, now())


def _paid_before(db: Database, crowd: BulkBonuses, bonus: Bonus) -> int:
    """Count the bonuses of this amount that an assignment has had, shown or not shown yet."""
    with db.read() as session:
        of = session.get_one(Payment, bonus.payments[0])
        ours = session.scalar(
            select(func.count()).where(
                Payment.assignment_id == of.assignment_id,
                Payment.kind == of.kind,
                Payment.cents == of.cents,
                Payment.state == CallState.DONE,
            )
        )
    return max(int(ours or 0), crowd.bonuses_paid(bonus.assignment).count(bonus.cents))


def _note(
    session: Session, study_id: int, kind: str, details: dict[str, Any], now: datetime
) -> None:
    session.add(Event(study_id=study_id, kind=kind, details=details, created_at=now))


def _tick_off(db: Database, bonuses: Sequence[Bonus], now: datetime) -> None:
    with db.write() as session:
        for bonus in bonuses:
            for payment_id in bonus.payments:
                payment = session.get_one(Payment, payment_id)
                payment.state, payment.done_at = CallState.DONE, now
