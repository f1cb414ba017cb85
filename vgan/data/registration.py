"""How one frame lies on another: SIFT features, their matches, and the transform between them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgan.data.opencv import cv2
from vgan.data.videos import Frames

Grey = NDArray[np.uint8]
Points = NDArray[np.float32]
Transform = NDArray[np.float64]


class Features(NamedTuple):
    """SIFT features of a frame.

    Args:
        points: (N, 2), x and y in pixels.
        descriptors: (N, 128).
    """

    points: Points
    descriptors: NDArray[np.float32]


class Alignment(NamedTuple):
    """A transform found between two frames.

    Args:
        transform: (3, 3), takes pixels of the one to pixels of the other.
        inliers: number of matches that agree with it.
        error: median distance between all matched points and where it takes them, in pixels; a
            few wrong matches leave it alone, a transform that explains less than half does not.
    """

    transform: Transform
    inliers: int
    error: float


def grey(frame: Frames) -> Grey:
    """Return the brightness of an RGB frame, (H, W)."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def find_features(picture: Grey, limit: int = 0) -> Features:
    """Find SIFT features with OpenCV's defaults.

    Args:
        picture: (H, W), uint8.
        limit: keep so many of the strongest; 0 keeps all.
    """
    keypoints, descriptors = cv2.SIFT_create(limit).detectAndCompute(picture, None)
    if descriptors is None:
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
    return Features(cv2.KeyPoint_convert(keypoints), descriptors)


def match_features(source: Features, target: Features, ratio: float) -> tuple[Points, Points]:
    """Match features by exact nearest neighbour and Lowe's ratio test.

    Args:
        source: of the one frame.
        target: of the other.
        ratio: a match is kept when it is closer than this share of the distance to the second
            nearest feature.

    Returns:
        Matched points of both, (N, 2) each.

    Source:
        Lowe, IJCV 2004, section 7.1.
    """
    if len(source.points) < 2 or len(target.points) < 2:
        return source.points[:0], target.points[:0]
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(source.descriptors, target.descriptors, k=2)
    good = [m for m, second in pairs if m.distance < ratio * second.distance]
    return source.points[[m.queryIdx for m in good]], target.points[[m.trainIdx for m in good]]


def estimate_similarity(source: Points, target: Points, threshold: float) -> Alignment | None:
    """Fit rotation, translation and one scale by RANSAC; None where nothing fits.

    Args:
        source: (N, 2), N at least 2.
        target: (N, 2), where the same points lie.
        threshold: distance in pixels up to which a match agrees.
    """
    found, agree = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=threshold
    )
    if found is None:
        return None
    return _aligned(np.vstack([found, [0, 0, 1]]), agree, source, target)


def estimate_homography(source: Points, target: Points, threshold: float) -> Alignment | None:
    """Fit a plane's perspective (8 numbers) by RANSAC; None where nothing fits.

    Args:
        source: (N, 2), N at least 4.
        target: (N, 2), where the same points lie.
        threshold: distance in pixels up to which a match agrees.
    """
    found, agree = cv2.findHomography(source, target, cv2.RANSAC, threshold)
    return None if found is None else _aligned(found, agree, source, target)


def _aligned(found: Transform, agree: NDArray[np.uint8], source: Points,
             target: Points) -> Alignment:  # fmt: skip
    off = np.linalg.norm(move_points(found, source) - target, axis=1)
    return Alignment(found, int(agree.sum()), float(np.median(off)))


def move_points(transform: Transform, points: Points) -> Points:
    """Return where a transform takes points, (N, 2)."""
    moved = np.column_stack([points, np.ones(len(points))]) @ transform.T
    return (moved[:, :2] / moved[:, 2:]).astype(np.float32)
