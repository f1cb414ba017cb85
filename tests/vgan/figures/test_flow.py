import numpy as np
import pytest

from vgan.figures.flow import arrows, motion_field


def texture(seed: int = 0, side: int = 16) -> np.ndarray:
    blocks = np.random.default_rng(seed).integers(0, 256, (side // 2, side // 2, 3), np.uint8)
    return blocks.repeat(2, 0).repeat(2, 1)


def square_moving(dx: int, dy: int) -> np.ndarray:
    frames = np.full((9, 64, 64, 3), 90, np.uint8)
    for t in range(9):
        frames[t, 20 + dy * t : 36 + dy * t, 20 + dx * t : 36 + dx * t] = texture()
    return frames


def test_a_square_that_moves_gets_an_arrow_its_way_and_as_fast():
    frames = square_moving(2, 1)
    (strongest, *_) = arrows(frames, motion_field(frames), 4)

    assert (strongest.dx, strongest.dy) == pytest.approx((2, 1), abs=0.4)
    assert 28 <= strongest.x <= 44
    assert 24 <= strongest.y <= 40


def test_a_still_clip_has_no_arrows():
    frames = np.broadcast_to(texture(side=64), (9, 64, 64, 3))

    assert arrows(frames, motion_field(frames), 4) == []


def test_flicker_in_place_has_no_arrows():
    noise = np.random.default_rng(0).integers(-1, 2, (9, 64, 64, 3))
    frames = (texture(side=64) // 2 + 60 + noise).astype(np.uint8)

    assert arrows(frames, motion_field(frames), 4) == []


def test_an_edge_is_marked_across_and_not_along_itself():
    frames = np.full((9, 64, 64, 3), 40, np.uint8)
    for t in range(9):
        frames[t, 20 + t : 28 + t] = 220  # a bar across the picture sinks; sideways nothing shows
    found = arrows(frames, motion_field(frames), 4)

    assert found
    for arrow in found:
        assert arrow.dy == pytest.approx(1, abs=0.5)
        assert abs(arrow.dx) < 0.1


def test_arrows_stand_apart_strongest_first_and_no_more_than_asked_for():
    frames = square_moving(2, 0)
    frames[:, 48:60, 4:60] = np.stack([np.roll(texture(1, 64)[:12, :56], t, 1) for t in range(9)])
    found = arrows(frames, motion_field(frames), 4, most=2)

    assert len(found) == 2
    assert found[0].speed >= found[1].speed
    assert np.hypot(found[0].x - found[1].x, found[0].y - found[1].y) >= 16


def test_first_and_last_frame_have_arrows_too():
    frames = square_moving(2, 1)
    field = motion_field(frames)

    assert arrows(frames, field, 0)
    assert arrows(frames, field, 8)


def test_a_single_frame_has_no_flow():
    with pytest.raises(ValueError, match="T from 2"):
        motion_field(np.zeros((1, 64, 64, 3), np.uint8))
