"""The one rate of an animation, whose file says of every picture how long it stands."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import ClipError

MOST_FRAMES_OFF = 1.5  # a frame that a camera missed is one
_MOST_FRAMES = 5_000  # of an animation at a steady rate: a picture may stand, but not for ever


def steady_rate(path: Path, durations_ms: NDArray[np.float64]) -> tuple[NDArray[np.int64], float]:
    """Return how often each picture of an animation is shown at one steady rate, and that rate.

    What writes animations leaves out a picture that is equal to the one before, which then stands
    longer. GIF counts in 10 ms, so that 30 frames per second are written as 30, 30 and 40 ms.

    Args:
        path: of the animation, for messages.
        durations_ms: of its pictures, in order.

    Raises:
        ClipError: it says no durations, or they fit no one rate.
    """
    shortest = float(durations_ms.min())
    if shortest <= 0:
        raise ClipError(
            f"{path}: does not say how long its pictures are shown; write it with a frame rate"
        )
    one_frame = durations_ms[durations_ms < 1.5 * shortest].mean()
    times = np.rint(durations_ms / one_frame).astype(np.int64)
    frames = int(times.sum())
    fps = 1000 * frames / float(durations_ms.sum())
    off = np.abs(np.cumsum(durations_ms) * fps / 1000 - np.cumsum(times)).max()
    if off > MOST_FRAMES_OFF or frames > _MOST_FRAMES:
        raise ClipError(
            f"{path}: its frame rate varies: pictures are shown for {shortest:g} to "
            f"{durations_ms.max():g} ms; convert it to a video of a constant one"
        )
    return times, fps
