"""Everything the dashboard shows but Table 1, read at one time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation import frozen
from evaluation.database import Database, find_study
from evaluation.money.spending import Spend, spend
from evaluation.planning.progress import CellProgress, StarvedTrial, starved_trials, study_progress
from evaluation.publishing.environments import is_for_a_crowd, published_address
from evaluation.quantities import quantity
from evaluation.schema import Environment, Event, Study
from evaluation.sessions.stopped import stopped_rows
from webapp.dashboard_counts import (
    Pace,
    Sessions,
    answers_by_time,
    pace,
    response_times,
    session_counts,
)
from webapp.dashboard_problems import (
    Playback,
    Problem,
    clock_problems,
    environments,
    lapsed_leases,
    mixture_problems,
    pay_problems,
    playback,
    playback_problems,
    unfinished_calls,
)
from webapp.dashboard_workers import WorkerRow, worker_rows

_EVENTS = 8
_SHOWN_STARVED = 10


@dataclass(frozen=True)
class Snapshot:
    """A study at one time.

    Args:
        name: of the study.
        title: what workers see.
        design_hash: of the frozen design.
        at: when it was read.
        environments: of its sessions and HITs.
        names: what the sources are called, by their names in data.
        categories: what the categories are called, those that have a name.
        address: of the web app in production; None where nothing is published there.
        for_a_crowd: whether it is published on a crowd, or its file names one.
        cells: progress of each cell and question.
        slots: counted test judgments per ten minutes.
        pace: how fast they come in.
        bars: test judgments by response time, see `response_times`.
        median_ms: of the response times, or None.
        sessions: steps and endings.
        money: spent and committed.
        workers: everybody who started a session and did not withdraw.
        starved: the first starved trials.
        n_starved: how many there are.
        playback: how the clips played of late.
        problems: what to look at.
        events: what was done to the study, newest first.
        rules: the exclusions that the study file declares.
    """

    name: str
    title: str
    design_hash: str
    at: datetime
    environments: list[Environment]
    names: dict[str, str]
    categories: dict[str, str]
    address: str | None
    for_a_crowd: bool
    cells: list[CellProgress]
    slots: list[tuple[datetime, int]]
    pace: Pace
    bars: list[int]
    median_ms: float | None
    sessions: Sessions
    money: list[Spend]
    workers: list[WorkerRow]
    starved: list[StarvedTrial]
    n_starved: int
    playback: Playback
    problems: list[Problem]
    events: list[tuple[datetime, str]]
    rules: tuple[str, ...]

    @property
    def planned(self) -> int:
        """Judgments that the plan asks for, over all questions."""
        return sum(cell.planned for cell in self.cells)

    @property
    def counted(self) -> int:
        """Judgments of the plan that are given."""
        return sum(cell.counted for cell in self.cells)

    @property
    def rows(self) -> list[tuple[str, list[CellProgress]]]:
        """The cells of each comparison and question, under its title, in the plan's order."""
        several = len({cell.question for cell in self.cells}) > 1
        rows: dict[str, list[CellProgress]] = {}
        for cell in self.cells:
            title = self.row_title(cell.source_a, cell.source_b)
            rows.setdefault(f"{title}: {cell.question}" if several else title, []).append(cell)
        return list(rows.items())

    def row_title(self, source_a: str, source_b: str) -> str:
        """Name a comparison as the study file does."""
        return f"{self.names.get(source_a, source_a)} over {self.names.get(source_b, source_b)}"

    def category(self, slug: str) -> str:
        """Name a category as the study file does."""
        return self.categories.get(slug) or slug

    @property
    def simulated(self) -> bool:
        """Whether a program gave any of the judgments."""
        return Environment.SIMULATED in self.environments

    @property
    def version(self) -> tuple[int, int]:
        """Changes whenever a judgment is counted or counts no more."""
        return self.counted, sum(worker.answers for worker in self.workers)


def take_snapshot(database: Database, study_name: str, key: bytes, now: datetime) -> Snapshot:
    """Read a study's numbers; the number of statements does not depend on its size.

    Every statement is a read unit of its own, so that SQLite's log can be tidied between them
    and nobody who writes waits.

    Args:
        database: holding the study.
        study_name: its name.
        key: of the pseudonyms.
        now: aware.
    """
    with database.read() as session:
        study = find_study(session, study_name)
        cells = study_progress(session, study)
        slots = answers_by_time(session, study)
        bars, median_ms = response_times(session, study)
        sessions = session_counts(session, study, now)
        starved = starved_trials(session, study)
        played = playback(session, study)
        where = environments(session, study)
        pay = frozen.pay(study)
        for_a_crowd = is_for_a_crowd(session, study)
        problems = [
            *mixture_problems(where),
            *unfinished_calls(session, study),
            *_stuck(session, study, now, len(starved), for_a_crowd),
            *playback_problems(played),
            *clock_problems(slots[-1][0] if slots else None, where, now),
            *pay_problems(sessions.minutes, pay),
        ]
        return Snapshot(
            name=study.name,
            title=study.title,
            design_hash=study.design_hash,
            at=now,
            environments=where,
            names={source.name: source.display_name for source in study.sources},
            categories=frozen.category_names(study),
            address=published_address(session, study, Environment.PRODUCTION),
            for_a_crowd=for_a_crowd,
            cells=cells,
            slots=slots,
            pace=pace(slots, _left(session, study, cells), now),
            bars=bars,
            median_ms=median_ms,
            sessions=sessions,
            money=spend(session, study, now),
            workers=worker_rows(session, study, key),
            starved=starved[:_SHOWN_STARVED],
            n_starved=len(starved),
            playback=played,
            problems=sorted(problems, key=lambda problem: not problem.serious),
            events=_events(session, study),
            rules=frozen.analysis(study).exclude,
        )


def _left(session: Session, study: Study, cells: list[CellProgress]) -> int:
    """Count the planned judgments that are missing; nobody is asked for those of stopped rows."""
    stopped = stopped_rows(session, study)
    return sum(cell.planned - cell.counted for cell in cells if cell.comparison not in stopped)


def _stuck(
    session: Session, study: Study, now: datetime, starved: int, for_a_crowd: bool
) -> Iterator[Problem]:
    if starved:
        yield Problem(
            f"{quantity(starved, 'trial was', 'trials were')} handed out three times or more and "
            "without an answer.",
            "vgan-eval status",
        )
    if lapsed := lapsed_leases(session, study, now):
        text = (
            f"{quantity(lapsed, 'pair is', 'pairs are')} under leases that have run out; the next "
            "worker who starts frees what they hold."
        )
        if for_a_crowd:
            yield Problem(f"{text} Where nobody is on the way, publish again.", "vgan-eval top-up")
        else:
            yield Problem(text)


def _events(session: Session, study: Study) -> list[tuple[datetime, str]]:
    rows = session.execute(
        select(Event.created_at, Event.kind)
        .where(Event.study_id == study.id)
        .order_by(Event.id.desc())
        .limit(_EVENTS)
    )
    return [(at, kind) for at, kind in rows]


def time_left(found: Pace) -> str:
    """Say how long the plan still takes, in words."""
    if found.left == 0:
        return "none"
    if found.hours_left is None:
        return "unknown"
    if found.hours_left < 1:
        return f"about {max(1, round(found.hours_left * 60))} min"
    if found.hours_left < 48:
        return f"about {found.hours_left:.0f} h"
    return f"about {found.hours_left / 24:.0f} days"


def recent(slots: list[tuple[datetime, int]]) -> list[tuple[datetime, int]]:
    """Return judgments per hour, or per day where hours would be too many, gaps as 0, to now."""
    if not slots:
        return []
    span = slots[-1][0] - slots[0][0]
    step = timedelta(hours=1) if span <= timedelta(hours=96) else timedelta(days=1)
    start = slots[0][0].replace(minute=0)
    start = start if step == timedelta(hours=1) else start.replace(hour=0)
    bars = [0] * (int((slots[-1][0] - start) / step) + 1)
    for at, n in slots:
        bars[int((at - start) / step)] += n
    return [(start + i * step, n) for i, n in enumerate(bars)]
