"""The colours of a video: those that a page would show pale are refused."""

from pathlib import Path

from av import VideoCodecContext

from evaluation.errors import ClipError

# FFmpeg's numbers.
_BT2020_PRIMARIES = 9
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
# How bright the whites become, and how much is bent, is a choice that is not made without a word.
# Needs FFmpeg with its zscale filter, which the one that comes with PyAV lacks.
_TO_SDR = (
    "ffmpeg -i IN -vf zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,"
    "tonemap=mobius:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p -crf 0 OUT.mp4"
)


def check_colours(path: Path, context: VideoCodecContext) -> None:
    """Refuse HDR and BT.2020: taken as BT.709, they are pale beside any other clip.

    Args:
        path: of the video.
        context: of its stream, opened.

    Raises:
        ClipError: it is HDR, or of BT.2020's colours.
    """
    transfer = _HDR_TRANSFERS.get(context.color_trc)
    if transfer is None and context.color_primaries != _BT2020_PRIMARIES:
        return
    what = f"HDR ({transfer})" if transfer else "of the wide colours of BT.2020"
    raise ClipError(f"{path}: is {what}: convert it to SDR ({_TO_SDR})")
