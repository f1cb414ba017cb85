"""One training step, as the paper tells it: D learns real from fake, G learns to fool D.

Two orders of the same step. `alternating` is the textbook's: D moves, then judges the same fakes
again for G. `simultaneous` is the nearest that autograd allows to the authors' main.lua, where G
uses D's judgment from before D's update: one judgment of the fakes serves both, both gradients are
taken at the old weights, then both move. (main.lua goes back through D's *new* weights with the
*old* activations, a mixture no graph has.)

Real and generated clips are always judged in separate batches, so that D's batch norm never mixes
them. Nothing here waits for the device: metrics are scalars left on it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from vgan.models.layers import Generator, Streams
from vgan.training.losses import AdversarialLoss, first_frame_l1, mask_prior

Metrics = dict[str, Tensor]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Trainer(Protocol):
    """What the training loop drives: one recipe on one model.

    `step` draws its latents from a generator that the state includes: a trainer built from the same
    config, given the state, goes on bit for bit (same device, same number of threads).
    """

    def step(self, real: Tensor) -> Metrics:
        """Train on one batch of real clips (B, C, T, H, W) in [-1, 1], on the trainer's device.

        Returns:
            Detached scalars, still on the device. GANs: `loss_d` = `loss_d_real` + `loss_d_fake`,
            `loss_g` = `loss_g_fool` + `loss_g_mask`, `margin` (how much more real D finds real
            clips than generated ones), `mask_mean` (two-stream). Future prediction: also
            `loss_g_frame` in `loss_g`, and `frame_error`, its value as a share of the full range.
            Autoencoder: `loss` = `loss_reconstruction` + `loss_mask`, `mask_mean`.
        """
        ...

    def networks(self) -> dict[str, nn.Module]:
        """Return the networks that are trained, by name."""
        ...

    def rehearse(self, real: Tensor) -> None:
        """Run the networks forward on clips as `step` takes them; nothing is learnt or kept."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return everything a bit-identical continuation needs: tensors and plain values only."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from `state_dict`; RuntimeError or KeyError where it does not fit."""
        ...

    def sampler(self) -> Generator:
        """Return the network to sample from: a copy in evaluation mode, without gradients.

        Its `.streams(z)` gives `Streams` of latents (B, latent), of pictures (B, 3, 64, 64) for
        future prediction, or of codes for the autoencoder, whose sampler has `.encode(clip)` too.
        In evaluation mode batch norm uses fixed statistics, so a latent gives the same clip
        whatever else is in its batch. (Bit for bit only at equal batch sizes: matrix products round
        differently at others.) Averaged weights (`ema`) have no statistics of their own: theirs are
        measured over fixed latents (or the pictures seen last) at each call, which takes about a
        second. The result is a function of `state_dict()` alone, training is not touched, and a
        sampler saved and loaded by its own `state_dict()` is the same sampler.
        """
        ...


@dataclass(frozen=True)
class Player:
    """A network and the optimiser that moves it.

    Args:
        network: being trained.
        optimizer: over all of its parameters.
        run: what the network does in a step: clips' streams of latents, logits of clips.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    run: Callable[[Tensor], Any]

    def take_gradient(self, loss: Tensor, *, keep_graph: bool = False) -> None:
        """Set this player's gradients from a loss; nobody else's, and nothing moves."""
        self.optimizer.zero_grad(set_to_none=True)
        weights = list(self.network.parameters())
        torch.autograd.backward(loss, inputs=weights, retain_graph=keep_graph)

    def move(self) -> None:
        """Update the weights by the gradients taken."""
        self.optimizer.step()

    def descend(self, loss: Tensor) -> None:
        """Take the gradient and move."""
        self.take_gradient(loss)
        self.move()


@dataclass(frozen=True)
class Game:
    """A generator against a discriminator.

    Args:
        generator: runs latents to `Streams`.
        discriminator: runs clips to logits.
        loss: the recipe's adversarial terms.
        mask_weight: weight of the mean mask in G's loss.
        frame_weight: weight of `first_frame_l1` in G's loss; above 0 in future prediction only,
            where G is given pictures in place of latents.
        dtype: arithmetic of the networks; below float32 under autocast.
    """

    generator: Player
    discriminator: Player
    loss: AdversarialLoss
    mask_weight: float
    dtype: torch.dtype = torch.float32
    frame_weight: float = 0.0

    def frame_error(self, clip: Tensor, given: Tensor | None) -> Tensor | None:
        """Return how far clips begin from the pictures given; None where none are."""
        return first_frame_l1(clip, given) if self.frame_weight and given is not None else None

    def generate(self, latent: Tensor) -> Streams:
        """Run G on latents (B, latent), or on pictures (B, 3, H, W)."""
        with autocast(latent.device, self.dtype):
            return cast(Streams, self.generator.run(latent))

    def judge(self, clip: Tensor) -> Tensor:
        """Run D on clips (B, 3, T, H, W)."""
        with autocast(clip.device, self.dtype):
            return cast(Tensor, self.discriminator.run(clip))


def step_simultaneous(game: Game, real: Tensor, latent: Tensor) -> Metrics:
    """Take both gradients at the old weights from one judgment of the fakes, then move both.

    Args:
        game: the two players.
        real: (B, 3, T, H, W), RGB in [-1, 1].
        latent: (B, latent), N(0, 1), or pictures (B, 3, H, W); D and G see the same draw.
    """
    streams = game.generate(latent)
    real_logits, fake_logits = game.judge(real), game.judge(streams.clip)
    loss_d, of_d = discriminator_loss(game, real_logits, fake_logits)
    frame_error = game.frame_error(streams.clip, latent)
    loss_g, of_g = generator_loss(game, fake_logits, streams.mask, frame_error)
    game.discriminator.take_gradient(loss_d, keep_graph=True)
    game.generator.take_gradient(loss_g)
    game.discriminator.move()
    game.generator.move()
    return of_d | of_g


def step_alternating(game: Game, real: Tensor, latent: Tensor) -> Metrics:
    """Move D, then G against the moved D; arguments as `step_simultaneous`."""
    streams = game.generate(latent)
    of_d = step_discriminator(game, real, streams.clip.detach())
    return of_d | step_generator(game, streams, latent)


def step_discriminator(game: Game, real: Tensor, fake: Tensor) -> Metrics:
    """Move D towards telling real clips from fake ones, both (B, 3, T, H, W), fakes detached."""
    loss, metrics = discriminator_loss(game, game.judge(real), game.judge(fake))
    game.discriminator.descend(loss)
    return metrics


def step_generator(game: Game, streams: Streams, given: Tensor | None = None) -> Metrics:
    """Move G towards clips that D, as it is now, takes for real; D is frozen meanwhile.

    Args:
        game: the two players.
        streams: what G made.
        given: of what; needed where the clips are to begin with it.
    """
    frame_error = game.frame_error(streams.clip, given)
    with frozen(game.discriminator.network):
        logits = game.judge(streams.clip)
        loss, metrics = generator_loss(game, logits, streams.mask, frame_error)
        game.generator.descend(loss)
    return metrics


def discriminator_loss(game: Game, real: Tensor, fake: Tensor) -> tuple[Tensor, Metrics]:
    """Return D's loss, the sum (not the mean) of its two branches, from logits (B, k)."""
    loss_real, loss_fake = game.loss.real(real), game.loss.fake(fake)
    loss = loss_real + loss_fake
    metrics = {"loss_d": loss, "loss_d_real": loss_real, "loss_d_fake": loss_fake}
    # `fool` falls as D finds clips more real, under either loss, so this grows as D wins.
    metrics["margin"] = game.loss.fool(fake) - game.loss.fool(real)
    return loss, _detached(metrics)


def generator_loss(
    game: Game, fake: Tensor, mask: Tensor | None, frame_error: Tensor | None = None
) -> tuple[Tensor, Metrics]:
    """Return G's loss from D's logits (B, k) of its clips, its mask and its first frames' error.

    The last two where it has them.
    """
    loss = loss_fool = game.loss.fool(fake)
    metrics = {"loss_g_fool": loss_fool}
    if mask is not None:
        loss_mask = mask_prior(mask, game.mask_weight)
        loss = loss + loss_mask
        metrics |= {"loss_g_mask": loss_mask, "mask_mean": mask.mean()}
    if frame_error is not None:
        loss_frame = game.frame_weight * frame_error
        loss = loss + loss_frame
        metrics |= {"loss_g_frame": loss_frame, "frame_error": frame_error / 2}
    return loss, _detached(metrics | {"loss_g": loss})


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Run networks in `dtype`; in float32, autocast is off."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients through a network without computing those of its weights."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _detached(metrics: Metrics) -> Metrics:
    return {name: value.detach() for name, value in metrics.items()}
