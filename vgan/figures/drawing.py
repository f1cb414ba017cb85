"""Draw figures: enlarged frames in rows under headings, arrows that show anywhere, captions."""

import io
import textwrap
from collections.abc import Sequence
from typing import Any

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vgan.data.videos import Frames
from vgan.figures.flow import Arrow

TEXT = 13  # pixels, as all words
LINE = 17
GAP = 4
ARROW_FRAMES = 8  # an arrow is as long as what it marks moves in so many frames
_INK, _PAPER = (20, 20, 20), (255, 255, 255)
_ARROW, _OUTLINE = (255, 221, 0), (0, 0, 0)
_LONGEST = 0.3  # of the picture's side: arrows stay inside their neighbourhood
_SHORTEST = 0.1
_WEBP_QUALITY = 72
_NARROWEST = 460  # pixels, for the words


def enlarge(frame: Frames, factor: int) -> Frames:
    """Return a frame (H, W, 3) enlarged by a whole number, smoothed between pixels."""
    height, width = frame.shape[:2]
    size = (width * factor, height * factor)
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))


def draw_arrows(frame: Frames, arrows: Sequence[Arrow], factor: int = 1) -> Frames:
    """Draw arrows on a frame, yellow with a black outline, pointing where things go.

    Args:
        frame: (H, W, 3), already enlarged.
        arrows: in pixels of the frame before it was enlarged.
        factor: by which it was enlarged.
    """
    if not arrows:
        return frame
    picture = Image.fromarray(frame)
    draw = ImageDraw.Draw(picture)
    side = min(frame.shape[:2])
    thickness = max(side / 64, 2.0)
    for arrow in arrows:
        way = np.array([arrow.dx, arrow.dy]) * ARROW_FRAMES * factor
        length = float(np.clip(np.hypot(*way), _SHORTEST * side, _LONGEST * side))
        unit = way / np.hypot(*way)
        centre = (np.array([arrow.x, arrow.y]) + 0.5) * factor
        inside = np.abs(unit) * length / 2 + thickness + 2  # so that the whole arrow is seen
        centre = np.clip(centre, inside, np.array(frame.shape[1::-1]) - inside)
        tail, tip = centre - unit * length / 2, centre + unit * length / 2
        for width, colour in ((thickness + 2.5, _OUTLINE), (thickness, _ARROW)):
            _draw_arrow(draw, tail, tip, unit, width, colour)
    return np.asarray(picture)


def _draw_arrow(draw: ImageDraw.ImageDraw, tail: Any, tip: Any, unit: Any, width: float,
                colour: tuple[int, int, int]) -> None:  # fmt: skip
    normal = np.array([-unit[1], unit[0]])
    half = width / 2
    head = min(3 * half + 4, float(np.hypot(*(tip - tail))) * 0.6)
    neck = tip - unit * head
    outline = [
        tail + normal * half, neck + normal * half, neck + normal * (half + head * 0.5),
        tip + unit * half, neck - normal * (half + head * 0.5), neck - normal * half,
        tail - normal * half,
    ]  # fmt: skip
    draw.polygon([(float(x), float(y)) for x, y in outline], fill=colour)


def block(rows: Sequence[Sequence[Frames]], headings: Sequence[str] = ()) -> Frames:
    """Lay pictures of one size out in rows, with a heading over each column.

    Args:
        rows: of pictures (H, W, 3); a shorter row is filled with paper.
        headings: of the columns, from the left; none for no line of headings.
    """
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    top = LINE + 2 if headings else 0
    page = Image.new(
        "RGB",
        (columns * (width + GAP) - GAP, top + len(rows) * (height + GAP) - GAP),
        _PAPER,
    )
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            page.paste(Image.fromarray(picture), (c * (width + GAP), top + r * (height + GAP)))
    draw = ImageDraw.Draw(page)
    for c, heading in enumerate(headings):
        draw.text((c * (width + GAP), 1), heading, fill=_INK, font=_font())
    return np.asarray(page)


def captioned(picture: Frames, *lines: str) -> Frames:
    """Put lines of text over a picture, wrapped to its width, and a margin around both."""
    if picture.shape[1] < _NARROWEST:
        spare = ((0, 0), (0, _NARROWEST - picture.shape[1]), (0, 0))
        picture = np.pad(picture, spare, constant_values=255)
    columns = picture.shape[1] * 2 // TEXT
    wrapped = [part for line in lines for part in textwrap.wrap(line, columns) or [""]]
    margin = 2 * GAP
    top = LINE * len(wrapped) + (GAP if wrapped else 0)
    height, width = picture.shape[:2]
    page = Image.new("RGB", (width + 2 * margin, height + top + 2 * margin), _PAPER)
    page.paste(Image.fromarray(picture), (margin, margin + top))
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(wrapped):
        draw.text((margin, margin + number * LINE), line, fill=_INK, font=_font())
    return np.asarray(page)


def stacked(pictures: Sequence[Frames]) -> Frames:
    """Put pictures under each other, left edges in line."""
    width = max(picture.shape[1] for picture in pictures)
    padded = [
        np.pad(p, ((0, 2 * GAP), (0, width - p.shape[1]), (0, 0)), constant_values=255)
        for p in pictures
    ]
    return np.concatenate(padded)


def png(picture: Frames) -> bytes:
    """Encode a picture (H, W, 3) as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def webp(frames: Sequence[Frames], fps: float, quality: int = _WEBP_QUALITY) -> bytes:
    """Encode pictures as an animated WebP that repeats for ever; one picture stands still."""
    first, *rest = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    first.save(
        buffer, "WEBP", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0,
        quality=quality, method=4,
    )  # fmt: skip
    return buffer.getvalue()


def mp4(frames: Sequence[Frames], fps: float) -> bytes:
    """Encode pictures as an MP4 that any player shows; an odd side is padded by a white pixel."""
    height, width = frames[0].shape[:2]
    buffer = io.BytesIO()
    writer: Any = iio.imopen(buffer, "w", plugin="pyav", extension=".mp4")
    with writer:
        # Unlike clips, in the colour format that players know; to be looked at only.
        writer.init_video_stream("libx264", fps=float(fps), pixel_format="yuv420p")
        writer._video_stream.options = {"crf": "18", "threads": "1"}
        for frame in frames:
            even = ((0, height % 2), (0, width % 2), (0, 0))
            writer.write_frame(np.pad(frame, even, constant_values=255))
    return buffer.getvalue()


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(TEXT)
