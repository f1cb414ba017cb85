import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis import significance
from analysis.intervals import (
    cell_interval,
    korn_graubard,
    korn_graubard_p,
    mean_interval,
    row_correlations,
)
from analysis.significance import benjamini_hochberg, effect, holm, p_value
from analysis.synthetic import Setting, draw_row

P = [0.001, 0.04, 0.03, 0.2, 0.9, 0.03]


def test_holm_and_benjamini_hochberg_equal_statsmodels():
    assert holm(P) == pytest.approx(multipletests(P, method="holm")[1])
    assert benjamini_hochberg(P) == pytest.approx(multipletests(P, method="fdr_bh")[1])


def test_effect_sizes_have_their_known_values():
    assert effect(82).d_prime == pytest.approx(1.295, abs=5e-4)
    assert effect(53).d_prime == pytest.approx(0.106, abs=5e-4)
    assert effect(75).jod == pytest.approx(1)
    assert effect(75).odds == pytest.approx(3)
    assert effect(100).odds == float("inf")


def estimate_of(rate, seed):
    row = draw_row(Setting(rate=rate), np.random.default_rng(seed))
    return row, mean_interval(row, row_correlations(row)[1])


def test_families_are_adjusted_apart():
    _, clear = estimate_of(0.8, 1)
    _, even = estimate_of(0.5, 2)
    found = significance.tests_of(
        {("a", "Mean"): clear, ("b", "Mean"): even},
        {("a", "golf"): even, ("b", "golf"): even},
        None,
    )

    assert found["a", "Mean"].adjusted == pytest.approx(2 * found["a", "Mean"].p)
    assert found["b", "Mean"].adjusted == pytest.approx(found["b", "Mean"].p)
    assert found["a", "golf"].adjusted == pytest.approx(p_value(even))


def test_rows_that_are_not_primary_are_adjusted_with_the_cells():
    _, clear = estimate_of(0.8, 1)
    _, some = estimate_of(0.56, 4)
    _, even = estimate_of(0.5, 2)
    means = {("a", "Mean"): some, ("b", "Mean"): clear, ("c", "Mean"): even}
    found = significance.tests_of(means, {("a", "golf"): even}, {("a", "Mean")})

    assert found["a", "Mean"].adjusted == found["a", "Mean"].p  # Holm over one row
    secondary = [("b", "Mean"), ("c", "Mean"), ("a", "golf")]
    by_statsmodels = multipletests([found[key].p for key in secondary], method="fdr_bh")[1]
    assert [found[key].adjusted for key in secondary] == pytest.approx(list(by_statsmodels))
    assert [found[key].primary for key in [("a", "Mean"), *secondary]] == [True, *(False,) * 3]


def sign_flip(y, worker, seed, draws=4999):
    """The p-value of a permutation that flips whole workers: no normal theory."""
    sums = np.bincount(worker, weights=y - 0.5)
    flips = np.random.default_rng(seed).choice([-1.0, 1.0], (draws, len(sums)))
    extreme = np.abs(flips @ sums) >= abs(sums.sum()) - 1e-9
    return (1 + extreme.sum()) / (draws + 1)


def estimates(setting, rng, level):
    row = draw_row(setting, rng)
    within, across = row_correlations(row)
    cells = [cell_interval(cell, within, level) for cell in row.cells]
    found = [*cells, mean_interval(row, across, level)]
    return [each for each in found if each.low is not None]


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(("workers", "per_cell"), [(1, 12), (9, 12), (40, 60)])
def test_a_test_is_significant_where_the_interval_leaves_50_out_and_nowhere_else(
    workers, per_cell, level
):
    rng = np.random.default_rng(8)
    setting = Setting(rate=0.62, workers=workers, per_cell=per_cell, clips=10, activity=0.3)
    found = [each for _ in range(20) for each in estimates(setting, rng, level)]

    assert [p_value(each) < 1 - level for each in found] == [each.decided for each in found]
    assert {each.decided for each in found} == {True, False}


@pytest.mark.parametrize("percent", [30, 62, 99, 100])
def test_the_interval_at_the_level_of_the_p_value_touches_50(percent):
    p = korn_graubard_p(percent / 100, 40, 30, 12)
    bounds = korn_graubard(percent / 100, 40, 30, 12, level=1 - p)

    assert min(abs(bound - 0.5) for bound in bounds) == pytest.approx(0, abs=1e-9)


def test_p_values_of_independent_judgments_are_the_exact_binomial_ones():
    assert korn_graubard_p(0.75, 20, 20, 19) == pytest.approx(stats.binomtest(15, 20).pvalue)
    assert korn_graubard_p(0.1, 20, 20, 19) == pytest.approx(stats.binomtest(2, 20).pvalue)
    assert korn_graubard_p(0.5, 20, 20, 19) == 1
    assert korn_graubard_p(1.0, 5000, 5000, 4999) == 2e-50  # it says no less


def test_flipping_whole_workers_agrees_with_the_test_where_both_apply():
    clear_row, clear = estimate_of(0.6, 3)
    even_row, even = estimate_of(0.5, 6)

    assert sign_flip(clear_row.y, clear_row.worker, seed=1) < 0.01 > p_value(clear)
    assert sign_flip(even_row.y, even_row.worker, seed=1) > 0.05 < p_value(even)


def test_a_true_even_preference_is_rarely_called_different():
    rng = np.random.default_rng(5)
    called = plain = 0
    for _ in range(120):
        row = draw_row(Setting(rate=0.5, per_cell=200), rng)
        called += p_value(mean_interval(row, row_correlations(row)[1])) < 0.05
        plain += abs(row.y.mean() - 0.5) > 1.96 * 0.5 / len(row) ** 0.5

    assert called / 120 < 0.11
    assert plain / 120 > 0.1
