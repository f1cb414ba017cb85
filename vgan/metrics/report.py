"""Measure trained runs: their clips beside real ones, their masks beside the truth."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vgan.clips_in_memory import caption, run_names, sample
from vgan.data.dataset import ClipDataset, open_dataset, to_model_range
from vgan.data.manifest import ClipRecord
from vgan.data.scenes import mask_path, read_mask
from vgan.data.videos import Frames
from vgan.errors import UsageError
from vgan.metrics.comparison import (
    Estimate,
    Masks,
    Measure,
    Side,
    estimate,
    frechet_measure,
    iou_estimate,
    look_measures,
    memory_measures,
)
from vgan.metrics.embedding import Embedder, random_embedder
from vgan.metrics.nearest import Nearest
from vgan.metrics.rebuild import rebuild
from vgan.metrics.spread import evenly_spaced
from vgan.training.opening import clips_fingerprint, listed_for_training
from vgan.training.run import Run, load_run

logger = logging.getLogger(__name__)

REBUILT_CLIPS = 8


@dataclass(frozen=True)
class NearestPairs:
    """Clips with their nearest training clips, to be looked at.

    Args:
        clips: (N, T, H, W, 3), the clips.
        training: all training clips.
        nearest: where each one's nearest is among them.
    """

    clips: Frames
    training: Frames
    nearest: Nearest


@dataclass(frozen=True)
class RunMeasures:
    """What was measured of one run.

    Args:
        name: short name of the run.
        caption: source, category, step and seeds.
        against: the clip folder and category it was compared with, and the folder it was trained on
            where that may be another. Runs with the same have the same real column.
        measures: the rows.
        generated: the generated clips with their nearest training clips; None where the training
            clips are not at hand.
        real: held-out clips with theirs, likewise.
    """

    name: str
    caption: str
    against: str
    measures: list[Measure]
    generated: NearestPairs | None
    real: NearestPairs | None


def measure_runs(
    runs: tuple[Path, ...],
    data: Path | None = None,
    *,
    n: int = 64,
    seed: int = 0,
    embedder: Embedder | None = None,
    device: torch.device | None = None,
) -> list[RunMeasures]:
    """Measure several runs alike; see `measure_run`."""
    names = run_names(runs)
    return [
        measure_run(run, data, name=name, n=n, seed=seed, embedder=embedder, device=device)
        for run, name in zip(runs, names, strict=True)
    ]


def measure_run(
    run: Path,
    data: Path | None = None,
    *,
    name: str | None = None,
    n: int = 64,
    seed: int = 0,
    embedder: Embedder | None = None,
    device: torch.device | None = None,
) -> RunMeasures:
    """Measure generated clips of a run, and real clips of its category beside them.

    Args:
        run: the run folder.
        data: the clip folder compared with, the run's own by default. Its test split is used, and
            its true masks if it has them; nearest clips, and those of the Fréchet distance's floor,
            are always those the run was trained on.
        name: of the run, the folder's by default.
        n: clips of each kind, at most; the real ones are spread evenly over the split.
        seed: of the generated clips and of the resampling.
        embedder: for the Fréchet distance, a fixed random network by default.
        device: where the networks run, the CPU by default.

    Raises:
        UsageError: fewer than two clips asked for, or a run that predicts from pictures.
        CheckpointError: the run cannot be loaded.
        DataError: the clips cannot be read, or the embedder cannot take them.
    """
    if n < 2:
        raise UsageError(f"n must be at least 2, not {n}")
    device = device or torch.device("cpu")
    loaded = load_run(run, device)
    folder, category = loaded.data.clips_in(data), loaded.config.category
    test = open_dataset(folder, category, "test", root=None if data else loaded.data.list_root)
    train = _trained_on(loaded)
    made = sample(loaded, n, seed, device)
    generated = Side(made.clips, made.masks, [str(number) for number in range(n)])
    rows_of_test = evenly_spaced(len(test), n)
    records = [test.records[row] for row in rows_of_test]
    real = Side(test.clips[rows_of_test], _true_masks(records, folder), [r.video for r in records])
    training = Side(train.clips, None, [r.video for r in train.records]) if train else None
    distance = frechet_measure(
        generated, training, real, embedder or random_embedder(), seed, device
    )
    rows = [*look_measures(generated, real, seed), distance]
    pairs: list[NearestPairs | None] = [None, None]
    if training:
        memory, near, chance = memory_measures(generated, training, real, seed)
        rows += memory
        pairs = [
            NearestPairs(side.clips, training.clips, found)
            for side, found in ((generated, near), (real, chance))
        ]
    rows += _against_truth(loaded, test, folder, device, seed)
    against = f"{_from_here(folder)}, {category}"
    if data:  # the rows that need training clips differ between runs of other folders
        against += f"; training clips: {_from_here(Path(loaded.data.folder))}"
    said = caption(loaded, seed)
    return RunMeasures(name or run.name, said, against, rows, pairs[0], pairs[1])


def _from_here(folder: Path) -> Path:
    """Shorten a path below the working folder: tables are published, the machine's folders not."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _trained_on(run: Run) -> ClipDataset | None:
    """Return the clips a run was trained on, None (and a warning) where they are not at hand.

    They are not where the folder has grown or changed: clips that the run never saw would pass for
    its training clips.
    """
    folder = Path(run.data.folder)
    why = "not here"
    if folder.exists():
        wanted = run.data.clips_sha256
        # The list first: decoding takes long, and would be for nothing.
        if clips_fingerprint(listed_for_training(run.data, folder, run.data.list_root)) == wanted:
            found = open_dataset(folder, run.config.category, "train", root=run.data.list_root)
            if clips_fingerprint(found.records) == wanted:
                return found
        why = "no longer those of the training"
    logger.warning(
        "%s: the training clips are %s; no nearest clips, and no floor for the Fréchet distance",
        folder, why,
    )  # fmt: skip
    return None


def _against_truth(
    run: Run, real: ClipDataset, folder: Path, device: torch.device, seed: int
) -> list[Measure]:
    """Return the mask's IoU on drawn clips that the network rebuilds; nothing without a truth."""
    rows = evenly_spaced(len(real), REBUILT_CLIPS)
    records = [real.records[row] for row in rows]
    truth = _true_masks(records, folder)
    if truth is None or run.config.model == "one-stream":
        return []
    clips = to_model_range(torch.from_numpy(real.clips[rows]).to(device))
    made = rebuild(run.network, clips, run.config.latent)
    assert made.mask is not None  # only one-stream clips have none
    masks = made.mask[:, 0].float().cpu().numpy()
    apart = (made.clip - clips).abs().mean((1, 2, 3, 4)).double().cpu().numpy() / 2
    error: Estimate | None = estimate(apart, [r.video for r in records], seed)
    return [
        Measure("mask against truth", iou_estimate(masks, truth, seed), None,
                "IoU with the true mask of test clips that the network rebuilds"),
        Measure("rebuilding error", error, None,
                "mean difference of those clips, share of the full range"),
    ]  # fmt: skip


def _true_masks(records: list[ClipRecord], folder: Path) -> Masks | None:
    """Return the true masks of clips, None where the folder has none."""
    if not records or not all(mask_path(folder, r.clip).is_file() for r in records):
        return None
    return np.stack([read_mask(folder, record.clip) for record in records])
