"""Recording answers, one question of one showing at a time, each exactly once.

A page that got no reply posts again, and twenty equal posts at once must store one judgment. The
showing's row is locked first, so that posts take turns; the unique keys of the judgment table say
the same to anything that would go around this module.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, insert, select, update
from sqlalchemy.orm import Session

from evaluation import frozen
from evaluation.errors import SessionClosed, TokenError, UsageError
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
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
from evaluation.sessions.answers import DETAIL_KEYS, Answer, check_answers
from evaluation.sessions.leases import counted_for_all
from evaluation.sessions.tokens import check_page

__all__ = [
    "DETAIL_KEYS",
    "Answer",
    "Recorded",
    "record_judgment",
    "record_judgment_at",
    "record_judgments",
]

# Every rater sends these every few seconds. They are made once, because making a statement takes
# longer than sending it, and they go to the connection, past the session's search for entities.
_SHOWN = (
    select(
        Showing.id,
        Showing.trial_id,
        Showing.status,
        Trial.kind,
        Trial.correct,
        Assignment.status.label("session"),
        Assignment.nonce,
    )
    .join(Trial, Showing.trial_id == Trial.id)
    .join(Assignment, Showing.assignment_id == Assignment.id)
    .where(Showing.assignment_id == bindparam("assignment"))
    .order_by(Showing.id)  # always the same order of locking
    .with_for_update(of=[Showing, Trial], key_share=True)
)
_SHOWN_AT = _SHOWN.where(Showing.position == bindparam("position"))
_SHOWN_AS = _SHOWN.where(Showing.id.in_(bindparam("showings", expanding=True)))
# Written out, for databases to see that the index of counted judgments has all that is wanted.
_COUNTED = bindparam(None, JudgmentStatus.COUNTED, Judgment.status.type, literal_execute=True)
_GIVEN = select(
    Judgment.showing_id,
    Judgment.trial_id,
    Judgment.question_id,
    Judgment.choice,
    Judgment.status,
).where(
    Judgment.showing_id.in_(bindparam("showings", expanding=True))
    | ((Judgment.status == _COUNTED) & Judgment.trial_id.in_(bindparam("trials", expanding=True)))
)
_STORE = insert(Judgment)
_ANSWERED = (
    update(Showing)
    .where(Showing.id.in_(bindparam("showings", expanding=True)))
    .values(status=ShowingStatus.ANSWERED)
)


@dataclass(frozen=True)
class Recorded:
    """What became of an answer.

    Args:
        duplicate: an answer was there already, and it stays.
        correct: whether a practice answer (the one kept) was right; None for all other kinds,
            because feedback on gold would teach which trials are gold, and where it is not known.
    """

    duplicate: bool
    correct: bool | None


class _Shown(NamedTuple):
    """What recording needs to know of a showing."""

    id: int
    trial_id: int
    status: ShowingStatus
    kind: TrialKind
    correct: Side | None
    session: AssignmentStatus
    nonce: str | None


def record_judgment(
    session: Session,
    assignment: Assignment,
    showing_id: int,
    answer: Answer,
) -> Recorded:
    """Record one answer; again with the same showing and question it changes nothing.

    The order of the answers is free: a post that was lost arrives after later ones. A judgment of
    a lease that ended still counts if no other judgment of the trial and question does, else it
    is kept as late. Showings that the session has loaded before are not loaded again.

    Args:
        session: of a write unit.
        assignment: whose showing it must be.
        showing_id: what was answered.
        answer: to one of the study's questions.

    Raises:
        UsageError: not a showing of this session, no such question, a choice that the study does
            not offer, a time that is no number or negative, or unknown or too many details.
        SessionClosed: the session was returned or withdrawn.
    """
    return record_judgments(session, assignment, [(showing_id, answer)])[0]


def record_judgments(
    session: Session, assignment: Assignment, answers: Sequence[tuple[int, Answer]]
) -> list[Recorded]:
    """Record answers to showings of one session, as `record_judgment` does, all or none."""
    study = session.get_one(Study, assignment.study_id)
    check_answers(study, [answer for _, answer in answers])
    session.flush()
    wanted = sorted({showing_id for showing_id, _ in answers})
    shown = _locked(session, _SHOWN_AS, {"assignment": assignment.id, "showings": wanted})
    if missing := set(wanted) - shown.keys():
        raise UsageError(f"showing {min(missing)} is not part of this session")
    return _recorded(session, study, shown, answers)


def record_judgment_at(
    session: Session,
    study: Study,
    assignment_id: int,
    position: int,
    answer: Answer,
    *,
    nonce: str | None,
) -> Recorded:
    """Record one answer as `record_judgment` does, by what a page knows of its session.

    Args:
        session: of a write unit.
        study: of the assignment, with its questions; may be one that no session holds.
        assignment_id: of the session.
        position: of the showing in it.
        answer: to one of the study's questions.
        nonce: of the session, as the page has it.

    Raises:
        TokenError: there is no such session.
        UsageError: as in `record_judgment`.
        SessionClosed: as there.
    """
    shown = _locked(session, _SHOWN_AT, {"assignment": assignment_id, "position": position})
    showing = next(iter(shown.values()), None)
    state, theirs = (showing.session, showing.nonce) if showing else _state(session, assignment_id)
    check_page(nonce, theirs, state)
    if state is AssignmentStatus.WITHDRAWN:
        raise SessionClosed("this session was withdrawn; it takes no more judgments")
    if showing is None:
        raise UsageError(f"the session has no showing {position}")
    check_answers(study, [answer])
    return _recorded(session, study, shown, [(showing.id, answer)])[0]


def _state(session: Session, assignment_id: int) -> tuple[AssignmentStatus, str | None]:
    assignment = session.get(Assignment, assignment_id)
    if assignment is None:
        raise TokenError("the page's session does not exist")
    return assignment.status, assignment.nonce


def _locked(session: Session, showings: Select[*tuple[Any, ...]], of: Any) -> dict[int, _Shown]:
    """Lock showings and their trials; return them by id."""
    return {row.id: _Shown(*row) for row in session.connection().execute(showings, of)}


def _recorded(
    session: Session,
    study: Study,
    shown: Mapping[int, _Shown],
    answers: Sequence[tuple[int, Answer]],
) -> list[Recorded]:
    """Store the answers to locked showings that have none yet."""
    questions = {question.name: question.id for question in study.questions}
    known = frozen.gold_questions(study)
    kept, counted = _given(session, shown)
    recorded: list[Recorded] = []
    rows: list[dict[str, Any]] = []
    for showing_id, answer in answers:
        showing = shown[showing_id]
        key = (showing.id, questions[answer.question])
        duplicate = key in kept
        if not duplicate:
            if showing.status in (ShowingStatus.RETURNED, ShowingStatus.WITHDRAWN):
                raise SessionClosed(
                    f"this session was {showing.status}; it takes no more judgments"
                )
            late = (showing.trial_id, key[1]) in counted
            rows.append(_row(answer, showing, key[1], late=late))
            kept[key] = Choice(answer.choice)
        told = answer.question in known
        recorded.append(Recorded(duplicate, _feedback(showing, kept[key]) if told else None))
    if rows:
        session.connection().execute(_STORE, rows)
        _settle(session, study, shown, kept, len(questions))
    return recorded


def _given(
    session: Session, shown: Mapping[int, _Shown]
) -> tuple[dict[tuple[int, int], Choice], set[tuple[int, int]]]:
    """Return the choices that these showings have, and which of their trials are counted.

    Keys are showing or trial, and question.
    """
    trials = sorted({showing.trial_id for showing in shown.values()})
    of = {"showings": sorted(shown), "trials": trials}
    rows = session.connection().execute(_GIVEN, of).all()
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
    answers = Counter(showing_id for showing_id, _ in kept)
    done = [showing_id for showing_id, n in answers.items() if n == n_questions]
    if done:
        session.connection().execute(_ANSWERED, {"showings": done})
    late = [s.trial_id for s in shown.values() if s.status is ShowingStatus.EXPIRED]
    if late:
        session.execute(
            update(Trial)
            .where(Trial.id.in_(sorted(late)), counted_for_all(study.id))
            .values(free=False),
            execution_options={"synchronize_session": False},
        )
