"""Which test trials are free, in which order they are handed out, and how a lease ends.

Two columns of a trial carry the answer, so that leasing reads one index however large the plan:
`turn` orders the trials in laps, each lap taking one trial of every cell, so that the cell with
the fewest judgments given or being given is always served next; `free` says that a trial is
neither under a live lease, nor counted for every question, nor of a row that was stopped
(`evaluation.sessions.stopped`). The unique indices on live showings and on counted judgments hold
the first two rules whatever this module does.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    bindparam,
    cast,
    exists,
    func,
    select,
    text,
    true,
    update,
)
from sqlalchemy.orm import Session, aliased

from evaluation.schema import (
    Assignment,
    Judgment,
    JudgmentStatus,
    Pair,
    PlanBatch,
    Question,
    Showing,
    ShowingStatus,
    Study,
    Trial,
    TrialKind,
)
from evaluation.sessions.stopped import of_rows, stopped_rows

_PRIME = 2_147_483_647
_NO_TURN = -1
_YES = true()  # `free = true()` is the form that matches the partial index on both databases


@dataclass(frozen=True)
class LeasedTrial:
    """A test trial taken for a session."""

    id: int
    pair_id: int
    a_is_left: bool


def never_shown(worker_id: int | BindParameter[int]) -> ColumnElement[bool]:
    """The condition that a worker was never shown a trial's pair, in whatever session."""
    seen = aliased(Showing)  # apart from the showings that the query itself may be about
    return ~exists().where(seen.worker_id == worker_id, seen.pair_id == Trial.pair_id)


# What every start sends is made once: making a statement takes longer than sending it.
# Of a `study`: test trials that have no turn yet, and leases whose time is over at `now`.
UNORDERED = select(Trial.id).where(
    Trial.study_id == bindparam("study"), Trial.free == _YES, Trial.turn == _NO_TURN
)
STALE = (
    select(Showing.id, Showing.trial_id)
    .join(Assignment, Showing.assignment_id == Assignment.id)
    .where(
        Showing.status == ShowingStatus.LEASED,
        Showing.expires_at < bindparam("now"),
        Assignment.study_id == bindparam("study"),
    )
)
_FREE = (
    select(Trial.id, Trial.pair_id, Trial.a_is_left)
    .where(
        Trial.study_id == bindparam("study"),
        Trial.free == _YES,
        never_shown(bindparam("worker")),
        Trial.pair_id.not_in(bindparam("taken", expanding=True)),
    )
    .order_by(Trial.turn)
    .limit(bindparam("wanted"))
    .with_for_update(of=Trial, skip_locked=True, key_share=True)
)
_TESTS = select(Trial.id).where(
    Trial.study_id == bindparam("study"),
    # Before the first session, patterns of session trials are still marked free too.
    Trial.kind == TrialKind.TEST,
    never_shown(bindparam("worker")),
)
_ANY_FREE = _TESTS.where(Trial.free == _YES).limit(1)
_ANY_STALE = (
    _TESTS.join(Showing, Showing.trial_id == Trial.id)
    .where(Showing.status == ShowingStatus.LEASED, Showing.expires_at < bindparam("now"))
    .limit(1)
)
_TAKE = update(Trial).where(Trial.id.in_(bindparam("trials", expanding=True))).values(free=False)


def order_trials(session: Session, study: Study) -> None:
    """Give every test trial of the study its turn, if there are trials without one.

    The first lap has one trial of every cell in random order, the second lap one more, and so on;
    within a cell the trials of earlier batches come first, then one of every pair in random order,
    one more of every pair, and so on. So all pairs run out together: what is left of a few pairs
    takes more people, each for a short session at full pay, as nobody sees a pair twice. The first
    session after a new plan batch does this by itself.
    """
    of = {"study": study.id}
    if session.scalar(UNORDERED.limit(1), of) is None:
        return
    lock_study(session, study)
    if session.scalar(UNORDERED.limit(1), of) is None:
        return
    # Multiplying by a random number modulo a prime shuffles, and any database can do it.
    factor = random.Random(f"turns of {study.seed}").randrange(_PRIME // 4, _PRIME)
    shuffled = cast(Trial.number + 1, BigInteger) * factor % _PRIME
    cell = (Pair.source_a, Pair.source_b, Pair.category)
    pair = (Trial.pair_id, Trial.batch_id)
    of_pair = func.row_number().over(partition_by=pair, order_by=shuffled)
    rounds = (
        select(Trial.id, Trial.pair_id, Trial.batch_id, shuffled.label("shuffled"))
        .add_columns(of_pair.label("round"))
        .where(Trial.study_id == study.id, Trial.kind == TrialKind.TEST)
        .subquery()
    )
    within = (PlanBatch.number, rounds.c.round, rounds.c.shuffled)
    lap = func.row_number().over(partition_by=cell, order_by=within)
    laps = (
        select(rounds.c.id, rounds.c.shuffled, lap.label("lap"))
        .join(Pair, rounds.c.pair_id == Pair.id)
        .join(PlanBatch, rounds.c.batch_id == PlanBatch.id)
        .subquery()
    )
    turn = func.row_number().over(order_by=(laps.c.lap, laps.c.shuffled, laps.c.id))
    turns = select(laps.c.id, turn.label("turn")).subquery()
    session.execute(
        update(Trial)
        .where(Trial.id == turns.c.id, Trial.turn != turns.c.turn)
        .values(turn=turns.c.turn),
        execution_options={"synchronize_session": False},
    )
    # Only test trials are handed out from the plan: the others are patterns for session trials.
    session.execute(
        update(Trial)
        .where(Trial.study_id == study.id, Trial.kind != TrialKind.TEST, Trial.free)
        .values(free=False),
        execution_options={"synchronize_session": False},
    )
    if session.get_bind().dialect.name == "postgresql":
        # Its own statistics come up to a minute later; without any, it would sort the whole plan
        # for each session that starts meanwhile.
        session.execute(text("ANALYZE trial"))


def lock_study(session: Session, study: Study) -> None:
    """Let one transaction at a time prepare a study; take it before any lock on a trial."""
    # key_share: rows that merely refer to the study must not wait.
    session.execute(select(Study.id).where(Study.id == study.id).with_for_update(key_share=True))


def lease_trials(session: Session, study: Study, worker_id: int, wanted: int) -> list[LeasedTrial]:
    """Take up to `wanted` free test trials, of pairs that the worker was never shown.

    Trials that another transaction is taking at this moment are passed over, not waited for. The
    caller adds the showings in the same transaction.
    """
    taken: dict[int, LeasedTrial] = {}
    connection = session.connection()
    while len(taken) < wanted:
        # One pair may have many trials; each round leaves out the pairs already taken.
        of = {"study": study.id, "worker": worker_id, "taken": list(taken)}
        rows = connection.execute(_FREE, of | {"wanted": wanted - len(taken)}).all()
        if not rows:
            break
        for row in rows:
            taken.setdefault(row.pair_id, LeasedTrial(row.id, row.pair_id, row.a_is_left))
    if taken:
        connection.execute(_TAKE, {"trials": [trial.id for trial in taken.values()]})
    return list(taken.values())


def has_free_trial(session: Session, study: Study, worker_id: int | None, now: datetime) -> bool:
    """Whether a session could start now; changes nothing.

    Args:
        session: may be one that can only read.
        study: whose plan is looked at.
        worker_id: None for a worker who is not known yet.
        now: leases that ended before are free trials, though nobody has freed them yet.
    """
    of = {"study": study.id, "worker": worker_id}  # to nobody, no pair was ever shown
    if session.scalar(_ANY_FREE, of) is not None:
        return True
    stopped = of_rows(stopped_rows(session, study))
    return session.scalar(_ANY_STALE.where(~stopped), of | {"now": now}) is not None


def expire_leases(session: Session, study: Study, now: datetime) -> int:
    """End the leases whose time is over and free their trials; returns how many there were."""
    locked = STALE.order_by(Showing.id).with_for_update(of=Showing, skip_locked=True)
    stale = session.execute(locked, {"study": study.id, "now": now}).all()
    if stale:
        set_status(session, [row.id for row in stale], ShowingStatus.EXPIRED)
        free_trials(session, study, [row.trial_id for row in stale])
    return len(stale)


def locked_showings(
    session: Session, assignment: Assignment, *which: ColumnElement[bool]
) -> tuple[list[int], list[int]]:
    """Lock the showings of a session that fulfil conditions; return their ids, and the trials'."""
    query = select(Showing.id, Showing.trial_id).where(
        Showing.assignment_id == assignment.id, *which
    )
    rows = session.execute(query.order_by(Showing.id).with_for_update()).all()
    return [row.id for row in rows], [row.trial_id for row in rows]


def set_status(session: Session, showing_ids: Sequence[int], status: ShowingStatus) -> None:
    """Set the status of showings, in the database and in the session's loaded objects."""
    session.execute(
        update(Showing).where(Showing.id.in_(showing_ids)).values(status=status),
        execution_options={"synchronize_session": "evaluate"},
    )


def counted_for_all(study_id: int) -> ColumnElement[bool]:
    """The condition that a trial has a counted judgment for every question of its study."""
    answers = (
        select(func.count())
        .where(Judgment.trial_id == Trial.id, Judgment.status == JudgmentStatus.COUNTED)
        .correlate(Trial)
        .scalar_subquery()
    )
    questions = select(func.count()).where(Question.study_id == study_id).scalar_subquery()
    return answers >= questions


def free_trials(session: Session, study: Study, trial_ids: Collection[int]) -> None:
    """Free those of the trials that are test trials, under no lease, not counted, not stopped."""
    ids = sorted(trial_ids)
    # Locked by a statement of its own: one that waits for a trial goes on with what it had read of
    # leases and judgments before, and would free a trial that was leased or counted meanwhile.
    session.execute(
        select(Trial.id).where(Trial.id.in_(ids)).order_by(Trial.id).with_for_update(key_share=True)
    )
    leased = exists().where(Showing.trial_id == Trial.id, Showing.status == ShowingStatus.LEASED)
    session.execute(
        update(Trial)
        .where(
            Trial.id.in_(ids),
            Trial.kind == TrialKind.TEST,
            ~leased,
            ~counted_for_all(study.id),
            ~of_rows(stopped_rows(session, study)),
        )
        .values(free=True),
        execution_options={"synchronize_session": False},
    )
