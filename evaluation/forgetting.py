"""Retention: after a time the platforms' ids are taken away, and pseudonymous judgments stay.

What an id is replaced by carries its pseudonym, so that exports made before and after name the
same people. Who comes back later is somebody new to the study.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation import frozen
from evaluation.clock import Clock, utc_now
from evaluation.database import Database, find_study
from evaluation.errors import UsageError
from evaluation.events import note_event
from evaluation.money.ledger import open_bonuses
from evaluation.privacy.erasing import is_owed, remember_settled, scrub
from evaluation.privacy.pseudonyms import forgotten_id, is_forgotten
from evaluation.publishing.invitations import revoke_used
from evaluation.schema import Assignment, AssignmentStatus, Environment, EventKind, Study, Worker

# What only a person's own browser says, and no export has.
_IDENTIFYING = ("user_agent", "languages")


@dataclass(frozen=True)
class Forgotten:
    """What `forget` did, or would do.

    Args:
        people: whose ids were taken away.
        owed: who would have been, but have pay to be settled first.
        bonuses: cents and reason of those among what is to be settled.
        kept: who would have been, but took part in a study that keeps ids for ever.
        keepers: names of those studies.
    """

    people: int
    owed: int
    bonuses: tuple[tuple[int, str], ...] = ()
    kept: int = 0
    keepers: tuple[str, ...] = ()


def forget(
    db: Database,
    *,
    key: bytes,
    older_than_days: float | None = None,
    study_name: str | None = None,
    dry_run: bool = False,
    now: Clock = utc_now,
) -> Forgotten:
    """Take away the ids of people whose last session is long over; again changes nothing.

    Args:
        db: the study database.
        key: of the installation's pseudonyms.
        older_than_days: since the end of a person's last session; None takes what each study file
            says in `retention_days`.
        study_name: only people who took part in this study; None for all of the database.
        dry_run: count only.
        now: the clock.

    Raises:
        UsageError: no number of days was given and no study file has one.
    """
    with db.write() as session:
        only = find_study(session, study_name).id if study_name else None
        keep = _retention(session, only, older_than_days)
        everything = session.begin_nested()
        people, kept, owed, keepers = 0, 0, [], set[int]()
        for worker, theirs in _known_people(session):
            mine = only is None or any(one.study_id == only for one in theirs)
            if not mine or not _is_over(theirs, keep, now()):
                continue
            if for_ever := {one.study_id for one in theirs if keep[one.study_id] is None}:
                kept, keepers = kept + 1, keepers | for_ever
                continue
            if any(is_owed(session, one) for one in theirs):
                owed.append(worker.id)
                continue
            _forget(session, worker, theirs, key, now())
            people += 1
        if people:
            studies = [only] if only else sorted(keep)
            for one in studies:
                note_event(session, one, EventKind.IDS_FORGOTTEN, {"people": people}, now())
        session.flush()
        bonuses = open_bonuses(session, owed)
        names = session.scalars(select(Study.name).where(Study.id.in_(keepers)).order_by(Study.id))
        keeping = tuple(names)
        if dry_run:
            everything.rollback()
        else:
            everything.commit()
    return Forgotten(people, len(owed), bonuses, kept, keeping)


def _retention(
    session: Session, only: int | None, days: float | None
) -> dict[int, timedelta | None]:
    """Return how long each study keeps ids; None for ever."""
    studies = session.scalars(select(Study)).all()
    kept = {one.id: days if days is not None else frozen.retention_days(one)
            for one in studies}  # fmt: skip
    if all(kept[study] is None for study in ([only] if only else kept)):
        raise UsageError(
            "how long are ids kept? give --older-than DAYS, or write retention_days under [study]"
        )
    return {study: None if n is None else timedelta(days=n) for study, n in kept.items()}


def _known_people(session: Session) -> list[tuple[Worker, Sequence[Assignment]]]:
    """Return the people whose ids are still there and who took part, with their sessions."""
    query = select(Worker).where(Worker.environment != Environment.SIMULATED).order_by(Worker.id)
    found = []
    for worker in session.scalars(query).all():
        theirs = session.scalars(select(Assignment).where(Assignment.worker_id == worker.id)).all()
        gone = all(one.status is AssignmentStatus.WITHDRAWN for one in theirs)
        if not gone and not is_forgotten(worker.external_id):
            found.append((worker, theirs))
    return found


def _is_over(
    theirs: Sequence[Assignment], keep: dict[int, timedelta | None], now: datetime
) -> bool:
    """Whether all sessions are long over, of studies that keep ids for some time; it has some."""
    times = [
        (one.submitted_at or one.lease_until) + time
        for one in theirs
        if (time := keep[one.study_id]) is not None
    ]
    return bool(times) and max(times) <= now


def _forget(
    session: Session, worker: Worker, theirs: Sequence[Assignment], key: bytes, now: datetime
) -> None:
    place = (worker.crowd, worker.environment.value)
    ids = {worker.external_id, *(one.external_id for one in theirs)}
    remember_settled(session, theirs, worker.external_id, now)
    for one in theirs:
        both = (one.external_id, worker.external_id)
        one.external_id = forgotten_id(key, "assignment", *place, *both, row=one.id)
        one.completion_code, one.nonce = "", None  # from which the code could be made again
        device = one.environment_details
        one.environment_details = {k: v for k, v in device.items() if k not in _IDENTIFYING}
    worker.external_id = forgotten_id(key, "worker", *place, worker.external_id, row=worker.id)
    worker.details = {}
    session.flush()
    scrub(session, ids)
    revoke_used(session, ids, now)
