"""The sample sheet: one row per fixed code, time from left to right, then the streams."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, PngImagePlugin
from torch import Tensor

from vgan.data.dataset import to_uint8
from vgan.models.layers import Streams

Pixels = NDArray[np.uint8]

GAP = 2  # pixels between frames
HEADING = 14  # pixels above the rows, for the words
CLIP_COLUMNS = 8
STREAM_COLUMNS = 4


def sheet_image(streams: Streams, original: Tensor | None = None) -> Pixels:
    """Lay clips out as a sheet.

    Args:
        streams: clip (B, 3, T, H, W) and, for two streams, foreground and background in [-1, 1]
            and mask (B, 1, T, H, W) in [0, 1].
        original: (B, 3, T, H, W), the clips that an autoencoder was to rebuild.

    Returns:
        The picture, (height, width, 3): a row per clip; columns of frames spread evenly over the
        clip, then foreground, mask and background where there are.
    """
    blocks = []
    if original is not None:
        blocks.append(("original", _spread(to_uint8(original), STREAM_COLUMNS)))
    blocks.append(("clip", _spread(to_uint8(streams.clip), CLIP_COLUMNS)))
    return _page([*blocks, *_streams(streams)])


def future_sheet(streams: Streams, true: Tensor) -> Pixels:
    """Lay predicted clips out beside what happened.

    Args:
        streams: of the predictions, as in `sheet_image`.
        true: (B, 3, T, H, W), RGB in [-1, 1]; the prediction was given its first frame.

    Returns:
        The picture, (height, width, 3): a row per clip; the frame given, the prediction and the
        true future over the same moments, then the streams.
    """
    blocks = [
        ("given", to_uint8(true[:, :, :1])),
        ("prediction", _spread(to_uint8(streams.clip), CLIP_COLUMNS)),
        ("true future", _spread(to_uint8(true), CLIP_COLUMNS)),
    ]
    return _page([*blocks, *_streams(streams)])


def predicted_sheet(given: Pixels, frames: Pixels) -> Pixels:
    """Lay predictions out whose true future is not known.

    Args:
        given: pictures (B, H, W, 3), 0..255.
        frames: their predictions, (B, T, H, W, 3), 0..255.

    Returns:
        The picture, (height, width, 3): a row per prediction, the picture given first.
    """
    return _page([("given", given[:, None]), ("prediction", _spread(frames, CLIP_COLUMNS))])


def _streams(streams: Streams) -> list[tuple[str, Pixels]]:
    """Return the parts that clips have, each with its heading, as frames (B, T, H, W, 3)."""
    blocks = []
    if streams.foreground is not None:
        blocks.append(("foreground", _spread(to_uint8(streams.foreground), STREAM_COLUMNS)))
    if streams.mask is not None:
        blocks.append(("mask", _spread(mask_frames(streams.mask), STREAM_COLUMNS)))
    if streams.background is not None:
        blocks.append(("background", _spread(to_uint8(streams.background), 1)))
    return blocks


def _page(blocks: list[tuple[str, Pixels]]) -> Pixels:
    return np.concatenate([_block(name, frames) for name, frames in blocks], axis=1)


def mask_frames(mask: Tensor) -> Pixels:
    """Return masks (B, 1, T, H, W) in [0, 1] as grey frames (B, T, H, W, 3)."""
    return to_uint8((mask * 2 - 1).expand(-1, 3, -1, -1, -1))


def png_bytes(pixels: Pixels, text: dict[str, str] | None = None) -> bytes:
    """Return a picture (height, width, 3) as a PNG that carries text fields such as `step`."""
    fields = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        fields.add_text(key, value)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=fields)
    return buffer.getvalue()


def _spread(frames: Pixels, columns: int) -> Pixels:
    """Return `columns` of the frames (B, T, H, W, 3), first and last among them."""
    last = frames.shape[1] - 1
    if columns == 1 or last == 0:
        return frames[:, :1]
    return frames[:, np.linspace(0, last, min(columns, last + 1)).round().astype(int)]


def _block(name: str, frames: Pixels) -> Pixels:
    """Return frames (B, T, H, W, 3) as a grid under a heading, with a wider gap on the right."""
    padded = np.pad(
        frames, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255
    )  # (B, T, H + gap, W + gap, 3)
    rows, columns, height, width, _ = padded.shape
    grid = padded.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)
    page = np.pad(grid, ((HEADING, 0), (0, 2 * GAP), (0, 0)), constant_values=255)
    picture = Image.fromarray(page)
    ImageDraw.Draw(picture).text((1, 1), name, fill=(0, 0, 0))
    return np.asarray(picture)
