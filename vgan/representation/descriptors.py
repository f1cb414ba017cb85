"""HOG and HOF around interest points: 72 + 90 numbers each.

Source:
    Laptev, Marszalek, Schmid and Rozenfeld, Learning realistic human actions from movies, CVPR
    2008: a patch of 3x3x2 cells around the point, its size in proportion to the point's scales;
    histograms of 4 orientations of the gradient, and of 4 directions of optical flow and one bin
    for none. The flow is OpenCV's DIS instead of Lucas and Kanade's.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vgan.representation.harris import Point, Volume

CELLS_SPACE, CELLS_TIME = 3, 2
HOG_BINS, HOF_BINS = 4, 5
HOG_LENGTH = CELLS_SPACE**2 * CELLS_TIME * HOG_BINS  # 72
HOF_LENGTH = CELLS_SPACE**2 * CELLS_TIME * HOF_BINS  # 90
LENGTH = HOG_LENGTH + HOF_LENGTH
_SPACE_REACH, _TIME_REACH = 9.0, 4.0  # half a patch, in standard deviations of the scale: 18 and 8
_STILL = 0.1  # pixels a frame under which a pixel does not move


def optical_flow(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the flow from each grey frame to the next, (T, H, W, 2) pixels; the last is repeated.

    Args:
        frames: (T, H, W), uint8 grey.
    """
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    flows = [
        finder.calc(frames[i], frames[i + 1], None)  # type: ignore[call-overload]
        for i in range(len(frames) - 1)
    ]
    if not flows:
        return np.zeros((len(frames), *frames.shape[1:], 2), np.float32)
    return np.asarray(np.stack([*flows, flows[-1]]), np.float32)


def describe(
    frames: NDArray[np.uint8], volume: Volume, points: Sequence[Point]
) -> NDArray[np.float32]:
    """Return the descriptor of every point, (points, 162), HOG before HOF.

    Each half is scaled to length 1; a half without gradient or flow is all zero.

    Args:
        frames: (T, H, W), uint8 grey.
        volume: the same as levels in 0..1.
        points: where.
    """
    if not points:
        return np.zeros((0, LENGTH), np.float32)
    gradient = _integral(_orientations(volume))
    flow = _integral(_directions(optical_flow(frames)))
    found = np.stack(
        [np.concatenate([_cells(gradient, p), _cells(flow, p)]) for p in points]
    ).astype(np.float32)
    for half in (found[:, :HOG_LENGTH], found[:, HOG_LENGTH:]):
        length = np.linalg.norm(half, axis=1, keepdims=True)
        np.divide(half, length, out=half, where=length > 0)
    return found


def _orientations(volume: Volume) -> NDArray[np.float32]:
    """Spread each pixel's gradient over the bins of its orientation: (T, H, W, 4).

    A gradient and its opposite are one orientation: a dark hand on light is as a light on dark.
    """
    dy, dx = np.gradient(volume, axis=(1, 2))
    angle = np.mod(np.arctan2(dy, dx), np.pi) / np.pi * HOG_BINS
    return _vote(angle, np.hypot(dx, dy), HOG_BINS)


def _directions(flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Spread each pixel's flow over four directions, or count it as still: (T, H, W, 5)."""
    speed = np.hypot(flow[..., 0], flow[..., 1])
    angle = np.mod(np.arctan2(flow[..., 1], flow[..., 0]), 2 * np.pi) / (2 * np.pi) * 4
    moving = _vote(angle, np.where(speed > _STILL, speed, 0), 4)
    still = np.where(speed > _STILL, 0, 1).astype(np.float32)
    return np.concatenate([moving, still[..., None]], axis=-1)


def _vote(
    angle: NDArray[np.floating], weight: NDArray[np.floating], bins: int
) -> NDArray[np.float32]:
    """Give a weight to the two bins nearest to an angle (in bins, around the circle)."""
    lower = np.floor(angle).astype(np.int64)
    upper_share = (angle - lower).astype(np.float32)
    votes = np.zeros((*angle.shape, bins), np.float32)
    for shift, share in ((0, 1 - upper_share), (1, upper_share)):
        values = (share * weight).astype(np.float32)
        place = np.mod(lower + shift, bins)[..., None]
        held = np.take_along_axis(votes, place, axis=-1)
        np.put_along_axis(votes, place, held + values[..., None], axis=-1)
    return votes


def _integral(votes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sum votes over all boxes from the origin, so that any box costs eight look-ups."""
    total = votes.astype(np.float64)
    for axis in range(3):
        total = total.cumsum(axis=axis)
    return np.pad(total, ((1, 0), (1, 0), (1, 0), (0, 0)))


def _cells(integral: NDArray[np.float64], point: Point) -> NDArray[np.float64]:
    """Return the histograms of the cells around a point, flattened; cut off at the borders."""
    depth, height, width = (n - 1 for n in integral.shape[:3])
    reach_t = max(_TIME_REACH * point.time**0.5, CELLS_TIME / 2)
    reach = max(_SPACE_REACH * point.space**0.5, CELLS_SPACE / 2)
    t = _edges(point.t, reach_t, CELLS_TIME, depth)
    y = _edges(point.y, reach, CELLS_SPACE, height)
    x = _edges(point.x, reach, CELLS_SPACE, width)
    corners = integral[np.ix_(t, y, x)]
    for axis in range(3):
        corners = np.diff(corners, axis=axis)
    return np.asarray(corners.reshape(-1))


def _edges(centre: int, reach: float, cells: int, limit: int) -> NDArray[np.int64]:
    edges = np.linspace(centre + 0.5 - reach, centre + 0.5 + reach, cells + 1)
    return np.clip(np.rint(edges), 0, limit).astype(np.int64)
