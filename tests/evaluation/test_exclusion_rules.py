"""The chances of sides, against counting every sequence and against SciPy."""

import itertools

import pytest
from scipy import stats

from analysis.exclusions import RULES
from evaluation.exclusion_rules import (
    THRESHOLDS,
    chance_of_sides,
    longest_run_probability,
    uneven_probability,
)


def test_every_rule_has_its_threshold():
    assert set(RULES) == set(THRESHOLDS)


@pytest.mark.parametrize(("run", "n"), [(1, 5), (2, 5), (3, 7), (5, 9), (9, 9), (10, 9)])
def test_longest_run_probability_equals_counting_every_sequence(run, n):
    hits = 0
    for flips in itertools.product((0, 1), repeat=n):
        longest = max(len(list(group)) for _, group in itertools.groupby(flips))
        hits += longest >= run

    assert longest_run_probability(run, n) == pytest.approx(hits / 2**n)


@pytest.mark.parametrize("n", [1, 2, 9, 10, 64, 1000])
def test_uneven_sides_have_the_exact_binomial_probability(n):
    for left in {0, n // 3, n // 2, (n + 1) // 2, n - 1, n}:
        exact = stats.binomtest(left, n).pvalue

        assert uneven_probability(left, n) == pytest.approx(exact, rel=1e-9)


def test_sides_stand_out_by_their_number_or_by_a_run():
    assert chance_of_sides(0, 10, 10) == pytest.approx(2 / 2**10)
    assert chance_of_sides(50, 100, 50) == longest_run_probability(50, 100) < 1e-12
    assert chance_of_sides(67, 100, 6) == uneven_probability(67, 100) < 0.001
