"""The static frame control: the first frame of another clip, held."""

from collections import Counter

import numpy as np
import pytest

from vgan.cli import main
from vgan.data.manifest import (
    ClipRecord,
    ManifestError,
    Origin,
    read_manifest,
    sha256_of,
    write_manifest,
)
from vgan.data.statics import choose_held, make_statics
from vgan.data.videos import read_video, write_clip
from vgan.errors import DataError, UsageError


def record(number, category="beach", split=None, video=None):
    origin = None if video is None else Origin(video, 32 * number)
    return ClipRecord(
        f"{category}/{number:02}.mp4", "0" * 64, "real", category, 4, 10, 8, 8,
        split=split, origin=origin,
    )  # fmt: skip


@pytest.fixture
def clips(tmp_path):
    """Five clips of grey frames: 40 times the clip's number plus the frame's."""
    folder, records = tmp_path / "clips", []
    for number in range(5):
        frames = (
            np.zeros((4, 8, 8, 3), np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None, None]
        )
        path = folder / f"beach/{number:02}.mp4"
        write_clip(path, frames + 40 * number, 10)
        made = record(number, split="test" if number else "train")
        records.append(ClipRecord(**{**vars(made), "sha256": sha256_of(path)}))
    write_manifest(folder, records)
    return folder


def test_every_clip_gets_the_held_first_frame_of_another(clips, tmp_path):
    made = make_statics(clips, tmp_path / "out", 1, split="test", progress=False)

    assert [r.clip for r in made] == [f"beach/{n:02}.mp4" for n in range(1, 5)]
    shown = []
    for number, static in enumerate(made, start=1):
        video = read_video(tmp_path / "out" / static.clip)
        held = int(static.extra["held_clip"].removeprefix("real/beach/").removesuffix(".mp4"))
        assert video.frames.shape == (4, 8, 8, 3)
        assert (video.frames == 40 * held).all()  # its first frame, in all four
        assert (static.source, static.category, static.split) == ("static", "beach", "test")
        assert (static.fps, static.seed) == (video.fps, 1) == (10, 1)
        assert static.origin == Origin(f"real/beach/{held:02}.mp4", 0)
        assert held != number
        shown.append(held)
    assert sorted(shown) == [1, 2, 3, 4]
    assert read_manifest(tmp_path / "out") == made


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_clips(clips, tmp_path):
    first, again = (
        make_statics(clips, tmp_path / n, 1, split="test", progress=False) for n in "ab"
    )
    others = [
        make_statics(clips, tmp_path / f"o{seed}", seed, split="test", progress=False)
        for seed in (2, 3, 4)
    ]

    assert first == again
    assert any([r.origin for r in other] != [r.origin for r in first] for other in others)


@pytest.mark.parametrize("seed", range(20))
def test_no_clip_stands_for_itself_nor_leaves_its_category_and_split(seed):
    records = [
        record(n, category, split)
        for category in ("beach", "golf")
        for split in ("test", "train")
        for n in (range(5) if split == "test" else range(5, 7))
    ]
    held = choose_held(records, seed)

    for ours, theirs in zip(records, held, strict=True):
        assert ours.clip != theirs.clip
        assert (ours.category, ours.split) == (theirs.category, theirs.split)
    assert max(Counter(r.clip for r in held).values()) == 1


@pytest.mark.parametrize("seed", range(20))
def test_clips_of_one_video_do_not_stand_for_each_other_where_that_can_be(seed):
    records = [record(n, video="ab"[n] if n < 2 else "c" if n < 5 else "d") for n in range(9)]
    held = choose_held(records, seed)

    assert all(a.origin.video != b.origin.video for a, b in zip(records, held, strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_one_video_alone_still_gives_different_clips(seed):
    records = [record(n, video="only") for n in range(4)]

    assert all(a.clip != b.clip for a, b in zip(records, choose_held(records, seed), strict=True))


def test_a_single_clip_has_no_different_one(clips, tmp_path):
    with pytest.raises(UsageError, match="category 'beach', split 'train' has one clip"):
        make_statics(clips, tmp_path / "out", 0, progress=False)

    assert not (tmp_path / "out").exists()


def test_a_changed_clip_is_refused_by_name(clips, tmp_path):
    write_clip(clips / "beach/03.mp4", np.ones((4, 8, 8, 3), np.uint8), 10)

    with pytest.raises(DataError, match=r"03.mp4: is not the file the manifest lists"):
        make_statics(clips, tmp_path / "out", 0, split="test", progress=False)


def test_the_clips_own_folder_and_a_folder_of_other_clips_are_refused(clips, tmp_path):
    with pytest.raises(UsageError, match="holds the clips themselves"):
        make_statics(clips, clips, 0, split="test", progress=False)
    make_statics(clips, tmp_path / "out", 0, split="test", progress=False)
    with pytest.raises(UsageError, match="was made with seed 0"):
        make_statics(clips, tmp_path / "out", 1, split="test", progress=False)


def test_a_folder_without_a_manifest_and_a_missing_category_are_errors(clips, tmp_path):
    with pytest.raises(ManifestError, match="no manifest here"):
        make_statics(tmp_path, tmp_path / "out", 0)
    with pytest.raises(DataError, match="no clips of that split and category"):
        make_statics(clips, tmp_path / "out", 0, category="golf")


def test_the_command_says_what_it_made(clips, tmp_path, capsys):
    out = tmp_path / "out"

    assert main(["static", str(clips), "--out", str(out), "--seed", "3", "--split", "test"]) == 0
    assert capsys.readouterr().out == f"{out}: 4 static clips\n"
