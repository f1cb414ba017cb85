"""A session's life: start, next showing, finish, return.

All showings of a session are leased in one transaction when it starts, so that asking for the
next one only reads, and two requests at once cannot lease twice. Every function takes the session
of a `Database.write` unit unless it says that it only reads.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session, joinedload

from evaluation.arrivals import get_worker, local_hit
from evaluation.closing import finish_session, return_session, withdraw_session
from evaluation.errors import NothingLeft, SessionLimit, StudyPaused, UsageError
from evaluation.leases import (
    expire_leases,
    has_free_trial,
    lease_trials,
    lock_study,
    never_shown,
    order_trials,
)
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    Hit,
    PlanBatch,
    Showing,
    ShowingStatus,
    Study,
    Trial,
    TrialKind,
    Worker,
)
from evaluation.session_trials import SessionTrial, arrange, draw_from_pool

__all__ = [
    "expire_leases",
    "finish_session",
    "get_worker",
    "has_free_trial",
    "local_hit",
    "next_showing",
    "return_session",
    "start_session",
    "withdraw_session",
]

POOL_RULE = "pool"
SESSION_RULE = "session"
_NUMBERS_PER_SESSION = 1000  # session trials are numbered by assignment, so that none ever waits


def start_session(
    session: Session,
    study: Study,
    *,
    hit: Hit,
    worker: Worker,
    external_id: str,
    now: datetime,
    rng: random.Random | None = None,
) -> Assignment:
    """Lease a session's showings to a worker, all of them or none.

    The session has up to `session.trials` test trials, cells with the fewest judgments given or
    being given first, and its practice, gold, identical and repeat trials. The last session of a
    study may be short. Calling it again for the same assignment and worker (a reload, a double
    click) returns what exists; platforms reuse the ids of returned assignments, so another worker
    under the same id is another assignment.

    Args:
        session: of a write unit.
        study: must be frozen, with a plan.
        hit: under which the worker came; gives crowd and environment.
        worker: on the hit's crowd.
        external_id: the platform's id of the assignment.
        now: aware.
        rng: source of chance for order and sides; by default seeded by the study and these ids.

    Raises:
        StudyPaused: the study takes nobody new for now.
        NothingLeft: no free trial shows a pair that is new to this worker.
        SessionLimit: the worker has had all sessions that the study allows.
        UsageError: the same worker has this assignment id in another study.
    """
    # One session of a worker at a time: the second click waits here, then finds the first's.
    session.execute(select(Worker.id).where(Worker.id == worker.id).with_for_update(key_share=True))
    existing = session.scalar(
        select(Assignment).where(
            Assignment.crowd == hit.crowd,
            Assignment.environment == hit.environment,
            Assignment.external_id == external_id,
            Assignment.worker_id == worker.id,
        )
    )
    if existing is not None:
        if existing.study_id != study.id:
            raise UsageError(
                f"the assignment id {external_id!r} is already one of another study; "
                "give each study ids of its own"
            )
        return existing
    _check_may_start(session, study, worker)
    batch_id = _prepare(session, study, now)
    expire_leases(session, study, now)
    settings = study.design["session"]
    tests = lease_trials(session, study, worker.id, settings["trials"])
    if not tests:
        raise NothingLeft(
            f"study `{study.name}`: no trial is left for this worker; every planned judgment is "
            "given or being given"
        )
    rng = rng or random.Random(f"{study.seed}/{hit.crowd}/{worker.external_id}/{external_id}")
    minutes = settings["minutes_limit"] + settings["grace_minutes"]
    assignment = Assignment(
        study_id=study.id,
        hit_id=hit.id,
        worker_id=worker.id,
        crowd=hit.crowd,
        environment=hit.environment,
        external_id=external_id,
        status=AssignmentStatus.ACCEPTED,
        accepted_at=now,
        lease_until=now + timedelta(minutes=minutes),
    )
    session.add(assignment)
    session.flush()
    places = [SessionTrial(TrialKind.TEST, t.pair_id, t.a_is_left, t.id) for t in tests]
    _lease_showings(session, assignment, batch_id, _arranged(session, study, worker, places, rng))
    return assignment


def _check_may_start(session: Session, study: Study, worker: Worker) -> None:
    if study.paused:
        raise StudyPaused(f"study `{study.name}` is paused; come back later")
    allowed = study.design["workers"]["sessions_per_worker"]
    had = session.scalar(
        select(func.count()).where(
            Assignment.worker_id == worker.id,
            Assignment.study_id == study.id,
            Assignment.status != AssignmentStatus.RETURNED,
        )
    )
    if had is not None and had >= allowed:
        raise SessionLimit(
            f"study `{study.name}`: this worker has had {had} of {allowed} allowed sessions"
        )


def _arranged(
    session: Session,
    study: Study,
    worker: Worker,
    tests: Sequence[SessionTrial],
    rng: random.Random,
) -> list[SessionTrial]:
    """Add the session's own trials from the pools to the test trials, in order of showing."""
    settings = study.design["session"]
    taken = {place.pair_id for place in tests}
    drawn: dict[TrialKind, list[SessionTrial]] = {}
    for kind in (TrialKind.PRACTICE, TrialKind.GOLD, TrialKind.IDENTICAL):
        wanted = settings[kind.value]
        pool = _pool(session, study, worker, kind) if wanted else []
        drawn[kind] = draw_from_pool(pool, wanted, taken, rng)
    others = [*tests, *drawn[TrialKind.GOLD], *drawn[TrialKind.IDENTICAL]]
    return arrange(drawn[TrialKind.PRACTICE], others, settings["repeats"], rng)


def _pool(session: Session, study: Study, worker: Worker, kind: TrialKind) -> list[SessionTrial]:
    rows = session.execute(
        select(Trial.pair_id, Trial.a_is_left, Trial.correct)
        .join(PlanBatch, Trial.batch_id == PlanBatch.id)
        .where(
            PlanBatch.study_id == study.id,
            PlanBatch.rule == POOL_RULE,
            Trial.kind == kind,
            never_shown(worker.id),
        )
        .order_by(Trial.number)
    )
    return [SessionTrial(kind, r.pair_id, r.a_is_left, correct=r.correct) for r in rows]


def _prepare(session: Session, study: Study, now: datetime) -> int:
    """Order the plan and make the batch of session trials, where missing; return the batch's id."""
    order_trials(session, study)
    query = select(PlanBatch.id).where(
        PlanBatch.study_id == study.id, PlanBatch.rule == SESSION_RULE
    )
    if (found := session.scalar(query)) is not None:
        return found
    lock_study(session, study)
    if (found := session.scalar(query)) is not None:
        return found
    last = session.scalar(select(func.max(PlanBatch.number)).where(PlanBatch.study_id == study.id))
    batch = PlanBatch(
        study_id=study.id,
        number=(last or 0) + 1,
        seed=study.seed,
        rule=SESSION_RULE,
        reason="practice, gold, identical and repeat trials, made as sessions start",
        created_at=now,
    )
    session.add(batch)
    session.flush()
    return batch.id


def _lease_showings(
    session: Session, assignment: Assignment, batch_id: int, places: Sequence[SessionTrial]
) -> None:
    made = [place for place in places if place.trial_id is None]
    new = [
        Trial(
            study_id=assignment.study_id,
            batch_id=batch_id,
            number=assignment.id * _NUMBERS_PER_SESSION + number,
            pair_id=place.pair_id,
            kind=place.kind,
            a_is_left=place.a_is_left,
            correct=place.correct,
            repeat_of_id=place.repeat_of,
            free=False,
        )
        for number, place in enumerate(made)
    ]
    session.add_all(new)
    session.flush()
    new_ids = iter([trial.id for trial in new])
    session.execute(
        insert(Showing),
        [
            {
                "assignment_id": assignment.id,
                "trial_id": place.trial_id or next(new_ids),
                "worker_id": assignment.worker_id,
                "pair_id": place.pair_id,
                "repeat": int(place.kind is TrialKind.REPEAT),
                "position": position,
                "status": ShowingStatus.LEASED,
                "leased_at": assignment.accepted_at,
                "expires_at": assignment.lease_until,
            }
            for position, place in enumerate(places, 1)
        ],
    )


def next_showing(session: Session, assignment: Assignment) -> Showing | None:
    """Return the first showing without an answer to every question, or None; only reads."""
    return session.scalar(
        select(Showing)
        .where(
            Showing.assignment_id == assignment.id,
            Showing.status.in_([ShowingStatus.LEASED, ShowingStatus.EXPIRED]),
        )
        .order_by(Showing.position)
        .limit(1)
        .options(joinedload(Showing.trial).joinedload(Trial.pair))
    )
