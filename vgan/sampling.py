"""Generate clips with a trained run's network, into a folder of clips."""

import logging
import os
import pickle
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from vgan.data.dataset import to_uint8
from vgan.data.encoding import Film, open_encoders, write_film
from vgan.data.executors import open_workers, run_all
from vgan.data.files import write_atomic
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
from vgan.wording import number_of

logger = logging.getLogger(__name__)

# Clips that go through the network together. Fixed, since the size of a batch may change the last
# bit of a sum, and with it a pixel; the last batch is filled up with clips that are thrown away.
CHUNK = 16

Written = Generator[tuple[Path, str], None, None]  # files as they come about, with their checksums

_WORTH_STARTING_S = 6.0  # of work in this process; another one takes seconds to import torch


def generate(
    order: Order, *, device: torch.device | None = None, workers: int | None = None
) -> Path:
    """Write clips of a trained run into a clip folder, those that are not there yet.

    Args:
        order: what the folder is to hold.
        device: where the network runs, the CPU by default.
        workers: processes that encode what a GPU makes or, on the CPU, that make and encode clips
            on one core each. By default one per core; on the CPU, where few clips are missing, this
            one alone. The files are the same however many. A script that starts any has to do its
            work under `if __name__ == "__main__":`.

    Returns:
        The clip folder.

    Raises:
        UsageError: the folder holds clips of other parameters.
        CheckpointError: the run cannot be loaded.
        DataError: a clip cannot be written.
        WorkerError: a process died.
    """
    if nothing_to_do(order):
        return order.out
    device = device or torch.device("cpu")
    run = open_run(order.run, device)
    write_parameters(order)
    missing = missing_clips(order)
    write = _write_beside_gpu if device.type == "cuda" else _write_on_cores
    checksums: dict[Path, str] = {}
    with (
        tqdm(
            total=len(missing) * len(order.files(0)),
            desc=f"{run.config.source} {order.category}",
            unit="file",
        ) as bar,
        closing(write(order, run, _chunks(missing), workers)) as written,
    ):
        for path, checksum in written:
            checksums[path] = checksum
            bar.update()
    write_manifest(order, checksums)
    logger.info(
        "%s: %s of %s at %.4g frames per second, the median of what it was trained on",
        order.out, number_of(order.n, "clip"), run.config.source, run.data.fps,
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


def _chunks(missing: list[int]) -> list[list[int]]:
    """Return the missing clips' numbers by the chunk that they go through the network with."""
    return [list(wanted) for _, wanted in groupby(missing, lambda index: index // CHUNK)]


def _write_beside_gpu(
    order: Order, run: Run, chunks: list[list[int]], workers: int | None
) -> Written:
    """Make chunks here and encode them in other processes."""
    per_clip = len(order.files(0))
    files = sum(map(len, chunks)) * per_clip
    made = (film for chunk in chunks for film in _made(order, run, chunk))
    with open_encoders(files, CHUNK * per_clip, workers or os.cpu_count() or 1) as encoders:
        yield from run_all(encoders, write_film, made)


def _write_on_cores(
    order: Order, run: Run, chunks: list[list[int]], workers: int | None
) -> Written:
    """Make and encode each chunk on one core: here, or many in other processes."""
    write = partial(_write_chunk, order, run)
    others = chunks[1:]
    start = time.perf_counter()
    for written in map(write, chunks[:1]):
        yield from written
    alone = (time.perf_counter() - start) * len(others)
    cores = os.cpu_count() or 1
    workers = min(workers or (cores if alone > _WORTH_STARTING_S else 1), len(others))
    with TemporaryDirectory() as folder:
        if workers > 1:
            packed = Path(folder) / "run.pickle"
            write_atomic(packed, pickle.dumps(run))
            write = partial(_write_elsewhere, order, packed)
        with open_workers(workers) as opened:
            for written in run_all(opened, write, others):
                yield from written


def _write_elsewhere(order: Order, packed: Path, wanted: list[int]) -> list[tuple[Path, str]]:
    """In another process: write a chunk with the run that lies in a file."""
    return _write_chunk(order, _unpacked(packed), wanted)


@lru_cache(maxsize=1)
def _unpacked(packed: Path) -> Run:
    keep_memory()
    run: Run = pickle.loads(packed.read_bytes())  # noqa: S301 - written a moment ago
    return run


def _write_chunk(order: Order, run: Run, wanted: list[int]) -> list[tuple[Path, str]]:
    with _one_core():
        return [write_film(film) for film in _made(order, run, wanted)]


@contextmanager
def _one_core() -> Iterator[None]:
    """Let torch work on one thread: sums are shared out among several in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _made(order: Order, run: Run, wanted: list[int]) -> Iterator[Film]:
    """Make the wanted clips of one chunk, all of which goes through the network."""
    first = wanted[0] // CHUNK * CHUNK
    indices = range(first, first + CHUNK)
    device = next(run.network.parameters()).device
    with torch.no_grad():
        made = run.network.streams(latents(run, order.seed, indices, device))
    films = _films(made, order.streams)
    for index in wanted:
        for path, film in zip(order.files(index), films, strict=True):
            yield Film(path, film[index - first], run.data.fps)


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
