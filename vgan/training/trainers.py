"""Trainers: a model, a recipe, their optimisers and their chance, behind one `step`.

`build_trainer` is the only door. Whatever decides the result is in the config, the mean frame, the
clips given to `step`, or the state.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from vgan.models.autoencoder import Autoencoder
from vgan.models.layers import CLIP_FRAMES, Generator
from vgan.models.small import SmallDiscriminator
from vgan.training.averaging import AveragedWeights
from vgan.training.config import TrainConfig
from vgan.training.distributed import ALONE, World, share_batch_norm
from vgan.training.losses import HINGE, TWO_LOGIT
from vgan.training.networks import build_discriminator, build_network
from vgan.training.players import (
    for_sampling,
    load_player,
    player,
    player_state,
    resting,
    set_learning_rate,
)
from vgan.training.reconstruction import AutoencoderTrainer
from vgan.training.samplers import draw_latents, first_frames, measure_statistics
from vgan.training.steps import (
    DTYPES,
    Game,
    Metrics,
    Trainer,
    step_alternating,
    step_simultaneous,
)
from vgan.training.tuning import Choice, plain


def build_trainer(
    config: TrainConfig,
    mean_frame: Tensor | None,
    device: torch.device,
    world: World = ALONE,
    choice: Choice | None = None,
) -> Trainer:
    """Build the trainer of a run, its weights drawn from the config's seed.

    Args:
        config: the run's settings.
        mean_frame: (3, 64, 64), mean of the training clips, RGB in [-1, 1]: where the stabilised
            recipe's pictures start. None when a state is loaded next (the state has it), or for
            a start from mid-grey.
        device: where the networks live; the same seed gives the same weights on any.
        world: the processes that train together; each gives `step` its rows of a batch.
        choice: how the layers are worked out; as the library does when None.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = build_network(config, mean_frame)
        opponent = build_discriminator(config)
    if config.model == "autoencoder":
        return AutoencoderTrainer(config, cast(Autoencoder, network), device, world, choice)
    return GameTrainer(config, network, opponent, device, world, choice)


class GameTrainer:
    """Trains a generator against a discriminator; see `Trainer`.

    Args:
        config: the run's settings.
        generator: of latents or, for future prediction, of pictures.
        discriminator: gives logits of clips.
        device: where both go.
        world: the processes that train together.
        choice: how the layers are worked out.
    """

    def __init__(
        self,
        config: TrainConfig,
        generator: Generator,
        discriminator: nn.Module,
        device: torch.device,
        world: World = ALONE,
        choice: Choice | None = None,
    ) -> None:
        self.config, self.device, self.world = config, device, world
        self.generator = generator
        self.steps = 0
        self.chance = torch.Generator().manual_seed(config.seed)
        networks = {"generator": generator.to(device), "discriminator": discriminator.to(device)}
        (choice or plain(device)).apply(networks)  # before optimisers and buckets take the layout
        # Before batch norm is shared: one process alone measures the average's statistics.
        self.average = AveragedWeights(generator, config.ema) if config.ema else None
        if config.sync_batch_norm and world.size > 1:
            share_batch_norm(generator)
            share_batch_norm(discriminator)
        rates = (config.learning_rate_generator, config.learning_rate_discriminator)
        self.game = Game(
            player(generator, generator.streams, config, rates[0], world, device),
            player(discriminator, discriminator, config, rates[1], world, device),
            HINGE if config.recipe == "stabilised" else TWO_LOGIT,
            config.mask_weight,
            DTYPES[config.dtype],
            config.frame_weight,
        )
        self.first_frames = first_frames(config, device)

    def step(self, real: Tensor) -> Metrics:
        """Train both networks on one batch; see `Trainer.step`."""
        generator, discriminator = self.game.generator, self.game.discriminator
        set_learning_rate(generator, self.config.learning_rate_generator, self.config, self.steps)
        set_learning_rate(
            discriminator, self.config.learning_rate_discriminator, self.config, self.steps
        )
        if isinstance(discriminator.network, SmallDiscriminator):
            first, second = torch.randint(CLIP_FRAMES, (2,), generator=self.chance).tolist()
            discriminator.network.frames = (first, second)
        latent = self._given(real)
        orders = {"simultaneous": step_simultaneous, "alternating": step_alternating}
        metrics = orders[self.config.generator_step](self.game, real, latent)
        self.steps += 1
        if self.average:
            self.average.update(self.generator, self.steps)
        return metrics

    def networks(self) -> dict[str, nn.Module]:
        """Return both networks; see `Trainer.networks`."""
        return {
            "generator": self.generator,
            "discriminator": self.game.discriminator.network,
        }

    def rehearse(self, real: Tensor) -> None:
        """Generate and judge; see `Trainer.rehearse`."""
        latent = torch.zeros(len(real), self.config.latent, device=self.device)
        with resting(self.networks()):
            self.game.generate(real[:, :, 0] if self.first_frames else latent)
            self.game.judge(real)

    def state_dict(self) -> dict[str, Any]:
        """Return networks, optimisers, average and chance; see `Trainer.state_dict`."""
        state = {
            "steps": self.steps,
            "chance": self.chance.get_state(),
            "generator": player_state(self.game.generator),
            "discriminator": player_state(self.game.discriminator),
        }
        if self.average:
            state["average"] = self.average.network.state_dict()
        if self.first_frames:
            state["first_frames"] = self.first_frames.kept
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state; see `Trainer.load_state_dict`."""
        load_player(self.game.generator, state["generator"])
        load_player(self.game.discriminator, state["discriminator"])
        if self.average:
            self.average.network.load_state_dict(state["average"])
        if self.first_frames:
            self.first_frames.kept = state["first_frames"].to(self.device)
        self.chance.set_state(state["chance"].cpu())
        self.steps = int(state["steps"])

    def sampler(self) -> Generator:
        """Return the generator to sample from; see `Trainer.sampler`."""
        if self.average is None:
            return for_sampling(self.generator)
        network = for_sampling(self.average.network)
        measure_statistics(network, self.config, self.first_frames, self.device)
        return network

    def _given(self, real: Tensor) -> Tensor:
        """Return what G makes this step's clips of: latents, or the clips' own first frames."""
        if self.first_frames:
            return self.first_frames.take(real, self.world)
        count = len(real) * self.world.size
        latents = draw_latents(count, self.config.latent, self.chance, self.device)
        return latents[self.world.rows(count)]
