"""Where a clip moves: dense optical flow, pooled to a few arrows.

Farneback's flow is averaged over a few frames before it is looked at, so that what trembles cancels
and what travels stays. Along an edge the picture cannot tell motion from rest (the aperture
problem), and the flow there is whatever its smoothing made of it: that part is taken out. Nothing
moving gives no arrow.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vgan.data.opencv import cv2
from vgan.data.videos import Frames

Field = NDArray[np.float32]

CELLS = 8  # across the picture, each pooled to one candidate
LEAST_MOTION = 0.12  # pixels a frame, of a 64-pixel picture: slower than that is not drawn
LEAST_CHANGE = 1.5  # levels of 255: flow where the picture hardly changes is a guess
LEAST_SHARE = 0.35  # of the strongest arrow
EDGE = 0.1  # of the larger structure eigenvalue: a direction with less texture is an edge's
REACH = 3  # frames before and after that are averaged
_GRAIN = 1.0  # levels of 255
_PYRAMID = {
    "pyr_scale": 0.5, "levels": 3, "winsize": 11, "iterations": 4, "poly_n": 5, "poly_sigma": 1.1,
    "flags": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Arrow:
    """Motion at a place.

    Args:
        x: centre of the moving region, in pixels from the left.
        y: the same from the top.
        dx: pixels a frame to the right.
        dy: pixels a frame downwards.
    """

    x: float
    y: float
    dx: float
    dy: float

    @property
    def speed(self) -> float:
        """Pixels a frame."""
        return float(np.hypot(self.dx, self.dy))


def motion_field(frames: Frames) -> Field:
    """Return the optical flow from each frame to the next.

    Args:
        frames: (T, H, W, 3), uint8 RGB, T at least 2, at least 16 pixels a side.

    Returns:
        (T - 1, H, W, 2): pixels to the right and downwards.

    Raises:
        ValueError: another shape.
    """
    if frames.ndim != 4 or len(frames) < 2 or min(frames.shape[1:3]) < 16:
        raise ValueError(f"flow needs (T, H, W, 3), T from 2 and sides from 16: {frames.shape}")
    # A grain that stands still, too faint to see: Farneback's equations have no solution where the
    # picture varies in one direction only, and give 0 there, whatever moves.
    grain = np.random.default_rng(0).normal(0, _GRAIN, frames.shape[1:3]).astype(np.float32)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) + grain for frame in frames]
    fields = [
        cv2.calcOpticalFlowFarneback(first, second, None, **_PYRAMID)
        for first, second in pairwise(grey)
    ]
    return np.stack(fields).astype(np.float32)


def arrows(frames: Frames, field: Field, at: int, most: int = 3) -> list[Arrow]:
    """Return the strongest coherent motions around one frame, strongest first.

    Args:
        frames: (T, H, W, 3), uint8 RGB.
        field: of these frames, from `motion_field`.
        at: the frame.
        most: arrows; fewer where fewer regions move, none in a still clip.
    """
    first, last = max(at - REACH, 0), min(at + REACH, len(field))
    first = min(first, len(field) - 1)
    mean = field[first : max(last, first + 1)].mean(axis=0)  # (H, W, 2)
    part = frames[first : last + 1].astype(np.int16)
    change = np.abs(np.diff(part, axis=0)).mean(axis=(0, 3))  # (H, W)
    least = LEAST_MOTION * min(frames.shape[1:3]) / 64
    found = [
        arrow
        for arrow, changed in _pooled(mean, change, _structure(part))
        if arrow.speed >= least and changed >= LEAST_CHANGE
    ]
    found.sort(key=lambda arrow: -arrow.speed)
    return _apart(found, most, 2.5 * frames.shape[1] / CELLS)


def _structure(frames: NDArray[np.int16]) -> Field:
    """Return the mean products of the brightness gradients, (H, W, 2, 2), order x, y."""
    down, right = np.gradient(frames.mean(axis=3, dtype=np.float32), axis=(1, 2))
    gradient = np.stack([right, down], axis=-1)  # (T, H, W, 2)
    products: Field = (gradient[..., :, None] * gradient[..., None, :]).mean(axis=0)
    return products


def _pooled(
    mean: Field, change: NDArray[np.float64], structure: Field
) -> list[tuple[Arrow, float]]:
    """Return an arrow per cell, at the centre of its motion, and how much its pixels change."""
    height, width = change.shape
    pooled = []
    for ys in np.array_split(np.arange(height), CELLS):
        for xs in np.array_split(np.arange(width), CELLS):
            cell = np.ix_(ys, xs)
            weight = change[cell] + 1e-6
            share = weight / weight.sum()
            flow = (mean[cell] * share[..., None]).sum(axis=(0, 1))
            dx, dy = _seen(flow, structure[cell].mean(axis=(0, 1)))
            x, y = (share * xs).sum(), (share * ys[:, None]).sum()
            pooled.append((Arrow(float(x), float(y), float(dx), float(dy)), change[cell].mean()))
    return pooled


def _seen(flow: Field, structure: Field) -> Field:
    """Return the part of a flow (2,) that a texture with that structure (2, 2) can show."""
    values, directions = np.linalg.eigh(structure)
    texture = np.clip(values / max(values[1], 1e-9), 0, 1)
    kept = texture * (1 + EDGE) / (texture + EDGE)  # 1 for the stronger direction, 0 along an edge
    seen: Field = directions @ (kept * (directions.T @ flow))
    return seen


def _apart(found: list[Arrow], most: int, distance: float) -> list[Arrow]:
    """Keep the strongest arrows that are not near a stronger one, and not much weaker."""
    kept: list[Arrow] = []
    for arrow in found:
        near = any(np.hypot(arrow.x - k.x, arrow.y - k.y) < distance for k in kept)
        if not near and (not kept or arrow.speed >= LEAST_SHARE * kept[0].speed):
            kept.append(arrow)
        if len(kept) == most:
            break
    return kept
