"""The colours of a decoded frame as they are meant; those that cannot be shown are refused."""

from pathlib import Path
from typing import Any

import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from vgan.errors import DataError

# From this size on players take video that does not say what its colours are as BT.709, below as
# BT.601; FFmpeg's scaler takes all of it as BT.601.
_HD_WIDTH, _HD_HEIGHT = 1280, 720
# FFmpeg's numbers.
_UNSPECIFIED = 2
_BT2020_PRIMARIES = 9
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
# Needs FFmpeg with its zscale filter, which the one that comes with PyAV lacks.
_TO_SDR = (
    "ffmpeg -i IN -vf zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,"
    "tonemap=mobius:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p OUT.mp4"
)


def check_colours(path: Path, context: Any) -> None:
    """Raise DataError where a video's colours would come out wrong: pale and grey, if HDR.

    Args:
        path: of the video.
        context: PyAV's codec context of the stream.
    """
    transfer = _HDR_TRANSFERS.get(context.color_trc)
    if transfer is None and context.color_primaries != _BT2020_PRIMARIES:
        return
    what = f"HDR ({transfer})" if transfer else "of the wide colours of BT.2020"
    raise DataError(f"{path}: is {what}: convert it to SDR first ({_TO_SDR})")


def to_rgb(frame: Any) -> NDArray[np.uint8]:
    """Return a PyAV frame as it is meant to be seen: (H, W, 3) RGB, upright."""
    if frame.format.name == "gbrp":
        pixels: NDArray[np.uint8] = frame.to_ndarray()
    else:
        high_definition = frame.width >= _HD_WIDTH or frame.height >= _HD_HEIGHT
        untagged = high_definition and frame.colorspace == _UNSPECIFIED
        meant = Colorspace.ITU709 if untagged else None
        pixels = frame.to_ndarray(format="rgb24", src_colorspace=meant)
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels
