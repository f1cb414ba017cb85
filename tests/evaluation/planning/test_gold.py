"""Spoiling clips on purpose."""

import tracemalloc

import numpy as np
import pytest

from evaluation.errors import ClipError
from evaluation.media.encoding import size_step, sprite_sheet, video
from evaluation.media.frames import write_frames
from evaluation.planning.gold import spoil, spoilt_pairs
from vgan.data.manifest import ClipRecord, sha256_of
from vgan.data.scenes import CATEGORIES, draw_clip


def _clip(frames=40, height=24, width=32):
    shape = (frames, height, width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("size", [(24, 32), (24, 18), (7, 5), (1, 3)])
def test_noise_hides_about_half_of_the_picture_under_flat_squares_that_stay(size):
    frames = _clip(3, *size)

    spoilt = spoil(frames, "noise", np.random.default_rng(7))

    differs = (spoilt != frames).any(axis=3)
    assert 0.3 <= differs.mean() <= 0.7
    hidden = differs.any(axis=0)
    assert np.array_equal(spoilt[0][hidden], spoilt[-1][hidden])
    side = max(2, min(size) // 4)
    assert len(np.unique(spoilt[0, :side, :side][hidden[:side, :side]], axis=0)) <= 1
    assert np.array_equal(spoilt, spoil(frames, "noise", np.random.default_rng(7)))


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_clip_spoilt_by_noise_leaves_its_pair_as_large_as_its_original(category, tmp_path):
    good = draw_clip(category, seed=1, index=0).frames
    bad = spoil(good, "noise", np.random.default_rng(7))

    for encode in (lambda f: sprite_sheet(f, 8), lambda f: video(f, 20.0, tmp_path / "clip.mp4")):
        sizes = [len(encode(frames)) for frames in (good, bad)]
        assert size_step(max(sizes)) == size_step(sizes[0])


def test_noise_takes_little_more_memory_than_the_clip():
    frames = _clip(200)
    tracemalloc.start()
    spoil(frames, "noise", np.random.default_rng(7))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2 * frames.nbytes


def test_a_folder_that_takes_no_spoilt_clips_is_named_with_the_clip(tmp_path):
    write_frames(tmp_path / "clip.mp4", _clip(3), 10.0)
    sha256 = sha256_of(tmp_path / "clip.mp4")
    record = ClipRecord("clip.mp4", sha256, "ours", "all", 3, 10.0, 32, 24)
    (tmp_path / "assets").write_text("a file, where a folder has to be made")

    with pytest.raises(ClipError, match=r"gold-bad/noise/clip\.mp4: cannot be written \("):
        spoilt_pairs([record], tmp_path, "noise", 1, tmp_path / "assets", seed=1)
