"""Time the forms of a strided layer; hold them, and other layers, against the library's float32."""

import copy
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vgan.models.forms import (
    DOUBLE,
    HALVE,
    WEIGHT_GRADIENT,
    Form,
    Forms,
    layout_of_double,
)
from vgan.models.layers import lay_out
from vgan.models.strided import HalvingConv3d, StridedConv3d

logger = logging.getLogger(__name__)

# How far a form may be from the library's float32, as a share of the largest value.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 3e-2}
# Of float32 on CUDA, whose convolutions multiply in TF32 unless told otherwise: it keeps 10 bits,
# three more than bfloat16, so an eighth of that one's. (Forms that are matrix products are exact.)
TF32_TOLERANCE = 4e-3
# Forms take turns, so that a moment in which the machine is busy meets all of them; the quickest
# turn of each counts, and one so many times slower than another has no further turn.
_TURNS, _HOPELESS = 5, 3.0
_TINY = 1e-30  # of a largest value that is zero
# Numbers that a product may gather: a GPU has the memory, and multiplies fast.
_MOST_WINDOWS = {"cpu": 1 << 24, "cuda": 1 << 28}

Operation = Callable[[Tensor, Tensor], Tensor]


def measure(
    layer: StridedConv3d, shape: torch.Size, dtype: torch.dtype, channels_last: bool
) -> tuple[Forms, float]:
    """Return the fastest forms of a layer for an input of some shape, and their seconds together.

    Args:
        layer: measured with weights of its size, on its device.
        shape: (B, C, T, H, W).
        dtype: of the run; on a CPU, a layer of a bfloat16 run may be quicker in float32.
        channels_last: layout of weights and maps.
    """
    b, _, *sides = shape
    places = [side // 2 for side in sides] if isinstance(layer, HalvingConv3d) else sides
    small = torch.Size([b, layer.small, *places])
    large = torch.Size([b, layer.large, *(2 * side for side in places)])
    weight = torch.Size([layer.small, layer.large, 4, 4, 4])
    gathered = 64 * layer.large * b * math.prod(places)
    device = next(layer.parameters()).device  # reading a normed layer's weight would change it
    most = _MOST_WINDOWS[device.type]
    tried = [form for form in Form if form is not Form.PRODUCT or gathered <= most]
    layout = torch.channels_last_3d if channels_last else torch.contiguous_format
    layout_of_large = layout_of_double(layer.large, layout)
    found: list[tuple[float, Forms]] = []
    for arithmetic in _arithmetics(dtype, device):
        maps = [_drawn(size, device, arithmetic, layout) for size in (large, small, weight)]
        best = {
            "halve": _fastest(HALVE, (maps[0], maps[2]), tried, layout),
            "double": _fastest(DOUBLE, (maps[1], maps[2]), tried, layout_of_large),
            "weight_gradient": _fastest(WEIGHT_GRADIENT, (maps[0], maps[1]), tried, layout),
        }
        name = None if arithmetic == dtype else str(arithmetic).removeprefix("torch.")
        forms = Forms(**{what: form for what, (form, _) in best.items()}, dtype=name)
        found.append((sum(seconds for _, seconds in best.values()), forms))
    seconds, forms = min(found, key=lambda pair: pair[0])
    return forms, seconds


def _arithmetics(dtype: torch.dtype, device: torch.device) -> list[torch.dtype]:
    """Return what a layer may be worked out in: tensor cores are made for the run's own."""
    if device.type == "cuda":
        return [dtype]
    return list(dict.fromkeys((dtype, torch.promote_types(dtype, torch.float32))))


def _drawn(
    size: torch.Size, device: torch.device, dtype: torch.dtype, layout: torch.memory_format
) -> Tensor:
    """Draw where the numbers are used: at the paper's size there are billions."""
    numbers = torch.randn(size, generator=torch.Generator(device).manual_seed(0), device=device)
    return numbers.to(dtype).contiguous(memory_format=layout)


def _fastest(
    table: Mapping[Form, Operation],
    given: tuple[Tensor, Tensor],
    tried: Sequence[Form],
    layout: torch.memory_format,
) -> tuple[Form, float]:
    """Return the fastest form of an operation that is right, and its seconds into a layout."""
    wide = torch.promote_types(given[0].dtype, torch.float32)
    with exact_float32():
        expected = table[Form.LIBRARY](given[0].to(wide), given[1].to(wide))
    limit = tolerance(given[0].dtype, given[0].device) * float(expected.abs().max())
    right: list[Form] = []
    for form in tried:
        try:
            found = table[form](*given)
        except torch.OutOfMemoryError:  # some make large copies; others may do
            continue
        error = float((found.to(wide) - expected).abs().max())
        if error <= limit:
            right.append(form)
        else:
            logger.warning("the form `%s` is wrong on this machine, and is not used", form)
    if not right:  # another arithmetic will do
        return Form.LIBRARY, math.inf
    quickest = dict.fromkeys(right, math.inf)
    for _ in range(_TURNS):
        hopeless = _HOPELESS * min(quickest.values())
        for form in (form for form in right if quickest[form] <= hopeless):
            quickest[form] = min(quickest[form], _seconds(table[form], given, layout))
    return min(quickest.items(), key=lambda pair: pair[1])


def error_beside_float32(
    layer: nn.Module, shape: torch.Size, dtype: torch.dtype, channels_last: bool
) -> float:
    """Return how far a layer and its gradients under autocast are from float32, at most.

    As a share of the largest value of each; infinite where something is not finite. Libraries have
    had kernels that are wrong on one processor alone, and a run would only learn less.

    Args:
        layer: with one input and one output; a copy of it is used, in evaluation mode.
        shape: of its input.
        dtype: of the run.
        channels_last: layout of its weights.
    """
    device = next(layer.parameters()).device
    layer = copy.deepcopy(layer).eval()
    lay_out(layer, channels_last=channels_last)
    for weight in layer.parameters():  # rounded, so that only the sums differ
        weight.data = weight.data.to(dtype).to(weight.dtype)
    planar = torch.contiguous_format
    maps = _drawn(shape, device, dtype, planar)
    with torch.no_grad():
        gradient = _drawn(layer(maps.float()).shape, device, dtype, planar)
    with exact_float32():
        expected = _passes(layer, maps.float(), gradient.float())
    with torch.autocast(device.type, dtype):
        found = _passes(layer, maps, gradient)
    errors = [
        float((one.float() - other).abs().max() / other.abs().max().clamp_min(_TINY))
        for one, other in zip(found, expected, strict=True)
    ]
    return max(error if math.isfinite(error) else math.inf for error in errors)


def _passes(layer: nn.Module, maps: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    """Return a layer's output and what a gradient of it gives its input and its weights."""
    maps = maps.clone().requires_grad_()
    output = layer(maps)
    given = [maps, *layer.parameters()]
    return output.detach(), *torch.autograd.grad(output, given, gradient.to(output.dtype))


def tolerance(dtype: torch.dtype, device: torch.device) -> float:
    """Return how far a form may be from exact float32, as a share of the largest value."""
    if device.type == "cuda" and dtype == torch.float32:
        return TF32_TOLERANCE
    return TOLERANCE[dtype]


@contextmanager
def exact_float32() -> Iterator[None]:
    """Let float32 on CUDA multiply in float32, not in TF32: convolutions and matrix products.

    Convolutions use TF32 unless told otherwise, products where TORCH_ALLOW_TF32_CUBLAS_OVERRIDE
    says so. Kernels are not tried out for them either: what is convolved so is a reference, used
    once. Products are told by torch's older call: some versions take the newer one beside it amiss.
    """
    cudnn: Any = torch.backends.cudnn
    before = cudnn.conv.fp32_precision, cudnn.benchmark, torch.get_float32_matmul_precision()
    cudnn.conv.fp32_precision, cudnn.benchmark = "ieee", False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        cudnn.conv.fp32_precision, cudnn.benchmark = before[:2]
        torch.set_float32_matmul_precision(before[2])


def drain(device: torch.device) -> None:
    """Wait for what was asked of a device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _seconds(
    operation: Operation, given: tuple[Tensor, Tensor], layout: torch.memory_format
) -> float:
    """Time one call and what its result's layout takes; the queue drained before and after."""
    device = given[0].device
    drain(device)
    begun = time.perf_counter()
    operation(*given).contiguous(memory_format=layout)
    drain(device)
    return time.perf_counter() - begun
