import numpy as np
import pytest
from scipy import stats

from analysis.declared import Declared
from analysis.errors import UsageError
from analysis.intervals import Estimate
from analysis.load import check_judgments
from analysis.preference import comparisons_in, sample_of, table_preferences
from analysis.sequential import (
    is_done,
    mean_at_all_looks,
    mixture_bound,
    mixture_parameter,
    radius,
)
from analysis.synthetic import Setting, draw_row
from analysis.table import build_table
from analysis.variance import Sample
from evaluation.study_file.stop_rule import StopRule, parse_stop


def test_mixture_reproduces_published_constants():
    # confseq's two-sided normal mixture at v = v_opt = 100, alpha = 0.05.
    parameter = mixture_parameter(100, 0.05)

    assert parameter == pytest.approx(12.60056, abs=1e-5)
    assert mixture_bound(100, 0.05, parameter) == pytest.approx(30.35209, abs=1e-5)


def test_the_bound_is_tightest_at_half_the_plan():
    assert radius(100, 200) < min(radius(100, 150), radius(100, 270))


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


def published_bound(time, planned):
    """Half the 95 % interval of a mean with p = 0.5: of Howard et al. (2021), over the time."""
    parameter = planned / 2 / (-2 * np.log(0.05) + np.log(1 - 2 * np.log(0.05)))
    total = time + parameter
    return 0.5 * np.sqrt(total * np.log(total / (parameter * 0.05**2))) / time


def test_bounds_of_200_judgments_are_the_published_ones_on_the_larger_variance():
    # One worker prefers A in 20 of 40, 40 workers in both of two, 40 in none; clips are shown once.
    y = [*[0, 1] * 20, *[1, 1] * 40, *[0, 0] * 40]
    worker = [*[0] * 40, *np.repeat(np.arange(1, 81), 2)]
    sample = Sample.of(y, worker, np.arange(200), np.arange(200))
    found = look(sample, 400)
    # Leaving out workers (80 move the mean by 1 / 198), leaving out clips, less both at once.
    jackknife = 80 / 81 * 80 / 198**2 + 1 / (4 * 199) - 1 / 800
    # Of 1720 products of a worker's judgments, the busy one's sum to -40, the other 160 are 1.
    correlation = (160 - 40) / 1720 + jackknife / 0.25
    variance = (1 + correlation * 1720 / 200) / 800
    df = 200**2 / (40**2 + 80 * 2**2) - 1
    time = 0.25 / variance * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, df)) ** 2
    half = 100 * published_bound(time, 400)

    assert variance > jackknife
    assert (found.low, found.high) == pytest.approx((50 - half, 50 + half))


def test_judgments_never_count_for_more_than_they_are():
    # Cells at 10 and 90 %, whose Mean varies less than judgments of one cell at 50 % do.
    y = [*[1] * 10, *[0] * 90, *[0] * 10, *[1] * 90]
    cell, worker = np.repeat([0, 1], 100), np.arange(200) % 100
    found = look(Sample.of(y, worker, np.arange(200), np.arange(200), cell), 400)
    half = 100 * published_bound(200, 400)

    assert (found.low, found.high) == pytest.approx((50 - half, 50 + half))


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
    for rule, expected in (
        ("decided", [1, 0, 0]),
        ("half-width 12", [1, 1, 0]),
        ("half-width 11.99", [1, 0, 0]),
    ):
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
