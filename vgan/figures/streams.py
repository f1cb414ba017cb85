"""Figure 3 of the paper: foreground, mask and background, and the clip they are blended to."""

from pathlib import Path

import numpy as np
import torch

from vgan.clips_in_memory import Sampled, caption, sample
from vgan.data.videos import Frames
from vgan.figures.drawing import block, captioned, enlarge
from vgan.figures.figure import Figure, each_run, write_figures
from vgan.training.run import Run

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
    films, said = _films(sample(run, n, seed, device, streams=True)), caption(run, seed)
    explained = _BLEND if len(films) > 1 else _NO_STREAMS
    length = films["clip"].shape[1]
    moving = []
    for t in range(length):
        rows = [[enlarge(film[row, t], factor) for film in films.values()] for row in range(n)]
        moving.append(captioned(block(rows, list(films)), said, explained))
    moments = [0, length // 2 - 1, length - 1] if length > 2 else [0]
    still = captioned(_strip(films, moments, max(factor - 1, 1)), said, explained)
    text = said if len(films) > 1 else f"{said}. {_NO_STREAMS}"
    return Figure(f"streams-{name}", name, text, still, moving, run.data.fps)


def _films(made: Sampled) -> dict[str, Frames]:
    """Return frames (N, T, H, W, 3) of each stream, by its heading; those of clips where alone."""
    if made.masks is None or made.foregrounds is None or made.backgrounds is None:
        return {"clip": made.clips}
    grey = (made.masks * 255).round().astype(np.uint8)
    return {
        "foreground": made.foregrounds,
        "mask": np.repeat(grey[..., None], 3, axis=-1),
        "background": np.broadcast_to(made.backgrounds[:, None], made.clips.shape),
        "clip": made.clips,
    }


def _strip(films: dict[str, Frames], moments: list[int], factor: int) -> Frames:
    """Lay out some frames of each stream in a row per clip, the background once."""
    columns = [
        (name, t) for name in films for t in (moments[:1] if name == "background" else moments)
    ]
    rows = [
        [enlarge(films[name][row, t], factor) for name, t in columns]
        for row in range(len(films["clip"]))
    ]
    headings = []
    for name, t in columns:
        named = t == moments[0] or len(films) == 1
        frame = f"{name}, frame {t + 1}" if named else f"frame {t + 1}"
        headings.append(name if name == "background" else frame)
    return block(rows, headings)
