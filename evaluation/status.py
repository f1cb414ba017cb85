"""How a study stands: its cells against the plan, its HITs, its sessions, and the money."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation.crowd.terms import terms_of
from evaluation.money.ledger import LedgerLine, ledger
from evaluation.planning.progress import CellProgress, StarvedTrial, starved_trials, study_progress
from evaluation.publishing.offers import open_sessions
from evaluation.quantities import quantity
from evaluation.schema import Assignment, CallState, Hit, Study
from evaluation.sessions.stopped import stopped_rows

_CALLS = {
    CallState.INTENDED: "not known to be published; run publish again",
    CallState.FAILED: "refused",
}


@dataclass(frozen=True)
class HitCount:
    """HITs, or links, of one crowd and environment that stand alike."""

    crowd: str
    environment: str
    state: str
    hits: int
    assignments: int


@dataclass(frozen=True)
class Status:
    """What `vgan-eval status` shows.

    Args:
        study: its name.
        cells: of the plan.
        hits: published ones, open or over, and those whose publication did not end well.
        open_sessions: assignments on offer, or accepted by workers who have not started.
        sessions: how many by crowd, environment and status.
        ledger: what was paid and what is only intended.
        starved: free trials that had many leases and no judgment.
        stopped: rows that are handed out no longer.
        paused: nobody new is let in.
    """

    study: str
    cells: list[CellProgress]
    hits: list[HitCount]
    open_sessions: int
    sessions: dict[tuple[str, str, str], int]
    ledger: list[LedgerLine]
    starved: list[StarvedTrial]
    stopped: list[str] = field(default_factory=list)
    paused: bool = False


def study_status(session: Session, study: Study, now: datetime) -> Status:
    """Return how a study stands; only reads.

    Args:
        session: of any unit.
        study: the study.
        now: aware.
    """
    counts = select(
        Assignment.crowd, Assignment.environment, Assignment.status, func.count()
    ).where(Assignment.study_id == study.id)  # fmt: skip
    grouped = counts.group_by(Assignment.crowd, Assignment.environment, Assignment.status)
    sessions = {
        (crowd, environment.value, status.value): int(n)
        for crowd, environment, status, n in session.execute(
            grouped.order_by(Assignment.crowd, Assignment.environment, Assignment.status)
        )
    }
    return Status(
        study=study.name,
        cells=study_progress(session, study),
        hits=_hit_counts(session, study, now),
        open_sessions=open_sessions(session, study, now),
        sessions=sessions,
        ledger=ledger(session, study),
        starved=starved_trials(session, study),
        stopped=sorted(row.label for row in stopped_rows(session, study)),
        paused=study.paused,
    )


def _hit_counts(session: Session, study: Study, now: datetime) -> list[HitCount]:
    """Count the HITs by how they stand; the row of local raters is none."""
    found: dict[tuple[str, str, str], list[int]] = {}
    query = select(Hit).where(Hit.study_id == study.id, Hit.expires_at.is_not(None))
    for hit in session.scalars(query.order_by(Hit.id)):
        is_open = hit.expires_at is not None and hit.expires_at > now
        state = _CALLS.get(hit.state) or ("open" if is_open else "over")
        found.setdefault((hit.crowd, hit.environment.value, state), []).append(hit.max_assignments)
    return [HitCount(*key, len(sizes), sum(sizes)) for key, sizes in found.items()]


def _size(hits: HitCount) -> str:
    if not terms_of(hits.crowd).by_link:
        return f"{quantity(hits.hits, 'HIT')} of {quantity(hits.assignments, 'assignment')}"
    return f"{quantity(hits.hits, 'link')} with {quantity(hits.assignments, 'place')}"


def status_lines(status: Status) -> Iterator[str]:
    """Yield the status as lines of text."""
    counted = sum(cell.counted for cell in status.cells)
    planned = sum(cell.planned for cell in status.cells)
    yield f"{status.study}: {counted:,} of {planned:,} judgments"
    if status.paused:
        yield "  paused: nobody new is let in until `vgan-eval resume`"
    several = len({cell.question for cell in status.cells}) > 1
    for cell in status.cells:
        name = f"{cell.comparison.label}, {cell.category}"
        name += f", {cell.question}" if several else ""
        leased = f", {cell.leased} being given" if cell.leased else ""
        yield f"  {name}: {cell.counted} of {cell.planned}{leased}"
    for row in status.stopped:
        yield f"  {row} is stopped and handed out no longer"
    for hits in status.hits:
        yield f"{hits.crowd} ({hits.environment}): {_size(hits)}, {hits.state}"
    if status.hits:
        # Only the platform knows who has accepted one and not begun, and it is not asked here.
        yield (
            f"  {quantity(status.open_sessions, 'assignment is', 'assignments are')} on offer, or "
            "held by workers who have not started"
        )
    for (crowd, environment, state), n in status.sessions.items():
        yield f"sessions, {crowd} ({environment}), {state}: {n}"
    for line in status.ledger:
        yield (
            f"{line.kind} {line.state}: {line.cents / 100:,.2f} {line.currency} in "
            f"{quantity(line.payments, 'payment')}"
        )
    for trial in status.starved[:5]:
        yield (
            f"starved: trial {trial.trial} ({trial.comparison.label}, {trial.category}) was handed "
            f"out {trial.leases} times without an answer"
        )
    if len(status.starved) > 5:
        yield f"starved: {quantity(len(status.starved) - 5, 'more trial')}"
