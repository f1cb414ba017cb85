"""From a window of frames to a clip: stabilise, shrink, and see whether there is anything in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vgan.data.framing import area_average
from vgan.data.videos import Frames

STABILIZERS = ("none", "similarity", "homography", "paper")


class ClipDroppedError(Exception):
    """A window of frames gives no clip; the message is the reason.

    Args:
        kind: `unstable`, `still` or `black`.
        why: goes on from "the clip".
    """

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


@dataclass(frozen=True)
class CutSettings:
    """How clips are cut.

    Args:
        fps: frames per second of the clips; None keeps each video's mean rate.
        frames: in each clip.
        size: of a clip's side, in pixels.
        stabilize: one of `STABILIZERS`.
        min_motion: mean change from frame to frame, in levels of 255, under which a clip is still.
        min_light: mean level of a clip, of 255, under which it is black.
    """

    fps: float | None
    frames: int
    size: int
    stabilize: str = "none"
    min_motion: float = 0.3
    min_light: float = 8.0

    @property
    def longest(self) -> int:
        """Frames that one clip is made from: the authors' stabiliser reads two more, unused."""
        return self.frames + 2 if self.stabilize == "paper" else self.frames

    @property
    def fewest(self) -> int:
        """Frames that are enough for a clip: with the authors' stabiliser, half; the last held."""
        return (self.frames + 1) // 2 if self.stabilize == "paper" else self.frames


@dataclass(frozen=True)
class Clip:
    """A clip and how it came about.

    Args:
        frames: (T, size, size, 3), uint8 RGB.
        measures: `motion_before` and `motion_after` where it was stabilised and they could be
            measured: how far the background lies from its place in the first frame, in pixels of
            the clip.
        before: the squares before stabilising, for a preview.
        after: the same after it.
    """

    frames: Frames
    measures: dict[str, float] = field(default_factory=dict)
    before: Sequence[Frames] = ()
    after: Sequence[Frames] = ()


def make_clip(window_frames: Sequence[Frames], settings: CutSettings) -> Clip:
    """Make a clip of a window.

    Args:
        window_frames: (H, W, 3) each: squares of the clips' size where nothing is stabilised.
        settings: how.

    Raises:
        ClipDroppedError: it cannot be stabilised, is black, or nothing moves.
    """
    if settings.stabilize == "none":
        clip = Clip(np.stack(list(window_frames)))
    else:
        clip = _stabilized(window_frames, settings)
    _check(clip.frames, settings)
    return clip


def _stabilized(frames: Sequence[Frames], settings: CutSettings) -> Clip:
    # OpenCV is needed here only.
    from vgan.data.opencv import cv2
    from vgan.data.paper_stabilizer import stabilize_as_paper
    from vgan.data.residual import square_motion
    from vgan.data.stabilize import UnstableError, centre_squares, stabilize_clip

    cv2.setNumThreads(1)  # videos, not pictures, are shared out over the cores
    try:
        if settings.stabilize == "paper":
            side = 2 * settings.size
            squares = stabilize_as_paper(frames, side, settings.fewest)[: settings.frames]
        else:
            squares = stabilize_clip(frames, settings.stabilize)
    except UnstableError as error:
        raise ClipDroppedError("unstable", str(error)) from None
    before = centre_squares(frames[: len(squares)])
    found = {
        "motion_before": square_motion(before, settings.size),
        "motion_after": square_motion(squares, settings.size),
    }
    small = [area_average(square, settings.size) for square in squares]
    small += small[-1:] * (settings.frames - len(small))
    measures = {name: round(pixels, 3) for name, pixels in found.items() if pixels is not None}
    return Clip(np.stack(small), measures, before, squares)


def motion(frames: Frames) -> float:
    """Mean change from frame to frame, in levels of 255; frames (T, H, W, 3), T at least 2."""
    return float(np.abs(np.diff(frames.astype(np.int16), axis=0)).mean())


def _check(frames: Frames, settings: CutSettings) -> None:
    light = float(frames.mean())
    if light < settings.min_light:
        raise ClipDroppedError("black", f"is black: mean level {light:.1f} of 255")
    if len(frames) > 1 and (moved := motion(frames)) < settings.min_motion:
        raise ClipDroppedError(
            "still", f"is still: {moved:.2f} levels of 255 change from frame to frame"
        )
