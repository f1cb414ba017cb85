import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from analysis.intervals import (
    Spread,
    cell_interval,
    clopper_pearson,
    estimate_of,
    korn_graubard,
    mean_interval,
    row_correlations,
    wilson,
)
from analysis.synthetic import Setting, draw_row
from analysis.variance import MAX_CORRELATION, TYPICAL, Correlations, Sample, multiway


def test_wilson_matches_published_and_statsmodels_values():
    assert wilson(19 / 38, 38) == pytest.approx((0.348499283643951, 0.651500716356049), abs=1e-12)
    assert wilson(17 / 541, 541) == pytest.approx((0.019710, 0.049744), abs=5e-7)
    assert wilson(17 / 541, 541) == pytest.approx(proportion_confint(17, 541, method="wilson"))


def test_clopper_pearson_matches_published_and_statsmodels_values():
    assert clopper_pearson(17 / 541, 541) == pytest.approx((0.018410, 0.049836), abs=5e-7)
    assert clopper_pearson(17 / 541, 541) == pytest.approx(
        proportion_confint(17, 541, method="beta")
    )
    assert clopper_pearson(0.0, 10)[0] == 0.0
    assert clopper_pearson(1.0, 10)[1] == 1.0


def test_korn_graubard_without_clustering_is_clopper_pearson():
    assert korn_graubard(0.3, 100, 100, 99) == pytest.approx(clopper_pearson(0.3, 100))
    # One rater's ten pairs are of twenty clips, and are ten judgments all the same.
    assert korn_graubard(0.3, 10, 10, 19) == pytest.approx(clopper_pearson(0.3, 10))


def test_korn_graubard_widens_with_fewer_degrees_of_freedom():
    wide, narrow = korn_graubard(0.3, 100, 50, 5), korn_graubard(0.3, 100, 50, 99)

    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_korn_graubard_is_the_beta_quantiles_at_the_shrunk_number():
    # Quantiles of t at 97.5 % for 99 and for 5 degrees of freedom, as tables print them.
    n = 50 * (1.984217 / 2.570582) ** 2
    low = stats.beta.ppf(0.025, 0.3 * n, 0.7 * n + 1)
    high = stats.beta.ppf(0.975, 0.3 * n + 1, 0.7 * n)

    assert korn_graubard(0.3, 100, 50, 5) == pytest.approx((low, high), abs=1e-6)


def sample(rates_y, workers, clips=10):
    n = len(rates_y)
    rng = np.random.default_rng(0)
    clip_a, clip_b = rng.integers(0, clips, n), rng.integers(0, clips, n)
    return Sample.of(rates_y, np.arange(n) % workers, clip_a, clip_b)


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_two_to_four_workers_get_a_percent_but_no_interval(workers):
    found = cell_interval(sample([1, 0, 1, 1, 0, 1, 0, 1], workers), TYPICAL)

    assert found.percent == pytest.approx(62.5)
    assert (found.low, found.high, found.method) == (None, None, "")
    assert f"{workers} workers: too few" in found.note


def test_one_worker_gets_an_interval_over_clips_marked_this_rater():
    cell = sample([1, 0, 1, 1, 0, 1, 0, 1], 1, clips=100)
    found = cell_interval(cell, TYPICAL)
    clips = multiway(cell, (cell.clip_a, cell.clip_b))
    expected = korn_graubard(0.625, 8, 0.625 * 0.375 / clips.variance, clips.df)

    assert found.method == "this rater"
    assert (found.low, found.high) == pytest.approx((100 * expected[0], 100 * expected[1]))


def test_a_single_judgment_has_no_interval():
    found = cell_interval(sample([1], 1), TYPICAL)

    assert (found.percent, found.low, found.n) == (100, None, 1)
    assert "one judgment" in found.note


def test_alike_answers_of_one_worker_vary_as_clips_do_and_not_as_workers():
    clips = np.arange(8)
    found = cell_interval(Sample.of(np.ones(8), np.zeros(8), clips, clips), TYPICAL)
    rate = (8 + 2) / (8 + 4)

    assert found.se == pytest.approx(100 * (rate * (1 - rate) / 8) ** 0.5)
    assert found.df == 7


def test_one_worker_who_judged_few_items_often_has_their_degrees_of_freedom():
    item, y = np.repeat(np.arange(6), 20), np.random.default_rng(0).integers(0, 2, 120)
    found = cell_interval(Sample.of(y, np.zeros(120), item, item), TYPICAL)

    assert (found.method, found.df) == ("this rater", 5)


def test_many_workers_of_whom_one_gave_nearly_all_are_few():
    worker = np.array([*[0] * 300, *range(1, 31)])
    y = np.random.default_rng(0).integers(0, 2, 330)
    found = cell_interval(Sample.of(y, worker, np.arange(330), np.arange(330)), TYPICAL)

    assert (found.workers, found.method) == (31, "pooled ICC")
    assert found.effective_workers == pytest.approx(330**2 / (300**2 + 30))


def test_few_effective_workers_use_pooled_correlations_and_warn():
    row = draw_row(Setting(workers=12, per_cell=60), np.random.default_rng(1))
    found = mean_interval(row, row_correlations(row)[1])

    assert found.method == "pooled ICC"
    assert "under 20 effective workers" in found.note
    assert found.df == pytest.approx(found.effective_workers - 1)


def test_of_few_workers_the_mean_takes_a_larger_jackknife_and_a_cell_never():
    # Six workers always prefer A, six always B, in 10 judgments of each of two categories.
    worker, cell = np.repeat(np.arange(12), 20), np.arange(240) % 2
    row = Sample.of(worker % 2, worker, np.arange(240), np.arange(240), cell)
    unrelated = Correlations(0, 0, 0)
    # By worker, residuals sum to 5 in each category, with 110 others; by clip, and by both.
    jackknife = 11 / 12 * 12 / 22**2 + 239 / 240 * 240 / (4 * 119) ** 2 - 1 / 960

    assert mean_interval(row, unrelated).se == pytest.approx(100 * jackknife**0.5)
    assert multiway(row.cells[0]).variance > 1 / 50
    assert cell_interval(row.cells[0], unrelated).se == pytest.approx(100 * (0.25 / 120) ** 0.5)


def test_a_mean_of_10_and_90_percent_counts_as_so_many_judgments_at_50():
    y = [*[1] * 4, *[0] * 36, *[0] * 4, *[1] * 36]
    row = Sample.of(y, np.arange(80) % 40, np.arange(80), np.arange(80), np.repeat([0, 1], 40))
    found = estimate_of(row, Spread(0.0025, 30, "multiway"))

    assert (found.percent, found.effective) == pytest.approx((50, 0.5 * 0.5 / 0.0025))
    assert (found.low, found.high) == pytest.approx(
        tuple(100 * bound for bound in korn_graubard(0.5, 80, 100, 30))
    )


def test_the_naive_interval_has_the_level_that_was_asked_for():
    found = cell_interval(sample([1, 1, 1, 0] * 15, 30), TYPICAL, level=0.99)
    naive = proportion_confint(45, 60, alpha=0.01, method="wilson")

    assert found.naive == pytest.approx(tuple(100 * bound for bound in naive))


def items_of(items, rng):
    """A row of one category that 60 workers judged, on so many items that differ much."""
    return draw_row(
        Setting(
            rate=0.9, workers=60, activity=0, clips=items, clip_sd=1, per_cell=60 * items,
            categories=1, by_item=True,
        ),
        rng,
    )  # fmt: skip


def test_few_items_cover_however_many_workers_judge_them():
    rng = np.random.default_rng(1)
    rows = [items_of(5, rng) for _ in range(300)]
    found = [mean_interval(row, row_correlations(row)[1]) for row in rows]

    assert np.mean([e.low <= 90 <= e.high for e in found]) > 0.94
    assert max(e.df for e in found) <= 4


@pytest.mark.parametrize(("items", "most"), [(8, 7), (2, 4)])  # under five, there is a warning
def test_degrees_of_freedom_are_under_the_number_of_items(items, most):
    rng = np.random.default_rng(2)
    rows = [items_of(items, rng) for _ in range(20)]
    found = [mean_interval(row, row_correlations(row)[1]).df for row in rows]

    assert most - 0.5 < max(found) <= most


def test_one_clip_of_a_source_tells_nothing_and_limits_no_degrees_of_freedom():
    rng = np.random.default_rng(3)
    worker = np.repeat(np.arange(30), 2)
    cell = Sample.of(rng.random(60) < 0.5, worker, np.zeros(60), np.arange(60))

    assert cell_interval(cell, TYPICAL).df == multiway(cell).df > 20


def test_a_mean_takes_the_correlation_that_a_workers_cells_have_among_each_other():
    # Of 6 workers 3 always prefer A. Each judges once in every category, as one of two a clip of A.
    worker, judged = np.tile(np.arange(6), 4), np.arange(24)
    row = Sample.of(worker < 3, worker, judged // 2, judged, judged // 6)

    within, across = row_correlations(row)

    assert (within.worker, across.worker) == (0, MAX_CORRELATION)


def test_many_workers_use_the_multiway_variance():
    row = draw_row(Setting(), np.random.default_rng(1))
    found = mean_interval(row, row_correlations(row)[1])

    assert (found.method, found.note) == ("multiway", "")
    assert found.se == pytest.approx(100 * multiway(row).variance ** 0.5)


@pytest.mark.parametrize("answer", [0, 1])
def test_a_unanimous_cell_is_wider_than_if_judgments_were_independent(answer):
    row = draw_row(Setting(rate=0.9, per_cell=120), np.random.default_rng(4))
    cell = Sample.of(np.full(120, answer), row.worker[:120], row.clip_a[:120], row.clip_b[:120])
    found = cell_interval(cell, row_correlations(row)[0])
    naive = clopper_pearson(float(answer), 120)

    assert found.percent == 100 * answer
    assert found.high - found.low > 100 * (naive[1] - naive[0])
    assert found.low == 0 if answer == 0 else found.high == 100
    assert "all judgments of a cell agree" in found.note


def test_cells_of_0_and_100_percent_do_not_make_the_mean_certain():
    y = np.repeat([0, 1], 60)
    row = Sample.of(y, np.arange(120) % 40, np.arange(120), np.arange(120), np.repeat([0, 1], 60))
    found = mean_interval(row, TYPICAL)

    assert found.percent == 50
    assert found.high - found.low > 5


@pytest.mark.parametrize("workers", [1, 8, 30])
def test_nothing_but_ties_is_50_percent_and_not_certain(workers):
    found = cell_interval(sample([0.5] * 60, workers), TYPICAL)

    # With 0 of 60 other answers up to 6 % are possible: 3 points, if judgments were independent.
    assert found.percent == 50
    assert found.low < 47
    assert found.high > 53


def test_a_design_effect_is_never_under_that_of_independent_judgments():
    # With ties, judgments vary by less than their smoothed number says.
    alone, y = np.arange(100), np.r_[np.ones(15), np.zeros(5), np.full(80, 0.5)]

    assert cell_interval(Sample.of(y, alone, alone, alone), TYPICAL).deff == 1


def test_everyone_choosing_one_side_of_the_row_keeps_both_bounds_in_range():
    found = mean_interval(sample([1] * 40, 8), TYPICAL)

    assert 0 < found.low < found.high == 100


def test_ties_do_not_widen_the_intervals_of_few_workers():
    rng, means = np.random.default_rng(6), []
    for _ in range(60):
        row = draw_row(Setting(rate=0.5, workers=12, activity=0, per_cell=240, categories=1), rng)
        y = np.where(rng.random(len(row)) < 0.8, 0.5, row.y)
        drawn = Sample.of(y, row.worker, row.clip_a, row.clip_b)
        means.append(mean_interval(drawn, row_correlations(drawn)[1]))
    needed = stats.t.ppf(0.975, 11) * np.std([mean.percent for mean in means])

    assert np.mean([mean.low <= 50 <= mean.high for mean in means]) >= 0.9
    assert np.mean([mean.half_width for mean in means]) < 1.4 * needed


def coverage(setting, replicates, seed):
    """Shares of (cell, naive cell, Mean) intervals that cover the truth."""
    rng = np.random.default_rng(seed)
    truth, cells, naive, means = 100 * setting.rate, [], [], []
    for _ in range(replicates):
        row = draw_row(setting, rng)
        within, across = row_correlations(row)
        for cell in row.cells:
            found = cell_interval(cell, within)
            cells.append(found.low <= truth <= found.high)
            naive.append(found.naive[0] <= truth <= found.naive[1])
        mean = mean_interval(row, across)
        means.append(mean.low <= truth <= mean.high)
    return [100 * float(np.mean(x)) for x in (cells, naive, means)]


def test_cells_cover_the_truth_where_wilson_does_not():
    cells, naive, mean = coverage(Setting(rate=0.82), 60, seed=20)

    assert 92 <= cells <= 98
    assert naive < 91
    assert 88 <= mean <= 100  # 60 Means: one standard error is 2.8 points


@pytest.mark.slow
def test_the_mean_covers_the_truth_with_thirty_workers_too():
    _, _, mean = coverage(Setting(rate=0.82, workers=30), 300, seed=21)

    assert 92.5 <= mean <= 98
