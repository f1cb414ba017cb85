"""What a trained network makes of clips, as a table for any other program.

Each layer's map is averaged over time and space in a few cells, so that a clip is one row of a
manageable length whatever the layer.
"""

import gzip
import io
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from vgan.data.dataset import open_dataset
from vgan.data.files import write_atomic
from vgan.data.manifest import ManifestError, read_manifest
from vgan.errors import DataError, UsageError
from vgan.models.discriminator import Discriminator
from vgan.representation.batches import over_clips
from vgan.representation.pretrained import load_discriminator
from vgan.training.folder import RunFolder
from vgan.training.run import load_run

LAYERS = ("layer1", "layer2", "layer3", "layer4", "code")
_SUFFIXES = (".csv", ".csv.gz", ".parquet")
_CELLS = (1, 2, 2)  # time, height, width
_AT_ONCE = 32


def write_features(
    run: Path, clips: Path, layer: str, out: Path, *, device: torch.device | None = None
) -> int:
    """Write one row per clip: name, category, split, and the features f0, f1, ...

    Args:
        run: a run with the paper's discriminator, or an autoencoder's.
        clips: a clip folder.
        layer: `layer1` to `layer4`, averaged over 2x2 cells of the picture (`layer4` whole, as
            the paper's logistic regression sees it), or `code` of an autoencoder.
        out: `.csv`, `.csv.gz` or `.parquet` (where pyarrow is installed).
        device: where the network runs.

    Returns:
        How many clips.

    Raises:
        CheckpointError: the run has no such network.
        DataError: clips that cannot be read.
        UsageError: no such layer, or another kind of file.
    """
    if layer not in LAYERS:
        raise UsageError(f"--layer {layer}: no such layer; there are {', '.join(LAYERS)}")
    _check_name(out)
    device = device or torch.device("cpu")
    network, reads_code = _encoder(run, device)
    if layer == "code" and not reads_code:
        raise UsageError(f"--layer code: {run} is no autoencoder; take layer1 to layer4")
    frames: list[pd.DataFrame] = []
    for category, split in _parts(clips):
        dataset = open_dataset(clips, category, split)
        for clip, why in dataset.skipped:
            raise DataError(f"{clips / clip}: {why}; take it out of the folder")
        named = pd.DataFrame(
            {"clip": [r.clip for r in dataset.records], "category": category, "split": split}
        )
        values = over_clips(
            partial(_layer, network, layer), dataset.clips, _AT_ONCE, device,
            title="features", leave=True,
        )  # fmt: skip
        columns = [f"f{i}" for i in range(values.shape[1])]
        frames.append(pd.concat([named, pd.DataFrame(values, columns=columns)], axis=1))
    table = pd.concat(frames, ignore_index=True)
    write_atomic(out, _encoded(table, out))
    return len(table)


def _check_name(out: Path) -> None:
    """Make sure that a table can be written as its name says, before there is one."""
    if not out.name.lower().endswith(_SUFFIXES):
        raise UsageError(f"--out {out}: name a .csv, .csv.gz or .parquet file")
    if out.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        raise UsageError(f"{out}: Parquet needs pyarrow: python -m pip install pyarrow")


def _parts(clips: Path) -> list[tuple[str, str]]:
    try:
        records = read_manifest(clips)
    except ManifestError as error:
        raise DataError(str(error)) from None
    return sorted({(r.category, r.split or "train") for r in records})


def _encoder(run: Path, device: torch.device) -> tuple[Discriminator, bool]:
    """Return the network with the paper's discriminator's layers, and whether it reads a code."""
    if RunFolder(run).read_config().model != "autoencoder":
        return load_discriminator(run).network.to(device), False
    encoder = load_run(run, device).network.encoder
    assert isinstance(encoder, Discriminator)  # both recipes' autoencoders encode with it
    return encoder, True


def _layer(network: Discriminator, layer: str, clips: Tensor) -> Tensor:
    if layer == "code":
        return cast(Tensor, network(clips))
    if layer == "layer4":
        return network.features(clips).flatten(1)
    wanted = int(layer.removeprefix("layer"))
    maps, seen = clips, 0
    for module in network.trunk:
        maps = module(maps)
        seen += isinstance(module, nn.LeakyReLU)
        if seen == wanted:
            break
    return functional.adaptive_avg_pool3d(maps, _CELLS).flatten(1)


def _encoded(table: pd.DataFrame, out: Path) -> bytes:
    suffix = out.suffix.lower()
    if suffix == ".parquet":
        buffer = io.BytesIO()
        table.to_parquet(buffer, engine="pyarrow", index=False)
        return buffer.getvalue()
    data = table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()
    return gzip.compress(data, mtime=0) if suffix == ".gz" else data
