import numpy as np
import pytest

from vgan.metrics.frechet import Gaussian, fit_gaussian, frechet_distance, sample_distance


def gaussian(mean, covariance) -> Gaussian:
    return Gaussian(np.array(mean, float), np.array(covariance, float))


def test_distance_of_equal_distributions_is_zero():
    same = gaussian([1, 2], [[2, 0.5], [0.5, 1]])

    assert frechet_distance(same, same) == pytest.approx(0, abs=1e-9)


def test_distance_of_diagonal_gaussians_is_the_closed_form():
    first = gaussian([0, 0], np.diag([4, 9]))
    second = gaussian([3, 4], np.diag([1, 1]))

    # |m|^2 + (2 - 1)^2 + (3 - 1)^2
    assert frechet_distance(first, second) == pytest.approx(25 + 1 + 4)


def test_distance_does_not_change_when_both_are_turned():
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    first, second = np.diag([1.0, 2, 3]), np.diag([4.0, 1, 0.5])
    expected = frechet_distance(gaussian([0, 0, 0], first), gaussian([1, 0, 0], second))

    turned = frechet_distance(
        gaussian([0, 0, 0], turn @ first @ turn.T),
        gaussian(turn @ [1, 0, 0], turn @ second @ turn.T),
    )
    assert turned == pytest.approx(expected)
    assert expected == pytest.approx(1 + 1 + (2**0.5 - 1) ** 2 + (3**0.5 - 0.5**0.5) ** 2)


def test_distance_of_a_flat_distribution_is_finite():
    # Everything on a line: the covariance is singular, its distance from a point is its trace.
    line, point = gaussian([0, 0], [[1, 1], [1, 1]]), gaussian([0, 0], np.zeros((2, 2)))

    assert frechet_distance(line, point) == pytest.approx(2)


def test_a_sample_is_at_no_distance_from_itself_and_at_the_shift_from_its_copy():
    sample = np.random.default_rng(0).standard_normal((40, 3))

    assert sample_distance(sample, sample) == pytest.approx(0, abs=1e-9)
    assert sample_distance(sample, sample + 2) == pytest.approx(12)


def test_distance_of_two_samples_is_the_one_worked_out_by_hand():
    square = np.array([[0, 0], [2, 0], [0, 2], [2, 2]], float)  # variances 4 / 3, of n - 1
    larger = 3 * square + 1  # variances 12, means 4

    # 2 * 3^2, and twice (sqrt(12) - sqrt(4 / 3))^2 = 16 / 3
    assert sample_distance(square, larger) == pytest.approx(18 + 2 * 16 / 3)


def test_samples_of_one_distribution_come_nearer_as_they_grow():
    rng = np.random.default_rng(0)
    few = sample_distance(rng.standard_normal((20, 4)), rng.standard_normal((20, 4)))
    many = sample_distance(rng.standard_normal((2000, 4)), rng.standard_normal((2000, 4)))

    assert many < 0.1 * few


def test_fewer_clips_than_dimensions_are_shrunk_to_a_matrix_with_an_inverse():
    sample = np.random.default_rng(0).standard_normal((6, 10))

    assert np.linalg.matrix_rank(fit_gaussian(sample).covariance) == 5
    assert np.linalg.matrix_rank(fit_gaussian(sample, shrink=True).covariance) == 10


def test_one_clip_has_no_covariance():
    with pytest.raises(ValueError, match="at least 2"):
        fit_gaussian(np.zeros((1, 3)))
