"""What the dashboard counts: pace, response times, how far sessions came. Aggregated by SQL.

Nothing here reads judgments row by row, so the cost in Python is the same for a hundred judgments
and for a million. Every function only reads.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import Integer, case, cast, exists, func, or_, select
from sqlalchemy.orm import Session

from evaluation import frozen
from evaluation.clock import seconds_between
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    CallState,
    Consent,
    Judgment,
    JudgmentStatus,
    Payment,
    PaymentKind,
    Showing,
    ShowingStatus,
    Study,
    Trial,
    TrialKind,
)

SLOT = timedelta(minutes=10)
_LAST_SESSIONS = 500  # enough for a median
_BIN_MS = 50
_LONGEST_BINNED_MS = 128_000
# Upper edges in ms, half an octave apart; what is longer falls into the last bar.
EDGES_MS = tuple(round(250 * 2 ** (i / 2)) for i in range(1, 17))
_ENDED = (ShowingStatus.RETURNED, ShowingStatus.WITHDRAWN)


def count_if(condition: Any) -> Any:
    """Count the rows of a group that a condition holds for."""
    return func.count().filter(condition)


def of_tests(study: Study) -> tuple[Any, ...]:
    """The conditions, on `Judgment` joined with `Trial`, of the judgments that enter a table."""
    return (
        Trial.study_id == study.id,
        Trial.kind == TrialKind.TEST,
        Judgment.status == JudgmentStatus.COUNTED,
    )


def answers_by_time(session: Session, study: Study) -> list[tuple[datetime, int]]:
    """Return the counted test judgments of every ten minutes that have any, in order."""
    if session.get_bind().dialect.name == "postgresql":
        utc = func.timezone("UTC", Judgment.answered_at)
        minutes = func.to_char(utc, "YYYY-MM-DD HH24:MI")
    else:
        minutes = func.substr(Judgment.answered_at, 1)  # the text as it is stored
    slot = func.substr(minutes, 1, 15).label("slot")  # all but the last digit of the minutes
    rows = session.execute(
        select(slot, func.count())
        .join(Trial, Judgment.trial_id == Trial.id)
        .where(*of_tests(study))
        .group_by("slot")
        .order_by("slot")
    )
    return [
        (datetime.strptime(f"{text}0", "%Y-%m-%d %H:%M").replace(tzinfo=UTC), int(n))
        for text, n in rows
    ]


@dataclass(frozen=True)
class Pace:
    """How fast judgments come in.

    Args:
        last_hour: per hour, over the last 50 to 60 minutes.
        last_day: per hour, over the last day or since the first judgment.
        left: planned judgments that are missing, but those of stopped rows.
        hours_left: at the faster-moving of the two that is not zero; None where nothing came.
    """

    last_hour: float
    last_day: float
    left: int
    hours_left: float | None


def pace(slots: Sequence[tuple[datetime, int]], left: int, now: datetime) -> Pace:
    """Return the pace of a study; see `Pace`."""
    hour = _rate(slots, now, timedelta(hours=1))
    day = _rate(slots, now, timedelta(days=1))
    rate = hour or day
    return Pace(hour, day, left, left / rate if rate else None)


def _rate(slots: Sequence[tuple[datetime, int]], now: datetime, window: timedelta) -> float:
    """Judgments per hour since the start of the slot that is nearest to `window` ago."""
    here = now - timedelta(
        minutes=now.minute % 10, seconds=now.second, microseconds=now.microsecond
    )
    since = here - window + SLOT
    recent = [(at, n) for at, n in slots if since <= at <= now]
    if not recent:
        return 0.0
    if slots[0][0] > since:  # the study is younger than the window
        since = slots[0][0]
    hours = max((now - since) / timedelta(hours=1), SLOT / timedelta(hours=1))
    return sum(n for _, n in recent) / hours


def response_times(session: Session, study: Study) -> tuple[list[int], float | None]:
    """Return the test judgments by response time, per bar of `EDGES_MS`, and the median in ms.

    The median is exact to 50 ms; None without judgments.
    """
    longest = case((Judgment.rt_ms > _LONGEST_BINNED_MS, _LONGEST_BINNED_MS), else_=Judgment.rt_ms)
    # Rounding differs between databases, flooring does not.
    fine = cast(func.floor(longest / _BIN_MS), Integer).label("fine")
    rows = session.execute(
        select(fine, func.count())
        .join(Trial, Judgment.trial_id == Trial.id)
        .where(*of_tests(study))
        .group_by("fine")
        .order_by("fine")
    ).all()
    bars = [0] * len(EDGES_MS)
    total, seen, middle = sum(n for _, n in rows), 0, None
    for index, n in rows:
        ms = (index + 0.5) * _BIN_MS
        place = next((i for i, edge in enumerate(EDGES_MS) if ms < edge), len(EDGES_MS) - 1)
        bars[place] += n
        seen += n
        if middle is None and 2 * seen >= total:
            middle = ms
    return bars, middle


@dataclass(frozen=True)
class Sessions:
    """How far sessions came, and how they ended.

    Args:
        steps: name and number of sessions that came at least so far, in order.
        ended: how sessions stand that are not on the way to being paid: name and number.
        live: accepted, under a lease that still runs.
        minutes: median from acceptance to handing in, of the last 500; None without any.
    """

    steps: list[tuple[str, int]]
    ended: list[tuple[str, int]]
    live: int
    minutes: float | None


def session_counts(session: Session, study: Study, now: datetime) -> Sessions:
    """Count the sessions of a study by step; reads showings once, grouped by session."""
    counts: Counter[AssignmentStatus] = Counter()
    live = 0
    is_live = case((Assignment.lease_until > now, 1), else_=0).label("is_live")
    for status, alive, n in session.execute(
        select(Assignment.status, is_live, func.count())
        .where(Assignment.study_id == study.id)
        .group_by(Assignment.status, "is_live")
    ):
        counts[status] += n
        live += n if status is AssignmentStatus.ACCEPTED and alive else 0
    steps = [("Started", counts.total())]
    if frozen.consent(study):
        steps.append(("Consent on record", _consented(session, study)))
    steps += [
        *_answered_steps(session, study),
        ("Handed in", _submitted(session, study)),
        ("Approved", counts[AssignmentStatus.APPROVED]),
        ("Paid", _paid(session, study)),
    ]
    ended = [
        ("At work now", live),
        ("Left unfinished", counts[AssignmentStatus.ACCEPTED] - live),
        ("Returned", counts[AssignmentStatus.RETURNED]),
        ("Withdrawn", counts[AssignmentStatus.WITHDRAWN]),
        ("Rejected", counts[AssignmentStatus.REJECTED]),
    ]
    return Sessions(steps, ended, live, _median_minutes(session, study))


def _answered_steps(session: Session, study: Study) -> list[tuple[str, int]]:
    """Sessions by the share of their showings that are answered."""
    # A showing that was given back has lost the mark, but keeps its judgments.
    answered = or_(
        Showing.status == ShowingStatus.ANSWERED,
        Showing.status.in_(_ENDED) & exists().where(Judgment.showing_id == Showing.id),
    )
    of_session = (
        select(func.count().label("shown"), count_if(answered).label("done"))
        .join(Assignment, Showing.assignment_id == Assignment.id)
        .where(Assignment.study_id == study.id)
        .group_by(Showing.assignment_id)
        .subquery()
    )
    done, shown = of_session.c.done, of_session.c.shown
    reached = {
        "First answer": done > 0,
        "A quarter answered": 4 * done >= shown,
        "Half answered": 2 * done >= shown,
        "Three quarters": 4 * done >= 3 * shown,
        "All answered": done == shown,
    }
    row = session.execute(select(*map(count_if, reached.values()))).one()
    return [(name, int(n)) for name, n in zip(reached, row, strict=True)]


def _submitted(session: Session, study: Study) -> int:
    query = select(func.count()).where(
        Assignment.study_id == study.id, Assignment.submitted_at.is_not(None)
    )
    return int(session.scalar(query) or 0)


def _consented(session: Session, study: Study) -> int:
    query = (
        select(func.count(func.distinct(Consent.assignment_id)))
        .join(Assignment, Consent.assignment_id == Assignment.id)
        .where(Assignment.study_id == study.id)
    )
    return int(session.scalar(query) or 0)


def _paid(session: Session, study: Study) -> int:
    query = select(func.count(func.distinct(Payment.assignment_id))).where(
        Payment.study_id == study.id,
        Payment.kind == PaymentKind.REWARD,
        Payment.state == CallState.DONE,
    )
    return int(session.scalar(query) or 0)


def _median_minutes(session: Session, study: Study) -> float | None:
    rows = session.execute(
        select(Assignment.accepted_at, Assignment.submitted_at)
        .where(Assignment.study_id == study.id, Assignment.submitted_at.is_not(None))
        .order_by(Assignment.id.desc())
        .limit(_LAST_SESSIONS)
    ).all()
    took = [seconds for start, end in rows if (seconds := seconds_between(start, end)) is not None]
    return median(took) / 60 if took else None
