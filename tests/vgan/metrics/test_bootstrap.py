import itertools

import numpy as np
import pytest

from vgan.metrics.bootstrap import mean_interval, resampled, share_interval


def names(n: int) -> list[str]:
    return [str(i) for i in range(n)]


def test_interval_of_a_mean_covers_it_about_95_times_in_100():
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        found = mean_interval(rng.normal(5, 1, 12), names(12), trial, replicates=100)
        covered += found.low <= 5 <= found.high

    assert 0.90 <= covered / 200 <= 0.99


def test_interval_resamples_videos_and_not_their_clips():
    of_videos = np.repeat(np.random.default_rng(0).normal(5, 1, 8), 20)  # clips of one are alike
    alone = mean_interval(of_videos, names(160), 0)
    clustered = mean_interval(of_videos, [str(i // 20) for i in range(160)], 0)

    assert clustered.high - clustered.low > 3 * (alone.high - alone.low)


def test_interval_is_the_same_for_the_same_seed():
    values = np.arange(10.0)

    assert mean_interval(values, names(10), 3) == mean_interval(values, names(10), 3)
    assert mean_interval(values, names(10), 3) != mean_interval(values, names(10), 4)


def test_interval_of_two_clips_or_of_nothing_is_missing():
    assert mean_interval(np.array([1.0, 2.0]), names(2), 0) is None
    assert mean_interval(np.array([np.nan] * 5), names(5), 0) is None
    assert mean_interval(np.array([1.0, 2.0, 3.0]), names(3), 0) is not None


def test_interval_never_goes_below_zero():
    assert mean_interval(np.array([0, 0, 0, 0, 0.1]), names(5), 0).low == 0


def test_share_of_none_has_wilsons_upper_bound_and_not_zero_width():
    found = share_interval(np.zeros(10), names(10))

    assert found.low == 0
    assert found.high == pytest.approx(0.2775, abs=1e-3)  # z^2 / (n + z^2)


def test_share_of_clips_has_wilsons_interval_for_the_number_of_videos():
    first_of_four = np.repeat([1.0, 0, 0, 0], 5)
    found = share_interval(first_of_four, [str(i // 5) for i in range(20)])

    # Wilson (1927) for 1 of 4, with z = 1.96: (1 + z^2 / 2 +- z sqrt(3 / 4 + z^2 / 4)) / (4 + z^2)
    assert found.low == pytest.approx(0.0456, abs=1e-4)
    assert found.high == pytest.approx(0.6994, abs=1e-4)


def test_half_width_of_a_mean_of_four_is_students_factor_times_the_standard_error():
    found = mean_interval(np.array([10.0, 12, 14, 20]), names(4), 0, replicates=4000)

    error = ((16 + 4 + 0 + 36) / 3 / 4) ** 0.5  # s / sqrt(n)
    assert (found.high - found.low) / 2 == pytest.approx(3.1824 * error, rel=0.05)  # t(3)


def test_a_video_counts_by_its_clips_and_is_drawn_as_one():
    values = np.array([5.0] * 6 + [8.0, 2.0, 9.0])
    groups = list("aaaaaabcd")
    found = mean_interval(values, groups, 0, replicates=4000)
    # Every draw of four of the videos, which are as likely as each other.
    sums, counts = np.array([30, 8, 2, 9]), np.array([6, 1, 1, 1])
    draws = [list(drawn) for drawn in itertools.product(range(4), repeat=4)]
    means = [sums[drawn].sum() / counts[drawn].sum() for drawn in draws]

    assert (found.low + found.high) / 2 == pytest.approx(49 / 9)
    half = 3.1824 * np.std(means) * (4 / 3) ** 0.5  # t(3); a bootstrap of n is short by (n - 1) / n
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.05)


def test_a_resample_holds_all_clips_of_every_video_it_draws():
    rng = np.random.default_rng(0)
    times = np.array([np.bincount(resampled(list("abbacc"), rng), minlength=6) for _ in range(20)])

    assert (times[:, [0, 1, 4]] == times[:, [3, 2, 5]]).all()
    assert (times.sum(axis=1) == 6).all()
    assert len(np.unique(times, axis=0)) > 3
