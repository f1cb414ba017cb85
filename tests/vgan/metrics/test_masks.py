import numpy as np
import pytest

from vgan.metrics.masks import mask_iou, moving_mask


def square(start: int, stop: int) -> np.ndarray:
    mask = np.zeros((2, 8, 8), np.float32)
    mask[:, start:stop, start:stop] = 1
    return mask


def test_iou_of_equal_masks_is_one():
    assert mask_iou(square(2, 5), square(2, 5)) == 1


def test_iou_of_disjoint_masks_is_zero():
    assert mask_iou(square(0, 2), square(4, 6)) == 0


def test_iou_of_overlapping_squares_is_the_shared_area_over_all():
    # 4x4 and 4x4 squares that share 2x2: 4 / (16 + 16 - 4)
    assert mask_iou(square(0, 4), square(2, 6)) == pytest.approx(4 / 28)


def test_iou_takes_soft_masks_at_the_threshold():
    assert mask_iou(square(2, 5) * 0.6, square(2, 5) > 0) == 1
    assert mask_iou(square(2, 5) * 0.4, square(2, 5) > 0) == 0


def test_iou_of_two_empty_masks_is_missing():
    assert np.isnan(mask_iou(square(0, 0), square(0, 0)))


def test_iou_of_different_shapes_is_refused():
    with pytest.raises(ValueError, match=r"different shape"):
        mask_iou(square(0, 1), square(0, 1)[:1])


def test_moving_mask_is_where_a_dot_passes_over_a_still_picture():
    frames = np.full((5, 8, 8, 3), 40, np.uint8)
    for time in range(5):
        frames[time, 3, time] = 200
    found = moving_mask(frames)

    expected = np.zeros((5, 8, 8), bool)
    expected[np.arange(5), 3, np.arange(5)] = True
    assert (found == expected).all()


def test_a_pixel_moves_from_a_tenth_of_the_full_range():
    frames = np.full((3, 1, 2, 3), 100, np.uint8)
    frames[1] = [[[125] * 3, [126] * 3]]  # 0.098 and 0.102 of 255

    assert moving_mask(frames)[1].tolist() == [[False, True]]
