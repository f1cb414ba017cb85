"""Figure 2 of the paper: generated clips, with arrows where they move."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from vgan.clips_in_memory import caption, sample
from vgan.data.videos import Frames
from vgan.errors import UsageError
from vgan.figures.drawing import ARROW_FRAMES, block, captioned, draw_arrows, enlarge
from vgan.figures.figure import Figure, each_run, write_figures
from vgan.figures.flow import arrows, motion_field
from vgan.models.layers import CLIP_FRAMES
from vgan.training.run import Run

ARROWS_MEAN = (
    f"Arrows: optical flow averaged over 6 frames, as long as what moves in {ARROW_FRAMES} frames; "
    "no arrow where nothing moves."
)
_ACROSS = 2  # clips beside each other on the strip
_ACROSS_MOVING = 4


def draw_samples(
    runs: tuple[Path, ...],
    out: Path,
    *,
    n: int = 8,
    seed: int = 0,
    frames: Sequence[int] = (1, 16, 32),
    device: torch.device,
) -> list[Path]:
    """Draw generated clips of runs into a folder.

    Args:
        runs: run folders.
        out: folder of the figures.
        n: clips of each run.
        seed: of the latents.
        frames: shown on the strip, from 1.
        device: where the networks run.

    Returns:
        The files: per run a PNG strip, an animated WebP and an MP4; `samples.html` with all.

    Raises:
        CheckpointError: a run cannot be loaded.
        UsageError: a frame that clips do not have, or a future run.
        WriteError: a file cannot be written.
    """
    if not frames or not all(1 <= frame <= CLIP_FRAMES for frame in frames):
        raise UsageError(f"frames are counted from 1 to {CLIP_FRAMES}, not {list(frames)}")
    figures = each_run(
        runs, device, lambda run, name: samples_of(run, name, n, seed, frames, device)
    )
    intro = f"Clips that the generators made, none picked by hand. {ARROWS_MEAN}"
    return write_figures(out, "samples", "Generated clips", intro, figures)


def samples_of(
    run: Run,
    name: str,
    n: int,
    seed: int,
    frames: Sequence[int],
    device: torch.device,
    factor: int = 3,
) -> Figure:
    """Return the figure of one run; see `draw_samples`.

    Args:
        run: loaded onto the device.
        name: short name of the run.
        n: clips.
        seed: of the latents.
        frames: shown on the strip, from 1.
        device: where the network runs.
        factor: by which frames are enlarged.
    """
    clips = sample(run, n, seed, device).clips
    said = caption(run, seed)
    marked = np.stack([with_arrows(clip, factor) for clip in clips])
    cells = [[clip[f - 1] for f in frames] for clip in marked]
    headings = [f"frame {f}" for f in frames] * min(_ACROSS, n)
    moving = [
        captioned(block(_in_rows([[clip[t]] for clip in marked], _ACROSS_MOVING)), said)
        for t in range(clips.shape[1])
    ]
    still = captioned(block(_in_rows(cells, _ACROSS), headings), said, ARROWS_MEAN)
    return Figure(f"samples-{name}", name, said, still, moving, run.data.fps)


def with_arrows(clip: Frames, factor: int) -> Frames:
    """Return a clip (T, H, W, 3) enlarged, its motion marked on every frame; a still has none."""
    if len(clip) < 2:
        return np.stack([enlarge(frame, factor) for frame in clip])
    field = motion_field(clip)
    return np.stack(
        [
            draw_arrows(enlarge(frame, factor), arrows(clip, field, t), factor)
            for t, frame in enumerate(clip)
        ]
    )


def _in_rows(cells: list[list[Frames]], across: int) -> list[list[Frames]]:
    """Put groups of pictures beside each other, so many groups in a row."""
    groups = [cells[start : start + across] for start in range(0, len(cells), across)]
    return [list(chain.from_iterable(group)) for group in groups]
