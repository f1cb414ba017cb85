"""How much the background of a clip moves, measured by tracking corners.

Independent of the stabiliser, which matches SIFT features: corners of the first frame are followed
from frame to frame by Lucas-Kanade flow, forwards and back. The median over the corners stands for
the background as long as less than half of them lie on things that move by themselves.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vgan.data.opencv import cv2
from vgan.data.registration import Grey, Points, grey
from vgan.data.videos import Frames

_CORNERS = 80
_FEWEST = 8  # fewer corners than this say nothing about a background
_ROUND_TRIP = 0.5  # pixels a corner may miss its start by when tracked there and back
_FLOW = {
    "winSize": (15, 15),
    "maxLevel": 3,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01),
}


def find_corners(picture: Grey) -> Points:
    """Return up to 80 corners of a picture, spread out, (N, 2)."""
    distance = max(3.0, min(picture.shape) / 16)
    found = cv2.goodFeaturesToTrack(picture, _CORNERS, 0.01, distance)
    if found is None:
        return np.zeros((0, 2), np.float32)
    corners: Points = found.reshape(-1, 2)
    return corners


def track(before: Grey, after: Grey, points: Points) -> tuple[Points, NDArray[np.bool_]]:
    """Follow points from one picture to the next, and back.

    Returns:
        Where they are, (N, 2), and which of them came back to where they started, (N,) booleans.
    """
    if not len(points):
        return points, np.zeros(0, bool)
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, None, **_FLOW)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, **_FLOW)
    sure = (found.ravel() == 1) & (returned.ravel() == 1)
    sure &= np.linalg.norm(back - points, axis=1) < _ROUND_TRIP
    return there, sure


def background_motion(pictures: Sequence[Grey]) -> float | None:
    """Measure how far the background lies from where it was in the first picture.

    Args:
        pictures: at least one, (H, W) each.

    Returns:
        Mean over the later pictures of the median distance of the corners from their places in
        the first, in pixels; None where too few corners can be followed.
    """
    start = here = find_corners(pictures[0])
    medians: list[float] = []
    for before, after in pairwise(pictures):
        there, sure = track(before, after, here)
        start, here = start[sure], there[sure]
        if len(here) < _FEWEST:
            return None
        medians.append(float(np.median(np.linalg.norm(here - start, axis=1))))
    return float(np.mean(medians)) if medians else 0.0


def square_motion(squares: Sequence[Frames], size: int) -> float | None:
    """Measure the background motion of squares, in pixels of a clip of them.

    Args:
        squares: (S, S, 3) each, S at least `size`.
        size: of the clip's side, in pixels. Tracked at twice that, where there is as much.
    """
    side = min(2 * size, len(squares[0]))
    small = [
        s if len(s) == side else cv2.resize(s, (side, side), interpolation=cv2.INTER_AREA)
        for s in squares
    ]
    found = background_motion([grey(s) for s in small])
    return None if found is None else found * size / side
