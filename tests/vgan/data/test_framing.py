"""Frames are put on a steady clock, cropped square and averaged down exactly."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgan.data.framing import area_average, centre_square, resample
from vgan.data.making import CutSettings
from vgan.data.videos import VideoInfo
from vgan.data.windows import shrinker


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_whole_factors_give_the_block_mean(factor):
    side = 64 * factor
    frame = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)

    blocks = frame.reshape(64, factor, 64, factor, 3).mean(axis=(1, 3))

    assert np.array_equal(np.floor(blocks + 0.5).astype(np.uint8), area_average(frame, 64))


def test_edge_pixels_count_by_the_part_that_is_covered():
    # 3 pixels into 2: each result is one whole pixel and half of the middle one.
    frame = np.zeros((3, 3, 3), np.uint8)
    frame[:, 0], frame[:, 1], frame[:, 2] = 30, 90, 210

    small = area_average(frame, 2)

    assert small[0, :, 0].tolist() == [(30 + 45) / 1.5, (45 + 210) / 1.5]


@settings(max_examples=25, deadline=None)
@given(st.integers(64, 300), st.integers(64, 300), st.integers(0, 2**32 - 1))
def test_area_average_agrees_with_a_fine_grid(height, width, seed):
    """Cutting every pixel into as many parts as there are boxes makes the boxes whole blocks."""
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    size = 5

    rows = np.repeat(frame.astype(float), size, axis=0).reshape(size, height, width, 3).mean(1)
    both = np.repeat(rows, size, axis=1).reshape(size, size, width, 3).mean(2)

    assert np.abs(both - area_average(frame, size)).max() <= 0.5 + 1e-3


@pytest.mark.parametrize(
    ("height", "width", "aspect", "rows", "columns"),
    [
        (240, 320, 1.0, (0, 240), (40, 280)),
        (320, 240, 1.0, (40, 280), (0, 240)),
        (100, 100, 1.0, (0, 100), (0, 100)),
        (100, 200, 2.0, (0, 100), (75, 125)),  # wide pixels: 50 columns look as wide as 100 rows
        (100, 100, 0.5, (25, 75), (0, 100)),
    ],
)
def test_centre_square_looks_square(height, width, aspect, rows, columns):
    window = centre_square(height, width, aspect)

    assert (slice(*rows), slice(*columns)) == window


def test_clips_that_are_not_stabilised_show_the_middle_of_their_video():
    frame = np.zeros((16, 24, 3), np.uint8)
    frame[:, 4:20] = 200
    info = VideoInfo(24, 16, 25.0, None, 1.0)

    shrink = shrinker(Path("wide.mp4"), info, CutSettings(None, 8, 16))

    assert (shrink(frame) == 200).all()


def _numbers(times, fps, source_fps):
    frame = np.zeros((1, 1, 3), np.uint8)
    return [n for n, _ in resample([(t, frame) for t in times], fps, source_fps)]


def test_a_steady_source_at_its_own_rate_is_unchanged():
    times = [k / 25 for k in range(50)]

    assert list(range(50)) == _numbers(times, 25, 25)


def test_jitter_of_a_third_of_a_frame_changes_nothing():
    rng = np.random.default_rng(0)
    times = [0.0, *(k / 25 + rng.uniform(-0.013, 0.013) for k in range(1, 50))]

    assert list(range(50)) == _numbers(times, 25, 25)


def test_half_the_rate_takes_every_second_frame():
    times = [k / 50 for k in range(20)]

    numbers = _numbers(times, 25, 50)

    assert len(numbers) == 10
    assert {2} == set(np.diff(numbers))


def test_twice_the_rate_shows_every_frame_twice():
    assert _numbers([0, 0.1, 0.2], 20, 10) == [0, 0, 1, 1, 2, 2]


def test_a_held_frame_is_repeated_for_as_long_as_it_was_shown():
    # Shown at 0, 40, 160 and 200 ms: the second frame fills three ticks of 40 ms.
    assert _numbers([0, 0.04, 0.16, 0.2], 25, 25) == [0, 1, 1, 1, 2, 3]


def test_a_gap_that_no_frame_is_held_for_is_left_empty():
    day = 86400.0

    assert _numbers([0, 0.04, day, day + 0.04], 25, 25) == [0, 1, 2, 3]
    assert _numbers([0, 4.9], 10, 10) == [0] * 49 + [1]  # held, as a slide is
    assert _numbers([0, 4], 10, 1 / 20) == [0] * 40 + [1] * 50  # the last one for no longer


def test_a_source_of_less_than_a_frame_in_five_seconds_has_no_gaps():
    assert _numbers([0, 20, 40, 60], 1 / 20, 1 / 20) == [0, 1, 2, 3]


def test_no_frames_give_no_frames():
    assert _numbers([], 25, 25) == []
