"""How still a clip's background is, and how much its clips differ: pure functions of frames."""

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]


def motion(frames: Frames, where: NDArray[np.bool_] | None = None) -> float:
    """Return the mean absolute change from one frame to the next.

    Args:
        frames: (T, H, W, 3), 0..255.
        where: (T, H, W), the pixels that count; a change counts when its pixel does in both
            frames. All by default.

    Returns:
        The mean change per pixel and colour as a share of the full range: 0 is a perfectly still
        clip, 1 flips between black and white. NaN where no pixel counts.

    Raises:
        ValueError: fewer than two frames, or shapes that do not match.
    """
    if frames.ndim != 4 or frames.shape[0] < 2:
        raise ValueError(f"frames must be (T, H, W, 3) with T at least 2, not {frames.shape}")
    change = np.abs(np.diff(frames.astype(np.int16), axis=0)).mean(axis=-1) / 255
    if where is None:
        return float(change.mean())
    if where.shape != frames.shape[:3]:
        raise ValueError(f"where must be {frames.shape[:3]}, not {where.shape}")
    counted = where[1:] & where[:-1]
    return float(change[counted].mean()) if counted.any() else float("nan")


def background_motion(frames: Frames, mask: NDArray[np.floating | np.bool_]) -> float:
    """Return `motion` outside the foreground.

    Args:
        frames: (T, H, W, 3), 0..255.
        mask: (T, H, W), in [0, 1] or boolean; from 0.5 a pixel is foreground.
    """
    return motion(frames, np.asarray(mask, np.float32) < 0.5)


def flicker(frames: Frames) -> float:
    """Return the mean absolute change of the stiller half of a clip's pixels.

    Background motion for clips that may have no mask: where half of the picture stands still, 0.

    Args:
        frames: (T, H, W, 3), 0..255, T at least 2.

    Returns:
        A share of the full range, as `motion`.
    """
    change = np.abs(np.diff(frames.astype(np.int16), axis=0)).mean(axis=(0, -1)) / 255  # (H, W)
    ordered = np.sort(change, axis=None)
    return float(ordered[: max(ordered.size // 2, 1)].mean())


def diversity(frames: Frames) -> float:
    """Return the mean absolute difference between pairs of clips, as a share of the full range.

    0 when all clips are equal: a generator that shows one clip for every code.

    Args:
        frames: (N, T, H, W, 3), 0..255, N at least 2.

    Raises:
        ValueError: fewer than two clips.
    """
    if frames.ndim != 5 or frames.shape[0] < 2:
        raise ValueError(f"frames must be (N, T, H, W, 3) with N at least 2, not {frames.shape}")
    pairs = pair_differences(frames)
    return float(pairs[np.triu_indices(len(pairs), 1)].mean())


def pair_differences(frames: Frames) -> NDArray[np.float64]:
    """Return the mean absolute difference of every two clips, (N, N), shares of the full range."""
    flat = frames.reshape(len(frames), -1).astype(np.int16)
    pairs = np.zeros((len(flat), len(flat)))
    for first in range(len(flat)):
        for second in range(first + 1, len(flat)):
            pairs[first, second] = np.abs(flat[first] - flat[second]).mean() / 255
    return pairs + pairs.T
