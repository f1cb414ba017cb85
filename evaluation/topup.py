"""Top-up: a later plan batch for the cells that need more judgments, and for no others.

Who needs how many is decided elsewhere (`analysis.needs`) and comes in as a `Need`. It says
how many trials *without an answer* a cell shall have, so the same need twice adds nothing twice,
whoever ran in between. One transaction writes everything: the batch, its stimuli, and which rows
are stopped.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from evaluation import frozen, schema
from evaluation.database import Database, find_study
from evaluation.errors import UsageError
from evaluation.plan import CellSteps, Clips, Plan, PlannedClip, plan_more
from evaluation.planning.batches import TOP_UP_RULE, add_batch, next_number
from evaluation.planning.plan_rows import add_pairs, add_trials
from evaluation.planning.progress import study_progress
from evaluation.schema import Trial, TrialKind
from evaluation.sessions.leases import free_trials, lock_study, order_trials
from evaluation.sessions.stopped import of_rows, record_stopped, stopped_rows
from evaluation.storage import MediaStore
from evaluation.study import Comparison
from evaluation.threads import Progress, silent

_CHUNK = 10_000  # ids in one statement; both databases have a limit

Cell = tuple[Comparison, str]  # a row and a category
T = TypeVar("T")


@dataclass(frozen=True)
class Need:
    """What a running study still needs.

    Args:
        stop: rows that are done; their unanswered trials are handed out no longer.
        unanswered: how many trials without an answer each cell shall have; rounded up to even
            numbers, so that the sides can be balanced.
        reason: stored with the batch.
        most: how many trials may be added to each cell, none where a cell is not named: what
            somebody has seen and agreed to, `TopUp.added`. Answers that came since leave more
            cells short, and must not add to that. None: as many as are lacking.
    """

    stop: frozenset[Comparison]
    unanswered: Mapping[Cell, int]
    reason: str
    most: Mapping[Cell, int] | None = None


@dataclass(frozen=True)
class TopUp:
    """What a top-up did, or would do.

    Args:
        added: new trials by cell; empty where nothing was lacking.
        stopped: unanswered trials of stopped rows that are handed out no longer.
        stopping: rows that were handed out before, and are stopped now.
        opened: rows that were stopped before, and are handed out again.
        batch: number of the new plan batch; None where no trial was added.
    """

    added: dict[Cell, int]
    stopped: int
    stopping: frozenset[Comparison] = frozenset()
    opened: frozenset[Comparison] = frozenset()
    batch: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is added, and every row is handed out, or not, as before."""
        return not (self.added or self.stopped or self.stopping or self.opened)

    @property
    def trials(self) -> int:
        """How many trials were added."""
        return sum(self.added.values())


def preview(session: Session, study: schema.Study, need: Need) -> TopUp:
    """Say what `top_up` would do; only reads."""
    steps = _lacking(session, study, need)
    added = {(cell.comparison, cell.category): cell.n for cell in steps}
    query = select(func.count()).where(
        Trial.study_id == study.id,
        Trial.kind == TrialKind.TEST,
        Trial.free,
        of_rows(need.stop),
    )
    before = stopped_rows(session, study)
    stopped = session.scalar(query) or 0
    return TopUp(added, stopped, need.stop - before, before - need.stop)


def top_up(
    db: Database,
    study_name: str | None,
    need: Need,
    store: MediaStore,
    now: datetime,
    progress: Progress = silent,
) -> TopUp:
    """Plan the trials that are lacking as one more batch, and stop the rows that are done.

    Args:
        db: the study database.
        study_name: slug; None where there is one study.
        need: the decision.
        store: where the clips of new pairs go.
        now: aware.
        progress: called with the stage, how many are done, and of how many.

    Raises:
        UsageError: a cell is not one of the study's.
        ClipError: a clip cannot be decoded or has changed since it was imported.
    """
    from evaluation.stimuli import prepare_stimuli

    need, stored = _store_ahead(db, study_name, need, store, progress)
    with db.write() as session:
        study = find_study(session, study_name)
        lock_study(session, study)
        found = preview(session, study, need)
        number = _write(session, study, need, now)
        if number is None:
            return found
        prepare_stimuli(session, study, frozen.display(study), store, progress, stored=stored)
        order_trials(session, study)
        return replace(found, batch=number)


def rehearse(
    db: Database,
    study_name: str | None,
    need: Need,
    now: datetime,
    then: Callable[[Session, schema.Study], T],
) -> T:
    """Return what `then` finds in the study as `top_up` would leave it; nothing is kept.

    Args:
        db: the study database.
        study_name: slug; None where there is one study.
        need: the decision.
        now: aware.
        then: what it changes is undone too.

    Raises:
        UsageError: a cell is not one of the study's.
    """
    with db.write() as session:
        study = find_study(session, study_name)
        lock_study(session, study)
        with session.begin_nested() as kept:
            _write(session, study, need, now)
            found = then(session, study)
            kept.rollback()
    return found


def _write(session: Session, study: schema.Study, need: Need, now: datetime) -> int | None:
    """Write the decision and its batch, without stimuli; the batch's number, if there is one."""
    _hand_out(session, study, need, now)
    plan, number = _plan(session, study, need)
    if not plan.trials:
        return None
    batch = add_batch(session, study, TOP_UP_RULE, need.reason, now)
    add_trials(session, batch, plan, add_pairs(session, study, plan.pairs))
    return number


def _store_ahead(
    db: Database, study_name: str | None, need: Need, store: MediaStore, progress: Progress
) -> tuple[Need, frozenset[str]]:
    """Store the clips of the trials that are lacking, before anybody's judgment has to wait.

    Returns:
        The need of those trials at most, and the keys of the clips.
    """
    from evaluation.stimuli import store_ahead

    with db.read() as session:
        study = find_study(session, study_name)
        need = replace(need, most=preview(session, study, need).added)
        plan, _ = _plan(session, study, need)
        if not plan.trials:
            return need, frozenset()
        return need, store_ahead(session, study, plan, frozen.display(study), store, progress)


def _plan(session: Session, study: schema.Study, need: Need) -> tuple[Plan, int]:
    """The trials that are lacking, and the number of the batch they would be; only reads."""
    number = next_number(session, study)
    steps = _lacking(session, study, need)
    if not steps:
        return Plan((), ()), number
    pairing = frozen.design(study).pairing
    return plan_more(steps, pairing, _clips(session, study), study.seed, number), number


def _lacking(session: Session, study: schema.Study, need: Need) -> list[CellSteps]:
    """The cells with fewer unanswered trials than they shall have, in the order of the plan."""
    planned: dict[Cell, int] = {}
    unanswered: dict[Cell, int] = {}
    for cell in study_progress(session, study):
        key = cell.comparison, cell.category
        planned[key] = cell.planned
        # Of several questions the one with the fewest answers says what is open.
        unanswered[key] = max(unanswered.get(key, 0), cell.planned - cell.counted)
    unknown = [key for key in need.unanswered if key not in planned]
    if unknown:
        row, category = unknown[0]
        raise UsageError(f"study `{study.name}` has no cell {row.label}, {category}")
    steps = []
    for key, start in planned.items():
        lack = need.unanswered.get(key, 0) - unanswered[key]
        n = lack + lack % 2
        if need.most is not None:
            n = min(n, need.most.get(key, 0))
        if n > 0:
            steps.append(CellSteps(*key, start, n))
    return steps


def _hand_out(session: Session, study: schema.Study, need: Need, now: datetime) -> None:
    """Stop the rows that are done and open again those that were stopped and need more."""
    before = stopped_rows(session, study)
    if need.stop != before:
        record_stopped(session, study, need.stop, need.reason, now)
    tests = (Trial.study_id == study.id, Trial.kind == TrialKind.TEST)
    session.execute(
        # Also where the rows are as before: a session that ended meanwhile may have freed some.
        update(Trial).where(*tests, Trial.free, of_rows(need.stop)).values(free=False),
        execution_options={"synchronize_session": False},
    )
    again = session.scalars(select(Trial.id).where(*tests, of_rows(before - need.stop))).all()
    for start in range(0, len(again), _CHUNK):
        free_trials(session, study, again[start : start + _CHUNK])


def _clips(session: Session, study: schema.Study) -> Clips:
    """The clips as the first plan saw them: they were written in its order."""
    found: dict[tuple[str, str], list[PlannedClip]] = {}
    rows = session.execute(
        select(schema.Source.name, schema.Clip.category, schema.Clip.name, schema.Clip.item)
        .join(schema.Source, schema.Clip.source_id == schema.Source.id)
        .where(schema.Clip.study_id == study.id)
        .order_by(schema.Clip.id)
    )
    for source, category, name, item in rows:
        found.setdefault((source, category), []).append(PlannedClip(name, item))
    return found
