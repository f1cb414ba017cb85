"""A simulated study of any size, written row by row into an empty database, without clips.

Workers of unequal activity, gold trials, repeats, sessions that were given up or are under way, a
HIT and a ledger. `benchmarks/dashboard.py` measures with it.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from evaluation import schema
from evaluation.database import Database, create_database
from evaluation.planning.design import design_hash, design_of, settings_of
from evaluation.study import (
    Analysis,
    Comparison,
    Consent,
    Design,
    Pay,
    Session,
    Source,
    Study,
    Workers,
)

SOURCES = {
    "vgan-two-stream": "VGAN Two Stream", "vgan-one-stream": "VGAN One Stream",
    "autoencoder-gmm": "Autoencoder", "real": "Real",
}  # fmt: skip
STRENGTH = dict(zip(SOURCES, (0.6, 0.3, -0.8, 2.2), strict=True))
CELLS = [(a, b, c) for i, a in enumerate(SOURCES) for b in list(SOURCES)[i + 1 :]
         for c in ("golf", "beach", "train", "baby")]  # fmt: skip
TRIALS, GOLD = 22, 2
STUDY = Study(
    name="scene-dynamics",
    title="Which video is more realistic?",
    seed=2016,
    path=Path("study.toml"),
    sources=tuple(Source(name, Path(name), shown) for name, shown in SOURCES.items()),
    design=Design(
        comparisons=tuple(dict.fromkeys(Comparison(a, b) for a, b, _ in CELLS)),
        categories=tuple(dict.fromkeys(category for *_, category in CELLS)),
        judgments_per_cell=2,
    ),
    session=Session(trials=TRIALS, practice=0, gold=GOLD, repeats=1, grace_minutes=10),
    pay=Pay(reward_cents=50, expected_minutes=4),
    workers=Workers(sessions_per_worker=40),
    consent=Consent("Simulated."),
    analysis=Analysis(exclude=("gold",)),
)
CLIPS = 200  # per source and category
CLICKER_S = 0.7
PER_WORKER = 87  # judgments, as in the paper: 13,000 by 150 workers


@dataclass
class Tables:
    """Rows to insert, by table, as tuples in the order of `COLUMNS`."""

    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: {n: [] for n in COLUMNS})

    def write(self, database: Database) -> None:
        """Insert what is gathered, in one transaction, and forget it."""
        with database.write() as session:
            connection = session.connection()
            for name, columns in COLUMNS.items():
                if self.rows[name]:
                    marks = ", ".join("?" * len(columns))
                    connection.exec_driver_sql(
                        f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
                        self.rows[name],
                    )
                    self.rows[name] = []


COLUMNS: dict[str, tuple[str, ...]] = {
    "trial": ("id", "study_id", "batch_id", "number", "pair_id", "kind", "a_is_left", "correct",
              "repeat_of_id", "free", "turn"),
    "worker": ("id", "crowd", "environment", "external_id", "created_at", "details"),
    "assignment": ("id", "study_id", "hit_id", "worker_id", "crowd", "environment", "external_id",
                   "status", "accepted_at", "lease_until", "submitted_at", "completion_code",
                   "environment_details", "survey"),
    "consent": ("assignment_id", "version", "text_sha256", "given_at"),
    "showing": ("id", "assignment_id", "trial_id", "worker_id", "pair_id", "repeat", "position",
                "status", "leased_at", "expires_at"),
    "judgment": ("showing_id", "trial_id", "question_id", "choice", "rt_ms", "clip_ms", "status",
                 "answered_at", "details"),
    "payment": ("study_id", "assignment_id", "kind", "cents", "currency", "token", "state",
                "reason", "created_at", "done_at"),
}  # fmt: skip


def text(at: datetime) -> str:
    """A time as the database stores it."""
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")


class Filler:
    """Writes one simulated study into an empty database."""

    def __init__(self, database: Database, judgments: int, share: float, now: datetime) -> None:
        self.database, self.now = database, now
        self.planned = judgments
        self.answered = round(judgments * share)
        self.rng = random.Random(f"dashboard {judgments}")
        self.tables = Tables()
        self.next = dict.fromkeys(("trial", "showing", "assignment"), 1)

    def fill(self) -> None:
        """Write everything."""
        self._design()
        workers = max(2, round(self.planned / PER_WORKER))
        weights = [self.rng.lognormvariate(0, 1.0) for _ in range(workers)]
        tempers = [self._temper() for _ in range(workers)]
        stamp = text(self.now - timedelta(days=2))
        self.tables.rows["worker"] = [
            (i + 1, "simulated", "simulated", f"simulated-{i + 1:05d}", stamp, "{}")
            for i in range(workers)
        ]
        sessions = -(-self.answered // TRIALS)
        length = timedelta(hours=30)
        starts = sorted(
            self.now - length * self.rng.betavariate(1.0, 1.5)
            for _ in range(round(1.035 * sessions))
        )
        left = self.answered
        order = self._plan()
        for index, at in enumerate(starts):
            (worker,) = self.rng.choices(range(workers), weights)
            given_up = index % 13 == 5
            took = [next(order, None) for _ in range(0 if left <= 0 else min(TRIALS, left))]
            trials = [trial for trial in took if trial is not None]
            if not trials:
                break
            done = self._session(worker, tempers[worker], trials, at, given_up=given_up)
            left -= done
            if index % 500 == 499:
                self.tables.write(self.database)
        for trial, cell in order:
            self._trial(trial, cell, free=True)
        self.tables.write(self.database)

    def _temper(self) -> tuple[float, float, float, float]:
        """Care, bias to the left, speed and chance to be a clicker, of one worker."""
        clicker = self.rng.random() < 0.06
        sided = self.rng.random() < 0.04
        return (
            0.1 if clicker else self.rng.uniform(0.8, 1.3),
            self.rng.choice((-2.5, 2.5)) if sided else self.rng.gauss(0, 0.15),
            CLICKER_S if clicker else self.rng.lognormvariate(0.5, 0.4),
            0.55 if clicker else 0.97,
        )

    def _design(self) -> None:
        at = self.now - timedelta(days=2)
        with self.database.write() as session:
            design = design_of(STUDY, STUDY.design.categories, ())
            study = schema.Study(
                name=STUDY.name, title=STUDY.title, seed=STUDY.seed, created_at=at,
                secret="5" * 64, study_file="",
                design=design, design_hash=design_hash(design), settings=settings_of(STUDY),
            )  # fmt: skip
            study.questions = [schema.Question(position=0, name="realism", text="More realistic?")]
            study.sources = [schema.Source(position=i, name=name, display_name=shown)
                             for i, (name, shown) in enumerate(SOURCES.items())]  # fmt: skip
            session.add(study)
            session.flush()
            for number, rule in enumerate(("initial", "session"), 1):
                session.add(schema.PlanBatch(study_id=study.id, number=number, seed=2016, rule=rule,
                                             reason="benchmark", created_at=at))  # fmt: skip
            session.add(schema.Hit(
                study_id=study.id, crowd="simulated", environment=schema.Environment.SIMULATED,
                token="benchmark", state=schema.CallState.DONE, reward_cents=50,  # noqa: S106
                max_assignments=-(-self.planned // TRIALS),
                expires_at=self.now + timedelta(days=3), created_at=at))  # fmt: skip
            kind = schema.EventKind.INIT
            session.add(schema.Event(study_id=study.id, kind=kind, details={}, created_at=at))
            session.flush()
            self._clips_and_pairs(session, study)

    def _clips_and_pairs(self, session: Any, study: schema.Study) -> None:
        ids: dict[tuple[str, str, int], int] = {}
        clips: list[dict[str, Any]] = []
        for source in study.sources:
            for category in ("golf", "beach", "train", "baby"):
                for i in range(CLIPS):
                    ids[source.name, category, i] = len(clips) + 1
                    name = f"{source.name}/{category}/{i:04d}.mp4"
                    clips.append({"id": len(clips) + 1, "study_id": study.id,
                                  "source_id": source.id, "name": name, "category": category,
                                  "sha256": f"{len(clips):064x}", "path": name, "frames": 32,
                                  "fps": 16.0, "width": 64, "height": 64})  # fmt: skip
        session.execute(insert(schema.Clip), clips)
        self.pairs: dict[int, list[int]] = {}
        pairs: list[dict[str, Any]] = []
        each = min(CLIPS * CLIPS, -(-self.planned // len(CELLS)))
        for cell, (a, b, category) in enumerate(CELLS):
            self.pairs[cell] = []
            for i in range(each):
                pairs.append({"id": len(pairs) + 1, "study_id": study.id, "source_a": a,
                              "clip_a_id": ids[a, category, i % CLIPS], "source_b": b,
                              "clip_b_id": ids[b, category, (i * 7 + i // CLIPS) % CLIPS],
                              "category": category})  # fmt: skip
                self.pairs[cell].append(len(pairs))
        session.execute(insert(schema.Pair), pairs)

    def _plan(self) -> Iterator[tuple[int, int]]:
        """Yield (number, cell) of every planned trial; cells take turns."""
        for number in range(self.planned):
            yield number, number % len(CELLS)

    def _trial(self, number: int, cell: int, **kind: Any) -> tuple[int, int]:
        """Add a trial; returns its id and its pair's."""
        trial = self.next["trial"]
        self.next["trial"] += 1
        pairs = self.pairs[cell]
        pair = pairs[number // len(CELLS) % len(pairs)]
        batch = 1 if kind.get("kind", "test") == "test" else 2
        self.tables.rows["trial"].append(
            (trial, 1, batch, number, kind.get("pair", pair), kind.get("kind", "test"),
             kind.get("a_is_left", (number // len(CELLS)) % 2 == 0), kind.get("correct"),
             kind.get("repeat_of"), kind.get("free", False), number)
        )  # fmt: skip
        return trial, pair

    def _session(
        self, worker: int, temper: tuple[float, ...], trials: list[tuple[int, int]], at: datetime,
        *, given_up: bool,
    ) -> int:  # fmt: skip
        """Add a session; returns how many test trials it answered so far."""
        assignment = self.next["assignment"]
        self.next["assignment"] += 1
        clock = at + timedelta(seconds=20)
        answers = self.rng.randrange(0, len(trials)) if given_up else len(trials)
        given = []
        for place, (number, cell) in enumerate(trials):
            open_ = place >= answers or clock > self.now
            trial, pair = self._trial(number, cell, free=given_up and open_)
            a_left = (number // len(CELLS)) % 2 == 0
            choice = None if open_ else self._choice(cell, temper, a_left=a_left)
            shown = (trial, pair, 0)
            clock = self._show(assignment, worker, shown, place + 1, choice, clock, temper[2])
            if choice is not None:
                given.append((trial, pair, a_left, choice))
        live = not given_up and len(given) < len(trials)
        if not given_up and not live:
            clock = self._checks(assignment, worker, len(trials), given[0], clock, temper)
        self._books(assignment, worker, at, None if given_up or live else clock, live=live)
        return len(given)

    def _choice(self, cell: int, temper: tuple[float, ...], *, a_left: bool) -> str:
        a, b, _ = CELLS[cell]
        care, bias = temper[:2]
        logit = care * (STRENGTH[a] - STRENGTH[b]) + (bias if a_left else -bias)
        prefers_a = self.rng.random() < 1 / (1 + math.exp(-logit))
        return "left" if prefers_a == a_left else "right"

    def _checks(
        self, assignment: int, worker: int, place: int, first: tuple[int, int, bool, str],
        clock: datetime, temper: tuple[float, ...],
    ) -> datetime:  # fmt: skip
        """Add the gold trials of a session and its repeat."""
        for n in range(GOLD):
            gold, pair = self._trial(
                assignment * 1000 + n, 0, kind="gold", correct="left", pair=self._own()
            )
            choice = "left" if self.rng.random() < temper[3] else "right"
            shown = (gold, pair, 0)
            clock = self._show(assignment, worker, shown, place + n + 1, choice, clock, temper[2])
        trial, pair, a_left, choice = first
        again, _ = self._trial(
            assignment * 1000 + GOLD, 0, kind="repeat", pair=pair, a_is_left=not a_left,
            repeat_of=trial,
        )  # fmt: skip
        same = self.rng.random() < (0.5 if temper[0] < 0.5 else 0.82)
        choice = {"left": "right", "right": "left"}[choice] if same else choice
        shown, place = (again, pair, 1), place + GOLD + 1
        return self._show(assignment, worker, shown, place, choice, clock, temper[2])

    def _own(self) -> int:
        return self.rng.choice(self.pairs[0])

    def _show(
        self, assignment: int, worker: int, shown: tuple[int, int, int], position: int,
        choice: str | None, clock: datetime, speed: float,
    ) -> datetime:  # fmt: skip
        showing = self.next["showing"]
        self.next["showing"] += 1
        trial, pair, repeat = shown
        live = clock > self.now - timedelta(minutes=10)
        status = "answered" if choice else "leased" if live else "expired"
        # The same pair may come again under another worker's eyes only; here it may not clash.
        unique = repeat + 2 * showing
        self.tables.rows["showing"].append(
            (showing, assignment, trial, worker + 1, pair, unique, position, status, text(clock),
             text(clock + timedelta(hours=1)))
        )  # fmt: skip
        if choice is None:
            return clock
        # Answers are locked until the clips have run once, unless somebody goes round the page.
        locked = 0.9 if speed == CLICKER_S else 2.0
        seconds = locked + speed * self.rng.lognormvariate(0, 0.7)
        clock += timedelta(seconds=seconds + 0.6)
        self.tables.rows["judgment"].append(
            (showing, trial, 1, choice, 1000 * seconds, 2000.0, "counted", text(clock), "{}")
        )
        return clock

    def _books(
        self, assignment: int, worker: int, at: datetime, end: datetime | None, *, live: bool
    ) -> None:
        over = end is not None
        gone = "accepted" if live or self.rng.random() < 0.6 else "returned"
        approved = over and self.now - at > timedelta(hours=2)
        status = "approved" if approved else "submitted" if over else gone
        stamp = text(at)
        self.tables.rows["assignment"].append(
            (assignment, 1, 1, worker + 1, "simulated", "simulated", f"s-{assignment}", status,
             stamp, text(at + timedelta(minutes=70)), text(end) if end else None, "", "{}", "{}")
        )  # fmt: skip
        self.tables.rows["consent"].append((assignment, "1", "0" * 64, stamp))
        if approved:
            self.tables.rows["payment"].append(
                (1, assignment, "reward", 50, "USD", f"reward-{assignment}", "done", "", stamp,
                 stamp)
            )  # fmt: skip


def fill(path: Path, judgments: int, share: float) -> None:
    """Write a simulated study of so many planned judgments, a share of them answered."""
    with create_database(f"sqlite:///{path}") as database:
        Filler(database, judgments, share, datetime.now(UTC)).fill()
