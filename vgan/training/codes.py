"""The autoencoder's last stage: a Gaussian mixture over the codes of the training clips."""

import logging
from typing import Any

import torch
from torch import Tensor, nn

from vgan.data.dataset import ClipDataset, model_batches
from vgan.models.mixture import GaussianMixture, components_for
from vgan.training.checkpoint import save_checkpoint
from vgan.training.config import TrainConfig
from vgan.training.folder import RunFolder

logger = logging.getLogger(__name__)

CHUNK = 32  # clips encoded together


def components(config: TrainConfig, clips: int) -> int:
    """Return how many Gaussians a run fits; called before training, so that it fails early.

    Raises:
        TrainingError: too few clips; the paper preset insists on all of its Gaussians.
    """
    return components_for(clips, most=config.mixture_components, strict=config.preset == "paper")


def fit_codes(
    network: nn.Module, dataset: ClipDataset, folder: RunFolder, config: TrainConfig, gaussians: int
) -> None:
    """Encode the training clips, fit the mixture to their codes and keep it in the run folder.

    All of it on the network's device; the file loads anywhere. Too little memory there ends as in
    a step: the weights are saved, and the run goes on from here.

    Args:
        network: the trained autoencoder, in evaluation mode.
        dataset: the training clips.
        folder: of the run.
        config: of the run.
        gaussians: components to fit.

    Raises:
        DataError: the mixture cannot be written.
        TrainingError: the codes are not finite.
    """
    codes = encode_clips(network, dataset)
    mixture = GaussianMixture.fit(codes, gaussians, seed=config.seed)
    save_checkpoint(folder.mixture, {"mixture": mixture.state_dict()})
    logger.info(
        "%s: %d Gaussians fitted to %d codes in %d iterations",
        folder.path, gaussians, len(codes), len(mixture.log_likelihoods),
    )  # fmt: skip


def encode_clips(network: Any, dataset: ClipDataset) -> Tensor:
    """Return the codes of all training clips, (N, latent), on the network's device."""
    device = next(network.parameters()).device
    with torch.no_grad():
        batches = model_batches(dataset.clips, CHUNK, device, title="encoding", leave=True)
        return torch.cat([network.encode(batch).float() for batch in batches])
