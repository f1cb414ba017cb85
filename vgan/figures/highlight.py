"""Show on a clip where a unit is active: its map, laid over the pixels that each cell sees."""

import numpy as np
from numpy.typing import NDArray

from vgan.data.opencv import cv2
from vgan.data.videos import Frames
from vgan.figures.drawing import enlarge
from vgan.figures.layers import Axes, Axis

Heat = NDArray[np.float64]

SHARE = 0.5  # of a clip's highest activation: from here on a place counts as active
_DARKENED = 0.3
_OUTLINE = (255, 221, 0)


def heat_over_pixels(activation: NDArray[np.float32], axes: Axes, shape: tuple[int, ...]) -> Heat:
    """Return one unit's activation at every pixel of a clip.

    Each cell stands at the centre of what it sees (its receptive field), not at its share of the
    picture; between centres the activation is interpolated linearly, outside them it is held.

    Args:
        activation: (t, h, w).
        axes: what its cells see, along T, H and W.
        shape: (T, H, W) of the clip.
    """
    heat = activation.astype(np.float64)
    for number, (axis, length) in enumerate(zip(axes, shape, strict=True)):
        weights = _interpolation(axis, heat.shape[number], length)  # (length, cells)
        heat = np.moveaxis(np.tensordot(weights, heat, axes=(1, number)), 0, number)
    return heat


def _interpolation(axis: Axis, cells: int, length: int) -> Heat:
    """Return what each pixel takes of each cell, (length, cells), rows summing to 1."""
    at = (np.arange(length) - axis.first) / axis.step
    return np.stack([np.interp(at, np.arange(cells), one) for one in np.eye(cells)], axis=1)


def highlighted(frame: Frames, heat: Heat, least: float, factor: int) -> Frames:
    """Return a frame enlarged, outlined where a unit is active and darkened elsewhere.

    Args:
        frame: (H, W, 3).
        heat: (H, W), the unit's activation.
        least: from which it is active.
        factor: by which the frame is enlarged.
    """
    large = enlarge(frame, factor)
    size = (large.shape[1], large.shape[0])
    # Smoothly enlarged before it is cut: the outline follows the activation, not its pixels.
    active = cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR) >= least
    shown = np.where(active[..., None], large, (large * _DARKENED).astype(np.uint8))
    found, _ = cv2.findContours(active.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlined: Frames = cv2.drawContours(shown, found, -1, _OUTLINE, 1)
    return outlined
