"""The one door for video files: imageio with its PyAV plugin.

Clips are written as lossless RGB H.264 in MP4, so that reading one gives back the bytes that were
drawn, cut or generated, and the same frames always make the same file. What looks like a video but
is not (a GIF renamed .mp4, a text file) or not whole (a truncated MP4) is refused by name.
"""

import gc
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from vgan.data.colours import check_colours, to_rgb
from vgan.data.files import write_atomic
from vgan.data.rates import frame_rate
from vgan.errors import DataError

Frames = NDArray[np.uint8]

# Lossless, quick, and one thread: x264's choice of threads would otherwise depend on the machine.
_LOSSLESS = {"qp": "0", "preset": "veryfast", "threads": "1"}
# A title in another encoding than UTF-8 is no reason to refuse the pictures.
_LENIENT: dict[str, Any] = {"metadata_errors": "replace"}
_STILL_CODECS = {"gif", "apng", "png", "webp", "bmp", "tiff"}
# Below this many pixels a frame decodes faster on one thread than threads take to start.
_SMALL_FRAME = 256 * 256
_FROZEN_AT_START = 1000  # Python 3.12 starts with some hundred frozen objects; a heap has more


@dataclass(frozen=True)
class Video:
    """A decoded video.

    Args:
        frames: (T, H, W, 3), uint8 RGB.
        fps: frames per second.
    """

    frames: Frames
    fps: float


@dataclass(frozen=True)
class VideoInfo:
    """What a video's header says.

    Args:
        width: of a frame as it is shown (after rotation), in pixels.
        height: of a frame as it is shown, in pixels.
        fps: mean frames per second; single frames may be held longer in a variable-rate video.
            None where neither the header nor the frames' times tell.
        frames: as declared; None where the container does not say.
        pixel_aspect: width of a pixel over its height, as shown; 1 for square pixels.
    """

    width: int
    height: int
    fps: float | None
    frames: int | None
    pixel_aspect: float


def _why_unreadable(path: Path) -> str:
    """Say what a file is that imageio cannot open as a video."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    if not head:
        return "is empty (0 bytes)"
    with suppress(av.FFmpegError), av.open(str(path), **_LENIENT) as container:
        if not container.streams.video:
            return "holds no video stream (sound only?)"
    if head[4:8] == b"ftyp":
        return "is a truncated or damaged MP4 (its index is missing): copy or encode it again"
    return "is not a video that can be read"


def _close(plugin: Any) -> None:
    """Close an imageio plugin without sweeping the whole heap for garbage, twice.

    Its `close` collects garbage for the sake of filter graphs, which are not used here, and its
    destructor closes again: 50 ms a clip once torch is loaded, ten times the decoding.
    """
    if gc.get_freeze_count() > _FROZEN_AT_START:
        plugin.close()
        return
    gc.freeze()
    try:
        plugin.close()
    finally:
        gc.unfreeze()
    plugin.close = lambda: None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a video for reading, or raise DataError saying why that is impossible."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not a video")
    try:
        reader: Any = iio.imopen(path, "r", plugin="pyav", **_LENIENT)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, av.FFmpegError) as error:
        if isinstance(error, PermissionError):
            raise DataError(f"{path}: may not be read (permission denied)") from None
        raise DataError(f"{path}: {_why_unreadable(path)}") from None
    try:
        context = reader._video_stream.codec_context
        if context is None:
            raise DataError(f"{path}: is of a codec that FFmpeg does not know: convert it first")
        codec = context.name
        container = reader._container.format.name
        if codec in _STILL_CODECS or container in {"gif", "image2"} or container.endswith("_pipe"):
            kind = {"gif": "a GIF", "png": "a PNG"}.get(codec, "a still image or animation")
            raise DataError(f"{path}: is {kind}, not a video: convert it to MP4 first")
        check_colours(path, context)
        yield reader
    finally:
        _close(reader)


@dataclass
class _Tally:
    """What has been read of a video.

    Args:
        packets: that hold something.
        due: of these, those that are shown; an edit list (a trimmed MP4) hides the others.
        ticks: of the container's clock, to the end of the last packet.
        frames: decoded.
    """

    packets: int = 0
    due: int = 0
    ticks: int = 0
    frames: int = 0

    def add(self, packet: Any) -> None:
        """Count a packet."""
        if packet.size:
            self.packets += 1
            self.due += not packet.is_discard
            self.ticks = max(self.ticks, (packet.dts or 0) + 1)


def _check_whole(path: Path, reader: Any, tally: _Tally) -> None:
    """Raise DataError where there is less in a video than its container declares."""
    stream = reader._video_stream
    declared, held = stream.frames, tally.packets
    container = reader._container.format.name
    if container == "avi":  # declares ticks; on some of them nothing may have been recorded
        held = tally.ticks
    elif container.startswith("mov"):  # what lies outside of an edit list is not in the index
        declared = min(declared, len(stream.index_entries))
    if held < declared:
        raise DataError(f"{path}: is truncated: it declares {declared} frames and holds {held}")
    if declared and tally.frames < tally.due:
        lost = tally.due - tally.frames
        raise DataError(f"{path}: is damaged: {lost} of its {tally.due} frames cannot be decoded")


def _decoded(path: Path, reader: Any) -> Iterator[Any]:
    """Yield PyAV frames; a stream that breaks off is an error that counts what was good."""
    # imageio's own iterator hides timestamps and rotation, and converting our planar RGB clips
    # through it takes six times as long; hence the plugin's container rather than `iter`.
    stream = reader._video_stream
    context = stream.codec_context
    if context.width * context.height <= _SMALL_FRAME:
        stream.thread_count = 1
    else:
        stream.thread_type = "AUTO"
    # FFmpeg paints over what it cannot decode, unless it is told to stop.
    context.options = {"err_detect": "explode"}
    tally = _Tally()
    try:
        for packet in reader._container.demux(stream):
            tally.add(packet)
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise DataError(f"{path}: is damaged at frame {tally.frames}")
                yield frame
                tally.frames += 1
    except av.FFmpegError:
        raise DataError(f"{path}: is damaged or truncated after frame {tally.frames}") from None
    if tally.frames == 0:
        raise DataError(f"{path}: holds no frames that can be read (truncated or damaged?)")
    _check_whole(path, reader, tally)


def video_info(path: Path) -> VideoInfo:
    """Read a video's size, rate and length from its header and first frame.

    Raises:
        DataError: the file is missing, not a video, or its first frame cannot be decoded.
    """
    with _opened(path) as reader:
        stream = reader._video_stream
        first = next(_decoded(path, reader))
        aspect = float(stream.sample_aspect_ratio or 1)
        sideways = round(first.rotation / 90) % 2 == 1
        return VideoInfo(
            width=first.height if sideways else first.width,
            height=first.width if sideways else first.height,
            fps=frame_rate(path, stream),
            frames=stream.frames or None,
            pixel_aspect=1 / aspect if sideways else aspect,
        )


def iter_timed_frames(path: Path) -> Iterator[tuple[float, Frames]]:
    """Yield every frame with the moment it is first shown, one frame in memory at a time.

    Yields:
        Seconds since the first frame, never falling (some recorders write times out of order),
        and the frame, (H, W, 3), uint8 RGB.

    Raises:
        DataError: the file is missing, not a video, or breaks off.
    """
    with _opened(path) as reader:
        # For frames without a time, as in a bare stream, which FFmpeg takes to be of 25 a second.
        fps = float(reader._video_stream.average_rate or 25)
        start: float | None = None
        latest = 0.0
        for index, frame in enumerate(_decoded(path, reader)):
            seconds = index / fps if frame.time is None else float(frame.time)
            start = seconds if start is None else start
            latest = max(latest, seconds - start)
            yield latest, to_rgb(frame)


def iter_frames(path: Path) -> Iterator[Frames]:
    """Yield every stored frame in order, (H, W, 3), uint8 RGB, one in memory at a time.

    Raises:
        DataError: the file is missing, not a video, or breaks off.
    """
    with _opened(path) as reader:
        for frame in _decoded(path, reader):
            yield to_rgb(frame)


def read_video(path: Path) -> Video:
    """Read a whole video into memory; meant for clips.

    Raises:
        DataError: the file is missing, not a video, or breaks off.
    """
    with _opened(path) as reader:
        frames = [to_rgb(frame) for frame in _decoded(path, reader)]
        fps = frame_rate(path, reader._video_stream)
    if fps is None:
        raise DataError(f"{path}: states no frame rate")
    return Video(np.stack(frames), fps)


def encode_clip(frames: Frames, fps: float) -> bytes:
    """Encode frames as a lossless RGB H.264 MP4; equal frames give equal bytes.

    Args:
        frames: (T, H, W, 3), uint8 RGB, T at least 1.
        fps: frames per second, positive.

    Raises:
        DataError: the array has another shape or type, or the rate is not positive.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not len(frames):
        raise DataError(
            f"a clip must be uint8 frames (T, H, W, 3), not {frames.dtype} {frames.shape}"
        )
    if not fps > 0:
        raise DataError(f"a clip's frame rate must be positive, not {fps}")
    buffer = io.BytesIO()
    writer: Any = iio.imopen(buffer, "w", plugin="pyav", extension=".mp4")
    try:
        writer.init_video_stream("libx264rgb", fps=float(fps), pixel_format="rgb24")
        # imageio takes no encoder options, and `qp 0` is what makes the stream lossless.
        writer._video_stream.options = _LOSSLESS
        for frame in frames:
            writer.write_frame(frame)
    finally:
        _close(writer)
    return buffer.getvalue()


def write_clip(path: Path, frames: Frames, fps: float) -> str:
    """Write frames as a lossless clip, whole or not at all, and return the file's SHA-256.

    Args:
        path: the .mp4 to write; its folder is made if it is missing.
        frames: (T, H, W, 3), uint8 RGB.
        fps: frames per second.

    Raises:
        DataError: the frames are not a clip, or the file cannot be written.
    """
    data = encode_clip(frames, fps)
    write_atomic(path, data)
    return hashlib.sha256(data).hexdigest()
