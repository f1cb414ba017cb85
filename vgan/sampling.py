"""Generate clips with a trained run's network, into a folder of clips."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from vgan.data.dataset import to_uint8
from vgan.data.encoding import Film, open_encoders, write_film
from vgan.data.executors import run_all
from vgan.data.videos import Frames
from vgan.generated_folder import (
    Order,
    missing_clips,
    nothing_to_do,
    refuse_future,
    write_manifest,
    write_parameters,
)
from vgan.models.layers import Streams
from vgan.models.strided import sample_in_phases
from vgan.training.folder import SavedRun
from vgan.training.process import keep_memory
from vgan.training.run import Run, load_run

logger = logging.getLogger(__name__)

# Clips that go through the network together. Fixed, since the size of a batch may change the last
# bit of a sum, and with it a pixel; the last batch is filled up with clips that are thrown away.
CHUNK = 16


def generate(
    order: Order, *, device: torch.device | None = None, workers: int | None = None
) -> Path:
    """Write clips of a trained run into a clip folder, those that are not there yet.

    Args:
        order: what the folder is to hold.
        device: where the network runs, the CPU by default.
        workers: processes that encode; by default one per core beside a GPU, and this one alone
            on the CPU, whose cores the network itself takes. The files are the same however many.

    Returns:
        The clip folder.

    Raises:
        UsageError: the folder holds clips of other parameters.
        CheckpointError: the run cannot be loaded.
        DataError: a clip cannot be written.
        WorkerError: an encoding process died.
    """
    if nothing_to_do(order):
        return order.out
    device = device or torch.device("cpu")
    run = open_run(order.run, device)
    write_parameters(order)
    write_manifest(order, _write_clips(order, run, device, workers))
    logger.info(
        "%s: %d clips of %s at %.4g frames per second, the median of what it was trained on",
        order.out, order.n, run.config.source, run.data.fps,
    )  # fmt: skip
    return order.out


def open_run(saved: SavedRun, device: torch.device) -> Run:
    """Load a run to be sampled from, as quickly as the device can.

    Raises:
        CheckpointError: the run cannot be loaded.
    """
    loaded = load_run(saved, device)
    if device.type == "cpu":
        keep_memory()
        sample_in_phases(loaded.network)
    return loaded


def latents(run: Run, seed: int, indices: range, device: torch.device) -> Tensor:
    """Return the latents (or, for the autoencoder, codes) of numbered clips, (len(indices), L).

    Raises:
        UsageError: the run predicts from pictures and has no latents.
    """
    refuse_future(run.config)
    rows = [_latent(run, seed, index) for index in indices]
    return torch.cat(rows).to(device)


def _latent(run: Run, seed: int, index: int) -> Tensor:
    """Return one clip's latent, (1, L), drawn on the CPU so that it is the same on any device."""
    mixed = np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(mixed) >> 1)
    if run.mixture is not None:
        return run.mixture.sample(1, generator).float()
    return torch.randn(1, run.config.latent, generator=generator)


def _write_clips(
    order: Order, run: Run, device: torch.device, workers: int | None
) -> dict[Path, str]:
    """Write the clips that are not there yet; return their files' checksums."""
    missing = missing_clips(order)
    checksums: dict[Path, str] = {}
    per_clip = len(order.files(0))
    files = len(missing) * per_clip
    title = f"{run.config.source} {order.category}"
    encoding = workers or (os.cpu_count() if device.type == "cuda" else None) or 1
    with (
        tqdm(total=files, desc=title, unit="file") as bar,
        open_encoders(files, CHUNK * per_clip, encoding) as encoders,
    ):
        for path, checksum in run_all(encoders, write_film, _made(order, run, missing, device)):
            checksums[path] = checksum
            bar.update()
    return checksums


def _made(order: Order, run: Run, missing: list[int], device: torch.device) -> Iterator[Film]:
    """Make the missing clips, whole chunks at a time."""
    wanted = set(missing)
    for chunk in sorted({index // CHUNK for index in missing}):
        indices = range(chunk * CHUNK, (chunk + 1) * CHUNK)
        with torch.no_grad():
            made = run.network.streams(latents(run, order.seed, indices, device))
        films = _films(made, order.streams)
        for row, index in enumerate(indices):
            if index in wanted:
                for path, film in zip(order.files(index), films, strict=True):
                    yield Film(path, film[row], run.data.fps)


def _films(made: Streams, streams: bool) -> list[Frames]:
    """Return the clips, then each stream in the order of `STREAMS`, as frames (B, T, H, W, 3)."""
    films = [to_uint8(made.clip)]
    if streams:
        assert made.foreground is not None
        assert made.mask is not None
        assert made.background is not None
        films.append(to_uint8(made.foreground))
        films.append(to_uint8((made.mask * 2 - 1).expand_as(made.clip)))
        films.append(to_uint8(made.background.expand_as(made.clip)))
    return films
