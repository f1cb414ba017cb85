"""What is known of one person's sessions, for who writes that they finished and were not paid."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from evaluation.money.decisions import latest_review
from evaluation.privacy.erasing import is_gone
from evaluation.privacy.pseudonyms import pseudonym
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    CallState,
    Payment,
    PaymentKind,
    ReviewDecision,
    Study,
    Worker,
)
from evaluation.sessions.closing import answered_trials
from evaluation.withdrawing import find_people


class Paid(NamedTuple):
    """A reward or bonus of a session, as the ledger has it."""

    kind: PaymentKind
    state: CallState
    cents: int
    currency: str


class Reviewed(NamedTuple):
    """The latest decision about a session, and when the platform was told; None: not yet."""

    decision: ReviewDecision
    done_at: datetime | None


@dataclass(frozen=True)
class KnownSession:
    """One session of a person.

    Args:
        study: its name.
        crowd: where the person came from.
        environment: of the crowd.
        worker: the platform's id; empty once it was forgotten or withdrawn.
        pseudonym: of the worker, as in exports; empty where there is no key of pseudonyms.
        assignment: the platform's id; empty like the worker's.
        status: of the assignment.
        answered: its trials that have an answer to every question.
        trials: of all kinds.
        accepted_at: None for a withdrawn session, of which no times are kept.
        submitted_at: when the last page was done; None where it was not, or was withdrawn.
        code: that the person was shown; empty for an unfinished session and once it was forgotten.
        review: None before one.
        payments: rewards and bonuses.
    """

    study: str
    crowd: str
    environment: str
    worker: str
    pseudonym: str
    assignment: str
    status: AssignmentStatus
    answered: int
    trials: int
    accepted_at: datetime | None
    submitted_at: datetime | None
    code: str
    review: Reviewed | None
    payments: tuple[Paid, ...]


def known_sessions(
    session: Session, who: str, *, key: bytes | None, study: Study | None = None
) -> list[KnownSession]:
    """Return the sessions of one person, oldest first; only reads.

    Args:
        session: of any unit.
        who: an id on a platform, a completion code, a platform's id of an assignment, or a
            pseudonym of a worker.
        key: of the installation's pseudonyms; None where none was made yet.
        study: the only one to look in; None for all of the database.
    """
    # Before there is a key, nobody was exported under a pseudonym, and nobody forgotten.
    workers = {one.id for one in find_people(session, who, key=key or b"", study=study)}
    is_code = (Assignment.completion_code != "") & (Assignment.completion_code == who.upper())
    named = select(Assignment.worker_id).where(or_(Assignment.external_id == who, is_code))
    query = (
        select(Assignment, Study.name)
        .join(Study, Assignment.study_id == Study.id)
        .where(Assignment.worker_id.in_({*workers, *session.scalars(named)}))
        .order_by(Assignment.accepted_at, Assignment.id)
    )
    if study is not None:
        query = query.where(Assignment.study_id == study.id)
    found = [(one, name) for one, name in session.execute(query)]
    ids = [one.id for one, _ in found]
    given, paid = answered_trials(session, ids), _paid(session, ids)
    known = []
    for one, name in found:
        answered, trials = given.get(one.id, (0, 0))
        last = latest_review(session, one)
        is_withdrawn = one.status is AssignmentStatus.WITHDRAWN
        known.append(
            KnownSession(
                study=name,
                crowd=one.crowd,
                environment=one.environment.value,
                worker=_kept(one.worker.external_id),
                pseudonym=_pseudonym(key, one.worker),
                assignment=_kept(one.external_id),
                status=one.status,
                answered=answered,
                trials=trials,
                accepted_at=None if is_withdrawn else one.accepted_at,
                submitted_at=None if is_withdrawn else one.submitted_at,
                code=one.completion_code,
                review=Reviewed(last.decision, last.done_at) if last else None,
                payments=tuple(paid.get(one.id, ())),
            )
        )
    return known


def _kept(external_id: str) -> str:
    return "" if is_gone(external_id) else external_id


def _pseudonym(key: bytes | None, worker: Worker) -> str:
    place = (worker.crowd, worker.environment.value, worker.external_id)
    return pseudonym(key, "worker", *place) if key else ""


def _paid(session: Session, assignments: Collection[int]) -> dict[int | None, list[Paid]]:
    """Return what each session was promised; fees are the lab's, not the person's."""
    query = select(Payment).where(
        Payment.assignment_id.in_(assignments), Payment.kind != PaymentKind.FEE
    )
    found: dict[int | None, list[Paid]] = {}
    for one in session.scalars(query.order_by(Payment.id)):
        paid = Paid(one.kind, one.state, one.cents, one.currency)
        found.setdefault(one.assignment_id, []).append(paid)
    return found
