"""Turn a generator that the authors released into ours.

Their file holds a tree of modules. Its leaves, in order, must be exactly those of the unconditional
generator of main.lua (https://github.com/cvondrick/videogan at 88c0c4d); the weights then copy
straight in, since both keep a transposed convolution as (in, out, T, H, W). Foreground and mask,
two layers there, are the four channels of one layer here. No one-stream model of theirs is known;
the same tree without mask and background is taken for one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vgan.errors import DataError
from vgan.models.generator import OneStreamGenerator, TwoStreamGenerator
from vgan.models.torch7 import TorchObject

_CONTAINERS = {"Sequential", "ConcatTable"}
_NORM = ["BatchNormalization", "ReLU"]


def _stream(kind: str) -> list[str]:
    """Return the leaves of a stream without its last layer; `kind` is Volumetric or Spatial."""
    layer = [f"{kind}FullConvolution", f"{kind}{_NORM[0]}", _NORM[1]]
    return ["View", *(4 * layer)]


_HEAD = ["VolumetricFullConvolution", "Tanh"]
_ONE_STREAM = [*_stream("Volumetric"), *_HEAD]
_PARTS = [
    *_ONE_STREAM, "VolumetricFullConvolution", "Sigmoid",
    *_stream("Spatial"), "SpatialFullConvolution", "Tanh", "FlattenTable",
]  # fmt: skip
# mask * foreground + (1 - mask) * background
_BLEND = [
    "SelectTable", "SelectTable", "Squeeze", "Replicate", "CMulTable",
    "SelectTable", "Replicate", "SelectTable", "Squeeze", "MulConstant", "AddConstant",
    "Replicate", "CMulTable", "CAddTable",
]  # fmt: skip
_TWO_STREAM = [*_PARTS, *_BLEND]
_SELECTED = [1, 2, 3, 2]  # foreground, mask, background, mask
_WIDEST = 1024  # theirs is 64


class OtherModelError(DataError):
    """The file holds another network than the authors' generator; the message names the module."""


@dataclass(frozen=True)
class _Leaf:
    """A module that holds no others.

    Args:
        place: `1.3` is the third module of the first one.
        kind: its class without the library's name.
        fields: as read.
    """

    place: str
    kind: str
    fields: Mapping[Any, Any]

    def fail(self, why: str) -> OtherModelError:
        return OtherModelError(f"module {self.place or 'at the top'} ({self.kind}) {why}")


@dataclass(frozen=True)
class ReleasedGenerator:
    """A generator of theirs, as ours.

    Args:
        model: `two-stream` or `one-stream`.
        width: channels before the heads.
        latent: numbers in a latent vector.
        network: in evaluation mode.
    """

    model: str
    width: int
    latent: int
    network: nn.Module


def build_released(found: Any) -> ReleasedGenerator:
    """Build the generator that a .t7 file describes.

    Args:
        found: what `read_torch7` returned.

    Raises:
        OtherModelError: it is another network, or a layer has another shape.
    """
    leaves = [leaf for leaf in _leaves(found, "") if leaf.kind != "L1Penalty"]  # passes through
    two = any(leaf.kind == "Sigmoid" for leaf in leaves)
    _check_kinds(leaves, _TWO_STREAM if two else _ONE_STREAM)
    _check_blend(leaves)
    layers = [leaf for leaf in leaves if "FullConvolution" in leaf.kind]
    norms = [leaf for leaf in leaves if leaf.kind.endswith(_NORM[0])]
    latent, width = _sizes(layers[0])
    network = TwoStreamGenerator(width, latent) if two else OneStreamGenerator(width, latent)
    state: dict[str, Tensor] = {}
    _fill(state, "foreground", layers[:4], norms[:4], network)
    _fill_layer(state, "head", layers[4 : 6 if two else 5], network)
    if two:
        _fill(state, "background", layers[6:10], norms[4:], network)
        _fill_layer(state, "background.12", layers[10:], network)
    network.load_state_dict(state)
    return ReleasedGenerator("two-stream" if two else "one-stream", width, latent, network.eval())


def _sizes(first: _Leaf) -> tuple[int, int]:
    """Return latent and width, from the foreground's first layer."""
    shape = _array(first, "weight").shape
    if len(shape) != 5 or shape[1] % 8 or shape[1] > 8 * _WIDEST:
        raise first.fail(f"has a weight of {shape} where (latent, 8 width, 2, 4, 4) belongs")
    return shape[0], shape[1] // 8


def _leaves(found: Any, place: str) -> Iterator[_Leaf]:
    """Yield the modules that hold no others, in the order of the tree."""
    if not isinstance(found, TorchObject):
        where = f"module {place}" if place else "the file"
        raise OtherModelError(f"{where} holds no network")
    kind = found.name.removeprefix("nn.").removeprefix("cudnn.")
    if kind not in _CONTAINERS:
        yield _Leaf(place, kind, found.fields)
        return
    modules = found.fields.get("modules")
    if not isinstance(modules, dict):
        raise _Leaf(place, kind, {}).fail("holds no modules")
    for number in range(1, len(modules) + 1):
        yield from _leaves(
            modules.get(float(number)), f"{place}.{number}" if place else f"{number}"
        )


def _check_kinds(leaves: Sequence[_Leaf], expected: Sequence[str]) -> None:
    what = "the authors' unconditional generator has"
    for leaf, kind in zip(leaves, expected, strict=False):
        if leaf.kind != kind:
            raise leaf.fail(f"stands where {what} {kind}; other networks are not converted")
    if len(leaves) != len(expected):
        raise OtherModelError(f"there are {len(leaves)} layers where {what} {len(expected)}")


def _check_blend(leaves: Sequence[_Leaf]) -> None:
    selects = [leaf for leaf in leaves if leaf.kind == "SelectTable"]
    for leaf, index in zip(selects, _SELECTED, strict=False):
        if leaf.fields.get("index") != index:
            raise leaf.fail(f"selects {leaf.fields.get('index')!r}, not {index}")


def _array(leaf: _Leaf, name: str) -> NDArray[Any]:
    found = leaf.fields.get(name)
    if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
        raise leaf.fail(f"has no {name}")
    return found


def _fill(state: dict[str, Tensor], stream: str, layers: Sequence[_Leaf], norms: Sequence[_Leaf],
          network: nn.Module) -> None:  # fmt: skip
    """Copy a stream's four layers, each followed by its batch norm and a ReLU."""
    for number, (layer, norm) in enumerate(zip(layers, norms, strict=True)):
        _fill_layer(state, f"{stream}.{3 * number}", [layer], network)
        _fill_norm(state, f"{stream}.{3 * number + 1}", norm, network)


def _fill_layer(state: dict[str, Tensor], name: str, leaves: Sequence[_Leaf],
                network: nn.Module) -> None:  # fmt: skip
    """Copy a transposed convolution, or several side by side in its channels."""
    for leaf in leaves:
        _check_steps(leaf, name.endswith(".0"))
    weights = [_array(leaf, "weight") for leaf in leaves]
    biases = [_array(leaf, "bias") for leaf in leaves]
    outputs = network.get_parameter(f"{name}.weight").shape[1] - (len(leaves) - 1)
    for leaf, weight, bias, share in zip(leaves, weights, biases, (outputs, 1), strict=False):
        inputs, _, *kernel = network.get_parameter(f"{name}.weight").shape
        if weight.shape != (inputs, share, *kernel) or bias.shape != (share,):
            raise leaf.fail(
                f"has a weight of {weight.shape} and a bias of {bias.shape} where "
                f"{(inputs, share, *kernel)} and {(share,)} belong"
            )
    state[f"{name}.weight"] = _tensor(np.concatenate(weights, axis=1))
    state[f"{name}.bias"] = _tensor(np.concatenate(biases))


def _check_steps(leaf: _Leaf, first: bool) -> None:
    """Check stride, padding and what is added to the output: 1, 0 in a stream's first layer."""
    axes = "TWH" if leaf.kind.startswith("Volumetric") else "WH"
    for field, value in (("d", 1 if first else 2), ("pad", 0 if first else 1), ("adj", 0)):
        for axis in axes:
            found = leaf.fields.get(f"{field}{axis}", 1 if field == "d" else 0)
            if found != value:
                raise leaf.fail(f"has {field}{axis} {found!r} where the authors' has {value}")


def _fill_norm(state: dict[str, Tensor], name: str, leaf: _Leaf, network: nn.Module) -> None:
    norm = network.get_submodule(name)
    eps = leaf.fields.get("eps", 1e-5)
    if not isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d) or not isinstance(eps, float):
        raise leaf.fail("has no eps")
    values = {key: _array(leaf, key) for key in ("weight", "bias", "running_mean")}
    if "running_var" in leaf.fields:
        values["running_var"] = _array(leaf, "running_var")
    else:  # Torch before 2016 kept the inverse of the deviation
        values["running_var"] = _array(leaf, "running_std").astype(np.float64) ** -2 - eps
    # What is added to the variance is a constant here.
    values["running_var"] = values["running_var"] + (eps - norm.eps)
    for key, value in values.items():
        if value.shape != (norm.num_features,):
            raise leaf.fail(f"has a {key} of {value.shape} where {(norm.num_features,)} belongs")
        state[f"{name}.{key}"] = _tensor(value)
    state[f"{name}.num_batches_tracked"] = torch.tensor(0)


def _tensor(values: NDArray[Any]) -> Tensor:
    if not np.isfinite(values).all():
        raise OtherModelError("the weights are not finite (NaN or infinite)")
    return torch.from_numpy(np.array(values, np.float32))
