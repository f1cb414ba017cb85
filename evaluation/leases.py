"""Which test trials are free, in which order they are handed out, and how a lease ends.

Two columns of a trial carry the answer, so that leasing reads one index however large the plan:
`turn` orders the trials in laps, each lap taking one trial of every cell, so that the cell with
the fewest judgments given or being given is always served next; `free` says that a trial is
neither under a live lease, nor counted for every question, nor of a row that was stopped
(`evaluation.stopped`). The unique indices on live showings and on counted judgments hold the first
two rules whatever this module does.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    cast,
    exists,
    func,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

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
from evaluation.stopped import of_rows, stopped_rows

_PRIME = 2_147_483_647
_NO_TURN = -1
_YES = true()  # `free = true()` is the form that matches the partial index on both databases


@dataclass(frozen=True)
class LeasedTrial:
    """A test trial taken for a session."""

    id: int
    pair_id: int
    a_is_left: bool


def never_shown(worker_id: int) -> ColumnElement[bool]:
    """The condition that a worker was never shown a trial's pair, in whatever session."""
    return ~exists().where(Showing.worker_id == worker_id, Showing.pair_id == Trial.pair_id)


def order_trials(session: Session, study: Study) -> None:
    """Give every test trial of the study its turn, if there are trials without one.

    The first lap has one trial of every cell in random order, the second lap one more, and so on;
    within a cell the trials of earlier batches come first, else random. The first session after a
    new plan batch does this by itself.
    """
    unordered = select(Trial.id).where(
        Trial.study_id == study.id, Trial.free == _YES, Trial.turn == _NO_TURN
    )
    if session.scalar(unordered.limit(1)) is None:
        return
    lock_study(session, study)
    if session.scalar(unordered.limit(1)) is None:
        return
    # Multiplying by a random number modulo a prime shuffles, and any database can do it.
    factor = random.Random(f"turns of {study.seed}").randrange(_PRIME // 4, _PRIME)
    shuffled = cast(Trial.number + 1, BigInteger) * factor % _PRIME
    cell = (Pair.source_a, Pair.source_b, Pair.category)
    lap = func.row_number().over(partition_by=cell, order_by=(PlanBatch.number, shuffled))
    laps = (
        select(Trial.id, shuffled.label("shuffled"), lap.label("lap"))
        .join(Pair, Trial.pair_id == Pair.id)
        .join(PlanBatch, Trial.batch_id == PlanBatch.id)
        .where(Trial.study_id == study.id, Trial.kind == TrialKind.TEST)
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


def lock_study(session: Session, study: Study) -> None:
    """Let one transaction at a time prepare a study; take it before any lock on a trial."""
    # key_share: rows that merely refer to the study must not wait.
    session.execute(select(Study.id).where(Study.id == study.id).with_for_update(key_share=True))


def _free_trials(study_id: int, worker_id: int) -> Select[int, int, bool]:
    return (
        select(Trial.id, Trial.pair_id, Trial.a_is_left)
        .where(
            Trial.study_id == study_id,
            Trial.free == _YES,
            never_shown(worker_id),
        )
        .order_by(Trial.turn)
    )


def lease_trials(session: Session, study: Study, worker_id: int, wanted: int) -> list[LeasedTrial]:
    """Take up to `wanted` free test trials, of pairs that the worker was never shown.

    Trials that another transaction is taking at this moment are passed over, not waited for. The
    caller adds the showings in the same transaction.
    """
    taken: dict[int, LeasedTrial] = {}
    query = _free_trials(study.id, worker_id).with_for_update(
        of=Trial, skip_locked=True, key_share=True
    )
    while len(taken) < wanted:
        # One pair may have many trials; each round leaves out the pairs already taken.
        rows = session.execute(
            query.where(Trial.pair_id.not_in(list(taken))).limit(wanted - len(taken))
        ).all()
        if not rows:
            break
        for row in rows:
            taken.setdefault(row.pair_id, LeasedTrial(row.id, row.pair_id, row.a_is_left))
    session.execute(
        update(Trial).where(Trial.id.in_([t.id for t in taken.values()])).values(free=False),
        execution_options={"synchronize_session": False},
    )
    return list(taken.values())


def has_free_trial(session: Session, study: Study, worker_id: int | None, now: datetime) -> bool:
    """Whether a session could start now; changes nothing.

    Args:
        session: may be one that can only read.
        study: whose plan is looked at.
        worker_id: None for a worker who is not known yet.
        now: leases that ended before are free trials, though nobody has freed them yet.
    """
    free = select(Trial.id).where(Trial.study_id == study.id, Trial.free == _YES)
    # Before the first session, patterns of session trials are still marked free too.
    free = free.where(Trial.kind == TrialKind.TEST)
    stale = (
        select(Trial.id)
        .join(Showing, Showing.trial_id == Trial.id)
        .where(
            Trial.study_id == study.id,
            Trial.kind == TrialKind.TEST,
            Showing.status == ShowingStatus.LEASED,
            Showing.expires_at < now,
            ~of_rows(stopped_rows(session, study)),
        )
    )
    for query in (free, stale):
        if worker_id is not None:
            query = query.where(never_shown(worker_id))
        if session.scalar(query.limit(1)) is not None:
            return True
    return False


def expire_leases(session: Session, study: Study, now: datetime) -> int:
    """End the leases whose time is over and free their trials; returns how many there were."""
    stale = session.execute(
        select(Showing.id, Showing.trial_id)
        .join(Assignment, Showing.assignment_id == Assignment.id)
        .where(
            Showing.status == ShowingStatus.LEASED,
            Showing.expires_at < now,
            Assignment.study_id == study.id,
        )
        .order_by(Showing.id)
        .with_for_update(of=Showing, skip_locked=True)
    ).all()
    if stale:
        set_status(session, [row.id for row in stale], ShowingStatus.EXPIRED)
        free_trials(session, study, [row.trial_id for row in stale])
    return len(stale)


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
    leased = exists().where(Showing.trial_id == Trial.id, Showing.status == ShowingStatus.LEASED)
    session.execute(
        update(Trial)
        .where(
            Trial.id.in_(sorted(trial_ids)),
            Trial.kind == TrialKind.TEST,
            ~leased,
            ~counted_for_all(study.id),
            ~of_rows(stopped_rows(session, study)),
        )
        .values(free=True),
        execution_options={"synchronize_session": False},
    )
