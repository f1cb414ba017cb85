"""What all clips of a study are made into, so that no side differs in size, rate or length."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from evaluation import schema
from evaluation.errors import UsageError
from evaluation.study import Display

SPRITE_LIMIT = 1_000_000  # bytes of the largest sheet
_SURELY_VIDEO = 8 * SPRITE_LIMIT  # raw bytes; lossless coding of moving pictures saves less
_MAX_SHEET = 8192  # pixels; what every browser can decode and draw
PNG = "image/png"
MP4 = "video/mp4"
Size = tuple[int, int]  # width and height in pixels


@dataclass(frozen=True)
class Format:
    """What every clip of a study is made into.

    Args:
        kind: `sprite`, `video` or `image`.
        width: of a frame, in pixels.
        height: of a frame, in pixels.
        fps: frames per second; 0 for images.
        frames: every clip is cut to this many; None where each keeps its own length.
        columns: frames per row of a sprite sheet.
        scale: CSS pixels per frame pixel.
        fit: `pad` or `crop` where clips of other proportions must be fitted.
    """

    kind: str
    width: int
    height: int
    fps: float
    frames: int | None
    columns: int
    scale: float
    fit: str | None

    @property
    def mime(self) -> str:
        """The type that the files are served under."""
        return MP4 if self.kind == "video" else PNG


def check_alike(clips: Sequence[schema.Clip], display: Display) -> None:
    """Refuse clips that differ in what [display] says nothing about.

    Args:
        clips: name, size, rate and length are read; at least one.
        display: the study file's [display].

    Raises:
        UsageError: the message names everything that they differ in, with two clips, and the
            settings.
    """
    sizes = {f"{clip.width}x{clip.height}": clip.name for clip in clips}
    rates = {
        f"{round(clip.fps, 2):g} frames per second": clip.name for clip in clips if clip.frames > 1
    }
    fps = _rate(clips, display)
    # Counted at one rate, which is not that of all: else it would seem to be each clip's own.
    at = f" once shown at {fps:g} per second" if len(rates) > 1 else ""
    lengths = {f"{n} frames{at}": name for n, name in _lengths(clips, fps).items()}
    seen = (
        (display.fit, 'fit = "pad" or "crop"', "size", sizes),
        (display.fps, "fps", "frame rate", rates),
        (display.duration, 'duration = "shortest" or "loop-each"', "length", lengths),
    )
    missing = [one for one in seen if one[0] is None and len(one[3]) > 1]
    if not missing:
        return
    differences = []
    for _, _, what, values in missing:
        (first, clip), (second, other) = itertools.islice(values.items(), 2)
        differences.append(f"in {what}: {clip} has {first}, {other} has {second}")
    raise UsageError(
        f"clips differ {'; '.join(differences)}; set {', '.join(one[1] for one in missing)} "
        "under [display] of the study file"
    )


def scale_within(size: Size, box: Size, fit: str | None) -> float:
    """Return by how much a frame is scaled to lie in a box, or to fill it where `fit` is crop."""
    ratios = (box[0] / size[0], box[1] / size[1])
    return max(ratios) if fit == "crop" else min(ratios)


def _frame_size(clips: Sequence[schema.Clip], fit: str | None) -> Size:
    """Return width and height of every stimulus: no clip is enlarged, which would tell it apart."""
    sizes = sorted({(clip.width, clip.height) for clip in clips})
    widths, heights = zip(*sizes, strict=True)
    if fit == "crop":
        return min(widths), min(heights)
    # To enlarge none, a box is no wider or no higher than each clip: so as wide as one of them,
    # it is as high as the lowest of the narrower ones.
    boxes, lowest = [], max(heights)
    for width, height in sizes:
        boxes.append((width, lowest))
        lowest = min(lowest, height)
    largest = (max(widths), max(heights))
    box = max(boxes, key=lambda box: (scale_within(largest, box, fit), math.prod(box)))
    scales = [scale_within(size, box, fit) for size in sizes]
    return _filled(widths, scales), _filled(heights, scales)


def _filled(sides: Iterable[int], scales: Iterable[float]) -> int:
    """Return how much of a box's side the scaled clips take."""
    longest = max(side * scale for side, scale in zip(sides, scales, strict=True))
    return math.ceil(longest - 1e-6)  # a whole number, but for how computers divide


def _rate(clips: Sequence[schema.Clip], display: Display) -> float:
    """Return the frame rate of every stimulus; 0 where all are still images."""
    rates = [clip.fps for clip in clips if clip.frames > 1]
    return (display.fps or rates[0]) if rates else 0.0


def same_rate(fps: float, other: float) -> bool:
    """Tell whether two frame rates are so near that a clip plays at either as it is."""
    return math.isclose(fps, other, rel_tol=1e-3)


def resampled_length(frames: int, fps: float, target_fps: float) -> int:
    """Return how many frames a clip has when it runs at another rate at the same speed."""
    if frames == 1 or same_rate(fps, target_fps):
        return frames
    return max(1, round(frames * target_fps / fps))


def _lengths(clips: Sequence[schema.Clip], fps: float) -> dict[int, str]:
    """Return the lengths in frames at the common rate, each with a clip that has it."""
    return {resampled_length(clip.frames, clip.fps, fps): clip.name for clip in clips}


def _scale(width: int, height: int, display: Display) -> float:
    """Return CSS pixels per frame pixel: a whole number where the clip fits the box at all."""
    exact = display.box / max(width, height)
    return exact if display.scale == "fit" or exact < 1 else float(math.floor(exact))


def common_format(clips: Sequence[schema.Clip], display: Display) -> Format:
    """Decide what all clips of a study are made into, from what is known without decoding them.

    A result of kind `sprite` may still turn to video when the largest sheet exceeds 1 MB.

    Args:
        clips: all clips of the study, at least one.
        display: the study file's [display].

    Raises:
        UsageError: see `check_alike`.
    """
    check_alike(clips, display)
    width, height = _frame_size(clips, display.fit)
    fps = _rate(clips, display)
    still = not fps
    lengths = _lengths(clips, fps)
    longest = min(lengths) if display.duration == "shortest" else max(lengths)
    columns = math.ceil(math.sqrt(longest))
    sheet = Format(
        kind="image" if still else "sprite",
        width=width,
        height=height,
        fps=fps,
        frames=None if display.duration == "loop-each" else longest,
        columns=columns,
        scale=_scale(width, height, display),
        fit=display.fit,
    )
    too_wide = columns * max(width, height) > _MAX_SHEET
    if still or not (too_wide or width * height * 3 * longest > _SURELY_VIDEO):
        return sheet
    return as_video(sheet, display)


def as_video(sheet: Format, display: Display) -> Format:
    """Return the video form of a format: even sides, no more pixels than dense screens can show."""
    shrink = min(1.0, 2 * display.box / max(sheet.width, sheet.height))
    width, height = (max(2, round(side * shrink) // 2 * 2) for side in (sheet.width, sheet.height))
    scale = _scale(width, height, display)
    return replace(sheet, kind="video", width=width, height=height, columns=1, scale=scale)
