"""Side by side: a clip before and after stabilising, as a video that any player shows."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np

from vgan.data.files import write_atomic
from vgan.data.making import Clip
from vgan.data.videos import Frames

PREVIEW_NAME = "preview"
_GAP = 8


def side_by_side(before: Sequence[Frames], after: Sequence[Frames], side: int) -> Frames:
    """Put two series of squares beside each other, (T, side, 2 side + 8, 3); a white gap between.

    Squares of other sizes are enlarged or thinned to `side` by nearest neighbour.
    """
    gap = np.full((side, _GAP, 3), 255, np.uint8)
    return np.stack(
        [
            np.hstack([_fitted(old, side), gap, _fitted(new, side)])
            for old, new in zip(before, after, strict=True)
        ]
    )


def _fitted(square: Frames, side: int) -> Frames:
    at = (np.arange(side) * len(square)) // side
    return square[at][:, at]


def write_preview(out: Path, name: str, clip: Clip, fps: float) -> None:
    """Write `OUT/preview/NAME.mp4`: the clip before stabilising, left, and after it, right.

    Args:
        out: the clip folder.
        name: of the clip in it.
        clip: nothing is written for one that was not stabilised.
        fps: frames per second.

    Raises:
        WriteError: the file cannot be written.
    """
    if not clip.before:
        return
    side = min(256, max(len(clip.before[0]), len(clip.after[0]))) // 8 * 8
    buffer = io.BytesIO()
    writer: Any = iio.imopen(buffer, "w", plugin="pyav", extension=".mp4")
    with writer:
        # Unlike clips, in the colour format that browsers and players know; to be looked at only.
        writer.init_video_stream("libx264", fps=fps, pixel_format="yuv420p")
        for frame in side_by_side(clip.before, clip.after, side):
            writer.write_frame(frame)
    write_atomic(out / PREVIEW_NAME / Path(name).name, buffer.getvalue())
