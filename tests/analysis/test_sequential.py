import numpy as np
import pytest
from scipy import stats

from analysis.declared import Declared
from analysis.errors import UsageError
from analysis.intervals import Estimate
from analysis.load import check_judgments
from analysis.preference import comparisons_in, sample_of, table_preferences
from analysis.sequential import (
    bounds_at_all_looks,
    is_done,
    mean_at_all_looks,
    mixture_parameter,
)
from analysis.synthetic import Setting, draw_row
from analysis.table import build_table
from analysis.variance import Sample
from evaluation.study_file.stop_rule import StopRule, parse_stop


def test_the_mixture_has_the_published_constants():
    # confseq's two-sided beta-binomial mixture of steps of 0.8 and -0.2, alpha = 0.05, at an
    # intrinsic time of 100, for which it is tightest: 625 judgments at 20 %. The bound is 31.4308.
    low, _ = bounds_at_all_looks(0.2 + 31.4308 / 625, 625, 2 * 625)

    assert mixture_parameter(100, 0.05) == pytest.approx(12.60056, abs=1e-5)
    assert low == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize(("wins", "n"), [(30, 60), (57, 60), (3, 400), (240, 240), (0, 60)])
def test_outside_the_bounds_the_mixture_explains_the_judgments_20_times_as_well(wins, n):
    weight = mixture_parameter(360, 0.05) - 1

    def times(p):
        mixed = stats.betabinom.pmf(wins, n, weight * p, weight * (1 - p))
        return mixed / stats.binom.pmf(wins, n, p)

    low, high = bounds_at_all_looks(wins / n, n, 720)

    for bound in {low, high} - {0.0, 1.0}:
        assert times(bound) == pytest.approx(20, rel=1e-5)
    assert low <= wins / n <= high
    assert (low == 0) == (wins == 0)
    assert (high == 1) == (wins == n)


def test_the_bounds_are_tightest_at_half_the_plan():
    def width(planned):
        low, high = bounds_at_all_looks(0.5, 100, planned)
        return high - low

    assert width(200) < min(width(150), width(270))


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


@pytest.mark.parametrize("rate", [0.9, 0.95, 0.97])
def test_early_looks_seldom_miss_a_preference_near_certainty(rate):
    lone = {"activity": 0, "worker_sd": 0, "clip_sd": 0, "clips": 30, "categories": 1}
    rng, missed = np.random.default_rng(5), 0
    for _ in range(100):
        row = draw_row(Setting(rate=rate, workers=60, per_cell=720, **lone), rng)
        seen = [look(row.take(row.worker < count), 720) for count in range(6, 31, 2)]
        missed += any(not mean.low <= 100 * rate <= mean.high for mean in seen)

    assert missed <= 3


def test_ties_count_for_the_less_they_vary():
    def of(n, ties):
        """As many wins as losses beside the ties, each of a worker and of clips of its own."""
        y = np.r_[np.full(ties, 0.5), np.arange(n - ties) % 2]
        return look(Sample.of(y, np.arange(n), np.arange(n), np.arange(n)), n)

    # A judgment varies by 101 / 401 of what it does without ties, by (x + 2) / (n + 4).
    assert of(1600, 1200).half_width == pytest.approx(of(6400, 0).half_width, rel=0.01)


def test_the_sequence_is_wider_than_one_look_needs_and_shrinks():
    rng = np.random.default_rng(3)
    row = draw_row(Setting(rate=0.7), rng)
    order = rng.permutation(len(row))
    early, late = look(first(row, order, 500), 2164), look(row, 2164)

    assert early.half_width > late.half_width
    assert late.low < 70 < late.high


def test_bounds_of_200_judgments_rest_on_the_larger_variance():
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
    low, high = bounds_at_all_looks(0.5, time, 400)

    assert variance > jackknife
    assert (found.low, found.high) == pytest.approx((100 * low, 100 * high))


def test_judgments_never_count_for_more_than_they_are():
    # Cells at 10 and 90 %, whose Mean varies less than judgments of one cell at 50 % do.
    y = [*[1] * 10, *[0] * 90, *[0] * 10, *[1] * 90]
    cell, worker = np.repeat([0, 1], 100), np.arange(200) % 100
    found = look(Sample.of(y, worker, np.arange(200), np.arange(200), cell), 400)
    low, high = bounds_at_all_looks(0.5, 200, 400)

    assert (found.low, found.high) == pytest.approx((100 * low, 100 * high))


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
