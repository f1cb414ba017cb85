"""Spoiling clips on purpose."""

import tracemalloc

import numpy as np

from evaluation.planning.gold import spoil


def _clip(frames=40):
    return np.random.default_rng(0).integers(0, 256, (frames, 24, 32, 3), dtype=np.uint8)


def test_noise_is_drawn_as_if_for_the_whole_clip_at_once():
    frames = _clip()
    noise = np.random.default_rng(7).normal(0, 80.0, frames.shape)
    expected = np.clip(frames + noise, 0, 255).round().astype(np.uint8)

    assert np.array_equal(spoil(frames, "noise", np.random.default_rng(7)), expected)


def test_noise_takes_little_more_memory_than_the_clip():
    frames = _clip(200)
    tracemalloc.start()
    spoil(frames, "noise", np.random.default_rng(7))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2 * frames.nbytes
