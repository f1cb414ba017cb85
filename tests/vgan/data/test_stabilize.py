"""A camera's path over a drawn wall comes back; what cannot be followed is refused, with why."""

from dataclasses import replace

import numpy as np
import pytest

from vgan.data.paper_stabilizer import process, stabilize_as_paper
from vgan.data.registration import grey, move_points
from vgan.data.residual import background_motion, square_motion
from vgan.data.stabilize import (
    DEFAULT_TUNING,
    CameraPath,
    UnstableError,
    centre_squares,
    lay_over,
    stabilize_clip,
)

CORNERS = np.array([[32, 0], [224, 0], [224, 192], [32, 192]], np.float32)


def _shake(number: int, *, turn: float = 0.02, zoom: float = 0.03, slide: float = 9.0):
    """A hand-held camera: turned, moved and zoomed about the frame's middle, smoothly."""
    if number == 0:
        return np.eye(3)
    swing = np.sin(np.array([0.41, 0.53, 0.29, 0.37]) * number)
    angle, scale = turn * swing[0], 1 + zoom * swing[1]
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    centred = np.array([[c, -s, 128 + slide * swing[2]], [s, c, 96 + slide * swing[3]], [0, 0, 1]])
    return centred @ np.array([[1.0, 0, -128], [0, 1, -96], [0, 0, 1]])


def _tilt(number: int):
    """The same, seen at a changing slant."""
    slant = np.eye(3)
    slant[2, :2] = 2e-4 * np.sin(np.array([0.3, 0.4]) * number)
    return slant @ _shake(number)


def _pan(number: int, step: float = 2.0):
    return np.array([[1, 0, -step * number], [0, 1, 0], [0, 0, 1.0]])


def _worst_miss(frames, path, model) -> float:
    """Largest distance, in frame pixels, by which a corner of the square is laid wrong."""
    camera = CameraPath(frames[0], model)
    misses = [0.0]
    for frame, step in zip(frames[1:], path[1:], strict=True):
        there = move_points(step, CORNERS)
        misses.append(np.linalg.norm(move_points(camera.follow(frame), there) - CORNERS, axis=1))
    return float(np.max(np.concatenate([np.atleast_1d(m) for m in misses])))


@pytest.mark.parametrize(
    ("model", "moves", "pixels"),
    [("similarity", _shake, 0.3), ("homography", _shake, 0.6), ("homography", _tilt, 0.6)],
)
def test_known_camera_path_comes_back_within_a_fraction_of_a_pixel(filmed, model, moves, pixels):
    path = [moves(k) for k in range(16)]

    assert _worst_miss(filmed(path), path, model) < pixels  # of 192: three make one of a clip


def test_features_of_a_small_picture_place_the_large_frame(filmed):
    path = [_shake(k) for k in range(6)]
    frames = filmed(path)
    camera = CameraPath(frames[0], "similarity", replace(DEFAULT_TUNING, feature_side=96))

    for frame, step in zip(frames[1:], path[1:], strict=True):
        miss = move_points(camera.follow(frame), move_points(step, CORNERS)) - CORNERS
        assert np.abs(miss).max() < 0.5


def test_where_features_are_few_a_larger_picture_is_searched(filmed):
    path = [_shake(k) for k in range(6)]
    frames = filmed(path)
    coarse = replace(DEFAULT_TUNING, feature_side=32, matches=4)

    def worst(tuning) -> float:
        camera = CameraPath(frames[0], "similarity", tuning)
        placed = [camera.follow(frame) for frame in frames[1:]]
        laid = [
            move_points(t, move_points(s, CORNERS)) for t, s in zip(placed, path[1:], strict=True)
        ]
        return max(np.abs(at - CORNERS).max() for at in laid)

    assert worst(coarse) < 0.5
    assert worst(replace(coarse, enough=0)) > 0.5  # what the larger picture saves us from


def test_long_pan_is_followed_past_where_the_first_frame_is_seen(filmed):
    path = [_pan(k, 9.0) for k in range(36)]

    assert (
        _worst_miss(filmed(path), path, "similarity") < 2
    )  # after 315 pixels; the frame is 256 wide


def test_stabilised_background_stands_still_and_the_ball_still_flies(filmed):
    path = [_shake(k) for k in range(16)]
    shaky = centre_squares(filmed(path))
    squares = stabilize_clip(filmed(path), "similarity")
    plain = stabilize_clip(filmed(path, ball=False), "similarity")

    assert square_motion(shaky, 64) > 2
    assert square_motion(squares, 64) < 0.1
    assert np.array_equal(squares[0], shaky[0])
    edge = (slice(30, 160), slice(30, 160))  # the rest was not always in view
    differences = [np.abs(s[edge].astype(int) - plain[0][edge]).mean() for s in plain]
    before = np.abs(shaky[8][edge].astype(int) - plain[0][edge]).mean()
    assert max(differences) < before / 4
    yellow = [(s[..., 0] > 230) & (s[..., 1] > 220) & (s[..., 2] < 60) for s in squares]
    at = [np.flatnonzero(y.any(axis=0)).mean() for y in yellow[2:14]]
    assert np.all(np.diff(at) > 2)


def test_still_camera_comes_through_untouched(filmed):
    frames = filmed([np.eye(3)] * 8)

    squares = stabilize_clip(frames, "homography")

    assert all(np.array_equal(a, b) for a, b in zip(squares, centre_squares(frames), strict=True))


def test_holes_show_the_frame_before():
    composite = np.full((40, 40, 3), 7, np.uint8)
    frame = np.full((40, 60, 3), 200, np.uint8)
    ten_right = np.array([[1, 0, 20.0], [0, 1, 0], [0, 0, 1]])

    laid = lay_over(composite, frame, ten_right, 0.5)

    # The square is columns 10 to 50, the frame now columns 20 to 80: ten columns are not seen,
    # nor are three at the frame's edge shown.
    assert (laid[5:-5, :12] == 7).all()
    assert (laid[5:-5, 14:] == 200).all()


def test_frame_that_covers_too_little_is_not_laid():
    composite = np.zeros((40, 40, 3), np.uint8)
    frame = np.full((40, 40, 3), 200, np.uint8)
    away = np.array([[1, 0, 25.0], [0, 1, 0], [0, 0, 1]])

    assert lay_over(composite, frame, away, 0.5) is None
    assert lay_over(composite, frame, away, 0.2) is not None


def test_featureless_clip_is_refused(filmed):
    rng = np.random.default_rng(0)
    foggy = [np.full((192, 256, 3), 90 + 10 * rng.integers(3), np.uint8) for _ in range(4)]

    with pytest.raises(UnstableError, match=r"too few features.*: 0, at least 10.*frame 2"):
        stabilize_clip(foggy, "similarity")


@pytest.mark.parametrize("model", ["similarity", "homography"])
def test_cut_is_refused(filmed, model):
    here = filmed([np.eye(3)] * 3, ball=False)
    elsewhere = [np.rot90(f, 2)[:, ::-1].copy() for f in filmed([_pan(120)] * 2, ball=False)]

    with pytest.raises(UnstableError, match=r"too few matches.*frame 4"):
        stabilize_clip(here + elsewhere, model)


def test_things_that_go_their_own_ways_have_too_large_an_error(wall):
    # Six tiles of the wall, each sliding its own way: no motion explains half of the features.
    ways = [(3, 0), (-3, 1), (0, 3), (2, -3), (-2, -2), (3, 3)]

    def frame(k: int):
        tiles = []
        for n, (dx, dy) in enumerate(ways):
            top, left = 60 + 250 * (n % 2) + dy * k, 60 + 300 * (n // 2) + dx * k
            tiles.append(wall[top : top + 160, left : left + 160])
        return np.vstack([np.hstack(tiles[:3]), np.hstack(tiles[3:])])

    with pytest.raises(UnstableError, match="reprojection error is too large"):
        stabilize_clip([frame(0), frame(6)], "similarity")


def test_camera_that_turns_away_is_refused(filmed):
    frames = filmed([_pan(k, 13.0) for k in range(12)])

    with pytest.raises(UnstableError, match=r"turned away: frame \d+ shows less than 50% of"):
        stabilize_clip(frames, "similarity")


def test_papers_stabiliser_follows_a_known_path(filmed):
    path = [_tilt(k) for k in range(16)]

    squares = stabilize_as_paper(filmed(path), 128)

    assert len(squares) == 16
    assert square_motion(centre_squares(filmed(path)), 64) > 2
    assert square_motion(squares, 64) < 0.3


def test_papers_squares_are_scaled_and_cropped_as_its_script_does():
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[:, 50:150] = 200

    square = process(picture, 50)

    assert square.shape == (50, 50, 3)
    assert (square[:, 1:-1] == 200).all()


def test_papers_clip_ends_when_the_picture_has_left_the_square(filmed):
    frames = filmed([_pan(k, 14.0) for k in range(24)], ball=False)

    squares = stabilize_as_paper(frames, 60, fewest=8)

    # The frame is 256 wide, its square 192 in the middle: gone after 224 pixels, 16 steps.
    assert len(squares) == pytest.approx(224 / 14, abs=1)
    with pytest.raises(UnstableError, match=r"left the square after 1\d frames, 20 are needed"):
        stabilize_as_paper(frames, 60, fewest=20)


def test_papers_stabiliser_needs_ten_matches(filmed):
    frames = [*filmed([np.eye(3)] * 2), np.zeros((192, 256, 3), np.uint8)]

    with pytest.raises(UnstableError, match=r"too few matches: 0 .* 10 are needed .frame 3"):
        stabilize_as_paper(frames)


def test_measured_motion_is_the_one_made(wall):
    pictures = [grey(wall[100:228, 100 + k : 228 + k]) for k in range(9)]

    # 1, 2, ... 8 pixels from the first picture: 4.5 on average.
    assert background_motion(pictures) == pytest.approx(4.5, abs=0.05)


def test_motion_is_measured_in_pixels_of_the_clip(wall):
    squares = [wall[100:356, 100 + 4 * k : 356 + 4 * k] for k in range(3)]

    assert square_motion(squares, 64) == pytest.approx(1.5, abs=0.05)


def test_motion_of_nothing_is_missing_not_zero():
    assert background_motion([np.full((64, 64), 9, np.uint8)] * 3) is None
