"""Reading a clip's frames, and writing clips without loss: the one video door of `evaluation`.

A file is what its first bytes say, not what its name says: browsers and platforms trust neither.
This is PyAV, imageio's video plugin, without imageio: that collects garbage whenever it closes a
file, which made reading a small clip take 30 ms instead of 5, and 100 in a large program.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence

from evaluation.errors import ClipError
from evaluation.files import part_of, write_atomic
from evaluation.media.colours import check_colours
from evaluation.media.steady import MOST_FRAMES_OFF, steady_rate

Frames = NDArray[np.uint8]
Kept = Callable[[Frames], Frames]  # what is kept of a picture

_MP4 = (b"ftyp", 4)
# QuickTime is older than the part that says what kind of file it is; these stand first there.
_MOV = ((b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"), 4)
_VIDEOS: dict[str, tuple[bytes | tuple[bytes, ...], int]] = {
    ".mp4": _MP4, ".m4v": _MP4, ".mov": _MOV,
    ".webm": (b"\x1aE\xdf\xa3", 0), ".mkv": (b"\x1aE\xdf\xa3", 0), ".avi": (b"RIFF", 0),
}  # fmt: skip
_IMAGES: dict[str, tuple[bytes | tuple[bytes, ...], int]] = {
    ".gif": (b"GIF8", 0), ".png": (b"\x89PNG", 0), ".webp": (b"WEBP", 8),
    ".jpg": (b"\xff\xd8\xff", 0), ".jpeg": (b"\xff\xd8\xff", 0),
}  # fmt: skip
VIDEO_SUFFIXES = frozenset(_VIDEOS)
SUFFIXES = frozenset(_VIDEOS | _IMAGES)
# Not read: few say how many frames they have, so one that was cut short could not be told.
OTHER_MEDIA = frozenset({
    ".3gp", ".apng", ".asf", ".avif", ".bmp", ".flv", ".heic", ".m2ts", ".m2v", ".mpeg", ".mpg",
    ".mts", ".mxf", ".ogv", ".tif", ".tiff", ".ts", ".vob", ".wmv", ".y4m",
})  # fmt: skip
_SEEN_STRETCHED = 0.01  # a pixel aspect nearer to 1 than this is left alone
_WIDEST_PIXEL = 4.0  # or as high; anamorphic formats stay below 2


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


def check_name(path: Path) -> None:
    """Refuse a name that is not text, which no database or page could hold.

    Raises:
        ClipError: the name is not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ClipError(f"{str(path)!r}: its name is not UTF-8; rename it") from None


def _check_content(path: Path) -> None:
    check_name(path)
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
    if head[offset:].startswith(magic):
        return
    actual = [s for s, (m, o) in known.items() if head[o:].startswith(m)]
    if actual:
        raise ClipError(f"{path}: it is a {actual[0]} file by another name; rename or convert it")
    raise ClipError(f"{path}: its content is not what its name says; replace it")


def read_frames(path: Path, kept: Kept = np.asarray) -> tuple[Frames, float]:
    """Decode a whole clip.

    Args:
        path: a video, an animation, or a still image (one frame).
        kept: called with every picture; the frames are made of what it returns.

    Returns:
        Frames, uint8 (T, H, W, 3), RGB; and frames per second (1 for a still image). A picture of
        an animation that stands for several frames is there as often.

    Raises:
        ClipError: missing, damaged, cut short, not what its name says, or an animation of a
            variable frame rate.
    """
    _check_content(path)
    with _readable(path):
        if path.suffix.lower() in _IMAGES:
            frames, fps = _read_image(path, kept)
        else:
            frames, fps = _read_video(path, kept)
    if frames.ndim != 4 or not len(frames):
        raise ClipError(f"{path}: holds no frames; replace or remove it")
    return frames, fps


def _read_video(path: Path, kept: Kept) -> tuple[Frames, float]:
    convert = VideoReformatter()  # one for all frames, and freed with this call
    # A title in an old encoding says nothing about the pictures.
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise ClipError(f"{path}: its codec is not known here; convert it to H.264 in MP4")
        # Whole clips are read side by side; threads within a small one cost more than they give.
        stream.thread_type = "AUTO" if stream.width * stream.height > 640 * 480 else "NONE"
        fps = float(stream.average_rate or 0)
        promised = _promised_frames(container, fps)
        aspect = _pixel_aspect(path, stream)
        frames = []
        for frame in container.decode(stream):
            width, height = _square_pixels(frame.width, frame.height, aspect)
            picture = convert.reformat(frame, format="rgb24", width=width, height=height)
            # Phones store an upright video lying down, with a note to turn it.
            frames.append(kept(np.rot90(picture.to_ndarray(), round(frame.rotation / 90) % 4)))
    # Containers may count a frame or two that no decoder shows; a cut file lacks many.
    if not fps or len(frames) < 0.9 * promised - 1:
        raise ClipError(
            f"{path}: cut short, {len(frames)} of {promised} frames can be read; replace it"
        )
    return _stacked(frames), fps


def _stacked(pictures: list[Frames]) -> Frames:
    """Stack pictures and let go of each: two copies of a long clip may fill a memory."""
    shape = pictures[0].shape if pictures else (0, 0, 3)
    stack = np.empty((len(pictures), *shape), np.uint8)
    for number, picture in enumerate(pictures):
        stack[number], pictures[number] = picture, stack[:0]
    return stack


def _pixel_aspect(path: Path, stream: Any) -> float:
    """Return a pixel's width over its height, in which anamorphic video differs from 1."""
    aspect = float(stream.sample_aspect_ratio or 1)
    if abs(aspect - 1) < _SEEN_STRETCHED:
        return 1.0
    if not 1 / _WIDEST_PIXEL < aspect < _WIDEST_PIXEL:
        raise ClipError(
            f"{path}: says that its pixels are {aspect:g} times as wide as high; convert it to "
            "square pixels"
        )
    return aspect


def _square_pixels(width: int, height: int, aspect: float) -> tuple[int, int]:
    """Return the size at which a picture looks right; the side that was squeezed grows."""
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def _promised_frames(container: InputContainer, fps: float) -> int:
    """How many frames the file's header says it shows; 0 where it does not say."""
    stream = container.streams.video[0]
    counted = int(stream.frames)
    if counted:
        return min(counted, _indexed_frames(stream) or counted)
    if not container.duration:
        return 0
    seconds = container.duration / av.time_base
    alone = len(container.streams) == 1
    # Sound may run on after the last frame, but hardly for as long as the pictures did.
    return round((seconds if alone else 0.6 * seconds) * fps)


def _indexed_frames(stream: Any) -> int:
    """How many frames the file's index shows; 0 where there is no index, or not all of one.

    A count in the header takes in what an edit list leaves out of an MP4, and the empty frames of
    an AVI. An AVI's index stands last, so that a file that was cut short has lost it.
    """
    entries = getattr(stream, "index_entries", ())  # older versions of PyAV do not tell
    shown = [entry for entry in entries if entry.size and not entry.is_discard]
    reaches_end = shown and shown[-1].timestamp >= 0.9 * (stream.duration or float("inf"))
    return len(shown) if reaches_end else 0


def _read_image(path: Path, kept: Kept) -> tuple[Frames, float]:
    with Image.open(path) as image:
        # An APNG's default image is for programs that cannot play it, and not part of it.
        first = 1 if getattr(image, "default_image", False) else 0
        pictures, durations_ms = [], []
        for frame in islice(ImageSequence.Iterator(image), first, None):
            pictures.append(kept(_rgb(ImageOps.exif_transpose(frame))))
            durations_ms.append(float(frame.info.get("duration") or 0))  # known once it is decoded
    frames = _stacked(pictures)
    if len(frames) == 1:
        return frames, 1.0
    times, fps = steady_rate(path, np.array(durations_ms))
    return np.repeat(frames, times, axis=0), fps


def _rgb(image: Image.Image) -> Frames:
    """Return a picture's pixels: 16-bit grey in 8 bits, and what is transparent on white."""
    if image.mode.startswith("I"):  # Pillow's own conversion would clip it
        levels = (np.asarray(image, np.float32) / 257 + 0.5).clip(0, 255).astype(np.uint8)
        return np.repeat(levels[..., None], 3, axis=-1)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))


def clip_info(path: Path) -> ClipInfo:
    """Decode a clip and return what it is; a file that cannot be decoded never enters a study.

    Raises:
        ClipError: see `read_frames`; or a video of a variable frame rate, or HDR.
    """
    sizes = set()

    def corner(picture: Frames) -> Frames:
        sizes.add(picture.shape)
        return picture[:1, :1].copy()  # all cores read, and whole clips of each fill a memory

    frames, fps = read_frames(path, corner)
    if len(sizes) > 1:
        raise ClipError(f"{path}: its pictures differ in size; convert it to one size")
    if path.suffix.lower() in _VIDEOS:
        _check_video(path, fps)
    height, width, _ = sizes.pop()
    return ClipInfo(len(frames), fps, width, height)


def _check_video(path: Path, fps: float) -> None:
    """Refuse a video that would have wrong colours, or go at its mean rate where that varies."""
    with _readable(path), av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        check_colours(path, stream.codec_context)
        shown = sorted(
            float(packet.pts * packet.time_base) * fps
            for packet in container.demux(stream)
            if packet.pts is not None and not packet.is_discard
        )
    off = max((abs(at - shown[0] - number) for number, at in enumerate(shown)), default=0.0)
    if off > MOST_FRAMES_OFF:
        raise ClipError(
            f"{path}: its frame rate varies: at its mean of {fps:g} frames per second some would "
            f"be shown {1000 * off / fps:.0f} ms early or late; convert it to a constant one "
            f"(ffmpeg -i IN -vf fps={fps:.0f} -crf 0 OUT.mp4)"
        )


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
    temporary = part_of(path, ".mp4")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _encode_lossless(temporary, frames, fps)
        temporary.replace(path)
    except (OSError, av.FFmpegError) as error:
        raise ClipError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        with suppress(OSError):  # the first failure is the one to tell
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
