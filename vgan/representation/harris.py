"""Space-time interest points: where an image corner changes its motion; Harris in x, y and t.

Source:
    Laptev, On space-time interest points, IJCV 2005: the second-moment matrix of the gradient over
    x, y and t, smoothed at the integration scale, and H = det - k trace^3, k = 0.005. Constants
    of the scales from the description of UCF101's baseline.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter

K = 0.005
INTEGRATION = 2.0  # integration scale over local scale, both as variances
SPACE_SCALES = (4.0, 8.0, 16.0)  # variances, pixels squared
TIME_SCALES = (2.0, 4.0)  # variances, frames squared
_MOST = 200  # points for each 32 frames
_MARGIN = 2  # pixels and frames at the border where no point is looked for
# Far above what the noise of an 8-bit picture gives (smoothed, a gradient of a tenth of a level:
# about 1e-20), far below a faint hand in motion.
LEAST = 1e-14

Volume = NDArray[np.float32]


@dataclass(frozen=True)
class Point:
    """An interest point.

    Args:
        t: frame.
        y: row.
        x: column.
        space: variance of the spatial scale, pixels squared.
        time: variance of the temporal scale, frames squared.
        strength: H there.
    """

    t: int
    y: int
    x: int
    space: float
    time: float
    strength: float


def harris_response(volume: Volume, space: float, time: float) -> Volume:
    """Return H at every pixel of a grey volume (T, H, W), levels in 0..1.

    Args:
        volume: grey levels.
        space: variance of the local spatial scale, pixels squared.
        time: variance of the local temporal scale, frames squared.
    """
    sigma_t, sigma_s = time**0.5, space**0.5
    smooth = _blur(volume, sigma_t, sigma_s)
    # Derivatives in units of the scale, so that responses of different scales compare.
    x, y, t = (
        np.gradient(smooth, axis=axis) * np.float32(scale)
        for axis, scale in ((2, sigma_s), (1, sigma_s), (0, sigma_t))
    )
    wide = INTEGRATION**0.5

    def moment(a: Volume, b: Volume) -> Volume:
        return _blur(a * b, wide * sigma_t, wide * sigma_s)

    xx, yy, tt = moment(x, x), moment(y, y), moment(t, t)
    xy, xt, yt = moment(x, y), moment(x, t), moment(y, t)
    determinant = xx * (yy * tt - yt * yt) - xy * (xy * tt - yt * xt) + xt * (xy * yt - yy * xt)
    return np.asarray(determinant - np.float32(K) * (xx + yy + tt) ** 3, np.float32)


def _blur(volume: Volume, sigma_t: float, sigma_s: float) -> Volume:
    """Smooth with a Gaussian, mirrored at the borders: frames by OpenCV, time by one product."""
    length = len(volume)
    over_time = gaussian_filter1d(np.eye(length, dtype=np.float32), sigma_t, axis=0, truncate=3)
    mixed = (over_time @ volume.reshape(length, -1)).reshape(volume.shape)
    size = 2 * ceil(3 * sigma_s) + 1
    for frame in mixed:
        cv2.GaussianBlur(frame, (size, size), sigma_s, frame, borderType=cv2.BORDER_REFLECT)
    return np.asarray(mixed, np.float32)


def interest_points(volume: Volume) -> list[Point]:
    """Return the local maxima of H over all scales, strongest first.

    Args:
        volume: grey levels (T, H, W) in 0..1.
    """
    found: list[Point] = []
    for space in SPACE_SCALES:
        for time in TIME_SCALES:
            found += _maxima(harris_response(volume, space, time), space, time)
    found.sort(key=lambda point: (-point.strength, point.t, point.y, point.x))
    return found[: max(1, _MOST * len(volume) // 32)]


def _maxima(response: Volume, space: float, time: float) -> Iterator[Point]:
    peaks = (response == maximum_filter(response, size=(3, 5, 5))) & (response > LEAST)
    for axis in range(3):
        edge = [slice(None)] * 3
        for end in (slice(None, _MARGIN), slice(-_MARGIN, None)):
            edge[axis] = end
            peaks[tuple(edge)] = False
    for t, y, x in np.argwhere(peaks):
        yield Point(int(t), int(y), int(x), space, time, float(response[t, y, x]))
