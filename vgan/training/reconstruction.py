"""The trainer of the autoencoder: clips to codes and back."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vgan.models.autoencoder import Autoencoder
from vgan.models.layers import Generator, Streams
from vgan.training.config import TrainConfig
from vgan.training.distributed import ALONE, World, share_batch_norm
from vgan.training.losses import mask_prior, reconstruction_l2
from vgan.training.players import (
    for_sampling,
    load_player,
    player,
    player_state,
    resting,
    set_learning_rate,
)
from vgan.training.steps import DTYPES, Metrics, autocast
from vgan.training.tuning import Choice, plain


class AutoencoderTrainer:
    """Trains the autoencoder to reconstruct clips; see `Trainer`.

    Args:
        config: the run's settings; the generator's learning rate is used.
        network: to be trained.
        device: where it goes.
        world: the processes that train together.
        choice: how the layers are worked out.
    """

    def __init__(
        self,
        config: TrainConfig,
        network: Autoencoder,
        device: torch.device,
        world: World = ALONE,
        choice: Choice | None = None,
    ) -> None:
        self.config, self.network = config, network
        self.steps = 0
        (choice or plain(device)).apply({"autoencoder": network.to(device)})
        if config.sync_batch_norm and world.size > 1:
            share_batch_norm(network)
        rate = config.learning_rate_generator
        self.player = player(network, network.reconstruct, config, rate, world, device)

    def step(self, real: Tensor) -> Metrics:
        """Train on one batch; see `Trainer.step`."""
        set_learning_rate(self.player, self.config.learning_rate_generator, self.config, self.steps)
        with autocast(real.device, DTYPES[self.config.dtype]):
            streams: Streams = self.player.run(real)
        assert streams.mask is not None
        loss_reconstruction = reconstruction_l2(streams.clip, real)
        loss_mask = mask_prior(streams.mask, self.config.mask_weight)
        loss = loss_reconstruction + loss_mask
        self.player.descend(loss)
        self.steps += 1
        return {
            "loss": loss.detach(),
            "loss_reconstruction": loss_reconstruction.detach(),
            "loss_mask": loss_mask.detach(),
            "mask_mean": streams.mask.detach().mean(),
        }

    def networks(self) -> dict[str, nn.Module]:
        """Return the network; see `Trainer.networks`."""
        return {"autoencoder": self.network}

    def rehearse(self, real: Tensor) -> None:
        """Encode and decode; see `Trainer.rehearse`."""
        with resting(self.networks()), autocast(real.device, DTYPES[self.config.dtype]):
            self.player.run(real)

    def state_dict(self) -> dict[str, Any]:
        """Return network and optimiser (no chance is used); see `Trainer.state_dict`."""
        return {"steps": self.steps, "autoencoder": player_state(self.player)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state; see `Trainer.load_state_dict`."""
        load_player(self.player, state["autoencoder"])
        self.steps = int(state["steps"])

    def sampler(self) -> Generator:
        """Return the autoencoder to encode and decode with; see `Trainer.sampler`."""
        return for_sampling(self.network)
