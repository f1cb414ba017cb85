import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from analysis import significance
from analysis.intervals import mean_interval, row_correlations
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


def test_flipping_whole_workers_agrees_with_the_t_test_where_both_apply():
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
