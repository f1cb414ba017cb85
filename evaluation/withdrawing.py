"""A person takes back what they gave: found by their id or pseudonym, and removed.

What they judged and said is deleted, their trials are open to others again, and the ledger keeps
every amount, paid to a tombstone. While pay is owed the platform's ids stay, because it cannot be
paid without them; withdrawing again after the review removes those too. A withdrawal that was
done finds nobody the second time, and changes nothing.
"""

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation.clock import Clock, utc_now
from evaluation.database import Database, find_study
from evaluation.errors import UsageError
from evaluation.events import note_event
from evaluation.money.ledger import open_bonuses
from evaluation.privacy.erasing import (
    GONE,
    erase_session,
    is_gone,
    is_owed,
    remember_settled,
    scrub,
)
from evaluation.privacy.pseudonyms import pseudonym, unlinkable_pseudonym
from evaluation.publishing.invitations import revoke_used
from evaluation.schema import Assignment, AssignmentStatus, EventKind, Payment, Study, Worker
from evaluation.sessions.arrivals import lock_worker


@dataclass(frozen=True)
class Withdrawal:
    """What a withdrawal did, or would do.

    Args:
        people: rows of workers: one person has one for each environment of a crowd.
        sessions: in the studies concerned.
        judgments: deleted, of all kinds of trials.
        trials: test trials that are open to others again.
        payments: rows of the ledger that stay.
        owed: sessions whose pay is not settled; their platform ids stay until it is.
        bonuses: cents and reason of those among what is not settled.
    """

    people: int = 0
    sessions: int = 0
    judgments: int = 0
    trials: int = 0
    payments: int = 0
    owed: int = 0
    bonuses: tuple[tuple[int, str], ...] = ()


def find_people(
    session: Session, who: str, *, key: bytes, study: Study | None = None, crowd: str | None = None
) -> list[Worker]:
    """Return the rows of people by the platform's id or a pseudonym of an export; only reads.

    By the id those that `forget` took it from are found too, and so are all of who came back.

    Args:
        session: of any unit.
        who: the id on the platform, or `w-` and 16 characters.
        key: of the installation's pseudonyms.
        study: looks for unlinkable pseudonyms of this study only; None for those of every study.
        crowd: the only one to look on; the same id on another is another person's.
    """
    query = select(Worker).order_by(Worker.id)
    if crowd is not None:
        query = query.where(Worker.crowd == crowd)
    studies = [study] if study else session.scalars(select(Study)).all()
    found = []
    for worker in session.scalars(query):
        place = ("worker", worker.crowd, worker.environment.value)
        names = {pseudonym(key, *place, worker.external_id)}
        names |= {unlinkable_pseudonym(key, one, *place, worker.external_id) for one in studies}
        if names & {who, pseudonym(key, *place, who)}:
            found.append(worker)
    return found


def withdraw(
    db: Database,
    who: str,
    *,
    key: bytes,
    study_name: str | None = None,
    crowd: str | None = None,
    dry_run: bool = False,
    now: Clock = utc_now,
) -> Withdrawal:
    """Remove a person's data; the same again changes nothing.

    Args:
        db: the study database.
        who: the platform's id or a pseudonym.
        key: of the installation's pseudonyms.
        study_name: of the only study to withdraw from; None for all of the database.
        crowd: where the same id exists on several.
        dry_run: count only.
        now: the clock.

    Raises:
        UsageError: no such study, or the same id on several crowds.
    """
    with db.write() as session:
        study = find_study(session, study_name) if study_name else None
        everything = session.begin_nested()
        people = find_people(session, who, key=key, study=study, crowd=crowd)
        crowds = sorted({one.crowd for one in people})
        if len(crowds) > 1:
            raise UsageError(
                f"{who!r} is the id of people on several crowds; say which with --crowd: "
                + ", ".join(crowds)
            )
        total: Counter[str] = Counter()
        for worker in people:
            total.update(_remove(session, worker, study, now()))
        bonuses = open_bonuses(session, [one.id for one in people], study.id if study else None)
        if dry_run:
            everything.rollback()
        else:
            everything.commit()
        return Withdrawal(**total, bonuses=bonuses)


def _remove(session: Session, worker: Worker, study: Study | None, now: datetime) -> Counter[str]:
    """Remove one row of a worker; returns the counts of `Withdrawal`."""
    # As in `start_session`: a session of theirs that is starting now is waited for.
    lock_worker(session, worker.id)
    query = select(Assignment).where(Assignment.worker_id == worker.id).order_by(Assignment.id)
    everything = session.scalars(query).all()
    mine = [one for one in everything if study is None or one.study_id == study.id]
    if study is not None and not mine:
        return Counter()
    ids = {worker.external_id, *(one.external_id for one in mine)}
    if not is_gone(worker.external_id):
        settled = [one for one in mine if not is_owed(session, one)]
        remember_settled(session, settled, worker.external_id, now)
    counts = Counter(people=1, sessions=len(mine))
    for study_id in sorted({one.study_id for one in mine}):
        lost = Counter(sessions=0, judgments=0, trials=0)
        for assignment in mine:
            if assignment.study_id == study_id:
                new = assignment.status is not AssignmentStatus.WITHDRAWN
                erased = erase_session(session, assignment)
                lost.update(sessions=new, judgments=erased.judgments, trials=erased.trials)
        if lost["sessions"]:
            note_event(session, study_id, EventKind.WITHDRAWAL, dict(lost), now)
        counts.update(judgments=lost["judgments"], trials=lost["trials"])
    settled = [one for one in mine if not is_owed(session, one)]
    counts["owed"] = len(mine) - len(settled)
    counts["payments"] = _payments(session, mine)
    stays = len(settled) < len(everything)
    _bury(session, worker, settled, now, stays=stays)
    if not stays:
        scrub(session, ids)
        revoke_used(session, ids, now)
    return counts


def _payments(session: Session, assignments: Sequence[Assignment]) -> int:
    ids = [one.id for one in assignments]
    return len(session.scalars(select(Payment.id).where(Payment.assignment_id.in_(ids))).all())


def _bury(
    session: Session, worker: Worker, settled: Sequence[Assignment], now: datetime, *, stays: bool
) -> None:
    """Put a tombstone in the worker's place in the settled sessions, or everywhere."""
    name = f"{GONE}-{secrets.token_hex(8)}"
    if not stays:
        worker.external_id, worker.details, worker.created_at = name, {}, now
    elif settled:
        tombstone = Worker(
            crowd=worker.crowd, environment=worker.environment, external_id=name, created_at=now
        )
        session.add(tombstone)
        session.flush()
        for one in settled:
            one.worker_id = tombstone.id
    session.flush()
