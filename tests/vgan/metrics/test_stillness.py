import numpy as np
import pytest

from vgan.metrics.stillness import background_motion, diversity, flicker, motion, pair_differences


def still(value: int = 90) -> np.ndarray:
    return np.full((4, 6, 6, 3), value, np.uint8)


def test_motion_of_a_still_clip_is_zero():
    assert motion(still()) == 0


def test_motion_of_a_clip_that_flips_black_and_white_is_one():
    clip = still(0)
    clip[1::2] = 255

    assert motion(clip) == 1


def test_motion_counts_each_pixel_and_colour_alike():
    clip = still(0)
    clip[1, 0, 0, 0] = 255  # there and back: 2 changes of 255 in 3 * 36 * 3 numbers

    assert motion(clip) == pytest.approx(2 / (3 * 36 * 3))


def test_background_motion_is_zero_when_only_the_foreground_moves():
    clip = still()
    clip[:, 2:4, 2:4] = np.random.default_rng(0).integers(0, 256, (4, 2, 2, 3), np.uint8)
    mask = np.zeros((4, 6, 6))
    mask[:, 2:4, 2:4] = 0.5  # from here on a pixel is foreground

    assert background_motion(clip, mask) == 0
    assert background_motion(clip, 0.99 * mask) == motion(clip) > 0


def test_background_motion_leaves_out_pixels_that_the_foreground_uncovers():
    clip = still(0)
    mask = np.zeros((4, 6, 6))
    clip[1, 0, 0], mask[1, 0, 0] = 255, 1.0

    assert background_motion(clip, mask) == 0


def test_background_motion_is_missing_when_all_is_foreground():
    assert np.isnan(background_motion(still(), np.ones((4, 6, 6))))


def test_motion_of_one_frame_is_refused():
    with pytest.raises(ValueError, match=r"T at least 2"):
        motion(still()[:1])


def test_motion_with_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"where must be"):
        motion(still(), np.ones((4, 5, 6), bool))


def test_diversity_of_equal_clips_is_zero():
    assert diversity(np.stack([still(), still()])) == 0


def test_diversity_is_the_mean_over_pairs():
    clips = np.stack([still(0), still(0), still(255)])

    assert diversity(clips) == pytest.approx(2 / 3)


def test_diversity_of_one_clip_is_refused():
    with pytest.raises(ValueError, match=r"N at least 2"):
        diversity(still()[None])


def test_flicker_is_zero_where_half_of_the_picture_stands_still():
    clip = still()
    clip[:, :3] = np.random.default_rng(0).integers(0, 256, (4, 3, 6, 3), np.uint8)
    assert flicker(clip) == 0

    clip[1, 5, 5] += 51  # one of the 18 still pixels changes, there and back, in 2 of 3 steps
    assert flicker(clip) == pytest.approx(0.2 * 2 / 3 / 18)


def test_pair_differences_are_symmetric_with_nothing_between_a_clip_and_itself():
    clips = np.stack([still(0), still(51), still(255)])

    assert pair_differences(clips) == pytest.approx(
        np.array([[0, 0.2, 1], [0.2, 0, 0.8], [1, 0.8, 0]])
    )
