"""What the networks are built from: a clip's streams, their blend, and layers that are GEMMs.

Tensors are (B, C, T, H, W), RGB in [-1, 1]. Layer weights keep the shape and the order of the
convolutions they stand for, so parameter counts and released weights fit.
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from vgan.models.strided import DoublingConv3d, HalvingConv3d

CLIP_FRAMES = 32
CLIP_SIZE = 64
PAPER_SPREAD = 0.01  # of every layer's starting weights
_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)  # of this process alone: those shared have to talk


class ShapeError(ValueError):
    """A tensor has another shape than the function takes; the message names both."""


class Streams(NamedTuple):
    """A generated clip and what it was blended from; one-stream clips have no parts.

    Attributes:
        clip: (B, 3, T, H, W), RGB in [-1, 1].
        foreground: (B, 3, T, H, W), RGB in [-1, 1].
        mask: (B, 1, T, H, W), in [0, 1]; 1 shows the foreground.
        background: (B, 3, 1, H, W), RGB in [-1, 1]; held for all T frames.
    """

    clip: Tensor
    foreground: Tensor | None = None
    mask: Tensor | None = None
    background: Tensor | None = None


class Generator(nn.Module):
    """Makes clips with their streams; called, it returns the clips alone."""

    def streams(self, given: Tensor) -> Streams:
        """Make clips (B, 3, 32, 64, 64) of latents (B, latent), or of what else they depend on."""
        raise NotImplementedError

    def forward(self, given: Tensor) -> Tensor:
        """Make clips (B, 3, 32, 64, 64) of what `streams` takes."""
        return self.streams(given).clip


class _Blend(torch.autograd.Function):
    # Autograd's own broadcasts and slices here were the largest item of a small CPU step.
    @staticmethod
    def forward(ctx: Any, mask: Tensor, foreground: Tensor, background: Tensor) -> Tensor:
        ctx.save_for_backward(mask, foreground, background)
        return torch.lerp(background, foreground, mask)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mask, foreground, background = ctx.saved_tensors
        to_foreground = gradient * mask
        to_background = (gradient.sum(dim=2) - to_foreground.sum(dim=2)).unsqueeze(2)
        to_mask = (foreground - background).mul_(gradient).sum(dim=1, keepdim=True)
        return to_mask, to_foreground, to_background


class _Activate(torch.autograd.Function):
    # Autograd would fill a gradient of the whole head with zeros for each slice, and add them up.
    @staticmethod
    def forward(ctx: Any, head: Tensor, offset: float) -> tuple[Tensor, Tensor]:
        foreground = torch.tanh(head[:, :3])
        mask = torch.sigmoid(head[:, 3:] + offset)
        ctx.save_for_backward(foreground, mask)
        return foreground, mask

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        foreground, mask = ctx.saved_tensors
        to_foreground, to_mask = gradients
        b, _, *sides = foreground.shape
        to_head = foreground.new_empty(b, 4, *sides)
        of_tanh, of_sigmoid = torch.ops.aten.tanh_backward, torch.ops.aten.sigmoid_backward
        of_tanh.grad_input(to_foreground, foreground, grad_input=to_head[:, :3])
        of_sigmoid.grad_input(to_mask, mask, grad_input=to_head[:, 3:])
        return to_head, None


def activate(head: Tensor, offset: float = 0.0) -> tuple[Tensor, Tensor]:
    """Split a two-stream head into the foreground's colours and the mask, in float32.

    Args:
        head: (B, 4, T, H, W), before activation; channels 0-2 the foreground, 3 the mask.
        offset: added to the mask's.

    Returns:
        Foreground (B, 3, T, H, W), RGB in [-1, 1], and mask (B, 1, T, H, W), in [0, 1].
    """
    wide = head.to(torch.promote_types(head.dtype, torch.float32)).contiguous()
    return cast(tuple[Tensor, Tensor], _Activate.apply(wide, offset))  # type: ignore[no-untyped-call]


def composite(mask: Tensor, foreground: Tensor, background: Tensor) -> Tensor:
    """Blend a moving foreground over a still background with a soft mask.

    Computed in float32 as b + m (f - b); the background is never repeated in memory.

    Args:
        mask: (B, 1, T, H, W), in [0, 1]; 1 shows the foreground.
        foreground: (B, 3, T, H, W), RGB in [-1, 1].
        background: (B, 3, 1, H, W), RGB in [-1, 1]; held for all T frames.

    Returns:
        Clips, (B, 3, T, H, W), RGB in [-1, 1].

    Raises:
        ShapeError: a tensor is not five-dimensional, B, T, H or W differ, the mask has several
            channels, or the background has several frames.

    Source:
        Vondrick, Pirsiavash and Torralba, NIPS 2016, two-stream architecture.
    """
    if foreground.ndim != 5:
        raise ShapeError(f"foreground must be (B, C, T, H, W), not {tuple(foreground.shape)}")
    b, c, t, h, w = foreground.shape
    if mask.shape != (b, 1, t, h, w):
        raise ShapeError(f"mask must be {(b, 1, t, h, w)}, not {tuple(mask.shape)}")
    if background.shape != (b, c, 1, h, w):
        raise ShapeError(f"background must be {(b, c, 1, h, w)}, not {tuple(background.shape)}")
    parts = (mask.float(), foreground.float(), background.float())
    if mask.dtype == torch.float64:
        parts = (mask, foreground, background)
    return cast(Tensor, _Blend.apply(*parts))  # type: ignore[no-untyped-call]


class Stack(nn.Sequential):
    """Layers one after the other; batch norm and activation can be compiled into one kernel."""

    _parts: tuple[nn.Module, ...] = ()  # a copy of the stack has copies that are not compiled

    def forward(self, maps: Tensor) -> Tensor:
        """Run the layers on maps."""
        for part in self._parts or self:
            maps = part(maps)
        return maps

    def compile_norms(self) -> None:
        """Compile each batch norm with the activation behind it; convolutions stay as they are."""
        parts: list[nn.Module] = []
        for layer in self:
            if parts and type(parts[-1]) in _NORMS and isinstance(layer, nn.ReLU | nn.LeakyReLU):
                parts[-1] = _Normed(parts[-1], layer)
                parts[-1].compile(dynamic=False)
            else:
                parts.append(layer)
        self._parts = tuple(parts)


class _Normed(nn.Module):
    # Not nn.Sequential: `compile` passes torch's own modules over without a word.
    def __init__(self, norm: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.norm, self.activation = norm, activation

    def forward(self, maps: Tensor) -> Tensor:
        return cast(Tensor, self.activation(self.norm(maps)))


class LatentMap(nn.Module):
    """Transposed convolution of a 1x1(x1) latent, as the one matrix product that it is.

    Args:
        latent: numbers in a latent vector.
        channels: of the map.
        size: of the map and the kernel, (T, H, W) or (H, W).
    """

    def __init__(self, latent: int, channels: int, size: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(PAPER_SPREAD * torch.randn(latent, channels, *size))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, z: Tensor) -> Tensor:
        """Map latents (B, latent) to (B, channels, *size).

        Raises:
            ShapeError: z is not (B, latent).
        """
        latent, channels, *size = self.weight.shape
        if z.ndim != 2 or z.shape[1] != latent:
            raise ShapeError(f"latents must be (B, {latent}), not {tuple(z.shape)}")
        maps = (z @ self.weight.flatten(1)).view(-1, channels, *size)
        return maps + self.bias.view(channels, *(1 for _ in size))


class Readout(nn.Module):
    """Convolution whose kernel covers the whole map, as the one matrix product that it is.

    Args:
        channels: of the map.
        size: of the map and the kernel, (T, H, W) or (H, W).
        outputs: numbers read out.
    """

    def __init__(self, channels: int, size: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(PAPER_SPREAD * torch.randn(outputs, channels, *size))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        """Read (B, outputs) from maps (B, channels, *size)."""
        return functional.linear(maps.flatten(1), self.weight.flatten(1), self.bias)


def enlarge3d(inputs: int, outputs: int) -> nn.ConvTranspose3d:
    """Double T, H and W: kernel 4, stride 2, padding 1."""
    return DoublingConv3d(inputs, outputs)


def enlarge2d(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """Double H and W: kernel 4, stride 2, padding 1."""
    return nn.ConvTranspose2d(inputs, outputs, kernel_size=4, stride=2, padding=1)


def shrink3d(inputs: int, outputs: int) -> nn.Conv3d:
    """Halve T, H and W: kernel 4, stride 2, padding 1."""
    return HalvingConv3d(inputs, outputs)


def shrink2d(inputs: int, outputs: int) -> nn.Conv2d:
    """Halve H and W: kernel 4, stride 2, padding 1."""
    return nn.Conv2d(inputs, outputs, kernel_size=4, stride=2, padding=1)


def initialise_paper(network: nn.Module) -> None:
    """Draw the authors' starting weights: all layers N(0, 0.01), biases 0, batch norm N(1, 0.02).

    Draws from torch's global generator, in the order of the modules.

    Source:
        main.lua of https://github.com/cvondrick/videogan at 88c0c4d (DCGAN had 0.02 throughout).
    """
    kernels = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d, LatentMap, Readout)
    for module in network.modules():
        if isinstance(module, kernels):
            nn.init.normal_(module.weight, 0.0, PAPER_SPREAD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


def lay_out(network: nn.Module, *, channels_last: bool) -> None:
    """Store every convolution's weights channels-last, or not; maps take their layout from them.

    Module.to(memory_format=...) cannot do it: it takes one format for 4-D and 5-D weights alike.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            layout = torch.channels_last_3d if channels_last else torch.contiguous_format
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            layout = torch.channels_last if channels_last else torch.contiguous_format
        else:
            continue
        normed = is_parametrized(module, "weight")  # the weight is computed from another
        weight = cast(Any, module).parametrizations.weight.original if normed else module.weight
        weight.data = weight.data.contiguous(memory_format=layout)
