"""Averaged weights, and the batch-norm statistics that averaged weights lack."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from vgan.models.layers import Generator

WARM_UP = 10  # steps over which the average forgets the untrained weights


class AveragedWeights:
    """An exponential moving average of a network's weights, quick at first.

    After step s (from 1) the decay is min(decay, s / (9 + s)), so that the start does not linger.

    Args:
        network: being trained; the average starts at its weights.
        decay: of the average, in [0, 1).
    """

    def __init__(self, network: Generator, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: Generator, step: int) -> None:
        """Move towards the weights of a network after its step number `step` (from 1)."""
        decay = min(self.decay, step / (WARM_UP - 1 + step))
        torch._foreach_lerp_(
            list(self.network.parameters()), list(network.parameters()), 1.0 - decay
        )


def calibrate(network: Generator, batches: Iterable[Tensor]) -> None:
    """Set batch-norm statistics to their means over batches of latents.

    Args:
        network: its weights stay, its statistics are measured anew, and it is left in evaluation
            mode.
        batches: latents (B, latent).
    """
    update_bn(batches, network)
    network.eval()
