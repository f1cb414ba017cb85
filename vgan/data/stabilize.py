"""Take the camera's motion out of a clip, so that what is still stands still.

Every frame is laid on the clip's first one; what its warped picture does not cover is kept from
the frame before. `similarity` (rotation, translation, scale: the model the paper names) and
`homography` are ours; `paper` repeats the authors' procedure, `paper_stabilizer.py`.

Ours is quicker for two reasons. Features are sought on a picture of 128 lines (half as many
again where there are few): doubled inside SIFT, that still places them within a fraction of a pixel
of a 64-pixel clip. And a camera that stands
still is noticed by tracking a few corners; its frames come through untouched. It drifts less
because a frame is laid on the first frame directly, by way of another only when the two no longer
have enough in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vgan.data.opencv import cv2
from vgan.data.registration import (
    Alignment,
    Features,
    Grey,
    Points,
    Transform,
    estimate_homography,
    estimate_similarity,
    find_features,
    grey,
    match_features,
    move_points,
)
from vgan.data.residual import find_corners, track
from vgan.data.videos import Frames
from vgan.errors import DataError

_EDGE = 3  # outermost pixels that are not shown: often black, or blended with black
MODELS = {"similarity": estimate_similarity, "homography": estimate_homography}


class UnstableError(DataError):
    """A clip cannot be stabilised; the message is the reason."""


@dataclass(frozen=True)
class Tuning:
    """When frames count as aligned. Lengths are shares of a frame's shorter side.

    Args:
        feature_side: shorter side of the picture that features are sought on, in pixels.
        enough: with fewer features in the first frame, a picture half as large again is taken.
        features: at most so many per frame, the strongest.
        ratio: of Lowe's test.
        matches: that must agree on the transform, at least.
        agreement: how far a match may be off and still agree.
        error: how far the typical match may be off (median over all matches).
        covered: share of the square that a frame must cover after it is moved.
        still: motion of the typical corner under which the camera counts as standing still.
        strong: with fewer agreeing matches than this, the frame before is tried too.
    """

    feature_side: int = 128
    enough: int = 100
    features: int = 400
    ratio: float = 0.7
    matches: int = 10
    agreement: float = 0.01
    error: float = 0.01
    covered: float = 0.5
    still: float = 0.0008
    strong: int = 30


DEFAULT_TUNING = Tuning()


class _Reference:
    """A frame that later ones are laid on: its features, and how it lies on the first frame."""

    def __init__(self, picture: Grey, limit: int) -> None:
        self.picture, self._limit = picture, limit
        self.transform: Transform = np.eye(3)

    @cached_property
    def features(self) -> Features:
        """Found when they are first needed, and once."""
        return find_features(self.picture, self._limit)


class CameraPath:
    """Where the camera has gone since the first frame, frame by frame.

    Args:
        first: the clip's first frame, (H, W, 3).
        model: one of `MODELS`.
        tuning: limits.
    """

    def __init__(self, first: Frames, model: str, tuning: Tuning = DEFAULT_TUNING) -> None:
        self._fit = MODELS[model]
        self._tuning = tuning
        self._start = first
        self._begin(min(1.0, tuning.feature_side / min(first.shape[:2])))
        self._corners: Points = find_corners(self._first.picture)
        self._still = True
        self._count = 1

    def _begin(self, scale: float) -> None:
        """Start from the first frame with pictures of a scale."""
        self._scale = scale
        self._first = _Reference(self._small(self._start), self._tuning.features)
        self._side = min(self._first.picture.shape)
        self._anchor = self._latest = self._first

    def _moves(self) -> None:
        """Note that the camera moves: features are needed, and on a picture that has enough."""
        self._still = False
        while self._scale < 1 and len(self._first.features.points) < self._tuning.enough:
            self._begin(min(1.0, 1.5 * self._scale))

    def _small(self, frame: Frames) -> Grey:
        if self._scale == 1:
            return grey(frame)
        height, width = (max(1, round(n * self._scale)) for n in frame.shape[:2])
        small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        return grey(small)

    def follow(self, frame: Frames) -> Transform:
        """Return the (3, 3) transform from the next frame's pixels to the first frame's.

        Raises:
            UnstableError: the frame cannot be laid on the others; the message says why.
        """
        self._count += 1
        if self._still:
            if self._stands_still(self._small(frame)):
                return np.eye(3)
            self._moves()
        frame_now = _Reference(self._small(frame), self._tuning.features)
        frame_now.transform = self._lay(frame_now)
        self._latest = frame_now
        return self._full_size(frame_now.transform, frame)

    def _full_size(self, transform: Transform, frame: Frames) -> Transform:
        # Pixel centres: the middle of the first pixel is 0 here and in OpenCV, (scale - 1) / 2 of
        # a small picture seen from a large one.
        height, width = self._first.picture.shape
        across, down = frame.shape[1] / width, frame.shape[0] / height
        grow = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])
        return np.asarray(grow @ transform @ np.linalg.inv(grow), np.float64)

    def _stands_still(self, picture: Grey) -> bool:
        there, sure = track(self._first.picture, picture, self._corners)
        if not len(sure) or 2 * sure.sum() < len(self._corners):
            return False
        # The median vector, not length: noise has a length too, but no direction.
        moved = np.abs(np.median((there - self._corners)[sure], axis=0)).max()
        turned = np.median(np.linalg.norm((there - self._corners)[sure], axis=1))
        limit = self._tuning.still * self._side
        return bool(moved < limit and turned < 2 * limit)

    def _lay(self, now: _Reference) -> Transform:
        """Lay a frame on the anchor, or on the frame before, which then is the anchor."""
        found = self._align(now, self._anchor)
        weak = isinstance(found, str) or found.inliers < self._tuning.strong
        if weak and self._latest is not self._anchor:
            other = self._align(now, self._latest)
            if _agreeing(other) > _agreeing(found):
                found, self._anchor = other, self._latest
        if isinstance(found, str):
            raise UnstableError(f"{found} (frame {self._count} of the clip)")
        return self._anchor.transform @ found.transform

    def _align(self, now: _Reference, anchor: _Reference) -> Alignment | str:
        """Return how `now` lies on `anchor`, or why that cannot be told."""
        need = self._tuning.matches
        fewest = min(len(now.features.points), len(anchor.features.points))
        if fewest < need:
            return f"too few features to follow the camera: {fewest}, at least {need} are needed"
        source, target = match_features(now.features, anchor.features, self._tuning.ratio)
        if len(source) < need:
            return f"too few matches: {len(source)} features, at least {need} are needed"
        found = self._fit(source, target, self._tuning.agreement * self._side)
        if found is None or found.inliers < need:
            agree = found.inliers if found else 0
            return f"too few matches: {agree} of {len(source)} features agree on one motion"
        if found.error > self._tuning.error * self._side:
            return (
                f"the reprojection error is too large: {100 * found.error / self._side:.1f} % of "
                f"the frame's shorter side, at most {100 * self._tuning.error:g} % is allowed"
            )
        return found


def _agreeing(found: Alignment | str) -> int:
    return 0 if isinstance(found, str) else found.inliers


def centre_crop(height: int, width: int, side: int) -> tuple[int, int]:
    """Return top and left of the centred square."""
    return (height - side) // 2, (width - side) // 2


def centre_squares(frames: Sequence[Frames]) -> list[Frames]:
    """Cut the largest centred square out of every frame."""
    height, width = frames[0].shape[:2]
    side = min(height, width)
    top, left = centre_crop(height, width, side)
    return [frame[top : top + side, left : left + side] for frame in frames]


def lay_over(composite: Frames, frame: Frames, transform: Transform, covered: float,
             ) -> Frames | None:  # fmt: skip
    """Warp a frame onto the first one and cut out the square; holes show the composite so far.

    Args:
        composite: (S, S, 3), the square of the frame before.
        frame: (H, W, 3).
        transform: from the frame's pixels to the first frame's.
        covered: share of the square that the frame must cover.

    Returns:
        The new composite, or None where the frame covers too little.
    """
    side = len(composite)
    height, width = frame.shape[:2]
    top, left = centre_crop(height, width, side)
    onto: Transform = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]]) @ transform
    warped = cv2.warpPerspective(
        frame, onto, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    back: Transform = np.linalg.inv(onto).astype(np.float64)
    seen = move_points(back, corners)
    if seen.min() >= _EDGE and (seen <= [width - _EDGE, height - _EDGE]).all():
        return np.asarray(warped, np.uint8)
    inside = np.zeros((height, width), np.uint8)
    inside[_EDGE:-_EDGE, _EDGE:-_EDGE] = 1
    mask = cv2.warpPerspective(inside, onto, (side, side), flags=cv2.INTER_NEAREST).astype(bool)
    if mask.mean() < covered:
        return None
    return np.where(mask[..., None], warped, composite).astype(np.uint8)


def stabilize_clip(frames: Sequence[Frames], model: str) -> list[Frames]:
    """Lay every frame of a clip on its first and cut out the centre square.

    Args:
        frames: (H, W, 3) each, square pixels.
        model: `similarity` or `homography`.

    Returns:
        The squares, (S, S, 3) with S the shorter side; the first is the first frame's, unchanged.

    Raises:
        UnstableError: a frame cannot be laid on the first one, or shows too little of what that
            one showed; the message says which and why.
    """
    plain = centre_squares(frames)
    squares = plain[:1]
    path, covered = CameraPath(frames[0], model), DEFAULT_TUNING.covered
    for number, frame in enumerate(frames[1:], 2):
        transform = path.follow(frame)
        if np.array_equal(transform, np.eye(3)):
            squares.append(plain[number - 1])
            continue
        square = lay_over(squares[-1], frame, transform, covered)
        if square is None:
            raise UnstableError(
                f"the camera turned away: frame {number} shows less than {covered:.0%} of "
                "the first one's square"
            )
        squares.append(square)
    return squares
