"""The authors' stabiliser, constant by constant: `vgan ingest --stabilize paper`.

SIFT on the full-size frame, every frame matched to the one before, homographies multiplied up to
the clip's first frame. Slow and prone to drift; here for reproduction and as the yardstick of
`benchmarks/stabilize.py`.

Source:
    https://github.com/cvondrick/videogan at 88c0c4d, extra/stabilize_videos_many.py. Departures:
    exact nearest neighbours by OpenCV's brute-force matcher (the script asks FLANN for index type
    0, which is its linear search, so the neighbours are the same); a homography that cannot be
    computed fails the clip (the script crashes); after a failed clip the next one starts with the
    next window of frames (there, with the next frame).
"""

from collections.abc import Callable, Sequence

import numpy as np

from vgan.data.opencv import cv2
from vgan.data.registration import (
    Features,
    Points,
    Transform,
    estimate_homography,
    find_features,
    grey,
    match_features,
)
from vgan.data.stabilize import UnstableError, centre_crop
from vgan.data.videos import Frames

Matcher = Callable[[Features, Features, float], tuple[Points, Points]]

_MATCHES = 10
_RATIO = 0.7
_AGREEMENT = 5.0  # pixels of the full-size frame
_ERODED = np.ones((5, 5), np.uint8)


def process(picture: Frames, side: int) -> Frames:
    """Scale a picture's shorter side to `side` and cut out the centre square.

    Bilinear without smoothing, as the script does.
    """
    height, width = picture.shape[:2]
    scale = side / min(height, width)
    small = cv2.resize(picture, (int(width * scale + 1e-9), int(height * scale + 1e-9)))
    top, left = centre_crop(small.shape[0], small.shape[1], side)
    return np.asarray(small[top : top + side, left : left + side], np.uint8)


def _step(now: Features, before: Features, number: int, match: Matcher) -> Transform:
    """Return the homography from a frame to the one before it."""
    source, target = match(now, before, _RATIO)
    if len(source) < _MATCHES:
        raise UnstableError(
            f"too few matches: {len(source)} features, at least {_MATCHES} are needed "
            f"(frame {number} of the clip)"
        )
    found = estimate_homography(source, target, _AGREEMENT)
    if found is None:
        raise UnstableError(f"no homography fits the matches (frame {number} of the clip)")
    return found.transform


def _compose(frame: Frames, transform: Transform, composite: Frames) -> Frames | None:
    """Blend the warped frame over the composite; None where it left the square."""
    height, width = frame.shape[:2]
    mask = np.full((height, width, 3), 255, np.uint8)
    mask = cv2.warpPerspective(mask, transform, (width, height))
    mask = cv2.erode(mask // 255, _ERODED, iterations=1) * 255
    share = process(mask, len(composite)).astype(np.float64) / 255
    if not share.any():
        return None
    warped = process(cv2.warpPerspective(frame, transform, (width, height)), len(composite))
    # The script keeps fractions from frame to frame and rounds when it writes; so does `squares`.
    return np.asarray(composite * (1 - share) + warped * share)


def stabilize_as_paper(
    frames: Sequence[Frames],
    side: int = 128,
    fewest: int = 16,
    match: Matcher = match_features,
) -> list[Frames]:
    """Stabilise one clip.

    Args:
        frames: full-size frames, (H, W, 3) each; the authors read 34 for a clip of 32.
        side: of the result, in pixels.
        fewest: frames there must be when the picture leaves the square.
        match: features of two frames.

    Returns:
        Squares, (side, side, 3); fewer than there are frames where the picture left the square.

    Raises:
        UnstableError: too few matches, or the picture left the square too soon.
    """
    composite = process(frames[0], side)
    squares = [composite]
    before = find_features(grey(frames[0]))
    whole: Transform = np.eye(3)
    for number, frame in enumerate(frames[1:], 2):
        now = find_features(grey(frame))
        whole = whole @ _step(now, before, number, match)
        laid = _compose(frame, whole, composite)
        if laid is None:
            break
        squares.append(laid)
        composite, before = laid, now
    if len(squares) < fewest:
        raise UnstableError(
            f"the picture left the square after {len(squares)} frames, {fewest} are needed"
        )
    return [np.floor(np.asarray(s, np.float64) + 0.5).astype(np.uint8) for s in squares]
