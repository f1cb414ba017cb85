"""Find what makes a generator show given clips, so that its masks meet the true ones."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from vgan.models.layers import Streams

STEPS = 100
LEARNING_RATE = 0.05
CANDIDATES = 64


def rebuild(network: Any, clips: Tensor, latent: int) -> Streams:
    """Return a generator's nearest clips to given ones, with their masks.

    An autoencoder encodes them. A GAN's latents are searched: the nearest of random ones, then
    gradient descent on the mean squared difference. What it cannot show it does not rebuild, so
    the masks that come back score mask and generator together.

    Args:
        network: in evaluation mode, with `streams(z)` and perhaps `encode(clip)`.
        clips: (B, 3, T, H, W), RGB in [-1, 1], on the network's device.
        latent: numbers in a latent vector.
    """
    if hasattr(network, "encode"):
        with torch.no_grad():
            decoded: Streams = network.streams(network.encode(clips))
        return decoded
    z = _nearest(network, clips, latent).requires_grad_(True)
    optimiser = torch.optim.Adam([z], lr=LEARNING_RATE)
    for _ in tqdm(range(STEPS), desc="rebuilding true clips", unit="step", leave=False):
        optimiser.zero_grad()
        torch.autograd.backward(functional.mse_loss(network.streams(z).clip, clips))
        optimiser.step()
    with torch.no_grad():
        rebuilt: Streams = network.streams(z)
    return rebuilt


@torch.no_grad()
def _nearest(network: Any, clips: Tensor, latent: int) -> Tensor:
    """Return the latents, (B, latent), whose clips are nearest to the given ones."""
    generator = torch.Generator().manual_seed(0)
    candidates = torch.randn(CANDIDATES, latent, generator=generator).to(clips.device)
    distances = []
    for part in candidates.chunk(8):
        shown = network.streams(part).clip
        distances.append(torch.stack([((clip - shown) ** 2).mean((1, 2, 3, 4)) for clip in clips]))
    return candidates[torch.cat(distances, dim=1).argmin(dim=1)].clone()
