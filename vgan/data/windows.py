"""A video as windows: runs of as many frames as a clip takes, on a steady clock, in one shot.

Frames are made small as soon as they are decoded, so memory holds one window however long or
large the video (the authors' stabiliser, which wants full-size frames, excepted).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vgan.data.framing import area_average, centre_square, longest_hold, resample
from vgan.data.making import CutSettings
from vgan.data.shots import label_shots
from vgan.data.videos import Frames, VideoInfo, iter_timed_frames, video_info
from vgan.errors import DataError

PAPER_SKIPPED = 2  # frames at the start of a video, in the authors' stabiliser
# A clip is stabilised on frames four times its size: what is then lost by resampling them is lost
# again in the shrinking.
_FINER = 4
_FINE_ENOUGH = 256


@dataclass(frozen=True)
class Window:
    """Consecutive frames of one shot.

    Args:
        start: number of the first frame in the video, from 0.
        frames: (H, W, 3) each, as `CutSettings.stabilize` wants them.
    """

    start: int
    frames: list[Frames]


@dataclass
class OpenVideo:
    """A video that is being cut.

    Args:
        fps: of its clips.
        windows: to iterate over, once.
        shots: so far.
        longest: frames in the longest shot so far.
        moments: seconds from the first frame to each so far.
    """

    fps: float
    windows: Iterator[Window] = field(default_factory=lambda: iter(()))
    shots: int = 0
    longest: int = 0
    moments: list[float] = field(default_factory=list)


def shrinker(path: Path, info: VideoInfo, settings: CutSettings) -> Callable[[Frames], Frames]:
    """Return what is done to every frame as soon as it is decoded.

    Raises:
        DataError: the video is smaller than a clip.
    """
    rows, columns = centre_square(info.height, info.width, info.pixel_aspect)
    if min(rows.stop - rows.start, columns.stop - columns.start) < settings.size:
        raise DataError(
            f"{path}: is {info.width}x{info.height}, smaller than {settings.size}x{settings.size}"
        )
    if settings.stabilize == "none":
        return lambda frame: area_average(frame[rows, columns], settings.size)
    height, width = info.height, round(info.width * info.pixel_aspect)
    if settings.stabilize != "paper":
        finer = max(2, min(_FINER, _FINE_ENOUGH // settings.size))
        scale = min(1.0, finer * settings.size / min(height, width))
        height, width = round(height * scale), round(width * scale)
    return lambda frame: _resized(frame, height, width)


def _resized(frame: Frames, height: int, width: int) -> Frames:
    if frame.shape[:2] == (height, width):
        return frame
    import cv2  # a folder that needs no stabilising is cut without OpenCV

    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def open_video(path: Path, settings: CutSettings) -> OpenVideo:
    """Open a video for cutting.

    Raises:
        DataError: the file is not a video, is smaller than a clip, or tells no rate and none was
            given; while iterating over its windows, that it breaks off.
    """
    info = video_info(path)
    shrink = shrinker(path, info, settings)
    fps = settings.fps or info.fps
    if fps is None:
        raise DataError(f"{path}: states no frame rate: give --fps")
    opened = OpenVideo(fps)
    shots = label_shots(_small(path, shrink, opened), longest_hold(fps))
    ticks = resample(shots, fps, info.fps or fps)
    opened.windows = _windows(ticks, opened, settings)
    return opened


def _small(
    path: Path, shrink: Callable[[Frames], Frames], opened: OpenVideo
) -> Iterator[tuple[float, Frames]]:
    """Yield every frame, small, with its moment, which is noted in `opened`."""
    for seconds, frame in iter_timed_frames(path):
        opened.moments.append(seconds)
        yield seconds, shrink(frame)


def _windows(
    ticks: Iterator[tuple[int, tuple[int, Frames]]], opened: OpenVideo, settings: CutSettings
) -> Iterator[Window]:
    """Group ticks into windows, counting in `opened`; none holds frames of two shots."""
    skipped = PAPER_SKIPPED if settings.stabilize == "paper" else 0
    now, length = -1, 0
    starts: list[int] = []
    frames: list[Frames] = []

    def window() -> Iterator[Window]:
        if len(frames) >= settings.fewest:
            yield Window(starts[0], frames.copy())
        frames.clear()
        starts.clear()

    for number, (shot, frame) in ticks:
        if number < skipped:
            continue
        if shot != now:
            yield from window()
            now, length = shot, 0
            opened.shots += 1
        starts.append(number)
        frames.append(frame)
        length += 1
        opened.longest = max(opened.longest, length)
        if len(frames) == settings.longest:
            yield from window()
    yield from window()
