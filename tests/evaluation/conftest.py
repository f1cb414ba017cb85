"""Fixtures that write a planned study straight into the tables, without clips on disk."""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from crowd_fixtures import crowd_clients as crowd_clients
from crowd_fixtures import crowd_front as crowd_front
from crowd_fixtures import crowd_on as crowd_on
from crowd_fixtures import crowded as crowded
from crowd_fixtures import no_pauses as no_pauses
from crowd_fixtures import recruit as recruit
from crowd_fixtures import service_template as service_template
from crowd_fixtures import walk as walk
from evaluation import schema
from evaluation.allocation import get_worker, local_hit, next_showing, start_session
from evaluation.database import Database
from evaluation.judgments import Answer, record_judgment
from evaluation.schema import Environment, Side, TrialKind
from evaluation.study import Question, Workers
from evaluation.study import Session as SessionTable
from freezing import frozen, study_of

START = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
SESSION = {
    "trials": 4, "practice": 0, "gold": 0, "repeats": 0, "identical": 0,
    "minutes_limit": 30, "grace_minutes": 5,
}  # fmt: skip


class _Rows:
    """Adds the rows of one study; clip and pair names carry their source, side by side."""

    def __init__(self, session: Any, study: schema.Study, clips: int) -> None:
        self.session = session
        self.study = study
        self.clips: dict[tuple[str, str], list[schema.Clip]] = {}
        self.n_clips = clips
        self.sources: dict[str, schema.Source] = {}

    def source(self, name: str, *, hidden: bool = False) -> schema.Source:
        if name not in self.sources:
            self.sources[name] = schema.Source(
                study_id=self.study.id, position=len(self.sources), name=name,
                display_name=name.title(), hidden=hidden,
            )  # fmt: skip
            self.session.add(self.sources[name])
            self.session.flush()
        return self.sources[name]

    def clips_of(self, source: str, category: str, n: int, *, hidden: bool = False) -> list[Any]:
        key = (source, category)
        if key not in self.clips:
            self.clips[key] = [
                schema.Clip(
                    study_id=self.study.id, source_id=self.source(source, hidden=hidden).id,
                    name=f"{source}/{category}/{i:05d}.mp4", category=category,
                    sha256=hashlib.sha256(f"{key} {i}".encode()).hexdigest(),
                    path=f"/clips/{source}/{category}/{i:05d}.mp4", frames=32, fps=16.0, width=64,
                    height=64,
                    origin_video=f"{category}-video-{i // 2}" if source == "real" else "",
                )
                for i in range(n)
            ]  # fmt: skip
            self.session.add_all(self.clips[key])
            self.session.flush()
        return self.clips[key]

    def batch(self, number: int, rule: str) -> schema.PlanBatch:
        batch = schema.PlanBatch(
            study_id=self.study.id, number=number, seed=1, rule=rule, reason="a test",
            created_at=START,
        )  # fmt: skip
        self.session.add(batch)
        self.session.flush()
        return batch

    def pair(self, clip_a: Any, clip_b: Any, a: str, b: str, category: str) -> schema.Pair:
        return schema.Pair(
            study_id=self.study.id, clip_a_id=clip_a.id, clip_b_id=clip_b.id, source_a=a,
            source_b=b, category=category,
        )  # fmt: skip

    def cell(self, batch: Any, first: int, a: str, b: str, category: str, trials: int) -> None:
        """Plan `trials` trials of pairs that are all different, as far as the clips reach."""
        left, right = (self.clips_of(name, category, self.n_clips) for name in (a, b))
        steps = itertools.product(range(len(right)), range(len(left)))
        indices = [(i, (i + shift) % len(right)) for shift, i in steps][:trials]
        pairs = [self.pair(left[i], right[j], a, b, category) for i, j in indices]
        self.session.add_all(pairs)
        self.session.flush()
        self.session.add_all(
            schema.Trial(
                study_id=self.study.id, batch_id=batch.id, number=first + k,
                pair_id=pairs[k % len(pairs)].id, kind=TrialKind.TEST, a_is_left=k % 2 == 0,
            )
            for k in range(trials)
        )  # fmt: skip
        self.session.flush()

    def pool(self, batch: Any, kind: TrialKind, first: int, n: int) -> None:
        name = f"pool-{kind.value}"
        clips = self.clips_of(name, "all", 2 * n, hidden=True)
        same = kind is TrialKind.IDENTICAL
        for k in range(n):
            good, bad = clips[2 * k], clips[2 * k if same else 2 * k + 1]
            pair = self.pair(good, bad, name, name, "all")
            self.session.add(pair)
            self.session.flush()
            self.session.add(
                schema.Trial(
                    study_id=self.study.id, batch_id=batch.id, number=first + k, pair_id=pair.id,
                    kind=kind, a_is_left=True, correct=None if same else Side.LEFT,
                )
            )  # fmt: skip
        self.session.flush()


@pytest.fixture
def plan_study() -> Callable[..., schema.Study]:
    """Write a planned study: `plan_study(database, cells={("a", "b", "golf"): 8}, ...)`.

    `cells` maps (source_a, source_b, category) to a number of trials; `pool` is how many pairs each
    kind of session trial can draw from; `session` overrides the [session] numbers, and more may
    name other tables of the study file.
    """

    def plan(
        database: Database,
        *,
        cells: dict[tuple[str, str, str], int] | None = None,
        name: str = "study",
        session: dict[str, int] | None = None,
        sessions_per_worker: int = 100,
        questions: tuple[str, ...] = ("realism",),
        allow_tie: bool = False,
        clips: int = 50,
        pool: int = 6,
        seed: int = 7,
        **tables: Any,
    ) -> schema.Study:
        cells = cells or {("a", "b", "golf"): 8, ("a", "b", "beach"): 8}
        tables.setdefault("workers", Workers(sessions_per_worker=sessions_per_worker))
        file = study_of(
            name,
            *cells,
            seed=seed,
            questions=tuple(Question(q, f"Which {q}?") for q in questions),
            session=SessionTable(**SESSION | (session or {})),
            **tables,
        )
        file = replace(file, design=replace(file.design, allow_tie=allow_tie))
        with database.write() as unit:
            study = schema.Study(
                **frozen(file), study_file=f'[study]\nname = "{name}"\n',
                secret=f"secret of {name}", created_at=START,
            )  # fmt: skip
            unit.add(study)
            unit.flush()
            unit.add_all(
                schema.Question(study_id=study.id, position=i, name=q, text=f"Which {q}?")
                for i, q in enumerate(questions)
            )
            rows = _Rows(unit, study, clips)
            first = 0
            pool_batch = rows.batch(0, "pool")
            for kind in (TrialKind.PRACTICE, TrialKind.GOLD, TrialKind.IDENTICAL):
                rows.pool(pool_batch, kind, first, pool)
                first += pool
            batch, first = rows.batch(1, "study file"), 0
            for (a, b, category), trials in cells.items():
                rows.cell(batch, first, a, b, category, trials)
                first += trials
        return study

    return plan


@pytest.fixture
def begin() -> Callable[..., schema.Assignment]:
    """Start a session in an open write unit: `begin(unit, study, "worker-1")`."""

    def start(
        unit: Any,
        study: schema.Study,
        worker: str,
        external_id: str = "session-1",
        now: datetime = START,
        environment: Environment = Environment.SANDBOX,
    ) -> schema.Assignment:
        person = get_worker(unit, "local", environment, worker, now)
        hit = local_hit(unit, study, "local", environment, now)
        return start_session(unit, study, hit=hit, worker=person, external_id=external_id, now=now)

    return start


@pytest.fixture
def answer_all() -> Callable[..., int]:
    """Answer what is open in a session, all questions of each showing; returns how many answers."""

    def answer(
        unit: Any,
        assignment: schema.Assignment,
        *,
        showings: int | None = None,
        choice: str = "left",
        now: datetime = START + timedelta(minutes=1),
    ) -> int:
        names = unit.scalars(
            select(schema.Question.name)
            .where(schema.Question.study_id == assignment.study_id)
            .order_by(schema.Question.position)
        ).all()
        n = 0
        while showings is None or n < showings * len(names):
            showing = next_showing(unit, assignment)
            if showing is None:
                break
            for name in names:
                answer = Answer(name, choice, 2500.0, 4000.0, now)
                record_judgment(unit, assignment, showing.id, answer)
                n += 1
            unit.expire_all()
        return n

    return answer
