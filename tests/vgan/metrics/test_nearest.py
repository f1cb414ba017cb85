import numpy as np
import pytest

from vgan.metrics import nearest
from vgan.metrics.nearest import near_copies, nearest_clips, reduced

VIDEOS = [f"video {i // 2}" for i in range(6)]  # two clips each


@pytest.fixture
def training() -> np.ndarray:
    flat = np.random.default_rng(0).integers(0, 256, (6, 8, 1, 1, 3), np.uint8)
    return np.broadcast_to(flat, (6, 8, 16, 16, 3)).copy()


def test_a_copied_clip_is_at_no_distance_from_its_original(training):
    found = nearest_clips(training[[4, 1]], training, VIDEOS, progress=False)

    assert found.clips.tolist() == [4, 1]
    assert found.distances.tolist() == [0, 0]
    assert found.ratios.tolist() == [0, 0]
    assert found.searched == 6


def test_distance_is_the_root_mean_square_as_a_share_of_the_range():
    grey = np.full((1, 8, 16, 16, 3), 100, np.uint8)
    found = nearest_clips(grey, grey + 51, ["a"], progress=False)

    assert found.distances[0] == pytest.approx(0.2)
    assert np.isnan(found.ratios[0])  # there is no other video


def test_next_clip_is_of_another_video():
    levels = np.array([0, 1, 50, 51], np.uint8)
    training = np.broadcast_to(levels[:, None, None, None, None], (4, 8, 16, 16, 3))
    query = np.full((1, 8, 16, 16, 3), 10, np.uint8)
    found = nearest_clips(query, training, ["a", "a", "b", "b"], progress=False)

    assert found.clips[0] == 1
    assert found.ratios[0] == pytest.approx(9 / 40, abs=1e-5)  # not 9 / 10, of the same video


def test_of_many_training_clips_evenly_spread_ones_are_searched(monkeypatch):
    monkeypatch.setattr(nearest, "SEARCHED", 3)
    levels = np.array([0, 140, 150, 100, 150, 150, 160], np.uint8)
    training = np.broadcast_to(levels[:, None, None, None, None], (7, 8, 16, 16, 3))
    queries = np.stack([training[6], np.full((8, 16, 16, 3), 150, np.uint8)])
    found = nearest_clips(queries, training, list("aaabbcc"), progress=False)

    assert found.searched == 3  # clips 0, 3 and 6, of three videos
    assert found.clips.tolist() == [6, 6]
    assert found.ratios == pytest.approx([0, 10 / 50], abs=1e-5)


def test_blocks_are_means_in_time_and_space():
    clip = np.zeros((1, 16, 32, 32, 3), np.uint8)
    clip[0, 0, 0, 0] = 255  # one of 2 x 2 x 2 pixels

    assert reduced(clip)[0, :3] == pytest.approx([1 / 8] * 3)
    assert reduced(clip)[0, 3:].max() == 0


def test_near_copies_are_those_below_all_but_a_twentieth_of_the_held_out():
    held_out = np.linspace(0.5, 1, 101)

    assert near_copies(np.array([0.1, 0.52, 0.53, np.nan]), held_out)[:3].tolist() == [1, 1, 0]
    assert near_copies(held_out, held_out).mean() == pytest.approx(0.05, abs=0.01)


def test_clips_of_another_size_are_refused(training):
    with pytest.raises(ValueError, match="different size"):
        nearest_clips(training[:, :4], training, VIDEOS)
    with pytest.raises(ValueError, match="do not divide"):
        reduced(training[:, :, :15])
