"""Measure a trained run: its clips beside real ones, its masks beside the truth."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tabulate import tabulate

from vgan.data.dataset import ClipDataset, open_dataset, to_model_range, to_uint8
from vgan.data.scenes import mask_path, read_mask
from vgan.errors import UsageError
from vgan.metrics.masks import mask_iou, moving_mask
from vgan.metrics.rebuild import rebuild
from vgan.metrics.stillness import background_motion, diversity, motion
from vgan.sampling import CHUNK, latents
from vgan.training.checkpoint import Run, load_run

Frames = NDArray[np.uint8]
Masks = NDArray[np.floating | np.bool_]

REBUILT_CLIPS = 8


@dataclass(frozen=True)
class Measure:
    """One row of the report.

    Args:
        name: of the measure.
        generated: of the run's clips; None where it cannot be had.
        real: of the real clips of the test split, likewise.
        meaning: how to read it.
    """

    name: str
    generated: float | None
    real: float | None
    meaning: str


def measure_run(
    run: Path,
    data: Path | None = None,
    *,
    n: int = 32,
    seed: int = 0,
    device: torch.device | None = None,
) -> list[Measure]:
    """Measure generated clips of a run, and real clips of its category beside them.

    Args:
        run: the run folder.
        data: the clip folder compared with, the run's own by default. Its test split is used,
            and its true masks if it has them.
        n: clips of each kind, at most.
        seed: of the generated clips.
        device: where the network runs, the CPU by default.

    Raises:
        UsageError: fewer than two clips asked for.
        CheckpointError: the run cannot be loaded.
        DataError: the clips cannot be read.
    """
    if n < 2:
        raise UsageError(f"n must be at least 2, not {n}")
    device = device or torch.device("cpu")
    loaded = load_run(run, device)
    folder = data or Path(loaded.data.folder)
    real = open_dataset(folder, loaded.config.category, "test")
    clips, masks = _generated(loaded, n, seed, device)
    return _compared(clips, masks, real, folder, n) + _against_truth(loaded, real, folder, device)


def as_text(measures: Sequence[Measure]) -> str:
    """Return the measures as a table for the terminal; `-` where there is none."""
    rows = [(m.name, _shown(m.generated), _shown(m.real), m.meaning) for m in measures]
    headers = ("measure", "generated", "real", "meaning")
    return tabulate(rows, headers, disable_numparse=True, colalign=("left", "right", "right"))


def to_json(measures: Sequence[Measure]) -> str:
    """Return the measures as JSON; null where there is none."""
    return json.dumps([asdict(m) for m in measures], indent=2)


def _generated(run: Run, n: int, seed: int, device: torch.device) -> tuple[Frames, Masks | None]:
    """Return n clips (n, T, H, W, 3) and their masks (n, T, H, W), None for one stream."""
    network: Any = run.network
    clips, masks = [], []
    with torch.no_grad():
        for start in range(0, n, CHUNK):
            made = network.streams(latents(run, seed, range(start, start + CHUNK), device))
            clips.append(to_uint8(made.clip))
            if made.mask is not None:
                masks.append(made.mask[:, 0].float().cpu().numpy())
    return np.concatenate(clips)[:n], np.concatenate(masks)[:n] if masks else None


def _compared(
    clips: Frames, masks: Masks | None, real: ClipDataset, folder: Path, n: int
) -> list[Measure]:
    """Return the measures that need no truth about a generated clip."""
    true = np.asarray(real.clips[:n])
    truth = _true_masks(real, folder, len(true))
    return [
        Measure("motion", _mean(motion(c) for c in clips), _mean(motion(c) for c in true),
                "mean change between frames, share of the full range"),
        Measure("background motion", _outside(clips, masks), _outside(true, truth),
                "the same outside the mask; 0 is a still background"),
        Measure("diversity", diversity(clips), diversity(true) if len(true) > 1 else None,
                "mean difference between clips; near 0 is a collapse"),
        Measure("mask mean", _share(masks), _share(truth), "share of foreground"),
        Measure("mask against motion", _moving(clips, masks), _moving(true, truth),
                "IoU of the mask with what differs from the clip's median picture"),
    ]  # fmt: skip


def _against_truth(
    run: Run, real: ClipDataset, folder: Path, device: torch.device
) -> list[Measure]:
    """Return the mask's IoU on drawn clips that the network rebuilds; nothing without a truth."""
    truth = _true_masks(real, folder, REBUILT_CLIPS)
    if truth is None or run.config.model == "one-stream":
        return []
    clips = to_model_range(torch.from_numpy(real.clips[: len(truth)].copy()).to(device))
    made = rebuild(run.network, clips, run.config.latent)
    assert made.mask is not None  # only one-stream clips have none
    masks = made.mask[:, 0].float().cpu().numpy()
    difference = float((made.clip - clips).abs().mean()) / 2
    return [
        Measure("mask against truth", _mean(map(mask_iou, masks, truth)), None,
                "IoU with the true mask of test clips that the network rebuilds"),
        Measure("rebuilding error", difference, None,
                "mean difference of those clips, share of the full range"),
    ]  # fmt: skip


def _true_masks(real: ClipDataset, folder: Path, n: int) -> Masks | None:
    """Return the true masks of the first clips, None where the folder has none."""
    records = real.records[:n]
    if not records or not all(mask_path(folder, r.clip).is_file() for r in records):
        return None
    return np.stack([read_mask(folder, record.clip) for record in records])


def _outside(clips: Frames, masks: Masks | None) -> float | None:
    return None if masks is None else _mean(map(background_motion, clips, masks))


def _moving(clips: Frames, masks: Masks | None) -> float | None:
    if masks is None:
        return None
    return _mean(mask_iou(moving_mask(c), m) for c, m in zip(clips, masks, strict=True))


def _share(masks: Masks | None) -> float | None:
    return None if masks is None else float(masks.mean())


def _mean(values: Any) -> float | None:
    """Return the mean of the values that say something, None where none does."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
