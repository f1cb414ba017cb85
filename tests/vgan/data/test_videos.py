"""Videos come back as they were written, and what is not a video is refused by name."""

import errno
import gc
import hashlib
import os
import shutil
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import imageio.v3 as iio
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from vgan.data.files import WriteError, claim_folder, write_atomic
from vgan.data.joining import join_manifest
from vgan.data.videos import (
    encode_clip,
    iter_frames,
    iter_timed_frames,
    read_video,
    video_info,
    write_clip,
)
from vgan.errors import DataError, UsageError


@pytest.mark.parametrize("shape", [(32, 64, 64, 3), (1, 64, 64, 3), (5, 33, 47, 3)])
def test_clip_round_trip_is_exact(tmp_path, shape):
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    write_clip(tmp_path / "a" / "clip.mp4", frames, 25)
    video = read_video(tmp_path / "a" / "clip.mp4")

    assert np.array_equal(frames, video.frames)
    assert video.fps == 25


RED = (200, 40, 60)
LUMA = {Colorspace.ITU709: (0.2126, 0.0722), Colorspace.ITU601: (0.299, 0.114)}  # of red, of blue


def red_video(path, width, height, meant, tag=None):
    """Three frames of one red, as a matrix makes it YCbCr, which the file may or may not say."""
    of_red, of_blue = LUMA[meant]
    red, green, blue = (level / 255 for level in RED)
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    planes = [16 + 219 * luma, 128 + 112 * (blue - luma) / (1 - of_blue),
              128 + 112 * (red - luma) / (1 - of_red)]  # fmt: skip
    sizes = [(height, width), *[(height // 2, width // 2)] * 2]
    packed = np.concatenate(
        [np.full(size, round(level), np.uint8).reshape(-1, width)
         for size, level in zip(sizes, planes, strict=True)]
    )  # fmt: skip
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if tag is not None:
            stream.codec_context.colorspace = tag
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(packed, format="yuv420p")))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("width", "height", "meant", "tag"),
    [(1280, 720, Colorspace.ITU709, None), (720, 1280, Colorspace.ITU709, None),
     (1280, 528, Colorspace.ITU709, None), (640, 480, Colorspace.ITU601, None),
     (1280, 720, Colorspace.ITU601, Colorspace.ITU601),
     (640, 480, Colorspace.ITU709, Colorspace.ITU709)],
)  # fmt: skip
def test_colours_are_those_that_players_show(tmp_path, width, height, meant, tag):
    red_video(tmp_path / "red.mp4", width, height, meant, tag)

    shown = read_video(tmp_path / "red.mp4").frames.reshape(-1, 3).astype(int)

    assert np.abs(shown - RED).max() <= 3


@pytest.mark.parametrize("fps", [10.0, 12.5, 20.0, 25.0, 29.97, 30000 / 1001, 60.0])
def test_frame_rate_round_trip_is_exact(tmp_path, moving, fps):
    write_clip(tmp_path / "clip.mp4", moving(8, 16, 16, 0), fps)

    assert video_info(tmp_path / "clip.mp4").fps == pytest.approx(fps, rel=1e-6)


def test_same_frames_make_the_same_bytes(moving):
    frames = moving(16, 64, 64, 1)

    assert encode_clip(frames, 20) == encode_clip(frames.copy(), 20)
    assert encode_clip(frames, 20) != encode_clip(moving(16, 64, 64, 2), 20)


def test_write_clip_returns_the_checksum_of_the_file(tmp_path, moving):
    sha256 = write_clip(tmp_path / "clip.mp4", moving(4, 16, 16, 0), 20)

    assert hashlib.sha256((tmp_path / "clip.mp4").read_bytes()).hexdigest() == sha256


def test_info_states_size_rate_and_length(tmp_path, moving):
    write_clip(tmp_path / "clip.mp4", moving(7, 24, 48, 0), 20)

    info = video_info(tmp_path / "clip.mp4")

    assert (
        info.width, info.height, info.frames, info.fps, info.pixel_aspect,
    ) == (48, 24, 7, 20.0, 1.0)  # fmt: skip


def test_sideways_phone_video_is_turned_upright(tmp_path, moving):
    frames = moving(4, 16, 32, 0)
    data = encode_clip(frames, 20)
    one = (1 << 16).to_bytes(4, "big")
    zero, last = bytes(4), (1 << 30).to_bytes(4, "big")
    minus = (-(1 << 16)).to_bytes(4, "big", signed=True)
    upright = one + zero + zero + zero + one + zero + zero + zero + last
    quarter = zero + one + zero + minus + zero + zero + zero + zero + last
    track = data.index(upright, data.index(b"tkhd"))
    (tmp_path / "phone.mp4").write_bytes(data[:track] + quarter + data[track + 36 :])

    video = read_video(tmp_path / "phone.mp4")
    info = video_info(tmp_path / "phone.mp4")

    # This matrix shows the stored picture turned a quarter clockwise.
    assert np.array_equal(np.rot90(frames, -1, axes=(1, 2)), video.frames)
    assert (info.width, info.height) == (16, 32)


def test_timed_frames_keep_a_variable_rate(tmp_path, moving, write_at):
    moments = [0, 40, 160, 200, 400]
    frames = moving(5, 16, 16, 0)
    write_at(tmp_path / "vfr.mp4", frames, moments)

    times, pictures = zip(*iter_timed_frames(tmp_path / "vfr.mp4"), strict=True)

    assert [m / 1000 for m in moments] == pytest.approx(times, abs=1e-3)
    assert np.array_equal(frames, np.stack(pictures))


def test_iter_frames_holds_few_frames_at_a_time(tmp_path, moving):
    write_clip(tmp_path / "long.mp4", moving(150, 128, 128, 0), 25)
    one_frame = 128 * 128 * 3

    tracemalloc.start()
    count = sum(1 for _ in iter_frames(tmp_path / "long.mp4"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 150
    assert peak < 10 * one_frame


def _trim(source: Path, target: Path, start: int) -> None:
    """Trim at a frame as `ffmpeg -ss -c copy` does: an edit list hides those before it."""
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(source)) as whole, av.open(str(target), "w", options=options) as part:
        stream = whole.streams.video[0]
        copy = part.add_stream_from_template(stream)
        for packet in whole.demux(stream):
            if packet.dts is not None:
                shift = int(start / 25 / stream.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copy
                part.mux(packet)


def test_an_mp4_trimmed_by_an_edit_list_is_whole_and_its_truncation_is_noticed(tmp_path, moving):
    frames = moving(40, 32, 32, 0)
    write_clip(tmp_path / "whole.mp4", frames, 25)
    _trim(tmp_path / "whole.mp4", tmp_path / "part.mp4", 15)

    assert np.array_equal(frames[15:], read_video(tmp_path / "part.mp4").frames)

    data = (tmp_path / "part.mp4").read_bytes()
    with av.open(str(tmp_path / "part.mp4")) as container:
        stream = container.streams.video[0]
        last = [(p.pos, p.size) for p in container.demux(stream) if p.size][-1]
    assert last[0] > data.index(b"mdat")
    # The index moved to the front would take re-muxing: blank out what the last packet holds.
    (tmp_path / "part.mp4").write_bytes(data[: last[0]] + bytes(last[1]) + data[sum(last) :])
    with pytest.raises(DataError, match=r"part\.mp4: is (damaged|truncated)"):
        read_video(tmp_path / "part.mp4")


def _write_avi(path: Path, frames: np.ndarray, dropped: set[int]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 25)
        for number, frame in enumerate(frames):
            if number not in dropped:
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                picture.pts, picture.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def test_an_avi_with_dropped_frames_is_whole_and_one_cut_between_frames_is_not(tmp_path, moving):
    path = tmp_path / "dropped.avi"
    _write_avi(path, moving(40, 32, 32, 0), {3, 4, 17})
    assert sum(1 for _ in iter_frames(path)) == 37

    with av.open(str(path)) as container:
        ends = [p.pos + 8 + p.size for p in container.demux(video=0) if p.size]
    whole = path.read_bytes()
    for end in ends[20::5]:
        path.write_bytes(whole[: end + end % 2])
        with pytest.raises(DataError, match=r"is truncated: it declares 40 frames|truncated after"):
            list(iter_frames(path))


def test_garbage_collection_goes_on_after_reading(tmp_path, moving):
    write_clip(tmp_path / "clip.mp4", moving(2, 16, 16, 0), 20)

    read_video(tmp_path / "clip.mp4")

    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize(("frozen", "spared"), [(375, True), (5000, False)])
def test_the_heap_is_spared_unless_a_program_has_frozen_it_itself(
    tmp_path, moving, monkeypatch, frozen, spared
):
    """Python 3.12 starts with 375 frozen objects of its own."""
    write_clip(tmp_path / "clip.mp4", moving(2, 16, 16, 0), 20)
    thawed = []
    monkeypatch.setattr(gc, "get_freeze_count", lambda: frozen)
    monkeypatch.setattr(gc, "unfreeze", lambda thaw=gc.unfreeze: thawed.append(thaw()))

    read_video(tmp_path / "clip.mp4")

    assert bool(thawed) == spared


def _broken(tmp_path: Path, kind: str, frames: np.ndarray) -> Path:
    path = tmp_path / f"{kind}.mp4"
    whole = encode_clip(frames, 25)
    if kind == "gif":
        iio.imwrite(tmp_path / "a.gif", frames)
        shutil.move(tmp_path / "a.gif", path)
    elif kind == "png":
        iio.imwrite(tmp_path / "a.png", frames[0])
        shutil.move(tmp_path / "a.png", path)
    elif kind == "folder":
        path.mkdir()
    elif kind != "missing":
        data = {"empty": b"", "text": b"not a video\n" * 50, "half": whole[: len(whole) // 2]}
        path.write_bytes(data[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("gif", "is a GIF, not a video"),
        ("png", "is a PNG, not a video"),
        ("empty", "is empty"),
        ("text", "is not a video"),
        ("half", "truncated"),
        ("missing", "no such file"),
        ("folder", "is a folder"),
    ],
)
def test_what_is_not_a_video_is_refused_by_name(tmp_path, moving, kind, why):
    path = _broken(tmp_path, kind, moving(8, 16, 16, 0))

    for read in (read_video, video_info, lambda p: list(iter_frames(p))):
        with pytest.raises(DataError, match=why) as error:
            read(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_sound_without_pictures_is_refused(tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))

    with pytest.raises(DataError, match="no video stream"):
        read_video(tmp_path / "sound.mp4")


def test_truncation_is_noticed_wherever_it_falls(tmp_path, moving):
    path = tmp_path / "cut.mp4"
    with iio.imopen(path, "w", plugin="pyav", options={"movflags": "+faststart"}) as writer:
        writer.init_video_stream("libx264", fps=25)
        for frame in np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), dtype=np.uint8):
            writer.write_frame(frame)
    whole = path.read_bytes()

    for length in range(len(whole) // 4, len(whole) - 200, len(whole) // 9):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="truncated"):
            read_video(path)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((0, 8, 8, 3), np.uint8),
        np.zeros((4, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
    ],
)
def test_only_uint8_clips_are_written(tmp_path, frames):
    with pytest.raises(DataError, match="uint8 frames"):
        write_clip(tmp_path / "clip.mp4", frames, 20)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "clip.mp4"
    write_atomic(path, b"old")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WriteError, match=r"clip\.mp4: cannot be written \(No space left"):
        write_atomic(path, b"new and longer")

    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "clip.mp4"
    write_atomic(path, b"old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new")

    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]


def test_what_a_killed_run_left_half_written_goes_when_clips_join_the_manifest(tmp_path):
    old, at_work = (tmp_path / "golf" / f".{name}.mp4.0a1b2c3d.part" for name in ("1", "2"))
    old.parent.mkdir()
    for part in (old, at_work):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))

    join_manifest(tmp_path, [])

    assert (old.exists(), at_work.exists()) == (False, True)


def test_a_folder_is_claimed_once_and_for_the_same_settings(tmp_path):
    claim_folder(tmp_path, "made.json", {"seed": 1, "clips": 4})
    claim_folder(tmp_path, "made.json", {"seed": 1, "clips": 4})

    with pytest.raises(UsageError, match="was made with seed 1;"):
        claim_folder(tmp_path, "made.json", {"seed": 2, "clips": 4})
