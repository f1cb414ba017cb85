"""Frames to the file that a browser plays: a lossless sprite sheet, or H.264 for larger clips.

Both clips of a pair, and all clips of a study, pass exactly these functions from raw frames, so no
side gains or loses by its encoding. Files carry nothing that differs per source: no names, times
or versions. The same frames always give the same bytes.

A sheet is PNG: measured on natural 64x64 clips, lossless WebP saved at most 4 % and took longer to
encode and decode. Why no codec at this size: 4:2:0 H.264 at crf 18 kept 36 % of a generator's
colour noise, and so flattered the worse model.
"""

import io
import itertools
import math
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from evaluation.errors import EvaluationError
from evaluation.media.formats import Format, resampled_length, same_rate, scale_within
from evaluation.media.frames import VIDEO_SUFFIXES, Frames, read_frames

STEP_RATIO = 1.25
_SMALLEST_STEP = 1024
_PADDING_COLOUR = 128  # the page's own neutral grey

# x264's macroblock tree spends bits where motion is predictable, and psychovisual tuning adds
# detail that was not there: both would treat two sources differently. (The tree also makes the
# bytes differ from run to run.) One thread, because their number changes the bytes too. At this
# quality the slower presets gave no better picture and larger files, in four times the time.
_X264 = {"crf": "12", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0:psy=0"}
_BT709 = 1


def _shown_frames(count: int, fps: float, target: Format) -> list[int]:
    """Return which frames are shown, held or dropped so that the clip keeps its speed, and cut."""
    shown = np.arange(count)
    if count > 1 and target.fps > 0 and fps > 0 and not same_rate(fps, target.fps):
        times = np.arange(resampled_length(count, fps, target.fps)) + 0.5
        # The middle of each new frame's interval decides: no drift, no index past the end.
        shown = np.minimum((times * fps / target.fps).astype(int), count - 1)
    numbers: list[int] = shown[: target.frames].tolist()
    return numbers


def _fitted(frame: Frames, target: Format) -> Frames:
    """Scale one frame with an antialiasing filter, then pad or crop it about its centre."""
    source_height, source_width = frame.shape[:2]
    width, height = target.width, target.height
    if (source_width, source_height) == (width, height):
        return frame
    fit = target.fit or "crop"  # without `fit` only a video's odd last row or column goes
    ratio = scale_within((source_width, source_height), (width, height), fit)
    size = (max(1, round(source_width * ratio)), max(1, round(source_height * ratio)))
    scaled = Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (width, height), (_PADDING_COLOUR,) * 3)
    canvas.paste(scaled, ((width - size[0]) // 2, (height - size[1]) // 2))
    return np.asarray(canvas)


def read_fitted(
    path: Path, count: int, fps: float, target: Format
) -> tuple[Frames, set[tuple[int, int]]]:
    """Decode a clip and fit each frame at once to the study's frame size.

    Every core has a clip, and whole ones at their own size would fill a memory.

    Args:
        path: of the clip.
        count: its frames.
        fps: of them.
        target: the study's format.

    Returns:
        (T, target.height, target.width, 3), uint8 RGB, in which frames of a video that `normalise`
        will drop are black; and the sizes (height, width) that the pictures had.

    Raises:
        ClipError: see `read_frames`.
    """
    sizes: set[tuple[int, int]] = set()
    shown = set(_shown_frames(count, fps, target))
    black = np.broadcast_to(np.uint8(0), (target.height, target.width, 3))
    numbers = itertools.count()

    def fitted(picture: Frames) -> Frames:
        height, width, _ = picture.shape
        sizes.add((height, width))
        # A picture of an animation may be several frames.
        unseen = path.suffix.lower() in VIDEO_SUFFIXES and next(numbers) not in shown
        return black if unseen else _fitted(picture, target)

    frames, _ = read_frames(path, fitted)
    return frames, sizes


def normalise(frames: Frames, fps: float, target: Format) -> Frames:
    """Bring one clip to the study's rate, length and frame size.

    Args:
        frames: (T, H, W, 3), uint8 RGB.
        fps: of these frames; ignored for images.
        target: the study's format. A clip that is already of its size is not touched.

    Returns:
        (T', target.height, target.width, 3), uint8 RGB.
    """
    shown = _shown_frames(len(frames), fps, target)
    if frames.shape[1:3] == (target.height, target.width):
        return frames if shown == list(range(len(frames))) else frames[shown]
    fitted = {n: _fitted(frames[n], target) for n in set(shown)}
    return np.stack([fitted[n] for n in shown])


def sprite_sheet(frames: Frames, columns: int) -> bytes:
    """Lay frames out in a grid, row by row, and encode it as PNG.

    Args:
        frames: (T, H, W, 3), uint8 RGB.
        columns: frames per row; the last row is filled with black.
    """
    count, height, width, _ = frames.shape
    rows = math.ceil(count / columns)
    cells = np.zeros((rows * columns, height, width, 3), np.uint8)
    cells[:count] = frames
    grid = cells.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    sheet = Image.fromarray(grid.reshape(rows * height, columns * width, 3))
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def video(frames: Frames, fps: float, scratch: Path) -> bytes:
    """Encode frames as silent H.264 in MP4, BT.709 converted and tagged, index first.

    Args:
        frames: (T, H, W, 3), uint8 RGB; H and W even.
        fps: frames per second.
        scratch: a path for the file while it is made (moving the index to the front needs one);
            removed afterwards.

    Raises:
        EvaluationError: the encoder or the disk failed.
    """
    try:
        _write_video(frames, fps, scratch)
        return scratch.read_bytes()
    except (OSError, av.FFmpegError) as error:
        raise EvaluationError(f"{scratch}: cannot be encoded ({error})") from error
    finally:
        scratch.unlink(missing_ok=True)


def _write_video(frames: Frames, fps: float, path: Path) -> None:
    rate = Fraction(fps).limit_denominator(1001)
    # bitexact: no program versions in the file.
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream: Any = container.add_stream("libx264", rate=rate, options=dict(_X264))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = ColorRange.MPEG
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
            )
            frame.pts = index
            frame.time_base = 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def size_step(n_bytes: int) -> int:
    """Return the next step of a geometric ladder that leaves room for the padding's own header."""
    steps = math.ceil(math.log(max(1.0, (n_bytes + 16) / _SMALLEST_STEP), STEP_RATIO))
    size = math.ceil(_SMALLEST_STEP * STEP_RATIO**steps)
    # The logarithm may round down by one step.
    return size if size >= n_bytes + 16 else math.ceil(_SMALLEST_STEP * STEP_RATIO ** (steps + 1))


def pad(data: bytes, size: int) -> bytes:
    """Lengthen a PNG or MP4 to an exact size with a part that decoders skip.

    Args:
        data: a file that `sprite_sheet` or `video` made.
        size: in bytes; at least 16 more than `data` has (see `size_step`).

    Raises:
        EvaluationError: there is no room for the padding.
    """
    room = size - len(data)
    if room < 16:
        raise EvaluationError(f"a file of {len(data)} bytes cannot be padded to {size}")
    if data.startswith(b"\x89PNG"):
        body = bytes(room - 12)
        # A private, ancillary chunk before the last one (IEND, 12 bytes).
        kind = b"paDd"
        checksum = zlib.crc32(kind + body)
        chunk = len(body).to_bytes(4, "big") + kind + body + checksum.to_bytes(4, "big")
        return data[:-12] + chunk + data[-12:]
    return data + room.to_bytes(4, "big") + b"free" + bytes(room - 8)
