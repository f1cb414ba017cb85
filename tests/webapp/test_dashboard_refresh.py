"""Values made in the background, and jobs in a process of their own."""

import threading

import pytest

from evaluation.errors import EvaluationError
from webapp.dashboard_child import run_child
from webapp.dashboard_refresh import Refreshed


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def settled(value):
    """Wait until nothing is being made, and return what there is."""
    with value._changed:
        assert value._changed.wait_for(lambda: not value._made.busy, 10)
        return value._made


def test_whoever_asks_gets_the_old_value_while_a_new_one_is_made():
    clock, gate, made = Clock(), threading.Event(), []

    def make():
        if made:
            gate.wait(10)
        made.append(1)
        return len(made)

    value = Refreshed(make, 10.0, clock=clock)
    assert value.latest(10).value == 1
    assert value.latest().value == 1
    clock.now = 11.0
    during = value.latest()
    gate.set()

    assert (during.value, during.busy) == (1, True)
    assert settled(value).value == 2


def test_nothing_is_made_before_it_is_time_or_where_nothing_has_changed():
    clock, made, version = Clock(), [], ["a"]
    value = Refreshed(lambda: made.append(1) or len(made), 10.0, lambda: version[0], clock)
    value.latest(10)

    clock.now = 9.0
    value.latest()
    clock.now = 20.0
    value.latest()
    assert settled(value).value == 1
    version[0] = "b"
    value.latest()

    assert settled(value).value == 2


def test_what_took_long_is_made_less_often():
    clock, made = Clock(), []

    def make():
        clock.now += 30.0
        made.append(1)
        return len(made)

    value = Refreshed(make, 10.0, clock=clock)
    assert value.latest(10).seconds == 30
    clock.now = 140.0  # 110 s after it ended; it rests 120 s
    value.latest()
    assert settled(value).value == 1
    clock.now = 151.0
    value.latest()

    assert settled(value).value == 2


def test_a_failure_keeps_the_last_value_and_says_why():
    clock, replies = Clock(), ["first", EvaluationError("the rules leave nothing"), "third"]

    def make():
        reply = replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    value = Refreshed(make, 10.0, clock=clock)
    value.latest(10)
    clock.now = 11.0
    value.latest()
    failed = settled(value)
    clock.now = 22.0
    value.latest()

    assert (failed.value, failed.failure) == ("first", "the rules leave nothing")
    assert (settled(value).value, settled(value).failure) == ("third", "")


def test_a_job_in_its_own_process_returns_its_result_or_its_reason(make_study, tmp_path):
    built = make_study()

    reply = run_child("tables", db=built.url, study="secret-study-name")

    assert reply == {"tables": [], "rule": "", "empty": ["realism"]}
    with pytest.raises(EvaluationError, match="no study `another` in the database"):
        run_child("tables", db=built.url, study="another")
