import numpy as np
import pytest

from analysis.errors import UsageError
from analysis.load import check_judgments
from analysis.preference import Comparison, table_preferences
from analysis.sequential import (
    Look,
    StopRule,
    look,
    looks,
    mixture_bound,
    mixture_parameter,
    parse_stop,
    rows_to_top_up,
)
from analysis.synthetic import Setting, draw_row
from analysis.variance import Sample


def test_mixture_reproduces_published_constants():
    # confseq's two-sided normal mixture at v = v_opt = 100, alpha = 0.05.
    parameter = mixture_parameter(100, 0.05)

    assert parameter == pytest.approx(12.60056, abs=1e-5)
    assert mixture_bound(100, 0.05, parameter) == pytest.approx(30.35209, abs=1e-5)


def first(sample, order, count):
    keep = np.zeros(len(sample), bool)
    keep[order[:count]] = True
    return sample.take(keep)


def false_alarms(studies, seed):
    """Studies of a true 50 % in which any of 20 looks excludes it, by sequence and by Wilson."""
    rng = np.random.default_rng(seed)
    sequence = naive = 0
    for _ in range(studies):
        row = draw_row(Setting(rate=0.5), rng)
        order, n = rng.permutation(len(row)), len(row)
        seen = [first(row, order, n * k // 20) for k in range(1, 21)]
        bounds = [look(part, n) for part in seen]
        sequence += any(b is not None and not b[0] <= 0.5 <= b[1] for b in bounds)
        pooled = [(part.y.mean(), len(part)) for part in seen]
        naive += any(abs(p - 0.5) > 1.96 * 0.5 / k**0.5 for p, k in pooled)
    return sequence / studies, naive / studies


def test_twenty_looks_raise_few_false_alarms_where_plain_tests_raise_many():
    sequence, naive = false_alarms(40, seed=2)

    assert sequence < 0.1
    assert naive > 0.25


@pytest.mark.slow
def test_twenty_looks_raise_false_alarms_in_under_five_percent_of_studies():
    sequence, _ = false_alarms(200, seed=2)

    assert sequence < 0.05


def test_the_sequence_is_wider_than_one_look_needs_and_shrinks():
    rng = np.random.default_rng(3)
    row = draw_row(Setting(rate=0.7), rng)
    order = rng.permutation(len(row))
    early, late = look(first(row, order, 500), 2164), look(row, 2164)

    assert early[1] - early[0] > late[1] - late[0]
    assert late[0] < 0.7 < late[1]


def test_too_few_workers_have_no_sequence():
    sample = Sample.of([1, 0, 1], ["a", "b", "c"], [1, 2, 3], [1, 2, 3])

    assert look(sample, 100) is None


def test_one_rater_stops_no_row(judgments_text):
    alone = judgments_text({("x", "y"): 0.97}, per_cell=200, workers=1, clips=150)
    (state,) = looks(table_preferences(check_judgments(alone)), {})

    assert state.percent > 90
    assert (state.low, state.high) == (None, None)
    assert not parse_stop("decided or half-width 50").done(state)


def test_stop_rules_read_and_decide():
    done = Look("x over y", 60, 57, 63, 900)
    wide = Look("x over z", 52, 40, 64, 90)
    blind = Look("y over z", 50, None, None, 3)

    assert parse_stop("decided") == StopRule(True, None)
    assert parse_stop("decided or half-width 3") == StopRule(True, 3.0)
    assert parse_stop("half-width<=2.5") == StopRule(False, 2.5)
    assert [parse_stop("decided").done(s) for s in (done, wide, blind)] == [True, False, False]
    assert [parse_stop("half-width 12").done(s) for s in (done, wide, blind)] == [True, True, False]
    rows = [Comparison("x", "y"), Comparison("x", "z"), Comparison("y", "q")]
    assert rows_to_top_up([done, wide, blind], parse_stop("decided"), rows) == rows[1:]


@pytest.mark.parametrize("text", ["", "soon", "half-width", "half-width 0", "decided and x"])
def test_unreadable_stop_rules_are_usage_errors(text):
    with pytest.raises(UsageError, match="stop rule"):
        parse_stop(text)


def test_every_row_is_looked_at(judgments_text):
    preferences = table_preferences(check_judgments(judgments_text(per_cell=50)))
    found = looks(preferences, {"autoencoder-gmm over real": 4000})

    assert [state.row for state in found][-1] == "autoencoder-gmm over real"
    assert all(state.low < state.percent < state.high for state in found)
    assert found[0].decided


def test_a_row_is_not_decided_before_all_its_categories_are_judged(judgments_text):
    preferences = table_preferences(check_judgments(judgments_text(per_cell=50)))
    three = preferences[preferences["category"] != "golf"]
    rows = [state.row for state in looks(three, {}) if state.decided]
    planned = {row: {"golf", "beach", "train", "baby"} for row in rows}
    found = {state.row: state for state in looks(three, {}, categories=planned)}

    assert len(rows) >= 4
    assert {(found[row].low, found[row].decided) for row in rows} == {(None, False)}
    whole = looks(preferences, {}, categories=planned)
    assert [state.row for state in whole if state.decided] == rows
