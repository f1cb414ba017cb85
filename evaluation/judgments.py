"""Recording answers, one question of one showing at a time, each exactly once.

A page that got no reply posts again, and twenty equal posts at once must store one judgment. The
showing's row is locked first, so that posts take turns; the unique keys of the judgment table say
the same to anything that would go around this module.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from evaluation.errors import SessionClosed, UsageError
from evaluation.leases import counted_for_all, set_status
from evaluation.schema import (
    Assignment,
    Choice,
    Judgment,
    JudgmentStatus,
    Showing,
    ShowingStatus,
    Side,
    Study,
    Trial,
    TrialKind,
)

DETAIL_KEYS = frozenset(
    {
        "frames_drawn",  # on the canvases, or shown by the players, until the answer
        "loops",  # whole turns of the clips until the answer
        "largest_gap_ms",  # longest pause between two drawn frames
        "start_offset_ms",  # between the first frames of left and right; 0 on one clock
        "early_presses",  # answers tried before they were unlocked
        "replays",
        "hidden_ms",  # with the page hidden
        "blurs",  # times the page lost the focus
        "device_pixel_ratio",
        "viewport",  # [width, height], CSS pixels
        "displayed",  # [width, height] of one clip on screen, CSS pixels
        "input",  # "key", "click" or "touch"
        "client_time",  # the browser's clock at the answer, ms since 1970
        "reduced_motion",
        "stalls",  # times a player waited for data
    }
)
_DETAILS_BYTES = 2000


@dataclass(frozen=True)
class Answer:
    """One answer as the page sent it.

    Args:
        showing_id: which showing of the assignment.
        question: the question's name.
        choice: `left`, `right`, or `tie` where the study allows it.
        rt_ms: response time from the first frame of both clips, at least 0.
        clip_ms: how long the clips ran, at least 0.
        at: when it arrived; aware.
        details: what else the page measured, of `DETAIL_KEYS`.
    """

    showing_id: int
    question: str
    choice: str
    rt_ms: float
    clip_ms: float
    at: datetime
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """What became of an answer.

    Args:
        duplicate: an answer was there already, and it stays.
        correct: whether a practice answer (the one kept) was right; None for all other kinds,
            because feedback on gold would teach which trials are gold.
    """

    duplicate: bool
    correct: bool | None


class _Shown(NamedTuple):
    """What recording needs to know of a showing."""

    id: int
    trial_id: int
    status: ShowingStatus
    position: int
    kind: TrialKind
    correct: Side | None


def record_judgment(
    session: Session,
    assignment: Assignment,
    *,
    showing_id: int,
    question: str,
    choice: str,
    rt_ms: float,
    clip_ms: float,
    details: Mapping[str, Any],
    now: datetime,
) -> Recorded:
    """Record one answer; again with the same showing and question it changes nothing.

    The order of the answers is free: a post that was lost arrives after later ones. A judgment of
    a lease that ended still counts if no other judgment of the trial and question does, else it
    is kept as late.

    Args:
        session: of a write unit.
        assignment: whose showing it must be.
        showing_id: as in `Answer`, like all that follow.
        question: the question's name.
        choice: `left`, `right`, or `tie` where the study allows it.
        rt_ms: response time.
        clip_ms: how long the clips ran.
        details: what else the page measured.
        now: when the answer arrived.

    Raises:
        UsageError: not a showing of this session, no such question, a choice that the study does
            not offer, a time that is no number or negative, or unknown or too many details.
        SessionClosed: the session was returned or withdrawn.
    """
    answer = Answer(showing_id, question, choice, rt_ms, clip_ms, now, details)
    return record_judgments(session, assignment, [answer])[0]


def record_judgments(
    session: Session, assignment: Assignment, answers: Sequence[Answer]
) -> list[Recorded]:
    """Record several answers of one session by the rules of `record_judgment`, all or none."""
    study = session.get_one(Study, assignment.study_id)
    questions = {question.name: question.id for question in study.questions}
    choices = _offered(study)
    for answer in answers:
        _check(answer, questions, choices)
    shown = _locked_showings(session, assignment, answers)
    kept, counted = _given(session, shown)
    recorded: list[Recorded] = []
    rows: list[dict[str, Any]] = []
    for answer in answers:
        showing = shown[answer.showing_id]
        key = (showing.id, questions[answer.question])
        duplicate = key in kept
        if not duplicate:
            if showing.status in (ShowingStatus.RETURNED, ShowingStatus.WITHDRAWN):
                raise SessionClosed(
                    f"this session was {showing.status}; it takes no more judgments"
                )
            slot = (showing.trial_id, key[1])
            late = slot in counted
            rows.append(_row(answer, showing, key[1], late=late))
            counted.add(slot)
            kept[key] = Choice(answer.choice)
        recorded.append(Recorded(duplicate, _feedback(showing, kept[key])))
    if rows:
        session.execute(insert(Judgment), rows)
        _settle(session, study, shown, kept, len(questions))
    return recorded


def _offered(study: Study) -> list[str]:
    tie = [Choice.TIE.value] if study.design["design"]["allow_tie"] else []
    return [Choice.LEFT.value, Choice.RIGHT.value, *tie]


def _check(answer: Answer, questions: Mapping[str, int], choices: Sequence[str]) -> None:
    if answer.question not in questions:
        raise UsageError(
            f"no question {answer.question!r} in this study; it asks: {', '.join(questions)}"
        )
    if answer.choice not in choices:
        raise UsageError(f"choice {answer.choice!r} is not offered; choose {' or '.join(choices)}")
    for name, value in (("rt_ms", answer.rt_ms), ("clip_ms", answer.clip_ms)):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise UsageError(f"{name} must be a number of milliseconds, at least 0, got {value!r}")
    if answer.details:
        _check_details(answer.details)


def _check_details(details: Mapping[str, Any]) -> None:
    if unknown := sorted(set(details) - DETAIL_KEYS):
        raise UsageError(f"details has the unknown key {unknown[0]!r}")
    try:
        text = json.dumps(dict(details), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"details is not plain JSON ({error})") from None
    if len(text) > _DETAILS_BYTES:
        raise UsageError(f"details has {len(text)} bytes of JSON; at most {_DETAILS_BYTES} fit")


def _locked_showings(
    session: Session, assignment: Assignment, answers: Sequence[Answer]
) -> dict[int, _Shown]:
    """Lock and return the showings and their trials, always in the same order of locking."""
    wanted = {answer.showing_id for answer in answers}
    rows = session.execute(
        select(
            Showing.id,
            Showing.trial_id,
            Showing.status,
            Showing.position,
            Trial.kind,
            Trial.correct,
        )
        .join(Trial, Showing.trial_id == Trial.id)
        .where(Showing.id.in_(sorted(wanted)), Showing.assignment_id == assignment.id)
        .order_by(Showing.id)
        .with_for_update(of=[Showing, Trial], key_share=True)
    )
    shown = {row.id: _Shown(*row) for row in rows}
    if missing := wanted - shown.keys():
        raise UsageError(f"showing {min(missing)} is not part of this session")
    return shown


def _given(
    session: Session, shown: Mapping[int, _Shown]
) -> tuple[dict[tuple[int, int], Choice], set[tuple[int, int]]]:
    """Return the choices that these showings have, and which of their trials are counted.

    Keys are showing or trial, and question.
    """
    counts = (Judgment.status == JudgmentStatus.COUNTED) & Judgment.trial_id.in_(
        sorted({s.trial_id for s in shown.values()})
    )
    rows = session.execute(
        select(
            Judgment.showing_id,
            Judgment.trial_id,
            Judgment.question_id,
            Judgment.choice,
            Judgment.status,
        ).where(Judgment.showing_id.in_(sorted(shown)) | counts)
    ).all()
    kept = {(r.showing_id, r.question_id): r.choice for r in rows if r.showing_id in shown}
    counted = {(r.trial_id, r.question_id) for r in rows if r.status is JudgmentStatus.COUNTED}
    return kept, counted


def _row(answer: Answer, showing: _Shown, question_id: int, *, late: bool) -> dict[str, Any]:
    return {
        "showing_id": showing.id,
        "trial_id": showing.trial_id,
        "question_id": question_id,
        "choice": Choice(answer.choice),
        "rt_ms": float(answer.rt_ms),
        "clip_ms": float(answer.clip_ms),
        "status": JudgmentStatus.LATE if late else JudgmentStatus.COUNTED,
        "answered_at": answer.at,
        "details": dict(answer.details),
    }


def _feedback(showing: _Shown, kept: Choice) -> bool | None:
    if showing.kind is not TrialKind.PRACTICE or showing.correct is None:
        return None
    return kept.value == showing.correct.value


def _settle(
    session: Session,
    study: Study,
    shown: Mapping[int, _Shown],
    kept: Mapping[tuple[int, int], Choice],
    n_questions: int,
) -> None:
    """Mark wholly answered showings, and take trials that a late worker filled out of the plan."""
    answers: dict[int, int] = {}
    for showing_id, _ in kept:
        answers[showing_id] = answers.get(showing_id, 0) + 1
    done = [showing_id for showing_id, n in answers.items() if n == n_questions]
    if done:
        set_status(session, done, ShowingStatus.ANSWERED)
    late = [s.trial_id for s in shown.values() if s.status is ShowingStatus.EXPIRED]
    if late:
        session.execute(
            update(Trial)
            .where(Trial.id.in_(sorted(late)), counted_for_all(study.id))
            .values(free=False),
            execution_options={"synchronize_session": False},
        )
