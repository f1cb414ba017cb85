import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.sandwich_covariance import cov_cluster

from analysis.clusters import codes_of, intersection, kish, sum_squares
from analysis.load import check_judgments
from analysis.preference import sample_of, table_preferences
from analysis.synthetic import Setting, draw_row, marginal_rate, mu_for
from analysis.variance import (
    Correlations,
    Sample,
    component_variance,
    correlations,
    jackknife,
    multiway,
    sandwich,
)


@pytest.fixture(scope="module")
def cell():
    return draw_row(Setting(rate=0.53, categories=1), np.random.default_rng(3))


def clustered(cell, groups):
    fit = sm.OLS(cell.y, np.ones(len(cell)))
    return fit.fit(cov_type="cluster", cov_kwds={"groups": groups}).bse[0] ** 2


def test_one_way_sandwich_equals_statsmodels(cell):
    assert sandwich(cell, cell.worker) == pytest.approx(clustered(cell, cell.worker), rel=1e-9)


def test_one_way_jackknife_equals_statsmodels_crv3(cell):
    fit = sm.OLS(cell.y, np.ones(len(cell))).fit()
    expected = cov_cluster(fit, cell.worker, crv_type="cluster-crv3")[0, 0]

    assert jackknife(cell, cell.worker) == pytest.approx(expected, rel=1e-9)


def test_two_way_sandwich_equals_statsmodels(cell):
    both = intersection((cell.worker, cell.clip_a))
    joint = sum_squares(cell.influence, both)
    expected = clustered(cell, np.column_stack([cell.worker, cell.clip_a]))

    ours = sandwich(cell, cell.worker) + sandwich(cell, cell.clip_a) - joint

    # statsmodels scales the intersection by G / (G - 1) as well, unless it is one per judgment.
    groups = int(both.max()) + 1
    assert ours - joint / (groups - 1) == pytest.approx(expected, rel=1e-9) or (
        ours == pytest.approx(expected, rel=1e-9)
    )


def test_independence_gee_gives_the_uncorrected_sandwich(cell):
    gee = sm.GEE(cell.y, np.ones((len(cell), 1)), groups=cell.worker, family=sm.families.Binomial())
    spread = cell.mean * (1 - cell.mean)

    ours = np.sqrt(sum_squares(cell.influence, cell.worker)) / spread

    assert ours == pytest.approx(gee.fit().bse[0], rel=1e-6)


def test_jackknife_over_cells_equals_leaving_workers_out_by_hand():
    row = draw_row(Setting(per_cell=30, workers=9, clips=10), np.random.default_rng(5))
    shifts = []
    for worker in range(int(row.worker.max()) + 1):
        kept = row.worker != worker
        rates = [row.y[kept & (row.cell == c)].mean() for c in range(4)]
        shifts.append(np.mean(rates) - row.mean)
    g = len(shifts)

    assert jackknife(row, row.worker) == pytest.approx(
        (g - 1) / g * np.sum(np.square(shifts)), rel=1e-9
    )


def test_multiway_never_falls_under_its_floors():
    rng = np.random.default_rng(0)
    for _ in range(50):
        row = draw_row(Setting(per_cell=12, workers=6, clips=4), rng)
        found = multiway(row)
        assert found.variance >= max(found.by_worker, found.independent)
        assert found.df >= 2


def of_workers(answers, cell=None):
    """Judgments of clips that are shown once; `answers` are those of each worker in turn."""
    y = [answer for own in answers for answer in own]
    worker = np.repeat(np.arange(len(answers)), [len(own) for own in answers])
    return Sample.of(y, worker, np.arange(len(y)), np.arange(len(y)), cell)


def test_degrees_of_freedom_of_a_table_of_three_workers():
    found = multiway(of_workers([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]]))
    # By worker, residuals sum to 2, 0, -2, with 8 others; by clip, to one half, with 11 others.
    by_worker, by_clip, independent = 2 / 3 * 2 / 4**2, 11 / 12 * 12 / 22**2, 1 / 48
    variance = by_worker + by_clip - independent
    below = (by_worker - independent) ** 2 / 2 + (by_clip - independent) ** 2 / 11
    below += independent**2 / 11

    assert found.by_worker == pytest.approx(1 / 12)
    assert found.variance == pytest.approx(variance)
    assert found.df == pytest.approx(variance**2 / below)
    assert found.df == pytest.approx(3.645, abs=5e-4)


def test_a_busy_worker_leaves_the_degrees_of_freedom_of_kishs_number():
    # 12 judgments of one worker, 4 each of six: 36^2 / (12^2 + 6 * 4^2) = 5.4 effective workers.
    busy, fond, not_fond = [1] * 9 + [0] * 3, [1] * 4, [0] * 4
    found = multiway(of_workers([busy, *[fond] * 2, *[not_fond] * 4]))
    # 17 of 36. The residuals of the busy one sum to 9 - 12 * 17/36 = 10/3, with 24 others.
    rate, share = 17 / 36, 4 * 17 / 36
    shifts = [10 / 3 / 24, *[(4 - share) / 32] * 2, *[-share / 32] * 4]
    by_worker = 6 / 7 * sum(shift**2 for shift in shifts)
    independent, by_clip = rate * (1 - rate) / 36, rate * (1 - rate) / 35
    variance = by_worker + by_clip - independent
    below = (by_worker - independent) ** 2 / 4.4 + (by_clip - independent) ** 2 / 35
    below += independent**2 / 35

    assert found.df == pytest.approx(variance**2 / below)


def test_degrees_of_freedom_are_at_least_two_where_the_judgments_leave_as_many():
    assert multiway(of_workers([[1] * 20, [0], [0], [0]])).df == 2  # of 1.3 effective workers
    assert multiway(of_workers([[1], [0]])).df == 1


def test_where_clips_cancel_the_variance_is_the_one_by_worker():
    # Of each two workers one prefers A in four items, the other B in the same: no item differs.
    item = [*range(4), *range(4), *range(4, 8), *range(4, 8)]
    y, worker = np.repeat([1, 0, 1, 0], 4), np.repeat(np.arange(4), 4)
    found = multiway(Sample.of(y, worker, item, item))

    # By worker, residuals sum to 2 or -2, with 12 others; all others are 0, less 1 / 64 for both.
    assert found.variance == found.by_worker == pytest.approx(3 / 4 * 4 / 6**2)


def test_equal_sides_are_one_factor_when_pairing_by_item():
    rng = np.random.default_rng(1)
    item, worker = rng.integers(0, 40, 400), rng.integers(0, 30, 400)
    y = rng.random(400) < np.where(item < 20, 0.4, 0.8)
    by_item = Sample.of(y, worker, item, item)

    both = multiway(by_item)
    one = multiway(by_item, (by_item.worker, by_item.clip_a))
    own = multiway(Sample.of(y, worker, worker, item))  # A's clips are each worker's own

    assert both == one == own
    assert both.variance > both.by_worker


def test_of_three_factors_what_two_share_is_taken_off_and_what_all_share_added_again():
    # Each of 3 workers judges each of 3 clips of A with each of 3 of B once.
    worker, a, b = np.indices((3, 3, 3))
    y = (worker + a + b > 2).astype(float)
    found = multiway(Sample.of(y.ravel(), worker.ravel(), a.ravel(), b.ravel()))
    residuals = y - y.mean()
    alone = 3 * 2 / 3 * np.sum((residuals.sum(axis=(1, 2)) / 18) ** 2)  # each alike; without 9
    twos = 3 * np.sum((residuals.sum(axis=0) / 27) ** 2)

    assert found.variance == pytest.approx(alone - twos + np.sum((residuals / 27) ** 2))
    assert found.variance > max(found.by_worker, found.independent)


def test_the_order_of_rows_changes_no_number(judgments_text):
    # In every cell a worker judges one pair, and its clips are shown once: equal clusterings.
    frame = judgments_text({("x", "y"): 0.6}, per_cell=40, categories=("golf", "beach"))
    rng = np.random.default_rng(2)
    for _, cell in frame.groupby("category"):
        frame.loc[cell.index, "worker"] = [f"w{i:02d}" for i in rng.permutation(40)]
        for side in ("left", "right"):
            source = frame.loc[cell.index, f"{side}_source"] + "/"
            frame.loc[cell.index, f"{side}_clip"] = source + [f"{i}" for i in cell.index]
    frame["label"] = frame["left_clip"].where(frame["choice"] == "left", frame["right_clip"])
    first, *others = (
        cells_of(ordered)
        for ordered in (
            frame.sort_values(["category", "worker"]),
            frame,
            *(frame.sample(frac=1, random_state=seed) for seed in range(3)),
        )
    )

    for other in others:
        assert other == pytest.approx(first, rel=1e-9)


def cells_of(frame):
    """The variance and degrees of freedom of every cell, then of the row."""
    row = sample_of(table_preferences(check_judgments(frame.reset_index(drop=True))))
    found = [multiway(part) for part in (*row.cells, row)]
    return [value for each in found for value in (each.variance, each.df)]


def test_kish_counts_equal_shares_and_giants():
    assert kish(np.repeat(np.arange(8), 5)) == pytest.approx(8)
    assert kish(np.array([0] * 1000 + [1])) == pytest.approx(1, abs=0.01)


def test_correlations_come_back_on_average():
    setting = Setting(rate=0.53, per_cell=2000, workers=100, clips=100, activity=0.5)
    rng = np.random.default_rng(11)
    found = [correlations(draw_row(setting, rng)) for _ in range(12)]
    # On the probability scale: an sd of 0.5 on the logit scale is a correlation of about .046.
    assert np.mean([f.worker for f in found]) == pytest.approx(0.046, abs=0.012)
    assert np.mean([f.clip_a for f in found]) == pytest.approx(0.046, abs=0.012)
    assert np.mean([f.clip_b for f in found]) == pytest.approx(0.046, abs=0.012)


def test_correlation_of_a_table_of_four_workers():
    rho = correlations(of_workers([[1] * 4, [1, 1, 0, 0], [1, 1, 0, 0], [0] * 4]))
    # Two workers' 12 products each are 1, the others' are 8 times -1 and 4 times 1: 16 of 48.
    # Centring took from each the variance (by worker, clip and both) over p (1 - p).
    taken = (3 / 4 * 2 / 6**2 + 1 / 60 - 1 / 64) / (1 / 4)

    assert rho == Correlations(pytest.approx(16 / 48 + taken), 0, 0)


def test_correlation_with_ties_is_of_judgments_that_vary_less():
    rho = correlations(of_workers([[1, 1, 0.5, 0.5], [0, 0, 0.5, 0.5], [0.5] * 4, [0.5] * 4]))
    # Products sum to 1 / 2 each for the first two workers. A judgment varies by 1 / 4 less a
    # quarter of the share of ties, 12 of 20 by (x + 2) / (n + 4).
    spread = 1 / 4 - 12 / 20 / 4
    taken = (3 / 4 * 2 / 12**2 + 15 / 16 / 15**2 - 1 / 16**2) / spread

    assert rho == Correlations(pytest.approx(1 / spread / 48 + taken), 0, 0)


def test_no_correlation_is_believed_above_six_tenths():
    assert correlations(of_workers([[1] * 6, [0] * 6])) == Correlations(0.6, 0, 0)


def test_a_cell_of_equal_judgments_tells_nothing_across_categories_either():
    answers = [[1] * 4, [0] * 4, [1, 0, 1, 0], [1, 0, 1, 0]]
    flat = [[1, 1, *own] for own in answers]  # all six prefer A in a third category
    found = correlations(of_workers(flat, cell=[2, 2, 0, 0, 1, 1] * 4), across=True)

    assert found == correlations(of_workers(answers, cell=[0, 0, 1, 1] * 4), across=True)


def test_what_workers_like_in_two_categories_is_correlation_across_them():
    # One worker likes A in both, one B in both; two like each once in each.
    answers = [[1] * 4, [0] * 4, [1, 0, 1, 0], [1, 0, 1, 0]]
    row = of_workers(answers, cell=[0, 0, 1, 1] * 4)
    within, across = correlations(row), correlations(row, across=True)
    # Within a category, products cancel: 2 + 2 - 2 - 2 of 8. In both, 12 + 12 - 4 - 4 of 48.
    # Centring took the variances, by worker, clip and both, over p (1 - p).
    in_cell = (3 / 4 * 2 / 6**2 + 1 / 28 - 1 / 32) / (1 / 4)
    in_row = (3 / 4 * 2 / 6**2 + 15 / 28**2 - 1 / 64) / (1 / 4)

    assert within.worker == pytest.approx(in_cell)
    assert across.worker == pytest.approx(16 / 48 + in_row)


def test_fixed_pairs_split_one_correlation_and_do_not_count_it_twice():
    rng = np.random.default_rng(2)
    pair = np.repeat(np.arange(200), 10)
    easy = rng.normal(0, 1.2, 200)[pair]
    y = rng.random(2000) < 1 / (1 + np.exp(-easy))
    sample = Sample.of(y, np.arange(2000), pair, pair)
    rho = correlations(sample)
    assert rho is not None
    assert rho.clip_a == pytest.approx(rho.clip_b)

    implied = component_variance(sample, rho)

    assert implied == pytest.approx(multiway(sample).variance, rel=0.05)


def test_component_variance_without_correlation_is_binomial(cell):
    nobody = Correlations(0, 0, 0)
    expected = cell.mean * (1 - cell.mean) / len(cell)

    assert component_variance(cell, nobody) == pytest.approx(expected, rel=1e-12)


def test_component_variance_with_ties_is_that_of_the_judgments():
    # 15 wins, 5 losses, 80 ties: p = 0.55; of 104 with two more wins and losses, p (1 - p) is
    # 57 / 104 * 47 / 104, less a quarter of the share of ties.
    y = np.r_[np.ones(15), np.zeros(5), np.full(80, 0.5)]
    sample = Sample.of(y, np.arange(100), np.arange(100), np.arange(100))
    smoothed = 57 / 104 * 47 / 104
    expected = 0.55 * 0.45 * (smoothed - 80 / 104 / 4) / smoothed / 100

    assert component_variance(sample, Correlations(0, 0, 0)) == pytest.approx(expected)
    assert expected == pytest.approx(y.var() / 100, rel=0.25)


@pytest.mark.parametrize("answer", [0, 0.5])
def test_a_cell_of_equal_judgments_tells_no_correlation(answer):
    rng = np.random.default_rng(4)
    y, worker = rng.integers(0, 2, 60), np.arange(60) % 6
    alone = Sample.of(y, worker, np.arange(60), np.arange(60))
    clips = np.arange(120)
    beside = Sample.of(
        [*y, *[answer] * 60], [*worker, *worker], clips, clips, np.repeat([0, 1], 60)
    )

    assert correlations(beside) == correlations(alone)


def test_no_correlation_can_be_told_from_unanimous_judgments():
    sample = Sample.of(np.ones(20), np.arange(20) % 4, np.arange(20) % 5, np.arange(20))

    assert correlations(sample) is None


def test_planted_marginal_rate_is_exact():
    assert marginal_rate(mu_for(0.82, 0.75), 0.75) == pytest.approx(0.82, abs=1e-10)


def test_a_part_of_a_row_is_what_its_own_labels_would_give():
    row = draw_row(Setting(rate=0.4, per_cell=80, workers=12, clips=9), np.random.default_rng(5))
    keep = np.random.default_rng(6).random(len(row)) < 0.3
    part = row.take(keep)
    labels = (codes[keep] for codes in (row.worker, row.clip_a, row.clip_b, row.cell))
    afresh = Sample.of(row.y[keep], *labels)

    for which, codes in afresh.joint.items():
        assert np.array_equal(codes_of(part.joint[which]), codes_of(codes))
    assert part.worker.max() + 1 == len(np.unique(row.worker[keep]))
    assert multiway(part).variance == pytest.approx(multiway(afresh).variance, rel=1e-12)
