"""A session's life: start, next showing, finish, return.

All showings of a session are leased in one transaction when it starts, so that asking for the
next one only reads, and two requests at once cannot lease twice. Every function takes the session
of a `Database.write` unit unless it says that it only reads.
"""

import random
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session, joinedload

from evaluation import frozen
from evaluation.errors import UsageError
from evaluation.planning.batches import POOL_RULE, SESSION_RULE, add_batch
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    Environment,
    Hit,
    PlanBatch,
    Showing,
    ShowingStatus,
    Study,
    Trial,
    TrialKind,
    Worker,
)
from evaluation.secret import session_chance
from evaluation.sessions.arrivals import (
    check_allowance,
    get_worker,
    local_hit,
    lock_worker,
    nothing_left,
)
from evaluation.sessions.closing import finish_session, return_session, withdraw_session
from evaluation.sessions.leases import (
    STALE,
    UNORDERED,
    expire_leases,
    has_free_trial,
    lease_trials,
    lock_study,
    never_shown,
    order_trials,
)
from evaluation.sessions.order import SessionTrial, arrange, draw_from_pool

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

_NUMBERS_PER_SESSION = 1000  # session trials are numbered by assignment, so that none ever waits
_NONCE_BYTES = 16

# What every start sends is made once: making a statement takes longer than sending it.
_SESSIONS = select(
    Assignment.id, Assignment.study_id, Assignment.external_id, Assignment.status
).where(Assignment.worker_id == bindparam("worker"))
_SESSION_BATCH = (
    select(PlanBatch.id)
    .where(PlanBatch.study_id == bindparam("study"), PlanBatch.rule == SESSION_RULE)
    .limit(1)
)
_PREPARED = select(
    UNORDERED.exists().label("unordered"),
    STALE.exists().label("stale"),
    _SESSION_BATCH.scalar_subquery().label("batch_id"),
)
_POOLS = (
    select(Trial.kind, Trial.pair_id, Trial.a_is_left, Trial.correct)
    .join(PlanBatch, Trial.batch_id == PlanBatch.id)
    .where(
        PlanBatch.study_id == bindparam("study"),
        PlanBatch.rule == POOL_RULE,
        Trial.kind.in_(bindparam("kinds", expanding=True)),
        never_shown(bindparam("worker")),
    )
    .order_by(Trial.number)
)
_ADD_TRIALS = insert(Trial).returning(Trial.id, sort_by_parameter_order=True)
_ADD_SHOWINGS = insert(Showing)


def start_session(
    session: Session,
    study: Study,
    *,
    hit: Hit,
    worker: Worker,
    external_id: str,
    now: datetime,
    device: Mapping[str, Any] | None = None,
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
        device: screen and browser, written down with the session; the first that is known stays.

    Raises:
        SessionLimit: the worker has had all sessions that the study allows.
        StudyPaused: the study takes nobody new for now.
        NothingLeft: no free trial shows a pair that is new to this worker.
        UsageError: the same worker has this assignment id in another study.
    """
    # One session of a worker at a time: the second click waits here, then finds the first's.
    session.flush()
    lock_worker(session, worker.id)
    theirs = session.connection().execute(_SESSIONS, {"worker": worker.id}).all()
    existing = next((one for one in theirs if one.external_id == external_id), None)
    if existing is not None:
        if existing.study_id != study.id:
            raise UsageError(
                f"the assignment id {external_id!r} is already one of another study; "
                "give each study ids of its own"
            )
        found = session.get_one(Assignment, existing.id)
        if device and not found.environment_details:
            found.environment_details = dict(device)
            session.flush()
        return found
    # A trial is looked for by taking it, here and not before.
    check_allowance(
        study,
        had=sum(
            one.study_id == study.id and one.status is not AssignmentStatus.RETURNED
            for one in theirs
        ),
    )
    batch_id = _prepare(session, study, now)
    table = frozen.session(study)
    tests = lease_trials(session, study, worker.id, table.trials)
    if not tests:
        raise nothing_left(study)
    rng = _chance(study, hit, worker, external_id)
    minutes = table.minutes_limit + table.grace_minutes
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
        environment_details=dict(device or {}),
        nonce=secrets.token_hex(_NONCE_BYTES),
    )
    session.add(assignment)
    session.flush()
    places = [SessionTrial(TrialKind.TEST, t.pair_id, t.a_is_left, t.id) for t in tests]
    _lease_showings(session, assignment, batch_id, _arranged(session, study, worker, places, rng))
    return assignment


def _chance(study: Study, hit: Hit, worker: Worker, external_id: str) -> random.Random:
    """Return what a session's order and sides are drawn from.

    People can know the seed and all ids, which would tell them their gold trials and the right
    answers: for them it is the study's secret. A simulation follows from its seeds alone.
    """
    start = str(study.seed) if hit.environment is Environment.SIMULATED else study.secret
    return session_chance(start, hit.crowd, worker.external_id, external_id)


def _arranged(
    session: Session,
    study: Study,
    worker: Worker,
    tests: Sequence[SessionTrial],
    rng: random.Random,
) -> list[SessionTrial]:
    """Add the session's own trials from the pools to the test trials, in order of showing."""
    table = frozen.session(study)
    taken = {place.pair_id for place in tests}
    wanted = {  # in this order, from the pools
        TrialKind.PRACTICE: table.practice,
        TrialKind.GOLD: table.gold,
        TrialKind.IDENTICAL: table.identical,
    }
    pools = _pools(session, study, worker, [kind for kind, n in wanted.items() if n])
    drawn = {kind: draw_from_pool(pools.get(kind, []), n, taken, rng) for kind, n in wanted.items()}
    others = [*tests, *drawn[TrialKind.GOLD], *drawn[TrialKind.IDENTICAL]]
    return arrange(drawn[TrialKind.PRACTICE], others, table.repeats, rng)


def _pools(
    session: Session, study: Study, worker: Worker, kinds: Sequence[TrialKind]
) -> dict[TrialKind, list[SessionTrial]]:
    """Return the patterns of these kinds that are new to the worker."""
    pools: dict[TrialKind, list[SessionTrial]] = {}
    if kinds:
        of = {"study": study.id, "worker": worker.id, "kinds": kinds}
        for row in session.connection().execute(_POOLS, of):
            pattern = SessionTrial(row.kind, row.pair_id, row.a_is_left, correct=row.correct)
            pools.setdefault(row.kind, []).append(pattern)
    return pools


def _prepare(session: Session, study: Study, now: datetime) -> int:
    """Order the plan, end leases, and make the batch of session trials; return the batch's id."""
    of = {"study": study.id, "now": now}
    found = session.connection().execute(_PREPARED, of).one()
    if found.unordered:
        order_trials(session, study)
    batch_id = found.batch_id or _session_batch(session, study, now)
    if found.stale:
        expire_leases(session, study, now)
    return int(batch_id)


def _session_batch(session: Session, study: Study, now: datetime) -> int:
    lock_study(session, study)
    if (found := session.scalar(_SESSION_BATCH, {"study": study.id})) is not None:
        return found
    why = "practice, gold, identical and repeat trials, made as sessions start"
    return add_batch(session, study, SESSION_RULE, why, now).id


def _lease_showings(
    session: Session, assignment: Assignment, batch_id: int, places: Sequence[SessionTrial]
) -> None:
    connection = session.connection()
    made = [
        {
            "study_id": assignment.study_id,
            "batch_id": batch_id,
            "number": assignment.id * _NUMBERS_PER_SESSION + number,
            "pair_id": place.pair_id,
            "kind": place.kind,
            "a_is_left": place.a_is_left,
            "correct": place.correct,
            "repeat_of_id": place.repeat_of,
            "free": False,
        }
        for number, place in enumerate(place for place in places if place.trial_id is None)
    ]
    new_ids = iter(connection.scalars(_ADD_TRIALS, made).all() if made else ())
    connection.execute(
        _ADD_SHOWINGS,
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
