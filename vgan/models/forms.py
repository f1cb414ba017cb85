"""Three operations between a large map and a small one of half its sides, each in several forms.

A convolution of kernel 4, stride 2 and padding 1 goes through `halve`; its adjoint, the transposed
convolution, through `double`; `weight_gradient` is the gradient of either. What is fastest depends
on shapes, arithmetic and processor, often by a factor of two or more, so each operation can be had

- as the *library*'s strided kernel;
- in *phases*: the eight interleaved maps of half the sides become channels (space to depth), on
  which the kernel is 2x2x2 and the stride 1. Layers of few channels on large maps gain;
- as a *product*: one matrix product over the gathered windows. Layers whose weights are larger than
  their maps gain.

All give the same numbers within rounding. Shapes: large (B, L, 2 T, 2 H, 2 W), small
(B, S, T, H, W), weight (S, L, 4, 4, 4). Maps lie as the weights do, channels-last or planar, and
maps of colours are planar as clips are: the library works on two maps that lie differently in up to
ten times the time. Phases lie as the device likes them (`layout_of_phases`).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import product
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv3d_weight

# Typed, as torch's own is not.
_convolution_gradient: Callable[..., Tensor] = conv3d_weight
_TOGETHER = 16  # places of a row of a map
COLOURS = 4  # channels at most of a layer that ends in RGB and a mask
_TAPS = 4  # of the kernel, along each axis
_OCTANTS = tuple(product((0, 1), repeat=3))


class Form(StrEnum):
    """How an operation is worked out."""

    LIBRARY = "library"
    PHASES = "phases"
    PRODUCT = "product"


@dataclass(frozen=True)
class Forms:
    """How one layer is worked out.

    Args:
        halve: forward pass of a halving layer, gradient of a doubling layer's input.
        double: forward pass of a doubling layer, gradient of a halving layer's input.
        weight_gradient: of either.
        dtype: its arithmetic, a name such as `float32`; what autocast says when None.
    """

    halve: Form = Form.LIBRARY
    double: Form = Form.LIBRARY
    weight_gradient: Form = Form.LIBRARY
    dtype: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {k: None if v is None else str(v) for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Read plain values; ValueError or TypeError where they are none of ours."""
        forms = {name: Form(value) for name, value in raw.items() if name != "dtype"}
        dtype = raw.get("dtype")
        if dtype is not None and not isinstance(getattr(torch, dtype, None), torch.dtype):
            raise ValueError(f"no arithmetic called {dtype!r}")
        return cls(**forms, dtype=dtype)


def halve(large: Tensor, weight: Tensor, form: Form = Form.LIBRARY) -> Tensor:
    """Convolve a large map to a small one, which lies as the weights do."""
    return HALVE[form](large, weight).contiguous(memory_format=layout_of(weight))


def double(small: Tensor, weight: Tensor, form: Form = Form.LIBRARY) -> Tensor:
    """Apply the adjoint of `halve`: a small map to a large one; colours come out planar."""
    layout = layout_of_double(weight.shape[1], layout_of(weight))
    return DOUBLE[form](small, weight).contiguous(memory_format=layout)


def weight_gradient(large: Tensor, small: Tensor, form: Form = Form.LIBRARY) -> Tensor:
    """Return the gradient (S, L, 4, 4, 4) of the weights between two maps.

    Args:
        large: the map on one side, or the gradient there.
        small: the gradient on the other side, or the map there.
        form: how.

    Both lie alike, for speed.
    """
    return WEIGHT_GRADIENT[form](large, small)


def _halve_by_library(large: Tensor, weight: Tensor) -> Tensor:
    return functional.conv3d(large, weight, stride=2, padding=1)


def _double_by_library(small: Tensor, weight: Tensor) -> Tensor:
    return functional.conv_transpose3d(small, weight, stride=2, padding=1)


def _gradient_by_library(large: Tensor, small: Tensor) -> Tensor:
    shape = (small.shape[1], large.shape[1], _TAPS, _TAPS, _TAPS)
    return _convolution_gradient(large, shape, small, stride=2, padding=1)


def _halve_in_phases(large: Tensor, weight: Tensor) -> Tensor:
    return functional.conv3d(_phases(large, torch.channels_last_3d), _phase_weight(weight))


def _double_in_phases(small: Tensor, weight: Tensor) -> Tensor:
    b, _, t, h, w = small.shape
    channels, layout = weight.shape[1], layout_of_phases(small.device)
    phases = functional.conv_transpose3d(
        small.contiguous(memory_format=layout),
        _phase_weight(weight).contiguous(memory_format=layout),
    )
    octants = phases.reshape(b, 2, 2, 2, channels, t + 1, h + 1, w + 1)
    large = torch.empty(
        (b, channels, 2 * t, 2 * h, 2 * w),
        dtype=small.dtype, device=small.device, memory_format=layout_of_double(channels, layout),
    )  # fmt: skip
    for i, j, k in _OCTANTS:  # of the padded map; without its border, phase 1 is the even places
        places = (slice(1 - i, t + 1 - i), slice(1 - j, h + 1 - j), slice(1 - k, w + 1 - k))
        large[:, :, 1 - i :: 2, 1 - j :: 2, 1 - k :: 2] = octants[:, i, j, k, :, *places]
    return large


def _gradient_in_phases(large: Tensor, small: Tensor) -> Tensor:
    phases = _phases(large, layout_of_phases(large.device))
    found = _convolution_gradient(phases, (small.shape[1], phases.shape[1], 2, 2, 2), small)
    shape = (len(found), large.shape[1], _TAPS, _TAPS, _TAPS)
    apart = found.reshape(len(found), 2, 2, 2, -1, 2, 2, 2)  # phases, L, taps
    return apart.permute(0, 4, 5, 1, 6, 2, 7, 3).reshape(shape)


def _halve_by_product(large: Tensor, weight: Tensor) -> Tensor:
    b, _, t, h, w = large.shape
    small = torch.empty(
        (b, len(weight), t // 2, h // 2, w // 2),
        dtype=large.dtype, device=large.device, memory_format=torch.channels_last_3d,
    )  # fmt: skip
    torch.mm(_windows(large), _rows(weight).reshape(len(weight), -1).T, out=_rows(small))
    return small


def _double_by_product(small: Tensor, weight: Tensor) -> Tensor:
    """One product gives what every place adds to the 4x4x4 around it; then they are added up."""
    b, s, t, h, w = small.shape
    channels = weight.shape[1]
    added = _rows(small) @ _rows(weight).reshape(s, -1)
    added = added.view(b, t, h, w, _TAPS, _TAPS, _TAPS, channels)
    padded = small.new_zeros(b, 2 * t + 2, 2 * h + 2, 2 * w + 2, channels)
    for i, j, k in product(range(_TAPS), repeat=3):
        to = padded[:, i : i + 2 * t : 2, j : j + 2 * h : 2, k : k + 2 * w : 2]
        to += added[:, :, :, :, i, j, k]
    return padded[:, 1:-1, 1:-1, 1:-1].permute(0, 4, 1, 2, 3)


def _gradient_by_product(large: Tensor, small: Tensor) -> Tensor:
    found = _rows(small).T @ _windows(large)
    found = found.reshape(small.shape[1], _TAPS, _TAPS, _TAPS, large.shape[1])
    return found.permute(0, 4, 1, 2, 3)


HALVE: Mapping[Form, Callable[[Tensor, Tensor], Tensor]] = {
    Form.LIBRARY: _halve_by_library,
    Form.PHASES: _halve_in_phases,
    Form.PRODUCT: _halve_by_product,
}
DOUBLE: Mapping[Form, Callable[[Tensor, Tensor], Tensor]] = {
    Form.LIBRARY: _double_by_library,
    Form.PHASES: _double_in_phases,
    Form.PRODUCT: _double_by_product,
}
WEIGHT_GRADIENT: Mapping[Form, Callable[[Tensor, Tensor], Tensor]] = {
    Form.LIBRARY: _gradient_by_library,
    Form.PHASES: _gradient_in_phases,
    Form.PRODUCT: _gradient_by_product,
}


def _phases(large: Tensor, layout: torch.memory_format) -> Tensor:
    """Return the phases of a large map padded by 1, (B, 8 L, T+1, H+1, W+1), in a layout."""
    padded = functional.pad(large, (1,) * 6)
    b, c, t, h, w = padded.shape
    pairs = padded.reshape(b, c, t // 2, 2, h // 2, 2, w // 2, 2)
    if layout is torch.contiguous_format:
        return pairs.permute(0, 3, 5, 7, 1, 2, 4, 6).flatten(1, 4)
    return pairs.permute(0, 2, 4, 6, 3, 5, 7, 1).flatten(4).permute(0, 4, 1, 2, 3)


def _phase_weight(weight: Tensor) -> Tensor:
    """Return the weights between phases and small map, (S, 8 L, 2, 2, 2), channels-last."""
    s, channels = weight.shape[:2]
    pairs = weight.reshape(s, channels, 2, 2, 2, 2, 2, 2)  # tap and phase along each axis
    taps = pairs.permute(0, 2, 4, 6, 3, 5, 7, 1).flatten(4)  # (S, 2, 2, 2, 8 L)
    return taps.permute(0, 4, 1, 2, 3)


def _rows(maps: Tensor) -> Tensor:
    """Return (B, C, T, H, W) as (B T H W, C); without a copy where it is channels-last."""
    return maps.permute(0, 2, 3, 4, 1).reshape(-1, maps.shape[1])


def _windows(large: Tensor) -> Tensor:
    """Return the 4x4x4 windows of a large map, two places apart: (B T H W, 64 L)."""
    b, c, t, h, w = large.shape
    padded = large.new_zeros(b, t + 2, h + 2, w + 2, c)
    padded[:, 1:-1, 1:-1, 1:-1] = large.permute(0, 2, 3, 4, 1)
    of_b, of_t, of_h, of_w, _ = padded.stride()
    shape = (b, t // 2, h // 2, w // 2, _TAPS, _TAPS, _TAPS, c)
    steps = (of_b, 2 * of_t, 2 * of_h, 2 * of_w, of_t, of_h, of_w, 1)
    return padded.as_strided(shape, steps).reshape(-1, _TAPS**3 * c)


def layout_of_phases(device: torch.device) -> torch.memory_format:
    """Return how phases lie where a device may like either layout.

    A GPU's tensor cores take channels-last, and the library would turn planar maps there and back.
    On a CPU runs of a few channels are slow to interleave, and the weights' gradient of
    channels-last phases took a third longer where phases gain at all.
    """
    return torch.channels_last_3d if device.type == "cuda" else torch.contiguous_format


def layout_of(weight: Tensor) -> torch.memory_format:
    """Return the layout of weights: that of the maps on both sides."""
    last = weight.is_contiguous(memory_format=torch.channels_last_3d)
    return torch.channels_last_3d if last else torch.contiguous_format


def layout_of_double(channels: int, weights: torch.memory_format) -> torch.memory_format:
    """Return the layout of what `double` makes, by its channels and the layout of the weights."""
    return torch.contiguous_format if channels <= COLOURS else weights


def add_bias(maps: Tensor, bias: Tensor) -> Tensor:
    """Add (C,) to (B, C, T, H, W) in place, and return it."""
    rows = _wide_rows(maps)
    if rows is None:
        return maps.add_(bias.view(-1, 1, 1, 1))
    rows.add_(bias.repeat(rows.shape[1] // len(bias)))
    return maps


def sum_over_places(maps: Tensor, dtype: torch.dtype) -> Tensor:
    """Sum (B, C, T, H, W) to (C,): the gradient of a bias."""
    rows = _wide_rows(maps)
    if rows is None:
        return maps.sum(dim=(0, 2, 3, 4), dtype=dtype)
    return rows.sum(dim=0, dtype=dtype).view(-1, maps.shape[1]).sum(dim=0)


def _wide_rows(maps: Tensor) -> Tensor | None:
    """Return a channels-last map as rows of several places; None where it is planar.

    A few channels are fewer than a processor adds at a time.
    """
    if not maps.is_contiguous(memory_format=torch.channels_last_3d):
        return None
    rows = _rows(maps)
    together = math.gcd(len(rows), _TOGETHER)
    return rows.view(-1, together * maps.shape[1])
