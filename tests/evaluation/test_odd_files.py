"""Files that are whole, but unusual: how they are read, or in which words they are refused."""

import os
import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from evaluation.clips import import_source
from evaluation.errors import ClipError
from evaluation.media.frames import clip_info, read_frames
from evaluation.study import Source


def _moving(n=60, size=(64, 48)):
    y, x = np.mgrid[: size[1], : size[0]]
    red = [127 + 100 * np.sin((x + i) / 9) for i in range(n)]
    blue = 127 + 100 * np.cos(y / 7 + 0 * x)
    return np.stack([np.stack([r, blue, r], -1) for r in red]).astype(np.uint8)


def _write(
    path, *, frames=None, codec="libx264", times=None, title=None, aspect=None, colours=None
):
    """Write a video as other programs would."""
    frames = _moving() if frames is None else frames
    with av.open(str(path), "w") as container:
        if title:
            container.metadata["title"] = title
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        stream.codec_context.max_b_frames = 0
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if colours is not None:
            stream.codec_context.color_trc, stream.codec_context.color_primaries = colours
        for at, image in zip(times or range(len(frames)), frames, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _trim(source, target, seconds):
    """Cut the start off as `ffmpeg -ss ... -c copy` does: by an edit list, not from the data."""
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(source)) as old, av.open(str(target), "w", options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                shift = int(seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                new.mux(packet)


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4"])
def test_a_title_in_an_old_encoding_is_no_damage(tmp_path, suffix):
    path = _write(tmp_path / f"a{suffix}", codec="mpeg4", title="Urlaub Caf@@")
    data = path.read_bytes()
    assert b"Caf@@" in data
    path.write_bytes(data.replace(b"Caf@@", b"Caf\xe9 "))

    assert clip_info(path) == (60, 25.0, 64, 48)


def test_a_codec_that_is_not_known_is_named_with_the_file(tmp_path):
    path = _write(tmp_path / "a.mp4")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"avc1", b"braw").replace(b"avcC", b"xxxC"))

    with pytest.raises(ClipError, match=r"a\.mp4: its codec is not known here; convert it"):
        read_frames(path)


@pytest.mark.parametrize("sub", ["", "golf"])
def test_a_name_that_is_no_text_is_refused_in_one_line(tmp_path, sub):
    folder = tmp_path / sub
    folder.mkdir(exist_ok=True)
    try:
        _write(folder / "a.mp4").rename(folder / os.fsdecode(b"caf\xe9.mp4"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")

    with pytest.raises(ClipError, match=r"caf\\udce9\.mp4': its name is not UTF-8; rename it"):
        import_source(Source(name="ours", path=tmp_path, display_name="ours"))


def test_a_video_trimmed_by_an_edit_list_is_whole(tmp_path):
    _write(tmp_path / "whole.mp4")
    _trim(tmp_path / "whole.mp4", tmp_path / "trimmed.mp4", 1.0)
    with av.open(str(tmp_path / "trimmed.mp4")) as container:
        assert container.streams.video[0].frames == 60

    frames, fps = read_frames(tmp_path / "trimmed.mp4")

    assert (len(frames), fps) == (35, 25.0)
    assert np.array_equal(frames, read_frames(tmp_path / "whole.mp4")[0][25:])


def test_an_avi_whose_recorder_dropped_frames_is_whole_and_its_beginning_is_not(tmp_path):
    times = [i for i in range(90) if i % 3]
    path = _write(tmp_path / "a.avi", codec="mpeg4", times=times)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 90

    assert len(read_frames(path)[0]) == 60

    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(ClipError, match=r"a\.avi: cut short, \d+ of 90 frames can be read"):
        read_frames(path)


def test_old_quicktime_that_does_not_say_what_it_is_is_read(tmp_path):
    path = _write(tmp_path / "a.mov", codec="mjpeg")
    data = path.read_bytes()
    assert data[4:8] == b"ftyp"
    path.write_bytes(data[:4] + b"wide" + data[8:])

    assert clip_info(path) == (60, 25.0, 64, 48)


@pytest.mark.parametrize(("aspect", "size"), [(2, (128, 48)), (Fraction(1, 2), (64, 96))])
def test_anamorphic_video_is_shown_in_its_true_proportions(tmp_path, aspect, size):
    path = _write(tmp_path / "a.mp4", aspect=aspect)

    assert clip_info(path) == (60, 25.0, *size)


def test_a_pixel_aspect_that_cannot_be_is_refused(tmp_path):
    path = _write(tmp_path / "a.mp4", aspect=8)

    with pytest.raises(ClipError, match=r"a\.mp4: .*8 times as wide as high"):
        read_frames(path)


def _animation(path, durations_ms=40, **more):
    frames = len(durations_ms) if isinstance(durations_ms, list) else 10
    first, *others = [Image.fromarray(image) for image in _moving(frames)]
    first.save(path, save_all=True, append_images=others, duration=durations_ms, **more)


@pytest.mark.parametrize("suffix", [".webp", ".gif", ".png"])
def test_pictures_of_an_animation_stand_as_long_as_it_says(tmp_path, suffix):
    steady, standing = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    _animation(steady)
    _animation(standing, [40] * 5 + [120, 40, 40, 80, 40])

    frames, fps = read_frames(standing)

    assert clip_info(steady)[:2] == (10, 25.0)
    assert (len(frames), fps) == (13, 25.0)
    assert np.array_equal(frames[5], frames[7])
    assert not np.array_equal(frames[7], frames[8])


def test_thirty_frames_a_second_in_the_hundredths_of_a_gif_are_thirty(tmp_path):
    _animation(tmp_path / "a.gif", [30, 30, 40, 30, 30, 40, 30, 30, 40, 100])

    frames, fps = read_frames(tmp_path / "a.gif")

    assert (len(frames), fps) == (12, 30.0)


@pytest.mark.parametrize(
    ("durations_ms", "message"),
    [
        ([40] * 20 + [58] * 20, "its frame rate varies: pictures are shown for 40 to 58 ms"),
        ([10] * 9 + [3_600_000], "its frame rate varies"),
        (0, "does not say how long its pictures are shown"),
    ],
)
def test_an_animation_without_one_rate_is_refused(tmp_path, durations_ms, message):
    _animation(tmp_path / "a.webp", durations_ms)

    with pytest.raises(ClipError, match=message):
        clip_info(tmp_path / "a.webp")


def test_the_default_image_of_an_animated_png_is_not_part_of_it(tmp_path):
    _animation(tmp_path / "a.png", default_image=True)

    frames, fps = read_frames(tmp_path / "a.png")

    assert fps == 25
    assert np.array_equal(frames, _moving(10)[1:])


def test_grey_of_16_bits_is_scaled_and_not_cut_off(tmp_path):
    levels = np.linspace(0, 65535, 64 * 64).reshape(64, 64)
    Image.fromarray(levels.astype(np.uint16)).save(tmp_path / "a.png")

    frames, _ = read_frames(tmp_path / "a.png")

    assert np.abs(frames[0] - levels[..., None] / 257).max() <= 0.51


def test_transparent_pictures_stand_on_white(tmp_path):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 0], pixels[:, 4:, 3] = 255, 255  # red; its left half cannot be seen
    Image.fromarray(pixels).save(tmp_path / "a.png")

    frames, _ = read_frames(tmp_path / "a.png")

    assert (frames[0, :, :4] == 255).all()
    assert (frames[0, :, 4:] == (255, 0, 0)).all()


def test_a_video_of_a_variable_rate_is_refused_and_a_missed_frame_is_not(tmp_path):
    slowing = [*range(30), *range(30, 120, 3)]
    _write(tmp_path / "slowing.mp4", times=slowing)
    missed = _write(tmp_path / "missed.mp4", times=[*range(30), *range(31, 61)])

    assert clip_info(missed).frames == 60
    with pytest.raises(ClipError, match=r"slowing.mp4: its frame rate varies.* ms early or late"):
        clip_info(tmp_path / "slowing.mp4")


@pytest.mark.parametrize("size", [(64, 48), (1280, 720)])
def test_a_generators_colours_come_back_from_a_video_that_does_not_say_them(tmp_path, size):
    colour = (200, 40, 60)
    pictures = np.full((2, size[1], size[0], 3), colour, np.uint8)

    frames, _ = read_frames(_write(tmp_path / "clip.mp4", frames=pictures))

    # Read as BT.709, as players do in high definition, this red is (212, 55, 57).
    assert abs(frames.astype(int) - colour).max() <= 4


@pytest.mark.parametrize(
    ("colours", "what"),
    [((16, 9), r"HDR \(PQ\)"), ((18, 9), r"HDR \(HLG\)"), ((1, 9), "of the wide colours")],
)
def test_hdr_is_refused_with_what_makes_sdr_of_it(tmp_path, colours, what):
    path = _write(tmp_path / "phone.mp4", frames=_moving(4), colours=colours)

    with pytest.raises(ClipError, match=rf"phone.mp4: is {what}.*: convert it to SDR \(ffmpeg"):
        clip_info(path)


def test_import_keeps_no_picture_of_a_long_clip_in_memory(tmp_path):
    path = _write(tmp_path / "long.mp4", frames=_moving(60, (320, 240)))

    tracemalloc.start()
    try:
        info = clip_info(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert info == (60, 25.0, 320, 240)
    assert peak < 10 * 320 * 240 * 3  # bytes; the whole clip has six times as many


def test_a_video_that_changes_its_size_on_the_way_is_told_so(tmp_path):
    parts = [
        _write(tmp_path / f"{width}.avi", frames=_moving(5, (width, 48)), codec="mjpeg")
        for width in (64, 96)
    ]
    with av.open(str(tmp_path / "joined.mkv"), "w") as joined:
        with av.open(str(parts[0])) as first:
            stream = joined.add_stream_from_template(first.streams.video[0])
        for shift, part in zip((0, 5), parts, strict=True):
            with av.open(str(part)) as container:
                for packet in container.demux(video=0):
                    if packet.dts is not None:
                        packet.pts = packet.dts = packet.dts + shift
                        packet.stream = stream
                        joined.mux(packet)

    with pytest.raises(ClipError, match=r"joined\.mkv: its pictures differ in size; convert it"):
        clip_info(tmp_path / "joined.mkv")
