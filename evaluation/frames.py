"""Reading a clip's frames, and writing clips without loss: the one video door of `evaluation`.

A file is what its first bytes say, not what its name says: browsers and platforms trust neither.
This is PyAV, imageio's video plugin, without imageio: that collects garbage whenever it closes a
file, which made reading a small clip take 30 ms instead of 5, and 100 in a large program.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence

from evaluation.errors import ClipError
from evaluation.storage import write_atomic

Frames = NDArray[np.uint8]

_MP4 = (b"ftyp", 4)
_VIDEOS = {
    ".mp4": _MP4, ".m4v": _MP4, ".mov": _MP4,
    ".webm": (b"\x1aE\xdf\xa3", 0), ".mkv": (b"\x1aE\xdf\xa3", 0), ".avi": (b"RIFF", 0),
}  # fmt: skip
_IMAGES = {
    ".gif": (b"GIF8", 0), ".png": (b"\x89PNG", 0), ".webp": (b"WEBP", 8),
    ".jpg": (b"\xff\xd8\xff", 0), ".jpeg": (b"\xff\xd8\xff", 0),
}  # fmt: skip
SUFFIXES = frozenset(_VIDEOS | _IMAGES)


class ClipInfo(NamedTuple):
    """What a clip is: frames, frames per second, width and height in pixels."""

    frames: int
    fps: float
    width: int
    height: int


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, IndexError, SyntaxError, EOFError, av.FFmpegError) as error:
        raise ClipError(f"{path}: damaged or cut short; replace or remove it") from error


def _check_content(path: Path) -> None:
    suffix = path.suffix.lower()
    known = _VIDEOS | _IMAGES
    if suffix not in known:
        raise ClipError(f"{path}: not a clip; known are {', '.join(sorted(known))}")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise ClipError(f"{path}: cannot be read ({error.strerror})") from None
    if not head:
        raise ClipError(f"{path}: the file is empty; replace or remove it")
    magic, offset = known[suffix]
    if head[offset : offset + len(magic)] == magic:
        return
    actual = [s for s, (m, o) in known.items() if head[o : o + len(m)] == m]
    if actual:
        raise ClipError(f"{path}: it is a {actual[0]} file by another name; rename or convert it")
    raise ClipError(f"{path}: its content is not what its name says; replace it")


def read_frames(path: Path) -> tuple[Frames, float]:
    """Decode a whole clip.

    Args:
        path: a video, an animation, or a still image (one frame).

    Returns:
        Frames, uint8 (T, H, W, 3), RGB; and frames per second (1 for a still image).

    Raises:
        ClipError: missing, damaged, cut short, or not what its name says.
    """
    _check_content(path)
    with _readable(path):
        if path.suffix.lower() in _IMAGES:
            frames, fps = _read_image(path)
        else:
            frames, fps = _read_video(path)
    if frames.ndim != 4 or not len(frames):
        raise ClipError(f"{path}: holds no frames; replace or remove it")
    return frames, fps


def _read_video(path: Path) -> tuple[Frames, float]:
    convert = VideoReformatter()  # one for all frames, and freed with this call
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        # Whole clips are read side by side; threads within a small one cost more than they give.
        stream.thread_type = "AUTO" if stream.width * stream.height > 640 * 480 else "NONE"
        fps = float(stream.average_rate or 0)
        promised = _promised_frames(container, fps)
        frames = [
            # Phones store an upright video lying down, with a note to turn it.
            np.rot90(
                convert.reformat(frame, format="rgb24").to_ndarray(), round(frame.rotation / 90) % 4
            )
            for frame in container.decode(stream)
        ]
    # Containers may count a frame or two that no decoder shows; a cut file lacks many.
    if not fps or len(frames) < 0.9 * promised - 1:
        raise ClipError(
            f"{path}: cut short, {len(frames)} of {promised} frames can be read; replace it"
        )
    return (np.stack(frames) if frames else np.empty((0, 0, 0, 3), np.uint8)), fps


def _promised_frames(container: InputContainer, fps: float) -> int:
    """How many frames the file's header says it has; 0 where it does not say."""
    counted = int(container.streams.video[0].frames)
    if counted or not container.duration:
        return counted
    seconds = container.duration / av.time_base
    alone = len(container.streams) == 1
    # Sound may run on after the last frame, but hardly for as long as the pictures did.
    return round((seconds if alone else 0.6 * seconds) * fps)


def _read_image(path: Path) -> tuple[Frames, float]:
    with Image.open(path) as image:
        duration_ms = float(image.info.get("duration") or 0)
        turned = [ImageOps.exif_transpose(frame) for frame in ImageSequence.Iterator(image)]
        frames = np.stack([np.asarray(frame.convert("RGB")) for frame in turned])
    return frames, 1000 / duration_ms if len(frames) > 1 and duration_ms else 1.0


def clip_info(path: Path) -> ClipInfo:
    """Decode a clip and return what it is; a file that cannot be decoded never enters a study.

    Raises:
        ClipError: see `read_frames`.
    """
    frames, fps = read_frames(path)
    return ClipInfo(len(frames), fps, frames.shape[2], frames.shape[1])


def write_frames(path: Path, frames: Frames, fps: float) -> None:
    """Write a clip from which `read_frames` gives back the very same pixels.

    Args:
        path: ends in .mp4, or in .png for a single frame.
        frames: uint8 (T, H, W, 3), RGB.
        fps: frames per second.

    Raises:
        ClipError: the disk is full, or the folder cannot be written.
        EvaluationError: likewise, for a still image.
    """
    if path.suffix == ".png":
        buffer = io.BytesIO()
        Image.fromarray(frames[0]).save(buffer, "PNG")
        write_atomic(path, buffer.getvalue())
        return
    temporary = path.with_name(f".{path.name}.part.mp4")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _encode_lossless(temporary, frames, fps)
        temporary.replace(path)
    except (OSError, av.FFmpegError) as error:
        raise ClipError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _encode_lossless(path: Path, frames: Frames, fps: float) -> None:
    rate: Any = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        # H.264 in RGB at quantiser 0 loses nothing; one thread, because their number changes bytes.
        options = {"qp": "0", "preset": "veryfast", "threads": "1"}
        stream: Any = container.add_stream("libx264rgb", rate=rate, options=options)
        stream.pix_fmt = "rgb24"
        stream.height, stream.width = frames.shape[1:3]
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
