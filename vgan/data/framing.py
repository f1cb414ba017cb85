"""From a video's frames to a clip's: which moments, which square, and how they are made small.

The scaling is the exact area average that the paper's loader got from Torch: every output pixel is
the mean of the source pixels under it, those on the edge by the part that is covered.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vgan.data.videos import Frames

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Window = tuple[slice, slice]
Shown = TypeVar("Shown")

# Seconds that a frame may be held. A slide or a stalled stream is held for a moment; after longer
# the clock has jumped or the recording was paused, and hours of one frame would fill the gap.
_LONGEST_HOLD = 5.0


def longest_hold(fps: float) -> float:
    """Return after how many seconds without a frame a new shot begins, at least two ticks."""
    return max(_LONGEST_HOLD, 2 / fps)


def resample(
    frames: Iterable[tuple[float, Shown]], fps: float, source_fps: float
) -> Iterator[tuple[int, Shown]]:
    """Put frames on a steady clock: a frame fills the ticks from its own to the next one's.

    A frame's tick is the one nearest to the moment it is shown, so a steady source at the same
    rate comes through unchanged; a variable one repeats held frames and drops crowded ones. A gap
    that is too long to be a held frame is left empty.

    Args:
        frames: (seconds, frame), in order; what stands for a frame is up to the caller.
        fps: ticks per second.
        source_fps: mean rate of the source; says how long the last frame is shown, and one before
            a gap.

    Yields:
        The frame's number in the source, from 0, and the frame.
    """
    held: tuple[int, Shown] | None = None
    longest = longest_hold(fps)
    shown = min(1 / source_fps, longest)
    tick, last = 0, 0.0
    for index, (seconds, frame) in enumerate(frames):
        if held is not None:
            end = last + shown if seconds - last > longest else seconds
            yield from [held] * (_tick(end, fps) - tick)
            tick = _tick(seconds, fps)
        held, last = (index, frame), seconds
    if held is not None:
        yield from [held] * (max(_tick(last + shown, fps), 1) - tick)


def _tick(seconds: float, fps: float) -> int:
    return int(np.floor(seconds * fps + 0.5))


def centre_square(height: int, width: int, pixel_aspect: float = 1.0) -> Window:
    """Return rows and columns of the largest centred window that looks square.

    Args:
        height: of the frame, in pixels.
        width: of the frame, in pixels.
        pixel_aspect: width of a pixel over its height; other than 1 in anamorphic video.
    """
    side = min(height, width * pixel_aspect)
    rows = max(1, min(height, round(side)))
    columns = max(1, min(width, round(side / pixel_aspect)))
    top, left = (height - rows) // 2, (width - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)


@lru_cache(maxsize=32)
def _box_weights(source: int, target: int) -> "csr_array":
    """(target, source) rows that average `source` pixels into `target` equal boxes."""
    # Here: a third of a second that training and generating would pay for nothing.
    from scipy.sparse import csr_array

    edges = np.arange(target + 1) * (source / target)
    pixels = np.arange(source)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = np.clip(overlap, 0, None)
    return csr_array((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


def area_average(frame: Frames, size: int) -> Frames:
    """Shrink a frame to (size, size, 3) by exact area averages, rounded to the nearest level.

    Args:
        frame: (H, W, 3), uint8; H and W at least `size`.
        size: of the result's side, in pixels.
    """
    # Sparse products: a tenth of the work of dense ones, and no BLAS, whose threads would stand in
    # each other's way in several worker processes.
    height, width = frame.shape[:2]
    rows = _box_weights(height, size) @ frame.reshape(height, -1).astype(np.float32)
    columns = rows.reshape(size, width, 3).swapaxes(0, 1).reshape(width, -1)
    both = (_box_weights(width, size) @ columns).reshape(size, size, 3).swapaxes(0, 1)
    return np.asarray(np.floor(both + np.float32(0.5)), np.uint8, order="C")
