"""Taking what is personal out of single rows: sessions, and texts that mention an id.

An assignment is never deleted, because a page's token and the ledger refer to it by its id, and
databases use the ids of deleted rows again. It stays as a tombstone that says nothing.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Text, cast, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from evaluation.crowd.base import Offer
from evaluation.events import note_event
from evaluation.planning.batches import SESSION_RULE
from evaluation.privacy.pseudonyms import is_forgotten
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    CallState,
    Consent,
    Event,
    EventKind,
    Hit,
    Judgment,
    Payment,
    PlanBatch,
    Review,
    ReviewDecision,
    Showing,
    Study,
    Trial,
    TrialKind,
)
from evaluation.secret import settled_digest
from evaluation.sessions.closing import withdraw_session
from evaluation.sessions.leases import locked_showings

GONE = "withdrawn"
ALL_LISTED = "all_listed_at"
_CLOCKS = timedelta(hours=1)  # by which the platform's and ours may differ
_SHORTEST = 6  # a shorter id is also an ordinary word or number
_ABOUT_THE_STUDY = (EventKind.INIT, EventKind.DESIGN_CHANGED, EventKind.SETTINGS_CHANGED)


class Erased(NamedTuple):
    """What one session lost: judgments, and test trials that are to be judged again."""

    judgments: int
    trials: int


def is_owed(session: Session, assignment: Assignment) -> bool:
    """Tell whether a session's pay is still to be settled, for which the platform's ids are needed.

    That is a finished session with a reward that nobody has approved or rejected, unless it can
    never be handed in on the platform any more, or a payment that was written down and not made.
    """
    open_payment = select(Payment.id).where(
        Payment.assignment_id == assignment.id, Payment.state == CallState.INTENDED
    )
    if session.scalar(open_payment.limit(1)) is not None:
        return True
    hit = session.get_one(Hit, assignment.hit_id)
    if assignment.submitted_at is None or not hit.reward_cents:
        return False
    if _never_came(hit, assignment.submitted_at):
        return False
    return _decision(session, assignment) is None


def _never_came(hit: Hit, finished: datetime) -> bool:
    """Whether a session that is not decided was not on the platform when it could come no more.

    Somebody may finish here and never hand in there, or somebody who knows the page's address made
    the session up. A HIT that is offered for longer takes such sessions again.
    """
    listed, last = hit.details.get(ALL_LISTED), last_hand_in(hit)
    if listed is None or last is None:
        return False
    return datetime.fromisoformat(listed) >= max(last, finished)


def last_hand_in(hit: Hit) -> datetime | None:
    """Return until when a platform takes sessions of a HIT; None: a link, which never stops."""
    if "offer" not in hit.details or hit.expires_at is None:
        return None
    return hit.expires_at + Offer.from_json(hit.details["offer"]).duration + _CLOCKS


def remember_settled(
    session: Session, assignments: Collection[Assignment], worker: str, now: datetime
) -> None:
    """Let `review` know sessions that were approved or rejected when their ids are gone.

    The platform goes on listing them. What is kept is a digest of both ids with the decision, in an
    event without the session's number: only who has the ids already can tell that it is theirs.

    Args:
        session: of a write unit; the ids are still there.
        assignments: of one worker.
        worker: the platform's id.
        now: aware.
    """
    settled: dict[int, dict[str, ReviewDecision]] = defaultdict(dict)
    for one in assignments:
        decision = _decision(session, one)
        if decision is not None:
            study = session.get_one(Study, one.study_id)
            settled[study.id][settled_digest(study.secret, one.external_id, worker)] = decision
    for study_id, decisions in settled.items():
        keep_decisions(session, study_id, decisions, now)


def keep_decisions(
    session: Session, study_id: int, decisions: Mapping[str, ReviewDecision], now: datetime
) -> None:
    """Write down what was decided about sessions whose ids are gone, by their digests."""
    details = {"digests": {digest: decision.value for digest, decision in decisions.items()}}
    note_event(session, study_id, EventKind.SETTLED_SESSIONS, details, now)


def settled_digests(session: Session, study: Study) -> dict[str, ReviewDecision | None]:
    """Return the digests of a study's settled sessions whose ids are gone, with the decisions.

    None is one that an earlier version did not keep.
    """
    query = select(Event.details).where(
        Event.study_id == study.id, Event.kind == EventKind.SETTLED_SESSIONS
    )
    found: dict[str, ReviewDecision | None] = {}
    for details in session.scalars(query.order_by(Event.id)):
        digests = details["digests"]
        kept = digests if isinstance(digests, dict) else {}
        found |= {one: ReviewDecision(kept[one]) if one in kept else None for one in digests}
    return found


def rejected_stone(session: Session, hit_id: int) -> Assignment:
    """Return a rejected session of a HIT whose ids are gone.

    Whose of several it was is not known any more, and makes no difference to the books.
    """
    query = select(Assignment).where(Assignment.hit_id == hit_id).order_by(Assignment.id)
    return next(
        one
        for one in session.scalars(query)
        if is_gone(one.external_id) and _decision(session, one) is ReviewDecision.REJECT
    )


def _decision(session: Session, assignment: Assignment) -> ReviewDecision | None:
    """Return what was decided last, and is known to have reached the platform."""
    decided = select(Review.decision).where(
        Review.assignment_id == assignment.id, Review.state == CallState.DONE
    )
    return session.scalar(decided.order_by(Review.number.desc()).limit(1))


def is_gone(external_id: str) -> bool:
    """Tell whether an id was put in the place of one that was taken away."""
    return external_id.startswith(f"{GONE}-") or is_forgotten(external_id)


def erase_session(session: Session, assignment: Assignment) -> Erased:
    """Delete what a worker did and said in a session, and free its trials.

    Judgments, showings, the session's own trials, consents, survey, device and times go. Review
    and payments stay, and while pay is owed, the platform's id and the completion code.
    """
    study = session.get_one(Study, assignment.study_id)
    # Before the session is closed: a rater who is answering now is waited for, then shut out.
    withdraw_session(session, assignment)
    showings, trials = locked_showings(session, assignment)
    n_judgments = session.scalar(select(func.count()).where(Judgment.showing_id.in_(showings)))
    n_trials = session.scalar(
        select(func.count()).where(Trial.id.in_(trials), Trial.kind == TrialKind.TEST, Trial.free)
    )
    own = exists().where(PlanBatch.id == Trial.batch_id, PlanBatch.rule == SESSION_RULE)
    for statement in (
        delete(Judgment).where(Judgment.showing_id.in_(showings)),
        delete(Showing).where(Showing.id.in_(showings)),
        delete(Trial).where(Trial.id.in_(trials), Trial.kind != TrialKind.TEST, own),
        delete(Consent).where(Consent.assignment_id == assignment.id),
    ):
        session.execute(statement, execution_options={"synchronize_session": False})
    assignment.environment_details, assignment.survey = {}, {}
    assignment.accepted_at = assignment.lease_until = study.created_at
    if is_owed(session, assignment):
        assignment.submitted_at = study.created_at  # that it was, not when
    else:
        assignment.submitted_at, assignment.completion_code = None, ""
        assignment.nonce = None
        assignment.external_id = f"{GONE}-{assignment.id}"
    assert assignment.status is AssignmentStatus.WITHDRAWN
    session.flush()
    return Erased(int(n_judgments or 0), int(n_trials or 0))


def scrub(session: Session, ids: Collection[str]) -> None:
    """Replace ids in what was written down about calls, payments and events.

    Ids shorter than six characters are left: they are ordinary words and numbers too, and nothing
    of ours writes an id there.
    """
    long = [one for one in ids if len(one) >= _SHORTEST]
    if not long:
        return
    words = re.compile("|".join(rf"(?<![\w-]){re.escape(one)}(?![\w-])" for one in long))
    about_people = Event.kind.not_in(_ABOUT_THE_STUDY)
    for table, column, rule in (
        (Event, Event.details, about_people),
        (Hit, Hit.details, None),
        (Payment, Payment.reason, None),
        (Review, Review.reason, None),
    ):
        said = cast(column, Text)
        query = select(table).where(or_(*(said.contains(one, autoescape=True) for one in long)))
        for row in session.scalars(query if rule is None else query.where(rule)):
            setattr(row, column.key, _scrubbed(getattr(row, column.key), words))


def _scrubbed(value: Any, words: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return words.sub(GONE, value)
    if isinstance(value, dict):
        return {_scrubbed(k, words): _scrubbed(v, words) for k, v in value.items()}
    if isinstance(value, list):
        return [_scrubbed(v, words) for v in value]
    return value
