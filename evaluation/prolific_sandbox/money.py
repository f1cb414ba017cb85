"""The workspace's wallet: what places hold, what submissions and bonuses cost, the books.

The fee is an academic account's: a third of rewards and bonuses, rounded up; VAT is on the fee.
"""

import math
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from evaluation.budget import crowd_fee_cents
from evaluation.prolific_sandbox.errors import ApiError
from evaluation.prolific_sandbox.store import (
    Bonus,
    BonusSetUp,
    Entry,
    Study,
    StudyStatus,
    Submission,
    SubmissionStatus,
    Unit,
    new_id,
)

_OPEN = (StudyStatus.PUBLISHING, StudyStatus.ACTIVE, StudyStatus.PAUSED)
_PENDING = (
    SubmissionStatus.RESERVED,
    SubmissionStatus.ACTIVE,
    SubmissionStatus.AWAITING_REVIEW,
)


def fee_of(unit: Unit, cents: int) -> int:
    """Return fee and VAT on an amount."""
    fee = crowd_fee_cents("prolific", cents)
    return fee + math.ceil(fee * unit.service.vat_percent / 100)


def price(unit: Unit, reward: int, places: int) -> int:
    """Return what places cost, fee and VAT included."""
    return places * (reward + fee_of(unit, reward))


def slots_price(unit: Unit, study: Study) -> int:
    """Return what paid screen-outs may still cost, all slots taken."""
    action = screen_out_action(study.body)
    if action is None:
        return 0
    used = sum(s.status is SubmissionStatus.SCREENED_OUT for s in study.submissions)
    return price(unit, int(action["fixed_screen_out_reward"]), max(0, int(action["slots"]) - used))


def screen_out_action(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return the action that pays those who are screened out, if a study's body has one."""
    for code in body["completion_codes"]:
        for action in code.get("actions", []):
            if action["action"] == "FIXED_SCREEN_OUT_PAYMENT":
                found: dict[str, Any] = action
                return found
    return None


def held(unit: Unit, study: Study) -> int:
    """Return what is set aside for a study: its open places and those that wait for review."""
    if study.status is StudyStatus.UNPUBLISHED:
        return 0
    approved = sum(s.status is SubmissionStatus.APPROVED for s in study.submissions)
    pending = sum(s.status in _PENDING for s in study.submissions)
    if study.stopped:
        return price(unit, study.reward, pending)
    slots = slots_price(unit, study) if study.status in _OPEN else 0
    return price(unit, study.reward, max(pending, study.places - approved)) + slots


def available(unit: Unit) -> int:
    """Return what can be spent."""
    studies = unit.session.scalars(select(Study)).all()
    return unit.service.balance_cents - sum(held(unit, study) for study in studies)


def require(unit: Unit, cents: int) -> None:
    """Refuse what the wallet does not cover.

    Raises:
        ApiError: 400.
    """
    if available(unit) < cents:
        raise ApiError(
            f"Not enough funds: {cents} needed, {available(unit)} available", title="No funds"
        )


def book(unit: Unit, submission: Submission, kind: str, cents: int) -> None:
    """Pay an amount and the fee on it."""
    for name, amount in ((kind, cents), ("fee", fee_of(unit, cents))):
        entry = Entry(submission_id=submission.id, kind=name, cents=-amount, at=unit.now)
        unit.session.add(entry)
        unit.service.balance_cents -= amount


def set_up(unit: Unit, study: Study, text: str) -> BonusSetUp:
    """Read the lines of a bonus set-up; pays nothing.

    Raises:
        ApiError: a line that is none, or ids that are not of the study.
    """
    by_id: dict[str, Submission] = {}
    for submission in study.submissions:
        by_id[submission.participant.external_id] = submission
        by_id[submission.external_id] = submission
    lines, unknown = [], []
    for line in filter(None, (one.strip() for one in text.splitlines())):
        who, _, amount = line.partition(",")
        try:
            cents = round(float(amount) * 100)  # the amount is in major units
        except (ValueError, OverflowError):
            raise ApiError({"csv_bonuses": [f"cannot read {line!r}"]}) from None
        if cents <= 0:
            raise ApiError({"csv_bonuses": [f"the amount must be above zero: {line!r}"]})
        if who.strip() in by_id:
            lines.append({"submission": by_id[who.strip()].id, "cents": cents})
        else:
            unknown.append(who.strip())
    if unknown or not lines:
        raise ApiError([f"not of this study: {', '.join(unknown) or 'no lines'}"])
    made = BonusSetUp(external_id=new_id(), study_id=study.id, lines=lines)
    unit.session.add(made)
    return made


def pay(unit: Unit, prepared: BonusSetUp) -> None:
    """Pay a set-up. As documented, the same one twice pays twice.

    Raises:
        ApiError: not enough funds.
    """
    amounts = [int(line["cents"]) for line in prepared.lines]
    require(unit, sum(cents + fee_of(unit, cents) for cents in amounts))
    shows_at = unit.now + timedelta(seconds=unit.service.bonus_delay_s)
    for line in prepared.lines:
        submission = unit.session.get_one(Submission, int(line["submission"]))
        cents = int(line["cents"])
        unit.session.add(Bonus(submission_id=submission.id, cents=cents, shows_at=shows_at))
        book(unit, submission, "bonus", cents)
