"""The networks that are sampled from: what training leaves, and how it is loaded without training.

Where weights are averaged, the average is what is sampled, and its batch-norm statistics are
measured anew each time: over latents of the run's seed or, for future prediction, over the pictures
in the state. So a sampler depends on a trainer's state and config alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from vgan.models.layers import Generator
from vgan.training.averaging import calibrate
from vgan.training.config import TrainConfig
from vgan.training.future import FirstFrames
from vgan.training.networks import build_network
from vgan.training.tuning import plain

_BATCHES, _BATCH = 4, 32


def load_sampler(config: TrainConfig, state: Mapping[str, Any], device: torch.device) -> Generator:
    """Build the network a trainer of this state would sample from; see `Trainer.sampler`.

    Neither opponent nor optimisers are made, which takes longer than to make a few clips.

    Args:
        config: the run's settings.
        state: of its trainer.
        device: where the network goes.

    Raises:
        KeyError, RuntimeError: the state is of another model, or of one of another shape.
    """
    with torch.random.fork_rng(devices=[]):
        network = build_network(config).to(device)
    plain(device).apply({"sampler": network})
    averaged = config.model != "autoencoder" and bool(config.ema)
    player = "autoencoder" if config.model == "autoencoder" else "generator"
    network.load_state_dict(state["average"] if averaged else state[player]["network"])
    network.eval().requires_grad_(False)
    if averaged:
        frames = first_frames(config, device)
        if frames:
            frames.kept = state["first_frames"].to(device)
        measure_statistics(network, config, frames, device)
    return network


def first_frames(config: TrainConfig, device: torch.device) -> FirstFrames | None:
    """Return what keeps the pictures of a future run, which only averaged weights need."""
    if config.model != "future":
        return None
    return FirstFrames(_BATCHES * _BATCH if config.ema else 0, device)


def measure_statistics(
    network: Generator, config: TrainConfig, frames: FirstFrames | None, device: torch.device
) -> None:
    """Measure the batch-norm statistics of averaged weights; the network is left in evaluation.

    Args:
        network: with the averaged weights.
        config: the run's settings.
        frames: of a future run, whose pictures are predicted from; None for latents.
        device: of the network.
    """
    calibrate(network, frames.batches(_BATCH) if frames else _latents(config, device))


def draw_latents(count: int, latent: int, chance: torch.Generator, device: torch.device) -> Tensor:
    """Draw (count, latent) from N(0, 1) on the CPU, so that every device sees the same."""
    drawn = torch.randn(count, latent, generator=chance)
    if device.type == "cuda":
        return drawn.pin_memory().to(device, non_blocking=True)
    return drawn.to(device)


def _latents(config: TrainConfig, device: torch.device) -> Iterator[Tensor]:
    chance = torch.Generator().manual_seed(config.seed)
    for _ in range(_BATCHES):
        yield draw_latents(_BATCH, config.latent, chance, device)
