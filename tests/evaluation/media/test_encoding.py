"""Frames to files: lossless sheets, tagged video, and padding that decoders skip."""

import io
import tracemalloc
import zlib
from dataclasses import replace

import av
import numpy as np
import pytest
from PIL import Image

from evaluation.errors import EvaluationError
from evaluation.media import encoding
from evaluation.media.encoding import normalise, pad, size_step, sprite_sheet, video
from evaluation.media.formats import Format, resampled_length
from evaluation.media.frames import read_frames, write_frames


def target(**changes) -> Format:
    plain = {
        "kind": "sprite", "width": 8, "height": 6, "fps": 10.0, "frames": 4, "columns": 2,
        "scale": 1.0, "fit": None,
    }  # fmt: skip
    return Format(**{**plain, **changes})


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (7, 6, 8, 3), dtype=np.uint8)


def cells(sheet: bytes, columns: int, height: int, width: int):
    """Cut a sheet into its cells again, row by row."""
    pixels = np.asarray(Image.open(io.BytesIO(sheet)))
    rows = pixels.shape[0] // height
    cut = pixels.reshape(rows, height, columns, width, 3).swapaxes(1, 2)
    return cut.reshape(rows * columns, height, width, 3)


def test_a_sheet_holds_every_frame_exactly_and_in_order(noise):
    cut = cells(sprite_sheet(noise, 3), 3, 6, 8)

    assert np.array_equal(cut[:7], noise)
    assert not cut[7:].any()


def test_padding_keeps_the_picture_and_reaches_the_size(noise):
    sheet = sprite_sheet(noise, 3)
    size = size_step(len(sheet))

    padded = pad(sheet, size)

    assert len(padded) == size
    image = Image.open(io.BytesIO(padded))
    image.verify()
    assert np.array_equal(cells(padded, 3, 6, 8), cells(sheet, 3, 6, 8))
    start = padded.index(b"paDd")
    length = int.from_bytes(padded[start - 4 : start], "big")
    body = padded[start : start + 4 + length]
    assert int.from_bytes(padded[start + 4 + length :][:4], "big") == zlib.crc32(body)


def test_padding_without_room_is_refused(noise):
    sheet = sprite_sheet(noise, 3)

    with pytest.raises(EvaluationError, match="cannot be padded"):
        pad(sheet, len(sheet) + 15)


@pytest.mark.parametrize(
    ("n_bytes", "step"), [(1, 1024), (1008, 1024), (1009, 1280), (1264, 1280), (1265, 1600)]
)
def test_size_steps_leave_room_for_the_padding(n_bytes, step):
    assert size_step(n_bytes) == step


def test_size_steps_grow_by_a_quarter_and_always_fit():
    for n_bytes in range(1, 3_000_000, 9973):
        step = size_step(n_bytes)

        assert n_bytes + 16 <= step <= max(1024, 1.26 * (n_bytes + 16))


@pytest.fixture
def moving():
    """Sixteen frames of slow colour blocks, 64 x 48."""
    blocks = np.random.default_rng(1).integers(16, 240, (4, 6, 3), dtype=np.uint8)
    still = blocks.repeat(16, 0).repeat(16, 1)
    return np.stack([still[:48, i : i + 64] for i in range(16)])


def test_video_keeps_frames_rate_and_colour(moving, tmp_path):
    data = video(moving, 12, tmp_path / "clip.part.mp4")

    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        decoded = [
            f.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
            for f in container.decode(stream)
        ]
        assert (stream.average_rate, context.pix_fmt) == (12, "yuv420p")
        tags = (context.color_primaries, context.color_trc, context.colorspace)
        assert tags == (1, 1, 1)
        assert context.color_range == 1
        assert container.streams.audio == ()
    assert len(decoded) == 16
    error = np.abs(np.stack(decoded).astype(float) - moving)
    assert np.median(error) <= 2


def test_video_is_the_same_bytes_every_time_and_carries_no_trace(moving, tmp_path):
    first, second = (video(moving, 12, tmp_path / f"{n}.part.mp4") for n in ("a", "b"))

    assert first == second
    assert first.index(b"moov") < first.index(b"mdat")
    assert b"Lavf" not in first
    assert list(tmp_path.iterdir()) == []


def test_a_padded_video_still_plays(moving, tmp_path):
    data = video(moving, 12, tmp_path / "clip.part.mp4")

    padded = pad(data, size_step(len(data)))

    with av.open(io.BytesIO(padded)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 16


def test_a_folder_that_is_not_there_is_an_error_in_one_line(moving, tmp_path):
    with pytest.raises(EvaluationError, match="cannot be encoded"):
        video(moving, 12, tmp_path / "missing" / "clip.part.mp4")


def test_a_clip_in_the_right_form_is_not_touched(noise):
    assert np.array_equal(normalise(noise[:4], 10, target()), noise[:4])


def test_a_slower_clip_holds_frames_and_a_faster_one_drops_them(noise):
    held = normalise(noise[:3], 5, target(frames=None))
    dropped = normalise(noise[:6], 20, target(frames=None))

    assert np.array_equal(held, noise[[0, 0, 1, 1, 2, 2]])
    assert np.array_equal(dropped, noise[[1, 3, 5]])


@pytest.mark.parametrize("count", [1, 500, 501, 600])
@pytest.mark.parametrize("rates", [(30000 / 1001, 30), (24000 / 1001, 25), (50, 25)])
def test_a_clip_is_as_long_as_the_page_is_told(count, rates):
    frames = np.zeros((count, 6, 8, 3), np.uint8)

    made = normalise(frames, rates[0], target(fps=rates[1], frames=None))

    assert len(made) == resampled_length(count, *rates)


def test_a_longer_clip_is_cut_at_its_end(noise):
    assert np.array_equal(normalise(noise, 10, target()), noise[:4])


def test_a_frame_that_is_held_is_scaled_once_and_one_that_is_dropped_never(noise, monkeypatch):
    scaled, fitted = [], encoding._fitted

    def note(frame, *args):
        scaled.append(frame)
        return fitted(frame, *args)

    monkeypatch.setattr(encoding, "_fitted", note)
    small = target(width=4, height=3, frames=5, fit="pad")
    held = normalise(noise[:3], 5, small)
    n_held = len(scaled)
    dropped = normalise(noise[:6], 20, replace(small, frames=2))

    assert (n_held, len(scaled) - n_held) == (3, 2)
    assert np.array_equal(held, [fitted(noise[n], small) for n in (0, 0, 1, 1, 2)])
    assert np.array_equal(dropped, [fitted(noise[n], small) for n in (1, 3)])


@pytest.mark.parametrize("name", ["long.mp4", "held.gif"])
def test_a_clip_is_fitted_while_it_is_decoded_to_the_same_pixels(tmp_path, name):
    ramp = np.arange(60, dtype=np.uint8)[:, None, None, None]
    drawn = np.broadcast_to(4 * ramp, (60, 96, 128, 3)).copy()
    drawn[:, 20:40, :50] = 255 - drawn[:, 20:40, :50]
    drawn[10:13] = drawn[10]  # one picture of the animation
    if name.endswith(".mp4"):
        write_frames(tmp_path / name, drawn, 20.0)
    else:
        first, *others = map(Image.fromarray, drawn)
        first.save(tmp_path / name, save_all=True, append_images=others, duration=50, loop=0)
    wanted = target(width=32, height=32, frames=20, fit="crop")
    whole, fps = read_frames(tmp_path / name)

    tracemalloc.start()
    try:
        frames, sizes = encoding.read_fitted(tmp_path / name, len(whole), fps, wanted)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert np.array_equal(normalise(frames, fps, wanted), normalise(whole, fps, wanted))
    assert sizes == {(96, 128)}
    assert peak < whole.nbytes / 3


def test_pad_keeps_the_whole_frame_on_grey_and_crop_fills():
    wide = np.full((1, 6, 16, 3), 200, np.uint8)

    padded = normalise(wide, 0, target(fps=0, frames=1, fit="pad"))
    cropped = normalise(wide, 0, target(fps=0, frames=1, fit="crop"))

    assert padded.shape == cropped.shape == (1, 6, 8, 3)
    assert (padded[0, 0] == 128).all()
    assert (padded[0, 2:4] == 200).all()
    assert (cropped == 200).all()
