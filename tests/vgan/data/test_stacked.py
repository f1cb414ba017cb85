"""The authors' released clips, one JPEG of stacked frames each, train as they are."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vgan.cli import main
from vgan.data.dataset import ClipDataset, open_dataset
from vgan.data.stacked import read_stack
from vgan.errors import DataError


@pytest.fixture
def stack(tmp_path) -> Callable[..., np.ndarray]:
    """Write a clip of smooth frames as a stack: stack(name, frames, side) -> (T, H, W, 3)."""

    def write(name: str, frames: int = 32, side: int = 128, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (frames * side // 16, side // 16, 3), np.uint8)
        picture = Image.fromarray(coarse).resize((side, frames * side), Image.Resampling.BICUBIC)
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=95)
        return np.asarray(Image.open(path)).reshape(frames, side, side, 3)

    return write


@pytest.fixture
def listed(tmp_path) -> Callable[..., ClipDataset]:
    """Open a list of lines: listed(*lines, **settings); the root is `root` unless given."""

    def open_list(*lines: str, **settings: object) -> ClipDataset:
        path = tmp_path / "golf.txt"
        path.write_text("".join(f"{line}\n" for line in lines))
        asked = {"root": tmp_path / "root", "progress": False, "category": "golf"} | settings
        return open_dataset(path, **asked)

    return open_list


def test_stack_is_shrunk_by_the_mean_of_two_by_two_pixels(tmp_path, stack):
    frames = stack("a.jpg").astype(float)
    means = frames.reshape(32, 64, 2, 64, 2, 3).mean(axis=(2, 4))

    read = read_stack(tmp_path / "root/a.jpg", 32, 64)

    assert np.array_equal(read.frames, np.floor(means + 0.5).astype(np.uint8))
    assert read.fps == 25


def test_long_stack_gives_its_first_frames_and_a_short_one_holds_its_last(tmp_path, stack):
    long, short = stack("long.jpg", 34, 64), stack("short.jpg", 20, 64)

    assert np.array_equal(read_stack(tmp_path / "root/long.jpg", 32, 64).frames, long[:32])
    read = read_stack(tmp_path / "root/short.jpg", 32, 64).frames
    assert np.array_equal(read[:20], short)
    assert (read[20:] == short[-1]).all()


def test_list_opens_as_a_dataset_in_its_order_with_video_and_label(stack, listed):
    clips = [stack(f"videos/1/77.mp4/000{n}.jpg", side=64, seed=n) for n in (0, 1)]

    dataset = listed("videos/1/77.mp4/0001.jpg 3", "", "videos/1/77.mp4/0000.jpg 3")

    assert np.array_equal(dataset.clips[0], clips[1])
    assert np.array_equal(dataset.clips[1], clips[0])
    first = dataset.records[0]
    assert (first.clip, first.category, first.fps) == ("videos/1/77.mp4/0001.jpg", "golf", 25)
    assert (first.origin.video, first.extra) == ("videos/1/77.mp4", {"label": 3})


def test_root_is_found_beside_the_list(tmp_path, stack, listed):
    stack("a.jpg", side=64)
    (tmp_path / "root").rename(tmp_path / "frames-stable-many")

    assert len(listed("a.jpg", root=None)) == 1
    (tmp_path / "frames-stable-many/a.jpg").rename(tmp_path / "a.jpg")
    assert len(listed("a.jpg", root=None)) == 1


def test_clips_are_decoded_once_until_one_changes(tmp_path, stack, listed):
    stack("a.jpg", side=64)
    listed("a.jpg")
    [shard] = (tmp_path / ".shards").glob("*.u8")
    made = shard.stat().st_mtime_ns

    listed("a.jpg")
    assert shard.stat().st_mtime_ns == made
    other = stack("a.jpg", side=64, seed=9)
    assert np.array_equal(listed("a.jpg").clips[0], other)
    assert len(list((tmp_path / ".shards").glob("*.u8"))) == 1


def _spoil(path: Path, how: str) -> None:
    if how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "missing":
        path.unlink()
    elif how == "text":
        path.write_text("not a picture")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "png":
        Image.open(path).save(path, format="PNG")
    elif how == "cropped":
        Image.open(path).crop((0, 0, 64, 100)).save(path, format="JPEG")
    elif how == "narrow":
        Image.new("RGB", (32, 1024), "red").save(path, format="JPEG")
    elif how == "short":
        Image.open(path).crop((0, 0, 64, 15 * 64)).save(path, format="JPEG")
    else:
        Image.new("RGB", (64, 2048), "grey").save(path, format="JPEG")


@pytest.mark.parametrize(
    ("how", "why"),
    [("truncated", "cannot be read (image file is truncated"), ("missing", "No such file"),
     ("text", "is not a JPEG"), ("empty", "is not a JPEG"), ("png", "is not a JPEG"),
     ("cropped", "is 64x100, not a stack of squares 64 wide"),
     ("narrow", "its frames are 32 wide, under 64"), ("flat", "is blank"),
     ("short", "holds 15 frames, under half of 32")],
)  # fmt: skip
def test_file_that_cannot_be_used_is_left_out_and_named(tmp_path, stack, listed, how, why):
    good = stack("good.jpg", side=64)
    stack("bad.jpg", side=64)
    _spoil(tmp_path / "root/bad.jpg", how)

    dataset = listed("bad.jpg", "good.jpg")

    assert np.array_equal(dataset.clips[0], good[:32])
    [(clip, said)] = dataset.skipped
    assert clip == "bad.jpg"
    assert why in said


@pytest.mark.parametrize(
    ("line", "named"),
    [("a.mp4", r"golf.txt:2: 'a.mp4' is not the path of a JPEG"),
     ("a.jpg", r"golf.txt:2: a.jpg is listed already"),
     ("../a.jpg", r"golf.txt:2: '../a.jpg' must be a path below the root folder"),
     ("b.jpg golf", r"golf.txt:2: after the path, 'golf' is not a class number"),
     ("b.jpg 1 2", r"golf.txt:2: after the path, '1 2' is not a class number")],
)  # fmt: skip
def test_wrong_line_is_named(stack, listed, line, named):
    stack("a.jpg", side=64)

    with pytest.raises(DataError, match=named):
        listed("a.jpg", line)


def test_list_without_its_clips_asks_for_the_root(tmp_path, stack, listed):
    stack("a.jpg", side=64)

    with pytest.raises(DataError, match=r"the first 1 clips it lists are not below .*--root"):
        listed("a.jpg", root=None)
    with pytest.raises(DataError, match="not below"):
        listed("a.jpg", root=tmp_path / "nowhere")
    with pytest.raises(DataError, match="lists no clips"):
        listed()
    with pytest.raises(DataError, match="a list has no test clips"):
        listed("a.jpg", split="test")


def test_file_that_is_no_list_is_named(tmp_path):
    (tmp_path / "net.t7").write_bytes(b"\x04\x00\xff\xfe")

    with pytest.raises(DataError, match=r"net.t7: is neither a clip folder nor a text list"):
        open_dataset(tmp_path / "net.t7", "golf")


def test_training_takes_a_list_and_its_root_and_goes_on_without_them(tmp_path, stack, capsys):
    for n in range(3):
        stack(f"videos/{n}.mp4/0000.jpg", side=64, seed=n)
    (tmp_path / "root/videos/1.mp4/0000.jpg").write_text("damaged")
    names = "".join(f"videos/{n}.mp4/0000.jpg\n" for n in range(3))
    (tmp_path / "_b_beach.txt.train").write_text(names)
    run = str(tmp_path / "run")
    train = ["train", "two-stream", "--out", run, "--device", "cpu", "--steps", "2"]
    train += ["--width", "1", "--batch", "2", "--recipe", "paper"]
    where = ["--data", str(tmp_path / "_b_beach.txt.train"), "--root", str(tmp_path / "root")]

    assert main([*train, *where, "--category", "beach"]) == 0
    assert "root/videos/1.mp4/0000.jpg: not trained on (is not a JPEG)" in capsys.readouterr().err
    saved = json.loads((tmp_path / "run/data.json").read_text())
    assert (saved["clips"], saved["category"]) == (2, "beach")
    train[train.index("--steps") + 1] = "3"
    assert main([*train, "--resume"]) == 0
    assert (tmp_path / "run/checkpoints/step-0000003.pt").is_file()
