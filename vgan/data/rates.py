"""The frame rate of a video: as its file declares it, or as the times of its frames show it."""

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

# Screen recorders declare 1000, or nothing: they count milliseconds and mean no rate at all. A
# camera that is faster than this loses nothing by being measured.
_HIGHEST_BELIEVED = 240
_MOST_FRAMES_OFF = 1.5  # a frame that a camera missed is one; `vgan-eval init` has the same limit


def frame_rate(path: Path, stream: Any) -> float | None:
    """Return the mean frames per second; None where neither header nor times tell.

    Args:
        path: of the video; read to its end, undecoded, where the header is not to be believed.
        stream: PyAV's, of the opened video.
    """
    declared = stream.average_rate
    if declared and 0 < declared <= _HIGHEST_BELIEVED:
        return float(declared)
    rate = _measured(path, stream.index) or declared
    return float(rate) if rate and rate > 0 else None


def rate_varies(moments: Sequence[float]) -> bool:
    """Tell whether frames are shown far from where a steady clock would show them.

    Args:
        moments: seconds from the first frame to each, that one included; never falling.
    """
    # Their own clock and not the declared one, whose last digit is frames in an hour of video.
    rate = (len(moments) - 1) / moments[-1] if moments and moments[-1] else 0.0
    return any(
        abs(moment * rate - n) > _MOST_FRAMES_OFF for n, moment in enumerate(moments) if rate
    )


def _measured(path: Path, index: int) -> Fraction | None:
    """Return the frames per second between the first and the last; None where that is no time."""
    moments: list[int] = []
    base = None
    with suppress(av.FFmpegError), av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams[index]
        base = stream.time_base
        for packet in container.demux(stream):  # breaks off where the file does; decoding tells
            moment = packet.dts if packet.pts is None else packet.pts
            if packet.size and moment is not None and not packet.is_discard:
                moments.append(moment)
    span = max(moments) - min(moments) if moments else 0
    return (len(moments) - 1) / (span * base) if span and base else None
