"""Training sees exactly the clips' bytes, never an unreadable or blank clip."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vgan.data.dataset import open_dataset, to_model_range, to_uint8
from vgan.data.files import WriteError
from vgan.data.manifest import ClipRecord, Origin, read_manifest, write_manifest
from vgan.data.videos import write_clip
from vgan.errors import DataError

FRAMES, SIZE = 4, 16


@pytest.fixture
def folder(tmp_path, moving):
    """Five golf and two beach clips of 4 frames, 16x16; the last golf clip is a test clip."""
    records = []
    for category, count in (("golf", 5), ("beach", 2)):
        for number in range(count):
            clip = f"{category}/{number}.mp4"
            sha256 = write_clip(tmp_path / clip, moving(FRAMES, SIZE, SIZE, number), 20)
            split = "test" if number == 4 else "train"
            records.append(
                ClipRecord(clip, sha256, "real", category, FRAMES, 20.0, SIZE, SIZE,
                           origin=Origin(f"v{number}"), split=split)
            )  # fmt: skip
    write_manifest(tmp_path, records)
    return tmp_path


def _open(folder: Path, category: str = "golf", split: str = "train"):
    return open_dataset(folder, category, split, frames=FRAMES, size=SIZE, progress=False)


def _replace_clip(folder: Path, number: int, **changes: object) -> None:
    records = sorted(read_manifest(folder), key=lambda r: r.clip)
    at = next(i for i, r in enumerate(records) if r.clip == f"golf/{number}.mp4")
    records[at] = replace(records[at], **changes)
    write_manifest(folder, records)


def test_clips_are_the_bytes_of_the_files(folder, moving):
    dataset = _open(folder)

    assert [r.clip for r in dataset.records] == [f"golf/{n}.mp4" for n in range(4)]
    assert len(dataset) == 4
    assert dataset.skipped == []
    for number in range(4):
        assert np.array_equal(moving(FRAMES, SIZE, SIZE, number), dataset.clips[number])


def test_splits_do_not_mix(folder):
    assert [r.clip for r in _open(folder, split="test").records] == ["golf/4.mp4"]


def test_shard_is_memory_mapped_and_reused(folder, monkeypatch):
    first = _open(folder)
    monkeypatch.setattr("vgan.data.dataset.read_video", None)  # a second decoding would fail

    again = _open(folder)

    assert isinstance(again.clips, np.memmap)
    assert np.array_equal(first.clips, again.clips)


def test_shard_is_rebuilt_when_the_manifest_changes(folder, moving):
    _open(folder)
    sha256 = write_clip(folder / "golf/0.mp4", moving(FRAMES, SIZE, SIZE, 99), 20)
    _replace_clip(folder, 0, sha256=sha256)

    dataset = _open(folder)

    assert np.array_equal(moving(FRAMES, SIZE, SIZE, 99), dataset.clips[0])
    assert len(list((folder / ".shards").glob("golf-train-*.u8"))) == 1


def test_shard_of_the_other_category_stays(folder):
    _open(folder)
    _open(folder, "beach")
    _replace_clip(folder, 0, split="test")
    _open(folder)

    assert len(list((folder / ".shards").glob("beach-train-*.u8"))) == 1


def test_shard_that_was_cut_short_is_rebuilt(folder):
    whole = np.array(_open(folder).clips)
    shard = next((folder / ".shards").glob("*.u8"))
    shard.write_bytes(shard.read_bytes()[:-1])

    assert np.array_equal(whole, _open(folder).clips)


def test_unreadable_blank_and_changed_clips_are_skipped_and_named(folder):
    grey = np.full((FRAMES, SIZE, SIZE, 3), 128, np.uint8)
    _replace_clip(folder, 1, sha256=write_clip(folder / "golf/1.mp4", grey, 20))
    (folder / "golf/0.mp4").write_bytes((folder / "golf/3.mp4").read_bytes())
    (folder / "golf/2.mp4").unlink()

    dataset = _open(folder)

    assert [r.clip for r in dataset.records] == ["golf/3.mp4"]
    assert [clip for clip, _ in dataset.skipped] == [f"golf/{n}.mp4" for n in range(3)]
    assert [why for _, why in dataset.skipped] == [
        "is not the file the manifest lists (its checksum differs)",
        "is blank: one flat colour throughout",
        "[Errno 2] No such file or directory: " + repr(str(folder / "golf/2.mp4")),
    ]


def test_a_clip_without_one_of_the_colours_is_not_blank(tmp_path, moving):
    frames = moving(FRAMES, SIZE, SIZE, 0)
    frames[..., 2] = 0
    write_clip(tmp_path / "0.mp4", frames, 20)

    dataset = _open(tmp_path, "all")

    assert np.array_equal(dataset.clips[0], frames)


def test_truncated_clip_is_skipped_and_named(tmp_path, moving):
    for number in range(2):
        write_clip(tmp_path / f"{number}.mp4", moving(FRAMES, SIZE, SIZE, number), 20)
    path = tmp_path / "1.mp4"
    path.write_bytes(path.read_bytes()[:-100])

    dataset = _open(tmp_path, "all")

    assert [r.clip for r in dataset.records] == ["0.mp4"]
    assert "truncated" in dict(dataset.skipped)["1.mp4"]


def test_no_usable_clip_is_an_error_that_names_one(folder):
    for record in read_manifest(folder):
        (folder / record.clip).write_bytes(b"")

    with pytest.raises(DataError, match=r"none of the 4 train clips of 'golf'.*golf/0\.mp4"):
        _open(folder)


def test_unknown_category_names_those_there_are(folder):
    with pytest.raises(DataError, match=r"there are: beach \(2\), golf \(4\)"):
        _open(folder, "train")


def test_missing_split_says_so(folder):
    with pytest.raises(DataError, match=r"no test clips of category 'beach'.*golf \(1\)"):
        _open(folder, "beach", "test")


def test_larger_clips_are_sent_to_ingest(folder):
    _replace_clip(folder, 0, width=128)

    with pytest.raises(DataError, match=r"has 4 frames of 128x16, .* with `vgan ingest`"):
        _open(folder)


def test_manifest_that_states_a_wrong_size_is_found_out(folder, moving):
    sha256 = write_clip(folder / "golf/0.mp4", moving(FRAMES, 32, 32, 0), 20)
    _replace_clip(folder, 0, sha256=sha256)

    with pytest.raises(DataError, match="has 4 frames of 32x32"):
        _open(folder)
    assert not list((folder / ".shards").iterdir())


@pytest.mark.parametrize("broken", ["{", json.dumps({"clip": "a.mp4"})])
def test_damaged_manifest_names_the_line(folder, broken):
    (folder / "manifest.jsonl").write_text(broken)

    with pytest.raises(DataError, match=r"manifest\.jsonl:1"):
        _open(folder)


def test_folder_without_a_manifest_is_read_by_category(tmp_path, moving):
    for category in ("golf", "beach"):
        write_clip(tmp_path / category / "a.mp4", moving(FRAMES, SIZE, SIZE, 1), 20)

    dataset = _open(tmp_path)

    assert [(r.clip, r.fps, r.frames) for r in dataset.records] == [("golf/a.mp4", 20.0, FRAMES)]
    assert np.array_equal(moving(FRAMES, SIZE, SIZE, 1), dataset.clips[0])


def test_changed_file_without_a_manifest_is_decoded_again(tmp_path, moving):
    write_clip(tmp_path / "golf/a.mp4", moving(FRAMES, SIZE, SIZE, 1), 20)
    _open(tmp_path)
    write_clip(tmp_path / "golf/a.mp4", moving(FRAMES, SIZE, SIZE, 2), 20)

    assert np.array_equal(moving(FRAMES, SIZE, SIZE, 2), _open(tmp_path).clips[0])


@pytest.mark.parametrize("name", ["nothing-here", "."])
def test_missing_and_empty_folders_are_named(tmp_path, name):
    with pytest.raises(DataError, match=r"no such folder|holds no manifest"):
        _open(tmp_path / name)


def test_folder_name_that_is_no_category_is_refused(tmp_path, moving):
    write_clip(tmp_path / "My Golf" / "a.mp4", moving(FRAMES, SIZE, SIZE, 1), 20)

    with pytest.raises(DataError, match="lower-case"):
        _open(tmp_path)


def test_full_disk_leaves_no_half_shard(folder, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("vgan.data.files.os.replace", full)
    with pytest.raises(
        WriteError, match=r"No space left.*4 clips takes.* ln -s .*/\* DIR, then --data"
    ):
        _open(folder)

    assert not list((folder / ".shards").iterdir())


def test_shard_that_a_killed_run_left_half_made_is_removed(folder):
    shards = folder / ".shards"
    shards.mkdir()
    old, at_work = (shards / f".golf-train-0123456789abcdef.u8.{pid}.part" for pid in (1, 2))
    for part in (old, at_work):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))

    _open(folder)

    assert [path.name for path in shards.glob(".*")] == [at_work.name]


def test_batch_is_drawn_with_replacement_by_the_seed(folder):
    dataset = _open(folder)

    batch = dataset.batch(50, np.random.default_rng(3))

    chosen = np.random.default_rng(3).integers(4, size=50)
    assert batch.dtype == torch.uint8
    assert np.array_equal(dataset.clips[chosen], batch.numpy())


def test_batch_can_be_changed_without_touching_the_shard(folder):
    dataset = _open(folder)

    dataset.batch(4, np.random.default_rng(0)).zero_()

    assert dataset.clips.any()


def test_mean_frame_is_the_mean_over_clips_and_time(folder):
    dataset = _open(folder)

    mean = dataset.mean_frame()

    expected = to_model_range(torch.from_numpy(np.array(dataset.clips))).mean(dim=(0, 2))
    assert mean.dtype == torch.float32
    assert torch.allclose(mean, expected, atol=1e-5)


def test_model_range_is_minus_one_to_one_and_back():
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16, 1).expand(2, 3, 16, 16, 3)

    scaled = to_model_range(levels)

    assert scaled.shape == (2, 3, 3, 16, 16)
    assert (scaled.min().item(), scaled.max().item()) == (-1.0, 1.0)
    assert scaled.is_contiguous()
    assert np.array_equal(levels.numpy(), to_uint8(scaled))


def test_model_range_puts_channels_before_time():
    clip = torch.zeros(1, 2, 1, 1, 3, dtype=torch.uint8)
    clip[0, 1, 0, 0, 2] = 255  # blue in the second frame

    scaled = to_model_range(clip)

    assert scaled[0, 2, 1, 0, 0] == 1
    assert scaled.sum() == 1 - 5


def test_values_outside_the_range_are_clipped():
    levels = to_uint8(torch.tensor([-3.0, 0.0, 3.0]).reshape(1, 3, 1, 1, 1))

    assert levels.ravel().tolist() == [0, 128, 255]


def test_frames_are_put_in_order_before_they_leave_the_device(monkeypatch):
    left = []
    leave = torch.Tensor.cpu

    def noted(levels):
        left.append((levels.dtype, levels.is_contiguous()))
        return leave(levels)

    monkeypatch.setattr(torch.Tensor, "cpu", noted)

    to_uint8(torch.zeros(2, 3, 4, 8, 8))

    assert left == [(torch.uint8, True)]
