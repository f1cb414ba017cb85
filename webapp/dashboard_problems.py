"""What somebody should look at: one line each, with the command that helps where there is one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from evaluation.exporting.reported import number_of
from evaluation.quantities import quantity
from evaluation.schema import (
    Assignment,
    CallState,
    Environment,
    Hit,
    Judgment,
    Payment,
    Question,
    Review,
    Study,
)
from evaluation.sessions.leases import STALE
from evaluation.study import Pay

LAST_ANSWERS = 2000
_SKEW = timedelta(seconds=30)
_MUCH = 0.02  # of the last answers: fewer are somebody's slow machine
_UNEVEN_MS = 50  # between the first frames of the two clips
_CHOPPY_MS = 250  # between two drawn frames


@dataclass(frozen=True)
class Problem:
    """One thing to look at.

    Args:
        text: a sentence.
        command: what to run; empty where no command helps.
        serious: whether money or data may go wrong; else it is only worth knowing.
    """

    text: str
    command: str = ""
    serious: bool = False


@dataclass(frozen=True)
class Playback:
    """How the clips played in the last answers.

    Args:
        answers: how many were looked at, at most `LAST_ANSWERS`.
        stalled: of them, a player waited for data.
        uneven: the two clips started more than 50 ms apart.
        choppy: more than 250 ms passed between two drawn frames.
        skew_s: median of the server's clock minus the raters', or None.
    """

    answers: int
    stalled: int
    uneven: int
    choppy: int
    skew_s: float | None


def playback(session: Session, study: Study) -> Playback:
    """Look at what the page measured in the last answers; reads at most 2,000 rows."""
    questions = select(Question.id).where(Question.study_id == study.id)
    rows = session.execute(
        select(Judgment.details, Judgment.answered_at)
        .where(Judgment.question_id.in_(questions))
        .order_by(Judgment.id.desc())
        .limit(LAST_ANSWERS)
    ).all()
    skews = [
        at.timestamp() - said / 1000
        for details, at in rows
        if (said := _number(details, "client_time")) > 0
    ]
    return Playback(
        answers=len(rows),
        stalled=sum(_number(details, "stalls") > 0 for details, _ in rows),
        uneven=sum(abs(_number(details, "start_offset_ms")) > _UNEVEN_MS for details, _ in rows),
        choppy=sum(_number(details, "largest_gap_ms") > _CHOPPY_MS for details, _ in rows),
        skew_s=median(skews) if skews else None,
    )


def _number(details: dict[str, Any], key: str) -> float:
    """A measured number; 0 where the page sent none or something else."""
    return float(number_of(details.get(key)) or 0)


def environments(session: Session, study: Study) -> list[Environment]:
    """Return where the study's sessions and HITs are: sandbox, production, simulated."""
    of_sessions = select(Assignment.environment).where(Assignment.study_id == study.id)
    of_hits = select(Hit.environment).where(Hit.study_id == study.id)
    return sorted(session.scalars(of_sessions.union(of_hits)))


def unfinished_calls(session: Session, study: Study) -> Iterator[Problem]:
    """Yield what outside calls left behind: HITs, reviews and payments not known to be done."""
    hits = _states(session, select(Hit.state, func.count()).where(Hit.study_id == study.id), Hit)
    reviews = _states(
        session,
        select(Review.state, func.count())
        .join(Assignment, Review.assignment_id == Assignment.id)
        .where(Assignment.study_id == study.id),
        Review,
    )
    # A bonus comes to nothing where somebody took it back, which is no news to them.
    news = or_(Payment.state != CallState.FAILED, Payment.reason == "")
    payments = _states(
        session,
        select(Payment.state, func.count()).where(Payment.study_id == study.id, news),
        Payment,
    )
    for thing, done, word, counts in (
        ("HIT", "written down but not known to be published", "publish", hits),
        ("review", "decided but not known to have reached the platform", "review", reviews),
        ("payment", "written down but not known to be made", "pay", payments),
    ):
        if n := counts[CallState.INTENDED]:
            were = quantity(n, f"{thing} was", f"{thing}s were")
            yield Problem(f"{were} {done}.", f"vgan-eval {word}", serious=True)
    if n := hits[CallState.FAILED]:
        yield Problem(
            f"{quantity(n, 'HIT was', 'HITs were')} not published: the platform refused, or "
            "`expire` was run before.",
            "vgan-eval publish",
        )
    if n := reviews[CallState.FAILED]:
        refused = quantity(n, "review was", "reviews were")
        yield Problem(f"{refused} refused by the platform.", "vgan-eval review", True)
    if n := payments[CallState.FAILED]:
        yield Problem(
            f"{quantity(n, 'payment')} came to nothing.", "vgan-eval status", serious=True
        )


def _states(session: Session, query: Any, table: Any) -> Counter[CallState]:
    return Counter({state: int(n) for state, n in session.execute(query.group_by(table.state))})


def lapsed_leases(session: Session, study: Study, now: datetime) -> int:
    """Count the showings whose lease is over and that nobody has ended yet."""
    query = select(func.count()).select_from(STALE.subquery())
    return session.scalars(query, {"study": study.id, "now": now}).one()


def playback_problems(seen: Playback) -> Iterator[Problem]:
    """Yield what is wrong with how clips play, and with the server's clock."""
    if not seen.answers:
        return
    for count, what in (
        (seen.stalled, "a player waited for data; look at the network or make the clips smaller"),
        (seen.uneven, "the two clips started more than 50 ms apart"),
        (seen.choppy, "the clips stood still for more than a quarter of a second"),
    ):
        if count > _MUCH * seen.answers:
            share = f"{100 * count / seen.answers:.0f} %"
            yield Problem(f"In {share} of the last {seen.answers:,} answers {what}.")
    if seen.skew_s is not None and abs(seen.skew_s) > _SKEW.total_seconds():
        way = "ahead of" if seen.skew_s > 0 else "behind"
        yield Problem(
            f"The server's clock is {abs(seen.skew_s):,.0f} s {way} the raters' clocks (median). "
            "Leases and times in the export follow it.",
            serious=True,
        )


def mixture_problems(found: Sequence[Environment]) -> Iterator[Problem]:
    """Warn where judgments of different worth stand in one study."""
    if len(found) > 1:
        names = " and ".join(found)
        yield Problem(f"The study holds {names} rows together; their judgments mix.", serious=True)


def clock_problems(
    last_slot: datetime | None, found: Sequence[Environment], now: datetime
) -> Iterator[Problem]:
    """Warn of judgments that were given after now; simulated raters take their hours in seconds."""
    simulated = Environment.SIMULATED in found
    if last_slot is not None and last_slot > now and not simulated:
        yield Problem(
            "Some judgments have times that are still to come: the server's clock was wrong.",
            serious=True,
        )


def pay_problems(minutes: float | None, pay: Pay) -> Iterator[Problem]:
    """Warn where sessions take much longer than the pay was calculated for."""
    expected = pay.expected_minutes
    if minutes and pay.reward_cents and minutes > 1.25 * expected:
        hourly = pay.reward_cents * 60 / minutes / 100
        yield Problem(
            f"Sessions take {minutes:.1f} minutes (median), not {expected:g}: the pay comes to "
            f"{hourly:.2f} {pay.currency} an hour. Think of a bonus.",
            "vgan-eval pay",
        )
