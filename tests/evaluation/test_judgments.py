"""Answers are stored once, checked at the door, and say whether they count."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from evaluation.allocation import next_showing, return_session, withdraw_session
from evaluation.errors import SessionClosed, TokenError, UsageError
from evaluation.judgments import (
    DETAIL_KEYS,
    Answer,
    Recorded,
    record_judgment,
    record_judgment_at,
    record_judgments,
)
from evaluation.schema import (
    Choice,
    Judgment,
    JudgmentStatus,
    Showing,
    ShowingStatus,
    Study,
    Trial,
    TrialKind,
)

NOW = datetime(2026, 5, 1, 9, 1, tzinfo=UTC)
GOOD = {
    "question": "realism", "choice": "left", "rt_ms": 2512.5, "clip_ms": 4000.0,
    "details": {"replays": 1, "viewport": [1280, 720], "input": "key"}, "at": NOW,
}  # fmt: skip


@pytest.fixture
def unit(sqlite_database, plan_study, begin):
    """A write unit with a fresh session of one study; `unit.assignment` is the session."""
    study = plan_study(
        sqlite_database,
        cells={("a", "b", "golf"): 8},
        session={"trials": 4, "practice": 1, "gold": 1},
    )
    with sqlite_database.write() as session:
        session.assignment = begin(session, study, "w")
        session.showing = next_showing(session, session.assignment)
        yield session


def _record(unit, **changes):
    values = {"showing_id": unit.showing.id} | GOOD | changes
    showing_id = values.pop("showing_id")
    return record_judgment(unit, unit.assignment, showing_id, Answer(**values))


def _of_kind(unit, kind):
    return unit.execute(
        select(Showing, Trial).join(Trial, Showing.trial_id == Trial.id).where(Trial.kind == kind)
    ).first()


def test_an_answer_is_stored_as_it_was_given(unit):
    _record(unit, choice="right")

    stored = unit.scalars(select(Judgment)).one()
    assert (stored.choice, stored.rt_ms, stored.clip_ms) == (Choice.RIGHT, 2512.5, 4000.0)
    assert (stored.status, stored.answered_at) == (JudgmentStatus.COUNTED, NOW)
    assert stored.details == GOOD["details"]
    answered = select(Showing.status).where(Showing.id == unit.showing.id)
    assert unit.scalar(answered) is ShowingStatus.ANSWERED
    assert next_showing(unit, unit.assignment).position == 2


def test_a_second_answer_changes_nothing_and_is_called_a_duplicate(unit):
    assert _record(unit, choice="left").duplicate is False
    assert _record(unit, choice="right", rt_ms=1.0).duplicate is True

    stored = unit.scalars(select(Judgment)).one()
    assert (stored.choice, stored.rt_ms) == (Choice.LEFT, 2512.5)


def test_only_practice_tells_whether_the_answer_was_right(unit):
    practice, trial = _of_kind(unit, TrialKind.PRACTICE)
    wrong = "right" if trial.correct.value == "left" else "left"
    assert _record(unit, showing_id=practice.id, choice=wrong) == Recorded(False, False)
    # The first answer stays, and so does the feedback on it.
    assert _record(unit, showing_id=practice.id, choice=trial.correct.value) == Recorded(
        True, False
    )

    for kind in (TrialKind.GOLD, TrialKind.TEST):
        showing, _ = _of_kind(unit, kind)
        assert _record(unit, showing_id=showing.id).correct is None


def test_answers_may_arrive_in_any_order(unit):
    showings = unit.scalars(select(Showing).order_by(Showing.position.desc())).all()

    for showing in showings:
        _record(unit, showing_id=showing.id)

    assert next_showing(unit, unit.assignment) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": "motion"}, "no question 'motion' in this study; it asks: realism"),
        ({"choice": "tie"}, "choice 'tie' is not offered; choose left or right"),
        ({"choice": "LEFT"}, "choice 'LEFT' is not offered"),
        ({"rt_ms": -1}, "rt_ms must be a number of milliseconds, at least 0, got -1"),
        ({"rt_ms": float("nan")}, "rt_ms must be a number"),
        ({"rt_ms": "12"}, "rt_ms must be a number"),
        ({"rt_ms": True}, "rt_ms must be a number"),
        ({"clip_ms": float("inf")}, "clip_ms must be a number"),
        ({"clip_ms": None}, "clip_ms must be a number"),
        ({"details": {"cookie": 1}}, "details has the unknown key 'cookie'"),
        ({"details": {"replays": float("nan")}}, "details is not plain JSON"),
        ({"details": {"replays": {1, 2}}}, "details is not plain JSON"),
        ({"details": {"input": "k" * 2000}}, "details has 2013 bytes of JSON; at most 2000 fit"),
        ({"showing_id": 10_000}, "showing 10000 is not part of this session"),
    ],
)
def test_a_wrong_answer_names_what_is_wrong_and_stores_nothing(unit, changes, message):
    with pytest.raises(UsageError) as caught:
        _record(unit, **changes)

    assert message in str(caught.value)
    assert unit.scalar(select(func.count()).select_from(Judgment)) == 0


def test_a_showing_of_somebody_else_is_refused(unit, begin):
    study = unit.get_one(Study, unit.assignment.study_id)
    other = begin(unit, study, "another", "session-2")

    with pytest.raises(UsageError, match="not part of this session"):
        record_judgment(unit, other, unit.showing.id, Answer(**GOOD))


def test_a_returned_session_takes_no_new_answer_but_knows_its_old_ones(unit):
    _record(unit)
    other = unit.scalars(select(Showing.id).where(Showing.position == 2)).one()
    return_session(unit, unit.assignment)

    assert _record(unit).duplicate is True
    with pytest.raises(SessionClosed, match="was returned"):
        _record(unit, showing_id=other)


def _answer(unit, **changes):
    """Answer as a page does, which knows its session's id and the places in it."""
    study = unit.get_one(Study, unit.assignment.study_id)
    values = {"assignment_id": unit.assignment.id, "position": 1} | GOOD | changes
    place = values.pop("assignment_id"), values.pop("position")
    nonce = values.pop("nonce", unit.assignment.nonce)
    return record_judgment_at(unit, study, *place, Answer(**values), nonce=nonce)


def test_a_page_answers_by_the_place_of_a_showing(unit):
    assert _answer(unit).duplicate is False
    assert _record(unit).duplicate is True
    assert _answer(unit, position=3).duplicate is False

    answered = select(Showing.position).where(Showing.status == ShowingStatus.ANSWERED)
    assert unit.scalars(answered.order_by(Showing.position)).all() == [1, 3]


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"position": 99}, UsageError, "the session has no showing 99"),
        ({"assignment_id": 99}, TokenError, "the page's session does not exist"),
        ({"nonce": "5e" * 16}, TokenError, "the page's session does not exist"),
        ({"nonce": None, "position": 99}, TokenError, "the page's session does not exist"),
        ({"choice": "tie"}, UsageError, "choice 'tie' is not offered"),
        ({"question": "motion"}, UsageError, "no question 'motion' in this study"),
    ],
)
def test_a_page_is_told_what_is_wrong(unit, changes, kind, message):
    with pytest.raises(kind, match=message):
        _answer(unit, **changes)


def test_a_withdrawn_session_takes_no_answer_not_even_one_that_it_has(unit):
    _answer(unit)
    withdraw_session(unit, unit.assignment)

    for position in (1, 2, 99):
        with pytest.raises(SessionClosed, match="was withdrawn"):
            _answer(unit, position=position)


def test_every_key_of_the_details_is_accepted(unit):
    details = dict.fromkeys(DETAIL_KEYS, 1)

    _record(unit, details=details)

    assert unit.scalars(select(Judgment.details)).one() == details


def test_a_tie_is_stored_where_the_study_offers_it(sqlite_database, plan_study, begin):
    study = plan_study(sqlite_database, allow_tie=True)
    with sqlite_database.write() as session:
        assignment = begin(session, study, "w")
        showing = next_showing(session, assignment)
        record_judgment(session, assignment, showing.id, Answer(**GOOD | {"choice": "tie"}))
        assert session.scalars(select(Judgment.choice)).one() is Choice.TIE


def test_many_answers_at_once_follow_the_same_rules(database, plan_study, begin):
    study = plan_study(database, questions=("realism", "motion"))
    with database.write() as session:
        assignment = begin(session, study, "w")
        ids = session.scalars(select(Showing.id).order_by(Showing.position)).all()
        answers = [
            (showing_id, Answer(question, "left", 1.0, 1.0, NOW))
            for showing_id in [*ids, ids[0]]
            for question in ("realism", "motion")
        ]
        recorded = record_judgments(session, assignment, answers)
        assert [r.duplicate for r in recorded] == [False] * 8 + [True] * 2
        stray = (0, Answer("motion", "left", 1, 1, NOW))
        with pytest.raises(UsageError, match="not part"):
            record_judgments(session, assignment, [answers[0], stray])
        assert session.scalar(select(func.count()).select_from(Judgment)) == 8
        assert next_showing(session, assignment) is None
