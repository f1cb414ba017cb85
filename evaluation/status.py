"""How a study stands: its cells against the plan, its HITs, its sessions, and the money."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evaluation.crowd.base import Offer
from evaluation.crowd.open import CROWDS
from evaluation.crowd.terms import terms_of
from evaluation.database import find_study
from evaluation.money.ledger import LedgerLine, ledger
from evaluation.money.spending import Spend, spend
from evaluation.planning.progress import CellProgress, StarvedTrial, starved_trials, study_progress
from evaluation.publishing.offers import open_sessions
from evaluation.quantities import quantity
from evaluation.schema import Assignment, AssignmentStatus, CallState, Hit, Study
from evaluation.sessions.stopped import stopped_rows

_CALLS = {
    CallState.INTENDED: "not known to be published; run publish again",
    CallState.FAILED: "not published: refused, or given up by expire",
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
        money: spent, owed and on offer.
        approved_at: when the first session that waits for review approves itself, by crowd and
            environment.
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
    money: list[Spend] = field(default_factory=list)
    approved_at: dict[tuple[str, str], datetime] = field(default_factory=dict)

    @property
    def judgments(self) -> str:
        """How many judgments there are of how many."""
        counted = sum(cell.counted for cell in self.cells)
        planned = sum(cell.planned for cell in self.cells)
        return f"{self.study}: {counted:,} of {planned:,} judgments"


def study_status(session: Session, study: Study, now: datetime) -> Status:
    """Return how a study stands; only reads."""
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
        money=spend(session, study, now),
        approved_at=_approved_at(session, study),
    )


def _approved_at(session: Session, study: Study) -> dict[tuple[str, str], datetime]:
    waiting = (
        select(Assignment.hit_id, func.min(Assignment.submitted_at).label("first"))
        .where(Assignment.study_id == study.id, Assignment.status == AssignmentStatus.SUBMITTED)
        .group_by(Assignment.hit_id)
        .subquery()
    )
    rows = session.execute(select(Hit, waiting.c.first).join(waiting, waiting.c.hit_id == Hit.id))
    found: dict[tuple[str, str], datetime] = {}
    for hit, first in rows:
        if first is not None and terms_of(hit.crowd).approves and "offer" in hit.details:
            at = first + Offer.from_json(hit.details["offer"]).auto_approval
            key = (hit.crowd, hit.environment.value)
            found[key] = min(at, found.get(key, at))
    return found


def _hit_counts(session: Session, study: Study, now: datetime) -> list[HitCount]:
    """Count the HITs by how they stand; the row of local raters is none."""
    found: dict[tuple[str, str, str], list[int]] = {}
    query = select(Hit).where(Hit.study_id == study.id, Hit.expires_at.is_not(None))
    for hit in session.scalars(query.order_by(Hit.id)):
        state = _CALLS.get(hit.state) or ("open" if hit.is_open(now) else "over")
        found.setdefault((hit.crowd, hit.environment.value, state), []).append(hit.max_assignments)
    return [HitCount(*key, len(sizes), sum(sizes)) for key, sizes in found.items()]


def _size(hits: HitCount) -> str:
    if not terms_of(hits.crowd).by_link:
        return f"{quantity(hits.hits, 'HIT')} of {quantity(hits.assignments, 'assignment')}"
    return f"{quantity(hits.hits, 'link')} with {quantity(hits.assignments, 'place')}"


def lines(session: Session, name: str | None, now: datetime) -> Iterator[str]:
    """Yield how a study stands, or in a line each how all of several do; only reads.

    Args:
        session: of any unit.
        name: of the study; None for the only one, or for all.
        now: aware.

    Raises:
        UsageError: no study of that name.
        DatabaseError: the database holds no study at all.
    """
    studies = session.scalars(select(Study).order_by(Study.id)).all() if name is None else []
    if len(studies) < 2:
        yield from status_lines(study_status(session, find_study(session, name), now))
        return
    for study in studies:
        yield _summary(study_status(session, study, now))
    yield "`vgan-eval status --study NAME` says more of one"


def _summary(status: Status) -> str:
    waiting = sum(
        n
        for (crowd, _, state), n in status.sessions.items()
        if crowd in CROWDS and state == "submitted"
    )
    parts = [status.judgments + (" (paused)" if status.paused else "")]
    if waiting:
        parts.append(f"{quantity(waiting, 'session waits', 'sessions wait')} for review")
    parts += (
        f"{money.paid / 100:,.2f} {money.currency} paid and {money.owed / 100:,.2f} owed "
        f"({money.environment})"
        for money in status.money
    )
    return "; ".join(parts)


def status_lines(status: Status) -> Iterator[str]:
    """Yield the status as lines of text."""
    yield status.judgments
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
    yield from _session_lines(status)
    for trial in status.starved[:5]:
        yield (
            f"starved: trial {trial.trial} ({trial.comparison.label}, {trial.category}) was handed "
            f"out {trial.leases} times without an answer"
        )
    if len(status.starved) > 5:
        yield f"starved: {quantity(len(status.starved) - 5, 'more trial')}"


def _session_lines(status: Status) -> Iterator[str]:
    for (crowd, environment, state), n in status.sessions.items():
        at = status.approved_at.get((crowd, environment)) if state == "submitted" else None
        itself = f"; the first approves itself at {at:%Y-%m-%d %H:%M} UTC" if at else ""
        yield f"sessions, {crowd} ({environment}), {state}: {n}{itself}"
    for line in status.ledger:
        yield (
            f"{line.kind} {line.state}: {line.cents / 100:,.2f} {line.currency} in "
            f"{quantity(line.payments, 'payment')}"
        )
    for money in status.money:
        yield (
            f"{money.environment}, {money.currency} with fees: {money.owed / 100:,.2f} owed for "
            f"what waits for review, {money.working / 100:,.2f} at work, "
            f"{money.offered / 100:,.2f} on offer"
        )
