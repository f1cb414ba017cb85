"""Simulated raters who go through the real allocation and the real recording of judgments.

Everything they leave behind has the environment `simulated`. Who comes when, and what each of them
answers, follows from the seed alone, and every session is one transaction: a simulation that was
interrupted and is run again with the same seed ends as if it had never stopped.
"""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from evaluation import frozen
from evaluation.allocation import finish_session, get_worker, local_hit, start_session
from evaluation.database import Database, find_study
from evaluation.errors import EvaluationError, NothingLeft, UsageError
from evaluation.judgments import Answer, record_judgments
from evaluation.raters import DEFAULT_MIX, KINDS, Rater, SeenPair, World, assign_kinds
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    Clip,
    Environment,
    Pair,
    Question,
    Showing,
    Study,
    Trial,
    TrialKind,
)
from evaluation.threads import Progress, silent

CROWD = "simulated"
_DEFAULT_WORKERS = 150
_ACTIVITY_LOG_SD = 1.2  # the busiest tenth of a crowd gives about half of its judgments
_ARRIVAL_S = 90.0  # mean time between two sessions
_BETWEEN_MS = 600.0  # from an answer to the next pair's first frame


@dataclass(frozen=True)
class SimulationReport:
    """What a simulation did this time.

    Args:
        judgments: test trials judged now, each for every question.
        sessions: sessions run now.
        workers: how many different workers ran them.
        left: test trials that are still free.
    """

    judgments: int
    sessions: int
    workers: int
    left: int


def simulate(
    database: Database,
    study_name: str | None,
    *,
    workers: int | None = None,
    mix: Mapping[str, float] = DEFAULT_MIX,
    seed: int = 0,
    strengths: Mapping[str, float] | None = None,
    limit: int | None = None,
    progress: Progress = silent,
) -> SimulationReport:
    """Fill a study's plan with the answers of simulated raters.

    Args:
        database: holding the study.
        study_name: None where the database holds one study only.
        workers: how many; by default what the study file expects, else 150.
        mix: share of each kind of rater, see `evaluation.raters.KINDS`.
        seed: the same seed on the same study gives the same judgments.
        strengths: quality per source on the logit scale, over the defaults.
        limit: stop once this many test trials have been judged now; None fills the plan.
        progress: called with a stage, how much is done and how much there is.

    Raises:
        UsageError: people have rated this study, the workers cannot be enough, or an unknown kind.
        EvaluationError: the workers were not enough because of the pairs they had seen already.
    """
    with database.read() as session:
        study = find_study(session, study_name)
        n_workers = workers or frozen.workers(study).workers or _DEFAULT_WORKERS
        _refuse_beside_people(session, study)
        left = _n_free(session, study)
        finished = _finished(session, study)
    crowd = _Crowd(study, n_workers, mix, seed, strengths or {}, frozenset(finished))
    wanted = left if limit is None else min(left, limit)
    _check_enough(study, n_workers, wanted, len(finished))
    done, sessions, seen = 0, 0, set()
    for visit in crowd.visits():
        if done >= wanted:
            break
        try:
            with database.write() as session:
                judged = _run_session(session, study, visit)
        except NothingLeft:
            crowd.leave(visit.worker)
            continue
        if not judged:
            continue
        done += judged
        sessions += 1
        seen.add(visit.worker)
        progress("simulate", min(done, wanted), wanted)
    with database.read() as session:
        left = _n_free(session, study)  # others may have judged meanwhile
    if done < wanted and left:
        raise EvaluationError(
            f"study `{study.name}`: {n_workers} simulated workers judged {done:,} of the "
            f"{wanted:,} trials left, then had seen every pair that remains or had all their "
            "sessions; give more --workers, or raise sessions_per_worker in a new study"
        )
    return SimulationReport(done, sessions, len(seen), left)


def _refuse_beside_people(session: Session, study: Study) -> None:
    people = session.scalar(
        select(func.count()).where(
            Assignment.study_id == study.id, Assignment.environment != Environment.SIMULATED
        )
    )
    if people:
        raise UsageError(
            f"study `{study.name}`: people have rated it ({people} sessions), and simulated "
            "judgments would take the place of theirs; simulate in another database"
        )


def _n_free(session: Session, study: Study) -> int:
    query = select(func.count()).where(
        Trial.study_id == study.id, Trial.kind == TrialKind.TEST, Trial.free
    )
    return session.scalars(query).one()


def _finished(session: Session, study: Study) -> set[str]:
    """Return the platform ids of the simulated sessions that are done."""
    return set(
        session.scalars(
            select(Assignment.external_id).where(
                Assignment.study_id == study.id,
                Assignment.crowd == CROWD,
                Assignment.status != AssignmentStatus.ACCEPTED,
            )
        )
    )


def _check_enough(study: Study, n_workers: int, wanted: int, n_finished: int) -> None:
    allowed, trials = frozen.workers(study).sessions_per_worker, frozen.session(study).trials
    room = (n_workers * allowed - n_finished) * trials
    if wanted > room:
        raise UsageError(
            f"study `{study.name}`: {n_workers} workers with {allowed} sessions of {trials} trials "
            f"can judge at most {max(room, 0):,} of the {wanted:,} trials left; give more --workers"
        )


@dataclass(frozen=True)
class _Visit:
    """One session to come: whose, its id, its own chance, and when it starts."""

    worker: int
    name: str
    kind: str
    rater: Rater
    external_id: str
    rng: random.Random
    now: datetime


class _Crowd:
    """Who comes when, in an order that the seed fixes: everybody once, then the busy ones again."""

    def __init__(
        self,
        study: Study,
        n_workers: int,
        mix: Mapping[str, float],
        seed: int,
        strengths: Mapping[str, float],
        finished: frozenset[str],
    ) -> None:
        self._rng = random.Random(f"{seed}/crowd")
        self._study = study
        self._seed = seed
        self._finished = finished
        self._kinds = assign_kinds(n_workers, mix, self._rng)
        self._weights = [self._rng.lognormvariate(0, _ACTIVITY_LOG_SD) for _ in range(n_workers)]
        world = World(seed, strengths)
        self._raters = [
            Rater(self._name(i), KINDS[kind], world) for i, kind in enumerate(self._kinds)
        ]
        self._sessions = [0] * n_workers
        self._first = self._rng.sample(range(n_workers), n_workers)
        self._active = list(range(n_workers))
        self._cumulative = list(accumulate(self._weights))

    @staticmethod
    def _name(worker: int) -> str:
        return f"simulated-{worker + 1:04d}"

    def leave(self, worker: int) -> None:
        """Take a worker out who has nothing left to do."""
        if worker in self._active:
            self._active.remove(worker)
            self._cumulative = list(accumulate(self._weights[i] for i in self._active))

    def visits(self) -> Iterator[_Visit]:
        """Yield the sessions to run, leaving out those that an earlier run has finished."""
        allowed = frozen.workers(self._study).sessions_per_worker
        now = self._study.created_at
        while self._active:
            if self._first:
                worker = self._first.pop()
            else:
                (worker,) = self._rng.choices(self._active, cum_weights=self._cumulative)
            now += timedelta(seconds=round(self._rng.expovariate(1 / _ARRIVAL_S), 3))
            self._sessions[worker] += 1
            number = self._sessions[worker]
            if number >= allowed:
                self.leave(worker)
            name = self._name(worker)
            external_id = f"{self._study.name}/{name}/{number}"
            if external_id not in self._finished:
                rng = random.Random(f"{self._seed}/{external_id}")
                kind = self._kinds[worker]
                yield _Visit(worker, name, kind, self._raters[worker], external_id, rng, now)


def _run_session(session: Session, study: Study, visit: _Visit) -> int:
    """Start, answer and finish one session; return how many test trials it had.

    0 where another simulation, run at the same time, had that very session meanwhile.
    """
    worker = get_worker(session, CROWD, Environment.SIMULATED, visit.name, visit.now)
    if not worker.details:
        worker.details = {"kind": visit.kind}
    hit = local_hit(session, study, CROWD, Environment.SIMULATED, visit.now)
    assignment = start_session(
        session, study, hit=hit, worker=worker, external_id=visit.external_id, now=visit.now
    )
    if assignment.status is not AssignmentStatus.ACCEPTED:
        return 0
    questions = session.scalars(
        select(Question.name).where(Question.study_id == study.id).order_by(Question.position)
    ).all()
    known = frozen.gold_questions(study)
    answers: list[tuple[int, Answer]] = []
    at, n_test = visit.now, 0
    for showing_id, pair in _seen_pairs(session, assignment):
        n_test += pair.kind is TrialKind.TEST
        for question in questions:
            asked = pair if question in known else replace(pair, correct=None)
            choice = visit.rater.choose(asked, visit.rng)
            rt_ms = visit.rater.response_ms(pair, visit.rng)
            at += timedelta(milliseconds=rt_ms + _BETWEEN_MS)
            # A rater watches anew for every question, so the clips ran as long as it took.
            seen = {"loops": _loops(pair, rt_ms)}
            answers.append((showing_id, Answer(question, choice.value, rt_ms, rt_ms, at, seen)))
    record_judgments(session, assignment, answers)
    finish_session(session, assignment, at)
    return n_test


def _loops(pair: SeenPair, ran_ms: float) -> float:
    """How many times a pair was shown through, as the page reports it."""
    # Still images have been seen whole when they have been seen at all.
    return math.floor(100 * ran_ms / pair.loop_ms) / 100 if pair.loop_ms else 1.0


def _length_ms(frames: int, fps: float) -> float:
    """How long a clip runs; a still image does not."""
    return 1000 * frames / fps if frames > 1 else 0.0


def _seen_pairs(session: Session, assignment: Assignment) -> list[tuple[int, SeenPair]]:
    """Return a session's showings in order, each as its rater sees it."""
    clip_a, clip_b = aliased(Clip), aliased(Clip)
    rows = session.execute(
        select(
            Showing.id,
            Trial.kind,
            Trial.a_is_left,
            Trial.correct,
            Pair.source_a,
            Pair.source_b,
            clip_a.name.label("clip_a"),
            clip_b.name.label("clip_b"),
            clip_a.frames.label("frames_a"),
            clip_b.frames.label("frames_b"),
            clip_a.fps.label("fps_a"),
            clip_b.fps.label("fps_b"),
        )
        .join(Trial, Showing.trial_id == Trial.id)
        .join(Pair, Trial.pair_id == Pair.id)
        .join(clip_a, Pair.clip_a_id == clip_a.id)
        .join(clip_b, Pair.clip_b_id == clip_b.id)
        .where(Showing.assignment_id == assignment.id)
        .order_by(Showing.position)
    )
    return [
        (
            row.id,
            SeenPair(
                kind=row.kind,
                source_a=row.source_a,
                source_b=row.source_b,
                clip_a=row.clip_a,
                clip_b=row.clip_b,
                a_is_left=row.a_is_left,
                correct=row.correct,
                loop_ms=max(
                    _length_ms(row.frames_a, row.fps_a), _length_ms(row.frames_b, row.fps_b)
                ),
            ),
        )
        for row in rows
    ]
