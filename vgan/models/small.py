"""The stabilised recipe's networks: a recognisable scene in CPU minutes at an eighth of the width.

Not the paper's: chosen by trying things on drawn and real scenes (docs/training.md). What differs,
and why:

- The foreground enlarges by convolution and pixel shuffle (quicker on a CPU than transposed
  convolutions), all started as nearest-neighbour enlargement; its last doubling is trilinear, so
  that masks have no dot grid.
- The background enlarges by resizing and convolving, adds RGB at every size, and starts from the
  mean training frame.
- The mask starts mostly off (sigmoid of -3).
- The discriminator is two: one sees the whole clip at half size with its frame differences beside
  it, the other two frames at full size. Spectral norm instead of batch norm.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from vgan.models.autoencoder import Autoencoder
from vgan.models.discriminator import Discriminator
from vgan.models.layers import (
    CLIP_FRAMES,
    CLIP_SIZE,
    Generator,
    LatentMap,
    Stack,
    Streams,
    activate,
    composite,
    shrink2d,
    shrink3d,
)

MASK_OFFSET = -3.0  # masks start at sigmoid(-3) = 0.05
MOTION_GAIN = 4.0  # frame differences are small beside colours
MEAN_FRAME_LIMIT = 0.95  # atanh of a saturated pixel would be infinite
_SPREAD_OF_HEADS = 0.3


class SmallTwoStreamGenerator(Generator):
    """Moving foreground and mask over a still background that starts as the mean frame.

    Args:
        width: channels before the heads; 8 is the small preset's (64-32-16-8).
        latent: numbers in a latent vector.
        mean_frame: (3, 64, 64), RGB in [-1, 1]; mid-grey when None.
    """

    def __init__(self, width: int = 8, latent: int = 100, mean_frame: Tensor | None = None) -> None:
        super().__init__()
        self.latent = latent
        self.foreground = small_trunk(LatentMap(latent, 8 * width, (2, 4, 4)), width)
        self.head = nn.Conv3d(width, 4, 3, padding=1)  # channels 0-2 foreground, 3 mask
        first = Stack(LatentMap(latent, 8 * width, (4, 4)), nn.BatchNorm2d(8 * width), nn.ReLU())
        self.background = SmallBackground(first, width, mean_frame)
        initialise_small(self)

    def streams(self, z: Tensor) -> Streams:
        """Generate clips with their foreground, mask and background from latents (B, latent)."""
        return blend_small(self.head(self.foreground(z)), self.background(z))


class SmallOneStreamGenerator(Generator):
    """The foreground stream alone, filling the whole frame: no mask and no background.

    RGB is added up from all four sizes, so that the latent reaches the colours at once (without
    it all latents gave one picture), onto the mean frame, as in the two-stream's background.

    Args:
        width: channels before the head; 8 is the small preset's.
        latent: numbers in a latent vector.
        mean_frame: (3, 64, 64), RGB in [-1, 1]; mid-grey when None.
    """

    def __init__(self, width: int = 8, latent: int = 100, mean_frame: Tensor | None = None) -> None:
        super().__init__()
        self.latent = latent
        self.foreground = small_trunk(LatentMap(latent, 8 * width, (2, 4, 4)), width)
        self.to_rgb = nn.ModuleList(
            [nn.Conv3d(factor * width, 3, kernel_size=1) for factor in (8, 4, 2)]
        )
        self.head = nn.Conv3d(width, 3, 3, padding=1)
        self.mean = _start_from(mean_frame)
        initialise_small(self)

    def streams(self, z: Tensor) -> Streams:
        """Generate clips from latents (B, latent); the other streams are None."""
        *coarse, last = self.foreground
        maps, rgb = z, torch.zeros((), device=z.device)
        for block, to_rgb in zip(coarse, self.to_rgb, strict=True):
            maps = block(maps)
            rgb = _smooth_double(rgb + to_rgb(maps).float())
        rgb = rgb + self.head(last(maps)).float()  # (B, 3, 16, 32, 32)
        return Streams(torch.tanh(_smooth_double(rgb) + self.mean[:, None]))


class SmallBackground(nn.Module):
    """A still picture, RGB added up from four sizes onto the mean frame.

    Args:
        first: makes the map (B, 8 width, 4, 4) of what the background is made from.
        width: channels at 32x32.
        mean_frame: (3, 64, 64), RGB in [-1, 1]; where training starts from.
    """

    def __init__(self, first: nn.Module, width: int, mean_frame: Tensor | None) -> None:
        super().__init__()
        channels = [8 * width, 4 * width, 2 * width, width]  # at 4, 8, 16 and 32 pixels
        self.blocks = nn.ModuleList([first])
        for inputs, outputs in pairwise(channels):
            self.blocks.append(
                Stack(
                    nn.Upsample(scale_factor=2),
                    nn.Conv2d(inputs, outputs, 3, padding=1),
                    nn.BatchNorm2d(outputs),
                    nn.ReLU(),
                )
            )
        self.to_rgb = nn.ModuleList([nn.Conv2d(count, 3, 1) for count in channels])
        self.last = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(width, 3, 3, padding=1))
        self.mean = _start_from(mean_frame)

    def forward(self, z: Tensor, onto: Tensor | None = None) -> Tensor:
        """Generate pictures (B, 3, 64, 64), RGB in [-1, 1].

        Args:
            z: what `first` takes, latents (B, latent) or maps.
            onto: pictures (B, 3, 64, 64), before tanh, that all is added to; none by default.
        """
        maps, rgb = z, torch.zeros((), device=z.device)
        for block, to_rgb in zip(self.blocks, self.to_rgb, strict=True):
            maps = block(maps)
            rgb = rgb + to_rgb(maps).float()
            rgb = functional.interpolate(rgb, scale_factor=2.0, mode="bilinear")
        if onto is not None:
            rgb = rgb + onto
        return torch.tanh(rgb + self.last(maps).float() + self.mean)


class SmallDiscriminator(nn.Module):
    """Two spectrally normed networks, three logits: one of the motion, two of single frames.

    Averaging over the logits weighs motion by 1/3 and pictures by 2/3.

    Args:
        width: channels of each first layer.

    Attributes:
        frames: the two frames the picture network sees, the same for the whole batch; the trainer
            draws them anew for each step.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.frames = (0, CLIP_FRAMES // 2)
        self.motion = _normed_stack(shrink3d, 6, width, 2 * 2 * 2)
        self.picture = _normed_stack(shrink2d, 3, width, 4 * 4)

    def forward(self, clip: Tensor) -> Tensor:
        """Return logits (B, 3) of clips (B, 3, 32, 64, 64), RGB in [-1, 1]; higher is more real."""
        of_motion = self.motion(self.motion_input(clip))  # (B, 1)
        of_pictures = [self.picture(clip[:, :, frame]) for frame in self.frames]
        return torch.cat([of_motion, *of_pictures], dim=1)

    def motion_input(self, clip: Tensor) -> Tensor:
        """Return clips at half size, their frame differences beside them: (B, 6, 32, 32, 32)."""
        half = functional.avg_pool3d(clip, (1, 2, 2))  # (B, 3, 32, 32, 32)
        change = functional.pad(MOTION_GAIN * half.diff(dim=2), (0, 0, 0, 0, 1, 0))
        return torch.cat([half, change], dim=1)


def small_autoencoder(
    width: int = 8, latent: int = 100, mean_frame: Tensor | None = None
) -> Autoencoder:
    """Build the small baseline: the paper's encoder at small width, the small decoder."""
    encoder = Discriminator(width, outputs=latent)
    for module in encoder.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, 0.2, nonlinearity="leaky_relu")
    nn.init.normal_(encoder.readout.weight, 0.0, encoder.readout.weight[0].numel() ** -0.5)
    return Autoencoder(encoder, SmallTwoStreamGenerator(width, latent, mean_frame))


class ShuffleConv3d(nn.Conv3d):
    """Double T, H and W: a 3x3x3 convolution to 8 values per output channel, interleaved, blurred.

    The blur, a mean of 2x2x2, is blind to the pattern that interleaving adds: a grid of period 2.

    Args:
        inputs: channels in.
        outputs: channels out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, 8 * outputs, kernel_size=3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Enlarge maps (B, inputs, T, H, W) to (B, outputs, 2 T, 2 H, 2 W)."""
        maps = self._convolved(maps)  # (B, 8 outputs, T, H, W)
        b, c, t, h, w = maps.shape
        octets = maps.reshape(b, 2, 2, 2, c // 8, t, h, w).permute(0, 4, 5, 1, 6, 2, 7, 3)
        return _blur(octets.reshape(b, c // 8, 2 * t, 2 * h, 2 * w))

    def _convolved(self, maps: Tensor) -> Tensor:
        if maps.shape[2] != 2:
            return super().forward(maps)
        # With T padded by the library, oneDNN 3.12's gradient of the weights is garbage for two
        # frames in bfloat16 on processors with AVX-512's bfloat16 and no AMX.
        padded = functional.pad(maps, (0, 0, 0, 0, 1, 1))
        return functional.conv3d(padded, self.weight, self.bias, padding=(0, 1, 1))

    def start_as_nearest(self) -> None:
        """Give the 8 values of each output the same weights: nearest-neighbour enlargement."""
        with torch.no_grad():
            self.weight.copy_(self.weight[: self.out_channels // 8].repeat(8, 1, 1, 1, 1))


def before_tanh(picture: Tensor) -> Tensor:
    """Return what tanh turns into a picture, RGB in [-1, 1]; saturated pixels are drawn in."""
    return torch.atanh(picture.float().clamp(-MEAN_FRAME_LIMIT, MEAN_FRAME_LIMIT))


def _start_from(mean_frame: Tensor | None) -> nn.Parameter:
    """Return the learnt picture (3, 64, 64), before tanh, that starts as the mean frame."""
    if mean_frame is None:
        mean_frame = torch.zeros(3, CLIP_SIZE, CLIP_SIZE)
    return nn.Parameter(before_tanh(mean_frame.detach()))


def blend_small(head: Tensor, picture: Tensor) -> Streams:
    """Double the moving stream's last layer and blend it over the background, in float32.

    Args:
        head: (B, 4, 16, 32, 32), before activation; channels 0-2 the foreground, 3 the mask.
        picture: (B, 3, 64, 64), the background, RGB in [-1, 1].
    """
    head = _smooth_double(head.float())  # (B, 4, 32, 64, 64)
    foreground, mask = activate(head, MASK_OFFSET)
    background = picture.unsqueeze(2)  # (B, 3, 1, 64, 64)
    return Streams(composite(mask, foreground, background), foreground, mask, background)


def small_trunk(first: nn.Module, width: int) -> nn.Sequential:
    """Four blocks: (B, 8W, 2, 4, 4), (B, 4W, 4, 8, 8), (B, 2W, 8, 16, 16), (B, W, 16, 32, 32).

    Args:
        first: makes the first of these maps.
        width: W.
    """
    channels = [8 * width, 4 * width, 2 * width, width]
    doublings = [first, *(ShuffleConv3d(*counts) for counts in pairwise(channels))]
    return nn.Sequential(
        *(
            Stack(doubling, nn.BatchNorm3d(outputs), nn.ReLU(inplace=True))
            for doubling, outputs in zip(doublings, channels, strict=True)
        )
    )


def _blur(maps: Tensor) -> Tensor:
    """Average each place with the one before it in T, H and W; the first keeps what it has."""
    means = functional.avg_pool3d(maps, 2, stride=1, padding=1, count_include_pad=False)
    return means[:, :, :-1, :-1, :-1]


def _smooth_double(maps: Tensor) -> Tensor:
    """Double T, H and W without a grid."""
    return functional.interpolate(maps, scale_factor=2.0, mode="trilinear")


def _normed_stack(
    shrink: Callable[[int, int], nn.Module], inputs: int, width: int, positions: int
) -> nn.Sequential:
    """Four halvings and a linear logit, all spectrally normed, biases from 0."""
    layers: list[nn.Module] = []
    for outputs in (width, 2 * width, 4 * width, 8 * width):
        layers += [shrink(inputs, outputs), nn.LeakyReLU(0.2, inplace=True)]
        inputs = outputs
    layers += [nn.Flatten(), nn.Linear(inputs * positions, 1)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.Linear):
            nn.init.zeros_(cast(Tensor, layer.bias))
            spectral_norm(layer)
    return nn.Sequential(*layers)


def initialise_small(generator: nn.Module) -> None:
    """Draw weights with spread 1/sqrt(inputs per output), heads smaller, shuffles as nearest."""
    for module in generator.modules():
        if isinstance(module, LatentMap):
            nn.init.normal_(module.weight, 0.0, module.weight.shape[0] ** -0.5)
        elif isinstance(module, nn.Conv2d | nn.Conv3d):
            spread = module.weight[0].numel() ** -0.5
            if module.out_channels <= 4:
                spread *= _SPREAD_OF_HEADS
            nn.init.normal_(module.weight, 0.0, spread)
            nn.init.zeros_(cast(Tensor, module.bias))
        if isinstance(module, ShuffleConv3d):
            module.start_as_nearest()
