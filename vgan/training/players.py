"""What every trainer does with its players: optimisers, states, rest, and copies to sample from."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch._functorch.config
from torch import Tensor, nn

from vgan.models.layers import Generator, Stack
from vgan.models.strided import strided_layers
from vgan.training.config import TrainConfig, learning_rate_factor
from vgan.training.distributed import World, shared
from vgan.training.steps import Player


def player(
    network: nn.Module,
    run: Callable[[Tensor], Any],
    config: TrainConfig,
    learning_rate: float,
    world: World,
    device: torch.device,
) -> Player:
    """Return a player whose network does `run` in a step: compiled, shared, as the run is."""
    if config.compile:
        compile_norms(network)
    adam = torch.optim.Adam(
        network.parameters(), lr=learning_rate, betas=config.betas, eps=1e-8, fused=True
    )
    return Player(network, adam, shared(network, run, world, device))


def compile_norms(network: nn.Module) -> None:
    """Compile a network's batch norms with their activations, each pair into one kernel.

    Convolutions stay as they are: their forms are measured, and only the gradients that are used
    are worked out, which a network compiled as a whole could not know (11 % more operations).

    A step goes back through the discriminator's graph twice (`step_simultaneous`). A compiled
    backward pass may otherwise overwrite what it was given ("donated buffers"), and then refuses to
    be called so. That setting is a part of the compiler's cache keys, counts when the pass runs
    too, and so stays set; as does the number of shapes that one piece of code is compiled for.
    """
    import torch._dynamo.config  # over a second

    torch._functorch.config.donated_buffer = False
    torch._dynamo.config.recompile_limit = 64
    for module in network.modules():
        if isinstance(module, Stack):
            module.compile_norms()


def set_learning_rate(player: Player, full: float, config: TrainConfig, step: int) -> None:
    """Set a player's learning rate to what the run has at a step (0 is the first)."""
    for group in player.optimizer.param_groups:
        group["lr"] = full * learning_rate_factor(config, step)


@contextmanager
def resting(networks: Mapping[str, nn.Module]) -> Iterator[None]:
    """Let networks run without gradients and without moving their batch-norm statistics."""
    training = {name: network.training for name, network in networks.items()}
    for network in networks.values():
        network.eval()
    with torch.no_grad():
        yield
    for name, network in networks.items():
        network.train(training[name])


def for_sampling(network: Generator) -> Generator:
    """Return a copy in evaluation mode, without gradients, as whoever loads its weights has it."""
    copied = copy.deepcopy(network)
    for layer in strided_layers(copied).values():
        layer.forms = None  # as whoever loads its weights will run it
    for weight in copied.parameters():
        weight.grad = None
    return copied.eval().requires_grad_(False)


def player_state(player: Player) -> dict[str, Any]:
    """Return what `load_player` takes: tensors and plain values."""
    return {"network": player.network.state_dict(), "optimizer": player.optimizer.state_dict()}


def load_player(player: Player, state: Mapping[str, Any]) -> None:
    """Take up a player's state; RuntimeError or KeyError where it does not fit."""
    player.network.load_state_dict(state["network"])
    player.optimizer.load_state_dict(state["optimizer"])
    for weight, kept in player.optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                kept[name] = torch.empty_like(weight).copy_(value)  # in the layout of the weight
