"""Figure 3 of the paper: foreground, mask and background, and the clip they are blended to."""

from pathlib import Path

import numpy as np
import torch

from vgan.data.videos import Frames
from vgan.figures.drawing import block, captioned, enlarge
from vgan.figures.figure import Figure, each_run, write_figures
from vgan.sampled import Sampled, caption, sample
from vgan.training.run import Run

COLUMNS = ("foreground", "mask", "background", "clip")
_NO_STREAMS = "One stream: there is no foreground, mask or background, only the clip."
_BLEND = "clip = mask x foreground + (1 - mask) x background; white is foreground in the mask."


def draw_streams(
    runs: tuple[Path, ...], out: Path, *, n: int = 4, seed: int = 0, device: torch.device
) -> list[Path]:
    """Draw the streams of generated clips into a folder.

    Args:
        runs: run folders; of one-stream runs the clips alone are shown, and that is said.
        out: folder of the figures.
        n: clips of each run.
        seed: of the latents.
        device: where the networks run.

    Returns:
        The files: per run a PNG strip, an animated WebP and an MP4; `streams.html` with all.

    Raises:
        CheckpointError: a run cannot be loaded.
        WriteError: a file cannot be written.
    """
    figures = each_run(runs, device, lambda run, name: streams_of(run, name, n, seed, device))
    intro = f"What generated clips are blended from: {_BLEND}"
    return write_figures(out, "streams", "Streams of generated clips", intro, figures)


def streams_of(
    run: Run, name: str, n: int, seed: int, device: torch.device, factor: int = 3
) -> Figure:
    """Return the figure of one run; see `draw_streams`.

    Args:
        run: loaded onto the device.
        name: short name of the run.
        n: clips.
        seed: of the latents.
        device: where the network runs.
        factor: by which frames are enlarged; on the strip they are one smaller.
    """
    made = sample(run, n, seed, device, streams=True)
    said = caption(run, seed)
    two = made.masks is not None
    explained = _BLEND if two else _NO_STREAMS
    headings = COLUMNS if two else ("clip",)
    length = made.clips.shape[1]
    moving = [
        captioned(block(_moment(made, t, factor), headings), said, explained) for t in range(length)
    ]
    moments = [0, length // 2 - 1, length - 1] if length > 2 else [0]
    still = captioned(
        block(_strip(made, moments, max(factor - 1, 1)), _strip_headings(moments, two)),
        said,
        explained,
    )
    text = said if two else f"{said}. {_NO_STREAMS}"
    return Figure(f"streams-{name}", name, text, still, moving, run.data.fps)


def _moment(made: Sampled, t: int, factor: int) -> list[list[Frames]]:
    """Return a row per clip: each stream at one frame."""
    return [
        [enlarge(picture, factor) for picture in _streams(made, row, t)]
        for row in range(len(made.clips))
    ]


def _strip(made: Sampled, moments: list[int], factor: int) -> list[list[Frames]]:
    """Return a row per clip: each stream at some frames, the background once."""
    rows = []
    for row in range(len(made.clips)):
        columns = list(zip(*(_streams(made, row, t) for t in moments), strict=True))
        pictures = [
            picture
            for stream, column in enumerate(columns)
            for picture in (column[:1] if stream == 2 else column)
        ]
        rows.append([enlarge(picture, factor) for picture in pictures])
    return rows


def _strip_headings(moments: list[int], two: bool) -> list[str]:
    frames = [f"frame {t + 1}" for t in moments]
    if not two:
        return [f"clip, {frame}" for frame in frames]
    named = {name: [f"{name}, {frames[0]}", *frames[1:]] for name in ("foreground", "mask", "clip")}
    return [*named["foreground"], *named["mask"], "background", *named["clip"]]


def _streams(made: Sampled, row: int, t: int) -> list[Frames]:
    """Return one clip's pictures at one frame, in the order of `COLUMNS`; the clip alone if so."""
    if made.masks is None or made.foregrounds is None or made.backgrounds is None:
        return [made.clips[row, t]]
    grey = (made.masks[row, t] * 255).round().astype(np.uint8)
    return [
        made.foregrounds[row, t],
        np.repeat(grey[..., None], 3, axis=-1),
        made.backgrounds[row],
        made.clips[row, t],
    ]
