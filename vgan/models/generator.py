"""The paper's generators: a clip from a latent, in two streams or in one.

Layer by layer as the authors' main.lua (https://github.com/cvondrick/videogan at 88c0c4d), with two
changes that leave the function the same: the first layers are matrix products (their input is
1x1x1), and foreground and mask come from one layer of four channels. No training script of the
one-stream model was released; it is the foreground stream alone.
"""

import torch
from torch import Tensor, nn

from vgan.models.layers import (
    Generator,
    LatentMap,
    Stack,
    Streams,
    activate,
    composite,
    enlarge2d,
    enlarge3d,
    initialise_paper,
)


class TwoStreamGenerator(Generator):
    """Moving foreground and mask over a still background, all from one latent.

    Args:
        width: channels before the heads; the paper's is 64 (512-256-128-64).
        latent: numbers in a latent vector.
    """

    def __init__(self, width: int = 64, latent: int = 100) -> None:
        super().__init__()
        self.latent = latent
        self.foreground = foreground_trunk(LatentMap(latent, 8 * width, (2, 4, 4)), width)
        self.head = enlarge3d(width, 4)  # channels 0-2 foreground, 3 mask
        self.background = _background_stream(width, latent)
        initialise_paper(self)

    def streams(self, z: Tensor) -> Streams:
        """Generate clips with their foreground, mask and background from latents (B, latent).

        Raises:
            ShapeError: z is not (B, latent).
        """
        return blend(self.head(self.foreground(z)), self.background(z))


class OneStreamGenerator(Generator):
    """The foreground stream alone, filling the whole frame.

    Args:
        width: channels before the head; the paper's is 64 (512-256-128-64).
        latent: numbers in a latent vector.
    """

    def __init__(self, width: int = 64, latent: int = 100) -> None:
        super().__init__()
        self.latent = latent
        self.foreground = foreground_trunk(LatentMap(latent, 8 * width, (2, 4, 4)), width)
        self.head = enlarge3d(width, 3)
        initialise_paper(self)

    def streams(self, z: Tensor) -> Streams:
        """Generate clips from latents (B, latent); the other streams are None."""
        return Streams(torch.tanh(self.head(self.foreground(z)).float()))


def blend(head: Tensor, picture: Tensor) -> Streams:
    """Blend the two streams' last layers, still without their activations, in float32.

    Args:
        head: (B, 4, T, H, W); channels 0-2 the foreground, 3 the mask.
        picture: (B, 3, H, W), the background.
    """
    foreground, mask = activate(head)
    background = torch.tanh(picture.float()).unsqueeze(2)  # (B, 3, 1, H, W)
    return Streams(composite(mask, foreground, background), foreground, mask, background)


def foreground_trunk(first: nn.Module, width: int) -> Stack:
    """Four layers of the moving stream, from `first`'s map (B, 8W, 2, 4, 4) to (B, W, 16, 32, 32).

    Batch norm and ReLU follow each of them, `first` included.
    """
    layers: list[nn.Module] = [first]
    for factor in (8, 4, 2):
        layers += [nn.BatchNorm3d(factor * width), nn.ReLU(inplace=True)]
        layers += [enlarge3d(factor * width, factor * width // 2)]
    layers += [nn.BatchNorm3d(width), nn.ReLU(inplace=True)]
    return Stack(*layers)


def background_layers(width: int) -> list[nn.Module]:
    """List the still stream's layers from a map (B, 8W, 4, 4) to pictures (B, 3, 64, 64)."""
    layers: list[nn.Module] = []
    for factor in (8, 4, 2):
        outputs = factor * width // 2
        layers += [enlarge2d(factor * width, outputs), nn.BatchNorm2d(outputs)]
        layers += [nn.ReLU(inplace=True)]
    return [*layers, enlarge2d(width, 3)]


def _background_stream(width: int, latent: int) -> Stack:
    first = LatentMap(latent, 8 * width, (4, 4))  # (B, 8W, 4, 4)
    activation = (nn.BatchNorm2d(8 * width), nn.ReLU(inplace=True))
    return Stack(first, *activation, *background_layers(width))
