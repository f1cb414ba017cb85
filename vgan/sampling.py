"""Generate clips from a trained run: a folder of clips and its manifest.

A clip depends on the run's weights, the seed and the clip's number and on nothing else: it is the
same, byte for byte, whether ten clips are asked for or a thousand, at once or with a break.
"""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from vgan.data.dataset import to_uint8
from vgan.data.encoding import Film, open_encoders, write_film
from vgan.data.executors import run_all
from vgan.data.files import write_atomic
from vgan.data.joining import LOCK_NAME, join_manifest, listed_clips
from vgan.data.locking import locked
from vgan.data.manifest import SLUG, ClipRecord, sha256_of
from vgan.errors import DataError, UsageError
from vgan.models.layers import CLIP_FRAMES, CLIP_SIZE, Streams
from vgan.models.strided import sample_in_phases
from vgan.training.process import keep_memory
from vgan.training.run import Run, SavedRun, find_run

logger = logging.getLogger(__name__)

# Clips that go through the network together. Fixed, since the size of a batch may change the last
# bit of a sum, and with it a pixel; the last batch is filled up with clips that are thrown away.
CHUNK = 16
PARAMETERS_NAME = "generate.json"
STREAMS = ("foreground", "mask", "background")


@dataclass(frozen=True)
class _Order:
    """What is to be generated.

    Args:
        out: the clip folder.
        category: the folder of the clips, and their category in the manifest.
        n: how many.
        seed: of the latents.
        streams: whether foreground, mask and background are written too.
    """

    out: Path
    category: str
    n: int
    seed: int
    streams: bool

    def clip(self, index: int) -> str:
        return f"{self.category}/{index:05d}.mp4"

    def files(self, index: int) -> list[Path]:
        """Return every file of a clip, the clip itself first."""
        parts = [f"streams/{name}/" for name in STREAMS] if self.streams else []
        return [self.out / (part + self.clip(index)) for part in ["", *parts]]


def generate(
    run: Path,
    out: Path,
    n: int,
    seed: int,
    *,
    streams: bool = False,
    category: str | None = None,
    device: torch.device | None = None,
    workers: int | None = None,
) -> Path:
    """Write clips of a trained run into a clip folder.

    Args:
        run: the run folder.
        out: the clip folder; a folder may hold several categories of one source.
        n: number of clips, at least 1.
        seed: of the latents; clip i of a seed is always the same.
        streams: also write foreground, mask and background as clips, in folders of the same
            layout under `out/streams` and outside the manifest.
        category: of the clips in the manifest; by default what the run was trained on.
        device: where the network runs, the CPU by default.
        workers: processes that encode; by default one per core beside a GPU, and this one alone
            on the CPU, whose cores the network itself takes. The files are the same however many.

    Returns:
        The clip folder.

    Raises:
        UsageError: n or seed out of range, a future run, streams of a one-stream run, or `out`
            holds clips of other parameters.
        CheckpointError: the run cannot be loaded.
        DataError: a clip cannot be written.
        WorkerError: an encoding process died.
    """
    device = device or torch.device("cpu")
    if n < 1 or seed < 0:
        raise UsageError(f"n must be at least 1 and the seed at least 0, not {n} and {seed}")
    saved = find_run(run)
    _refuse_future(saved)
    if streams and saved.config.model == "one-stream":
        raise UsageError(f"{run}: a one-stream run has no foreground, mask and background")
    category = category or saved.config.category
    if not SLUG.fullmatch(category):
        raise UsageError(f"category {category!r} is not a slug (lower-case letters, digits, - .)")
    order = _Order(out, category, n, seed, streams)
    _parameters(order, saved)
    missing = [i for i in range(n) if not all(file.is_file() for file in order.files(i))]
    if not missing and _listed(order):
        logger.info("%s: the %d clips are there already; nothing to do", out, n)
        return out
    loaded = open_run(saved, device)
    with locked(out / LOCK_NAME):  # another run may have added its category in the meantime
        write_atomic(out / PARAMETERS_NAME, _parameters(order, saved).encode())
    checksums = _write_clips(order, loaded, missing, device, workers)
    _write_manifest(order, loaded, checksums)
    logger.info("%s: %d clips of %s", out, n, loaded.config.source)
    return out


def open_run(saved: SavedRun, device: torch.device) -> Run:
    """Load a run to be sampled from, as quickly as the device can.

    Raises:
        CheckpointError: the run cannot be loaded.
    """
    loaded = saved.load(device)
    if device.type == "cpu":
        keep_memory()
        sample_in_phases(loaded.network)
    return loaded


def latents(run: Run, seed: int, indices: range, device: torch.device) -> Tensor:
    """Return the latents (or, for the autoencoder, codes) of numbered clips, (len(indices), L).

    Raises:
        UsageError: the run predicts from pictures and has no latents.
    """
    _refuse_future(run)
    rows = [_latent(run, seed, index) for index in indices]
    return torch.cat(rows).to(device)


def _refuse_future(run: Run | SavedRun) -> None:
    if run.config.model == "future":
        raise UsageError(
            "a future run makes clips of pictures, not of a seed: "
            "use `vgan predict RUN PICTURES --out DIR`"
        )


def _latent(run: Run, seed: int, index: int) -> Tensor:
    """Return one clip's latent, (1, L), drawn on the CPU so that it is the same on any device."""
    mixed = np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(mixed) >> 1)
    if run.mixture is not None:
        return run.mixture.sample(1, generator).float()
    return torch.randn(1, run.config.latent, generator=generator)


def _parameters(order: _Order, run: SavedRun) -> str:
    """Return what the folder is to say of what it holds, now with these clips.

    Raises:
        UsageError: it holds something else.
    """
    path = order.out / PARAMETERS_NAME
    asked: dict[str, Any] = {
        "source": run.config.source,
        "checkpoint_sha256": run.checkpoint_sha256,
        "n": order.n,
        "seed": order.seed,
        "streams": order.streams,
    }
    # Listed before it is read, should another run be making it; hidden files are nobody's clips.
    used = order.out.is_dir() and any(not p.name.startswith(".") for p in order.out.iterdir())
    known = _read_parameters(path)
    if known is None:
        if used:
            raise UsageError(
                f"{order.out} is not empty and was not made by `vgan generate`; give another --out"
            )
        known = {}
    held = known.get(order.category)
    if held is not None and held != asked:
        key = next(key for key in asked if held.get(key) != asked[key])
        raise UsageError(
            f"{order.out} already holds {order.category} clips with {key} {held.get(key)}, "
            f"not {asked[key]}; give another --out"
        )
    others = {entry["source"] for entry in known.values()} - {run.config.source}
    if others:
        raise UsageError(
            f"{order.out} holds clips of {others.pop()}; one folder is for one source: "
            "give another --out"
        )
    return json.dumps(known | {order.category: asked}, indent=2, sort_keys=True) + "\n"


def _read_parameters(path: Path) -> dict[str, dict[str, Any]] | None:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    if not isinstance(known, dict):
        raise DataError(f"{path}: not a JSON object")
    return known


def _listed(order: _Order) -> bool:
    """Whether the manifest lists every clip asked for."""
    listed = {record.clip for record in listed_clips(order.out)}
    return all(order.clip(index) in listed for index in range(order.n))


def _write_clips(
    order: _Order, run: Run, missing: list[int], device: torch.device, workers: int | None
) -> dict[Path, str]:
    """Write the clips that are not there yet; return their files' checksums."""
    checksums: dict[Path, str] = {}
    per_clip = len(order.files(0))
    files = len(missing) * per_clip
    title = f"{run.config.source} {order.category}"
    with (
        tqdm(total=files, desc=title, unit="file") as bar,
        open_encoders(files, CHUNK * per_clip, workers or _encoders_for(device)) as encoders,
    ):
        for path, checksum in run_all(encoders, write_film, _made(order, run, missing, device)):
            checksums[path] = checksum
            bar.update()
    return checksums


def _encoders_for(device: torch.device) -> int:
    return (os.cpu_count() or 1) if device.type == "cuda" else 1


def _made(order: _Order, run: Run, missing: list[int], device: torch.device) -> Iterator[Film]:
    """Make the missing clips, whole chunks at a time."""
    network: Any = run.network
    wanted = set(missing)
    for chunk in sorted({index // CHUNK for index in missing}):
        indices = range(chunk * CHUNK, (chunk + 1) * CHUNK)
        with torch.no_grad():
            made = network.streams(latents(run, order.seed, indices, device))
        films = _films(made, order.streams)
        for row, index in enumerate(indices):
            if index in wanted:
                for path, film in zip(order.files(index), films, strict=True):
                    yield Film(path, film[row], run.data.fps)


def _films(made: Streams, streams: bool) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
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


def _write_manifest(order: _Order, run: Run, checksums: dict[Path, str]) -> None:
    """List the clips, with the checksums of those just written; other categories' clips stay."""
    records = [
        ClipRecord(
            clip=order.clip(index),
            sha256=checksums.get(path) or sha256_of(path),
            source=run.config.source,
            category=order.category,
            frames=CLIP_FRAMES,
            fps=run.data.fps,
            width=CLIP_SIZE,
            height=CLIP_SIZE,
            seed=order.seed,
        )
        for index in range(order.n)
        for path in order.files(index)[:1]
    ]
    join_manifest(order.out, records)
