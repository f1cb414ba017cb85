"""A run's clips in memory, with the streams they were blended from: what is measured and shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from vgan.data.dataset import to_uint8
from vgan.data.videos import Frames
from vgan.errors import UsageError
from vgan.sampling import CHUNK, latents
from vgan.training.run import Run

Masks = NDArray[np.float32]


@dataclass(frozen=True)
class Sampled:
    """Generated clips.

    Args:
        clips: (N, T, H, W, 3), uint8 RGB.
        masks: (N, T, H, W), in [0, 1]; None for one stream.
        foregrounds: (N, T, H, W, 3), uint8 RGB; None for one stream, or where not asked for.
        backgrounds: (N, H, W, 3), uint8 RGB; likewise.
    """

    clips: Frames
    masks: Masks | None = None
    foregrounds: Frames | None = None
    backgrounds: Frames | None = None


def sample(run: Run, n: int, seed: int, device: torch.device, *, streams: bool = False) -> Sampled:
    """Generate clips 0 to n - 1 of a seed: those that `vgan generate` writes.

    Args:
        run: loaded onto the device.
        n: number of clips.
        seed: of the latents.
        device: where the network is.
        streams: keep foregrounds and backgrounds too (masks are always kept).

    Raises:
        UsageError: the run predicts from pictures and has no latents.
    """
    if run.config.model == "future":
        raise UsageError(
            "a future run makes clips from pictures, not from a seed: use `vgan predict` and "
            "`vgan figures future`"
        )
    parts: dict[str, list[NDArray[Any]]] = {}
    bar = tqdm(range(0, n, CHUNK), desc=f"{run.config.source} clips", unit="batch", leave=False)
    for start in bar:
        with torch.no_grad():
            made = run.network.streams(latents(run, seed, range(start, start + CHUNK), device))
        kept = slice(0, n - start)
        parts.setdefault("clips", []).append(to_uint8(made.clip)[kept])
        if made.mask is not None:
            parts.setdefault("masks", []).append(made.mask[kept, 0].float().cpu().numpy())
        if streams and made.foreground is not None and made.background is not None:
            parts.setdefault("foregrounds", []).append(to_uint8(made.foreground)[kept])
            parts.setdefault("backgrounds", []).append(to_uint8(made.background)[kept, 0])
    return Sampled(**{name: np.concatenate(chunks) for name, chunks in parts.items()})


def run_names(runs: tuple[Path, ...]) -> list[str]:
    """Return a short name for each run folder, as long as it takes to tell them apart.

    `runs/beach/two-stream` is `two-stream`, or `beach-two-stream` beside `runs/golf/two-stream`.
    """
    parts = [run.resolve().parts for run in runs]
    longest = max(len(part) for part in parts)
    for depth in range(1, longest + 1):
        names = ["-".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return [name.strip("/-") for name in names]
    return [f"{number}-{part[-1]}" for number, part in enumerate(parts, 1)]  # one run given twice


def caption(run: Run, seed: int) -> str:
    """Say what clips are of: source, category, steps trained, training seed and latents' seed."""
    return (
        f"{run.config.source}, {run.data.category}: step {run.step}, training seed "
        f"{run.config.seed}, latents' seed {seed}"
    )
