"""Convolutions of kernel 4, stride 2 and padding 1 over clips, and their adjoints, as products.

A convolution library gains by going over a large map with a small kernel. The layers next to the
latent and to the logits are the other way round at the paper's width: 512 channels on a map of
2x4x4, and weights that are larger than everything they are applied to. On a CPU their gradients are
2 (float32) to 8 times (bfloat16 on AMX) as fast as one matrix product with the gathered windows of
the map, at batch 8. Which form a layer takes follows from its shapes alone, never from a clock, so
that a resumed run does the same sums.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_TAPS = 4  # of the kernel, along each axis
_WIDE = 256  # channels from which products were measured to gain


class HalvingConv3d(nn.Conv3d):
    """Halve T, H and W.

    Args:
        inputs: channels in.
        outputs: channels out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=_TAPS, stride=2, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Turn maps (B, inputs, T, H, W), sides even, into (B, outputs, T/2, H/2, W/2)."""
        places = len(maps) * (maps[0, 0].numel() // 8)
        if not (self.weight.requires_grad and gains_by_products(self.weight, places)):
            return super().forward(maps)
        dtype = _arithmetic(maps)
        return _Halve.apply(maps.to(dtype), self.weight, self.bias)  # type: ignore[no-any-return, no-untyped-call]


class DoublingConv3d(nn.ConvTranspose3d):
    """Double T, H and W.

    Args:
        inputs: channels in.
        outputs: channels out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=_TAPS, stride=2, padding=1)

    def forward(self, maps: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Turn maps (B, inputs, T, H, W) into (B, outputs, 2 T, 2 H, 2 W)."""
        places = len(maps) * maps[0, 0].numel()
        if output_size is not None or not gains_by_products(self.weight, places):
            return super().forward(maps, output_size)
        dtype = _arithmetic(maps)
        return _Double.apply(maps.to(dtype), self.weight, self.bias)  # type: ignore[no-any-return, no-untyped-call]


def gains_by_products(weight: Tensor, places: int) -> bool:
    """Whether a layer's gradients are faster as products: on a CPU, with more weights than windows.

    Args:
        weight: (small, large, 4, 4, 4), the channels of its smaller and of its larger map.
        places: of the smaller map, over the whole batch.
    """
    return weight.device.type == "cpu" and max(places, _WIDE) <= weight.shape[0]


def halve(large: Tensor, weight: Tensor) -> Tensor:
    """Convolve (B, L, T, H, W) with weights (S, L, 4, 4, 4) to (B, S, T/2, H/2, W/2)."""
    return functional.conv3d(large, weight, stride=2, padding=1)


def double(small: Tensor, weight: Tensor) -> Tensor:
    """Apply the adjoint of `halve`: (B, S, T, H, W) to (B, L, 2 T, 2 H, 2 W).

    One product gives what every place adds to the 4x4x4 places around it; then they are added up.
    """
    b, s, t, h, w = small.shape
    channels = weight.shape[1]
    added = _rows(small) @ _rows(weight).view(s, -1)
    added = added.view(b, t, h, w, _TAPS, _TAPS, _TAPS, channels)
    padded = small.new_zeros(b, 2 * t + 2, 2 * h + 2, 2 * w + 2, channels)
    for i in range(_TAPS):
        for j in range(_TAPS):
            for k in range(_TAPS):
                to = padded[:, i : i + 2 * t : 2, j : j + 2 * h : 2, k : k + 2 * w : 2]
                to += added[:, :, :, :, i, j, k]
    return padded[:, 1:-1, 1:-1, 1:-1].permute(0, 4, 1, 2, 3)


def weight_gradient(large: Tensor, small: Tensor) -> Tensor:
    """Return the gradient (S, L, 4, 4, 4) of the weights between two maps.

    Args:
        large: (B, L, 2 T, 2 H, 2 W), the map on one side, or the gradient there.
        small: (B, S, T, H, W), the gradient on the other side, or the map there.
    """
    channels = large.shape[1], small.shape[1]
    found = _rows(small).T @ _windows(large)
    found = found.view(channels[1], _TAPS, _TAPS, _TAPS, channels[0])
    return found.permute(0, 4, 1, 2, 3)


def _rows(maps: Tensor) -> Tensor:
    """Return (B, C, T, H, W) as (B T H W, C); without a copy where it is channels-last."""
    return maps.permute(0, 2, 3, 4, 1).reshape(-1, maps.shape[1])


def _windows(large: Tensor) -> Tensor:
    """Return the 4x4x4 windows of (B, L, 2 T, 2 H, 2 W), two places apart: (B T H W, 64 L)."""
    b, c, t, h, w = large.shape
    padded = large.new_zeros(b, t + 2, h + 2, w + 2, c)
    padded[:, 1:-1, 1:-1, 1:-1] = large.permute(0, 2, 3, 4, 1)
    of_b, of_t, of_h, of_w, _ = padded.stride()
    shape = (b, t // 2, h // 2, w // 2, _TAPS, _TAPS, _TAPS, c)
    steps = (of_b, 2 * of_t, 2 * of_h, 2 * of_w, of_t, of_h, of_w, 1)
    return padded.as_strided(shape, steps).reshape(-1, _TAPS**3 * c)


def _arithmetic(maps: Tensor) -> torch.dtype:
    """Return what autocast would compute a convolution of these maps in."""
    kind = maps.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else maps.dtype


class _Halve(torch.autograd.Function):
    # The weights are cast in here, so that their gradient leaves in their own type and layout.
    @staticmethod
    def forward(ctx: Any, large: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        cast = weight.to(large.dtype)
        ctx.kept = weight.dtype
        ctx.save_for_backward(large, cast)
        return functional.conv3d(large, cast, bias.to(large.dtype), stride=2, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        large, weight = ctx.saved_tensors
        to_large, to_weight, to_bias = ctx.needs_input_grad
        return (
            double(gradient, weight) if to_large else None,
            weight_gradient(large, gradient).to(ctx.kept) if to_weight else None,
            _rows(gradient).to(ctx.kept).sum(0) if to_bias else None,
        )


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, small: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        cast = weight.to(small.dtype)
        ctx.kept = weight.dtype
        ctx.save_for_backward(small, cast)
        return double(small, cast).add_(bias.to(small.dtype).view(-1, 1, 1, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        small, weight = ctx.saved_tensors
        to_small, to_weight, to_bias = ctx.needs_input_grad
        return (
            halve(gradient, weight) if to_small else None,
            weight_gradient(gradient, small).to(ctx.kept) if to_weight else None,
            _rows(gradient).to(ctx.kept).sum(0) if to_bias else None,
        )
