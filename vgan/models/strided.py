"""Convolutions over clips that halve or double T, H and W, worked out in the form they are told.

`layer.forms` is None at first: torch's own layer. `vgan.training.tuning` sets it to what was
measured to be fastest (`vgan.models.forms`). Names and shapes of the weights are torch's own.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vgan.models.forms import Form, Forms, double, halve, sum_over_places, weight_gradient

_COLOURS = 4  # channels at most of a layer that ends in RGB and a mask


class HalvingConv3d(nn.Conv3d):
    """Halve T, H and W: kernel 4, stride 2, padding 1.

    Args:
        inputs: channels in.
        outputs: channels out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=4, stride=2, padding=1)
        self.small, self.large = outputs, inputs  # channels of the two maps
        self.forms: Forms | None = None

    def forward(self, maps: Tensor) -> Tensor:
        """Turn maps (B, inputs, T, H, W), sides even, into (B, outputs, T/2, H/2, W/2)."""
        if self.forms is None:
            return super().forward(maps)
        given = maps.to(_arithmetic(self.forms, maps))
        return _Halve.apply(given, self.weight, self.bias, self.forms)  # type: ignore[no-any-return, no-untyped-call]


class DoublingConv3d(nn.ConvTranspose3d):
    """Double T, H and W: kernel 4, stride 2, padding 1.

    Args:
        inputs: channels in.
        outputs: channels out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=4, stride=2, padding=1)
        self.small, self.large = inputs, outputs  # channels of the two maps
        self.forms: Forms | None = None

    def forward(self, maps: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Turn maps (B, inputs, T, H, W) into (B, outputs, 2 T, 2 H, 2 W)."""
        if self.forms is None or output_size is not None:
            return super().forward(maps, output_size)
        given = maps.to(_arithmetic(self.forms, maps))
        return _Double.apply(given, self.weight, self.bias, self.forms)  # type: ignore[no-any-return, no-untyped-call]


StridedConv3d = HalvingConv3d | DoublingConv3d


def strided_layers(network: nn.Module) -> dict[str, StridedConv3d]:
    """Return the layers of a network whose form can be chosen, by their names."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, HalvingConv3d | DoublingConv3d)
    }


def sample_in_phases(network: nn.Module) -> None:
    """Let a network on a CPU that is only sampled from double its colours in phases.

    Layers of a few channels on the largest maps are most of a small generator's time, and in phases
    half of it. A rule, not a measurement: a clip's bytes must not depend on a clock.
    """
    for layer in strided_layers(network).values():
        if isinstance(layer, DoublingConv3d) and layer.large <= _COLOURS:
            layer.forms = Forms(double=Form.PHASES)


def _arithmetic(forms: Forms, maps: Tensor) -> torch.dtype:
    """Return what a layer computes in: its own choice, else what autocast would."""
    if forms.dtype is not None:
        chosen: torch.dtype = getattr(torch, forms.dtype)
        return chosen
    kind = maps.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else maps.dtype


def _wanted(ctx: Any) -> list[bool]:
    """Say which tensors' gradients this backward pass is for.

    One graph over D serves two losses, each of which moves one network. Which gradients go unused
    torch's own layers learn from the engine; `needs_input_grad` is settled before.
    """
    nodes = [node for node, _ in ctx.next_functions]
    try:
        return [node is not None and torch._C._will_engine_execute_node(node) for node in nodes]
    except RuntimeError:  # torch.autograd.grad() says nothing of leaves
        return list(ctx.needs_input_grad[: len(nodes)])


def _own(maps: Tensor) -> Tensor:
    """Return maps that are no view of others, which an activation could not change in place."""
    return maps.clone() if maps._is_view() else maps


class _Halve(torch.autograd.Function):
    # The weights are cast in here, so that their gradient leaves in their own type.
    @staticmethod
    def forward(ctx: Any, large: Tensor, weight: Tensor, bias: Tensor, forms: Forms) -> Tensor:
        cast = weight.to(large.dtype)
        ctx.kept, ctx.forms = weight.dtype, forms
        ctx.save_for_backward(large, cast)
        with torch.autocast(large.device.type, enabled=False):  # or it would change the arithmetic
            small = halve(large, cast, forms.halve)
        return _own(small.add_(bias.to(large.dtype).view(-1, 1, 1, 1)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        large, weight = ctx.saved_tensors
        to_large, to_weight, to_bias = _wanted(ctx)
        forms: Forms = ctx.forms
        return (
            double(gradient, weight, forms.double) if to_large else None,
            weight_gradient(large, gradient, forms.weight_gradient).to(ctx.kept)
            if to_weight
            else None,
            sum_over_places(gradient, ctx.kept) if to_bias else None,
            None,
        )


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, small: Tensor, weight: Tensor, bias: Tensor, forms: Forms) -> Tensor:
        cast = weight.to(small.dtype)
        ctx.kept, ctx.forms = weight.dtype, forms
        ctx.save_for_backward(small, cast)
        with torch.autocast(small.device.type, enabled=False):
            large = double(small, cast, forms.double)
        return _own(large.add_(bias.to(small.dtype).view(-1, 1, 1, 1)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        small, weight = ctx.saved_tensors
        to_small, to_weight, to_bias = _wanted(ctx)
        forms: Forms = ctx.forms
        return (
            halve(gradient, weight, forms.halve) if to_small else None,
            weight_gradient(gradient, small, forms.weight_gradient).to(ctx.kept)
            if to_weight
            else None,
            sum_over_places(gradient, ctx.kept) if to_bias else None,
            None,
        )
