import numpy as np
import pytest

from analysis.declared import Declared
from analysis.errors import UsageError
from analysis.intervals import Estimate
from analysis.load import check_judgments
from analysis.preference import comparisons_in, sample_of, table_preferences
from analysis.sequential import is_done, mean_at_all_looks, mixture_bound, mixture_parameter
from analysis.synthetic import Setting, draw_row
from analysis.table import build_table
from analysis.variance import Sample
from evaluation.study_file.stop_rule import StopRule, parse_stop


def test_mixture_reproduces_published_constants():
    # confseq's two-sided normal mixture at v = v_opt = 100, alpha = 0.05.
    parameter = mixture_parameter(100, 0.05)

    assert parameter == pytest.approx(12.60056, abs=1e-5)
    assert mixture_bound(100, 0.05, parameter) == pytest.approx(30.35209, abs=1e-5)


def first(sample, order, count):
    keep = np.zeros(len(sample), bool)
    keep[order[:count]] = True
    return sample.take(keep)


def look(sample, planned):
    """The Mean of these judgments, with an interval that holds at all looks."""
    seen = Estimate(100 * sample.mean, None, None, len(sample), 0)
    return mean_at_all_looks(seen, sample, planned)


def false_alarms(studies, seed):
    """Studies of a true 50 % in which any of 20 looks excludes it, by sequence and by Wilson."""
    rng = np.random.default_rng(seed)
    sequence = naive = 0
    for _ in range(studies):
        row = draw_row(Setting(rate=0.5, categories=2), rng)
        order, n = rng.permutation(len(row)), len(row)
        seen = [first(row, order, n * k // 20) for k in range(1, 21)]
        sequence += any(look(part, n).decided for part in seen)
        pooled = [(part.y.mean(), len(part)) for part in seen]
        naive += any(abs(p - 0.5) > 1.96 * 0.5 / k**0.5 for p, k in pooled)
    return sequence / studies, naive / studies


def test_twenty_looks_raise_few_false_alarms_where_plain_tests_raise_many():
    sequence, naive = false_alarms(100, seed=2)

    assert sequence < 0.05
    assert naive > 0.25


def test_the_sequence_is_wider_than_one_look_needs_and_shrinks():
    rng = np.random.default_rng(3)
    row = draw_row(Setting(rate=0.7), rng)
    order = rng.permutation(len(row))
    early, late = look(first(row, order, 500), 2164), look(row, 2164)

    assert early.half_width > late.half_width
    assert late.low < 70 < late.high


def test_too_few_workers_have_no_sequence():
    sample = Sample.of([1, 0, 1], ["a", "b", "c"], [1, 2, 3], [1, 2, 3])

    assert look(sample, 100).half_width is None


def test_one_rater_stops_no_row(judgments_text):
    alone = judgments_text({("x", "y"): 0.97}, per_cell=200, workers=1, clips=150)
    mean = look(sample_of(table_preferences(check_judgments(alone))), 800)

    assert mean.percent > 90
    assert (mean.low, mean.high) == (None, None)
    assert not is_done(mean, parse_stop("decided or half-width 50"))


def test_stop_rules_read_and_decide():
    done, wide, blind = (
        Estimate(*numbers, 90, 20) for numbers in ((60, 57, 63), (52, 40, 64), (50, None, None))
    )

    assert parse_stop("decided") == StopRule(True, None)
    assert parse_stop("decided or half-width 3") == StopRule(True, 3.0)
    assert parse_stop("half-width<=2.5") == StopRule(False, 2.5)
    for rule, expected in (("decided", [1, 0, 0]), ("half-width 12", [1, 1, 0])):
        assert [is_done(e, parse_stop(rule)) for e in (done, wide, blind)] == expected


@pytest.mark.parametrize(
    "text",
    ["", "half-width", "half-width 0", "half-width 51", "decided and x", "decided or decided"],
)
def test_unreadable_stop_rules_are_usage_errors(text):
    with pytest.raises(UsageError, match="stop rule"):
        parse_stop(text)


def test_a_row_is_not_decided_before_all_its_categories_are_judged(judgments_text):
    judgments = check_judgments(judgments_text(per_cell=50))
    planned = {row.label: 200 for row in comparisons_in(table_preferences(judgments))}
    categories = ("golf", "beach", "train", "baby")
    judgments.attrs |= {
        "study": "paper", "question": "realism", "study_hash": "", "simulated": False,
        "declared": Declared(categories=categories, planned=planned),
    }  # fmt: skip

    def means(frame):
        table = build_table(frame, partial_mean=True, stop_when="decided")
        return {row.comparison.label: row.mean for row in table.rows}

    whole = means(judgments)
    three = means(judgments[judgments["category"] != "golf"])

    assert all(mean.low < mean.percent < mean.high for mean in whole.values())
    assert sum(mean.decided for mean in whole.values()) >= 4
    assert {(mean.low, mean.decided) for mean in three.values()} == {(None, False)}
    assert all(mean.n == 150 for mean in three.values())
