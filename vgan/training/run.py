"""A trained run: its network, and an autoencoder's mixture, loaded from the run folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vgan.errors import CheckpointError
from vgan.models.layers import Generator
from vgan.models.mixture import GaussianMixture
from vgan.training.checkpoint import checkpoint_config, fitting, load_checkpoint
from vgan.training.folder import RunFolder, SavedRun, find_run
from vgan.training.process import keep_to_one_kernel, make_first_calls
from vgan.training.samplers import load_sampler


@dataclass(frozen=True)
class Run(SavedRun):
    """A trained run, ready to generate.

    Args:
        network: in evaluation mode; `.streams(z)` gives clips for latents (B, latent) or, for the
            autoencoder, for codes.
        mixture: of the autoencoder's codes, None for the other models.
    """

    network: Generator
    mixture: GaussianMixture | None


def load_run(run: Path | SavedRun, device: torch.device | None = None) -> Run:
    """Load the network that generates; from now on a GPU makes the same clips of it each time.

    Args:
        run: the run folder, whose newest checkpoint is taken; or the run found in it.
        device: where the network goes, the CPU by default.

    Raises:
        CheckpointError: not a run folder, or no checkpoint yet; the checkpoint is damaged or of
            another model, or the mixture of an autoencoder has not been fitted yet.
    """
    saved = find_run(run) if isinstance(run, Path) else run
    state = read_checkpoint(saved)
    keep_to_one_kernel()
    with fitting(saved.file):
        network = load_sampler(saved.config, state["trainer"], device or torch.device("cpu"))
    mixture = load_mixture(saved.folder) if saved.config.model == "autoencoder" else None
    known = (saved.folder, saved.config, saved.data, saved.step, saved.file)
    return Run(*known, network, mixture)


def read_checkpoint(saved: SavedRun) -> dict[str, Any]:
    """Read the checkpoint of a run, which must be of the run's model.

    Raises:
        CheckpointError: it is damaged or of another model.
    """
    make_first_calls()
    state = load_checkpoint(saved.file)
    checkpoint_config(state, saved.file, saved.config.model)
    return state


def load_mixture(folder: RunFolder) -> GaussianMixture:
    """Read the mixture fitted to an autoencoder's codes.

    Raises:
        CheckpointError: it has not been fitted yet, or the file is damaged.
    """
    if not folder.mixture.is_file():
        raise CheckpointError(
            f"{folder.path}: no mixture fitted to the codes yet; finish the run with "
            f"`vgan train autoencoder --resume --out {folder.path}`"
        )
    state = load_checkpoint(folder.mixture)
    return GaussianMixture.from_state_dict(state["mixture"])
