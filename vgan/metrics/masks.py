"""How well a mask finds the foreground: pure functions of masks."""

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.floating | np.bool_]

_MOVES = 0.1  # mean difference over colours, share of the full range, from which a pixel does


def mask_iou(predicted: Mask, true: Mask) -> float:
    """Return the intersection over union of two masks.

    Args:
        predicted: any shape, in [0, 1] or boolean; from 0.5 a pixel is foreground.
        true: the same shape.

    Returns:
        1 for equal masks, 0 for disjoint ones; NaN where both are empty, which says nothing.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != true.shape:
        raise ValueError(f"masks of different shape: {predicted.shape} and {true.shape}")
    first = np.asarray(predicted, np.float32) >= 0.5
    second = np.asarray(true, np.float32) >= 0.5
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else float("nan")


def moving_mask(frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where a clip differs from its own median picture.

    What a mask would be if the background were exactly still: a yardstick for learnt masks, since
    it needs no truth.

    Args:
        frames: (T, H, W, 3), 0..255.

    Returns:
        (T, H, W).
    """
    still = np.median(frames, axis=0)
    difference: NDArray[np.float64] = np.abs(frames - still).mean(axis=-1) / 255
    return difference > _MOVES
