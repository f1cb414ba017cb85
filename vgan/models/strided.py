"""Convolutions over clips that halve or double T, H and W, worked out in the form they are told.

`layer.forms` is None at first: torch's own layer. `vgan.training.tuning` sets it to what was
measured to be fastest (`vgan.models.forms`). Names and shapes of the weights are torch's own.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vgan.models.forms import (
    COLOURS,
    Form,
    Forms,
    add_bias,
    double,
    halve,
    layout_of,
    sum_over_places,
    weight_gradient,
)


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
        return _worked_out(self, maps, self.forms, doubles=False)


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
        return _worked_out(self, maps, self.forms, doubles=True)


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
        if isinstance(layer, DoublingConv3d) and layer.large <= COLOURS:
            layer.forms = Forms(double=Form.PHASES)


def _worked_out(layer: StridedConv3d, maps: Tensor, forms: Forms, *, doubles: bool) -> Tensor:
    weight = layer.weight  # once: reading a normed layer's weight would change it
    # In two steps: to cast and to rearrange at once takes twice as long.
    given = maps.to(_arithmetic(forms, maps)).contiguous(memory_format=layout_of(weight))
    return _Strided.apply(given, weight, layer.bias, forms, doubles)  # type: ignore[no-any-return, no-untyped-call]


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


class _Strided(torch.autograd.Function):
    """Halve or double maps; the gradient of what is given goes back through the other one."""

    # The weights are cast in here, so that their gradient leaves in their own type.
    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor, forms: Forms, doubles: bool
    ) -> Tensor:
        cast = weight.to(maps.dtype)
        ctx.kept, ctx.forms, ctx.doubles = weight.dtype, forms, doubles
        ctx.save_for_backward(maps, cast)
        with torch.autocast(maps.device.type, enabled=False):  # or it would change the arithmetic
            found = _other_map(maps, cast, forms, doubles=doubles)
        return add_bias(_own(found), bias.to(maps.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight = ctx.saved_tensors
        to_maps, to_weight, to_bias = _wanted(ctx)
        forms: Forms = ctx.forms
        of_bias = sum_over_places(gradient, ctx.kept) if to_bias else None
        gradient = gradient.contiguous(memory_format=layout_of(weight))
        large, small = (gradient, maps) if ctx.doubles else (maps, gradient)
        return (
            _other_map(gradient, weight, forms, doubles=not ctx.doubles) if to_maps else None,
            weight_gradient(large, small, forms.weight_gradient).to(ctx.kept)
            if to_weight
            else None,
            of_bias,
            None,
            None,
        )


def _other_map(maps: Tensor, weight: Tensor, forms: Forms, *, doubles: bool) -> Tensor:
    return double(maps, weight, forms.double) if doubles else halve(maps, weight, forms.halve)
