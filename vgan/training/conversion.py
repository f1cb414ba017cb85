"""Make a run folder of a generator that the authors released: `vgan convert`."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import cast

import torch

from vgan.data.manifest import SLUG, sha256_of
from vgan.errors import DataError, UsageError
from vgan.models.released import OtherModelError, ReleasedGenerator, build_released
from vgan.models.torch7 import read_torch7
from vgan.training.checkpoint import save_checkpoint
from vgan.training.config import TrainConfig, resolve_config
from vgan.training.folder import RunFolder, TrainingData
from vgan.training.record import versions, write_settings
from vgan.training.trainers import GameTrainer, build_trainer

_ITERATIONS = re.compile(r"iter(\d+)")
_FPS = 25.0  # their clips have no rate; most of their videos had this one


def convert(
    file: Path, out: Path, *, category: str = "all", steps: int | None = None
) -> ReleasedGenerator:
    """Turn a .t7 generator into a run folder that `vgan generate` takes.

    The discriminator and the optimisers of the run are untrained: a run made so can be sampled, not
    trained further. Its clips are said to have 25 frames per second.

    Args:
        file: as the authors' main.lua saves its generator.
        out: the run folder; it must not exist, or be empty.
        category: what the generator's clips show.
        steps: it was trained for. Default: the number in a file name like `iter65000_net.t7`.

    Raises:
        UsageError: `out` is in use, the category is no slug, or the steps are not known.
        DataError: the file cannot be read or holds another network.
        WriteError: the disk is full or the folder cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: is in use; give a new folder")
    if not SLUG.fullmatch(category):
        raise UsageError(f"category {category!r} is not a slug (lower-case letters, digits, - .)")
    try:
        found = build_released(read_torch7(file))
    except OtherModelError as error:
        raise DataError(f"{file}: {error}") from None
    if steps is None:
        named = _ITERATIONS.search(file.name)
        if named is None:
            raise UsageError(f"{file.name} does not say how long it was trained; give --steps")
        steps = int(named[1])
    config = resolve_config(
        found.model, "paper", "paper", category=category, steps=steps, width=found.width,
        latent=found.latent, dtype="float32",
    )  # fmt: skip
    _write_run(RunFolder(out), config, found, file)
    return found


def _write_run(
    folder: RunFolder, config: TrainConfig, found: ReleasedGenerator, file: Path
) -> None:
    device = torch.device("cpu")
    trainer = cast(GameTrainer, build_trainer(config, None, device))
    trainer.game.generator.network.load_state_dict(found.network.state_dict())
    trainer.steps = config.steps
    state = {"config": asdict(config), "step": config.steps, "trainer": trainer.state_dict()}
    save_checkpoint(folder.checkpoint(config.steps), state)
    source = {"file": str(file.resolve()), "sha256": sha256_of(file)}
    folder.write_data(TrainingData(source["file"], config.category, source["sha256"], 0, _FPS))
    write_settings(folder, config, versions(device) | {"converted_from": source})
