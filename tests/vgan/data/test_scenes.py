"""Drawn scenes: still outside the mask, moving inside, none like another, the same every time."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from vgan.data.manifest import read_manifest, sha256_of
from vgan.data.scenes import (
    CATEGORIES,
    draw_clip,
    draw_scenes,
    mask_path,
    read_mask,
)
from vgan.data.videos import read_video
from vgan.errors import DataError, UsageError

CLIPS = 6


@pytest.fixture(scope="module")
def drawn():
    return {c: [draw_clip(c, 7, i) for i in range(CLIPS)] for c in CATEGORIES}


def test_there_are_the_four_categories_of_the_paper():
    assert set(CATEGORIES) == {"beach", "golf", "train", "baby"}


@pytest.mark.parametrize("category", CATEGORIES)
def test_background_is_exactly_still_where_the_mask_is_off(drawn, category):
    for clip in drawn[category]:
        still = np.broadcast_to(clip.background, clip.frames.shape)

        assert np.array_equal(still[~clip.mask], clip.frames[~clip.mask])


@pytest.mark.parametrize("category", CATEGORIES)
def test_mask_is_where_the_frame_differs_from_the_background(drawn, category):
    overlaps = []
    for clip in drawn[category]:
        apart = np.abs(clip.frames.astype(int) - clip.background).max(axis=-1) > 6
        overlaps.append((apart & clip.mask).sum() / (apart | clip.mask).sum())

    assert min(overlaps) > 0.8
    assert np.mean(overlaps) > 0.9


@pytest.mark.parametrize("category", CATEGORIES)
def test_foreground_moves_and_leaves_most_of_the_picture_alone(drawn, category):
    for clip in drawn[category]:
        change = np.abs(np.diff(clip.frames.astype(float), axis=0)).mean() / 255

        assert change > 0.0008
        assert 0.005 < clip.mask.mean() < 0.6


def test_no_two_clips_are_alike(drawn):
    clips = [clip.frames.astype(float) for some in drawn.values() for clip in some]
    for i, one in enumerate(clips):
        for other in clips[:i]:
            assert np.abs(one - other).mean() > 4


def test_clip_depends_on_category_seed_and_number_alone():
    first = draw_clip("golf", 3, 5, frames=8)

    assert np.array_equal(first.frames, draw_clip("golf", 3, 5, frames=8).frames)
    assert not np.array_equal(first.frames, draw_clip("golf", 4, 5, frames=8).frames)
    assert not np.array_equal(first.frames, draw_clip("golf", 3, 6, frames=8).frames)


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("size", [32, 96])
def test_other_sizes_and_lengths_are_drawn(category, size):
    clip = draw_clip(category, 1, 4, frames=20, size=size)

    assert clip.frames.shape == (20, size, size, 3)
    assert clip.mask.shape == (20, size, size)
    assert 0.005 < clip.mask.mean() < 0.6


def test_folder_holds_clips_masks_and_a_manifest(tmp_path):
    records = draw_scenes(tmp_path, clips=5, seed=2, frames=4, size=32, progress=False)

    assert records == read_manifest(tmp_path)
    assert len(records) == 20
    assert {"real"} == {r.source for r in records}
    assert len({r.origin.video for r in records}) == 20
    for record in records:
        truth = draw_clip(record.category, 2, int(record.clip[-9:-4]), frames=4, size=32)
        assert record.sha256 == sha256_of(tmp_path / record.clip)
        assert np.array_equal(truth.frames, read_video(tmp_path / record.clip).frames)
        assert np.array_equal(truth.mask, read_mask(tmp_path, record.clip))


def test_last_fifth_of_every_category_is_for_testing(tmp_path):
    records = draw_scenes(tmp_path, clips=10, seed=0, frames=2, size=16, progress=False)

    tests = [r.clip for r in records if r.split == "test"]

    assert sorted(f"{c}/0000{i}.mp4" for c in CATEGORIES for i in (8, 9)) == tests


def test_drawing_again_writes_nothing(tmp_path):
    arguments = {"clips": 3, "seed": 2, "categories": ["golf"], "frames": 4, "size": 32}
    records = draw_scenes(tmp_path, **arguments, progress=False)
    times = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}

    again = draw_scenes(tmp_path, **arguments, progress=False)

    assert records == again
    assert times == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}


_KILLED_AT_THE_FOURTH_CLIP = """
import os, signal, sys
from pathlib import Path
from vgan.data import scenes

written = []
def write_clip(path, frames, fps, write=scenes.write_clip):
    if len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(path)
    return write(path, frames, fps)

scenes.write_clip = write_clip
scenes.draw_scenes(Path(sys.argv[1]), clips=3, seed=2, categories=["golf", "train"], frames=4,
                   size=32, progress=False)
"""


def test_killed_and_run_again_ends_in_the_same_bytes(tmp_path):
    arguments = {"clips": 3, "seed": 2, "categories": ["golf", "train"], "frames": 4, "size": 32}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    draw_scenes(whole, **arguments, progress=False)
    child = subprocess.run([sys.executable, "-c", _KILLED_AT_THE_FOURTH_CLIP, str(killed)])
    assert child.returncode == -signal.SIGKILL
    kept = {p: p.stat().st_mtime_ns for p in killed.rglob("*.mp4")}

    draw_scenes(killed, **arguments, progress=False)

    assert len(kept) == 3
    assert kept == {p: p.stat().st_mtime_ns for p in kept}
    files = {p.relative_to(whole) for p in whole.rglob("*") if p.is_file()}
    assert files == {p.relative_to(killed) for p in killed.rglob("*") if p.is_file()}
    assert all((whole / f).read_bytes() == (killed / f).read_bytes() for f in files)


def test_other_arguments_in_the_same_folder_are_refused(tmp_path):
    draw_scenes(tmp_path, clips=1, seed=2, categories=["golf"], frames=2, size=16, progress=False)

    with pytest.raises(UsageError, match=r"was made with seed 2, clips 1; use another folder"):
        draw_scenes(tmp_path, clips=4, seed=3, categories=["golf"], frames=2, size=16)


def test_unknown_category_names_those_there_are(tmp_path):
    with pytest.raises(UsageError, match="beach, golf, train, baby"):
        draw_scenes(tmp_path / "new", clips=1, seed=0, categories=["opera"])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("wrong", [{"clips": 0}, {"seed": -1}, {"frames": 0}, {"size": 8}])
def test_numbers_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(UsageError, match="must be at least"):
        draw_scenes(tmp_path, **({"clips": 1, "seed": 0} | wrong))


def test_mask_that_is_missing_or_damaged_is_named(tmp_path):
    with pytest.raises(DataError, match="no mask here"):
        read_mask(tmp_path, "golf/00000.mp4")
    path = mask_path(tmp_path, "golf/00000.mp4")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not an archive")

    with pytest.raises(DataError, match="is not a mask"):
        read_mask(tmp_path, "golf/00000.mp4")


def test_damaged_settings_are_named(tmp_path):
    (tmp_path / "scenes.json").write_text("{")

    with pytest.raises(DataError, match=r"scenes\.json: is not JSON"):
        draw_scenes(tmp_path, clips=1, seed=0, progress=False)


def test_clips_from_elsewhere_are_not_mixed_in(tmp_path):
    (tmp_path / "manifest.jsonl").write_text(json.dumps({}) + os.linesep)

    with pytest.raises(UsageError, match="not made here"):
        draw_scenes(tmp_path, clips=1, seed=0, progress=False)


def test_what_a_killed_run_left_half_written_is_removed(tmp_path):
    old, at_work = (tmp_path / "beach" / f".{name}.mp4.0a1b2c3d.part" for name in ("1", "2"))
    old.parent.mkdir()
    for part in (old, at_work):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))

    draw_scenes(tmp_path, clips=1, seed=0, categories=["beach"], frames=2, size=16, progress=False)

    assert (old.exists(), at_work.exists()) == (False, True)
