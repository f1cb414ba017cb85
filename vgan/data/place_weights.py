"""Read the published Places365 weights, or weights in their form, without running what is in them.

The files were written by Python 2 and an early torch: a pickle whose strings are latin-1 bytes, a
dictionary with a `state_dict` whose names begin with `module.`. A pickle can name any function and
have it called; here nothing but what rebuilds tensors is ever looked up.
"""

import pickle
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vgan.errors import DataError
from vgan.models.resnet import ResNet, resnet_shape

CLASSES = 365
_WEIGHTS_FROM = "docs/collect.md says where the weights come from"
# All that a dictionary of tensors needs; torch itself looks storage types up.
_ALLOWED = {
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch.nn.parameter", "Parameter"),
}


class _Call:
    """Stands for something allowed; a pickle can call it and do nothing else to it."""

    __slots__ = ("_function",)

    def __init__(self, function: Any) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no tensor")
        return _Call(super().find_class(module, name))


class _RestrictedPickle:
    """What `torch.load` takes for its `pickle_module`."""

    Unpickler = _RestrictedUnpickler

    @staticmethod
    def load(file: Any, **settings: Any) -> Any:
        return _RestrictedUnpickler(file, **settings).load()


# A damaged pickle fails in whatever its bytes happen to spell.
_DAMAGE = (
    pickle.UnpicklingError, RuntimeError, ValueError, TypeError, KeyError, IndexError, EOFError,
    AttributeError, AssertionError, ImportError, OverflowError, MemoryError,
)  # fmt: skip
_REFUSED_BY_TORCH = re.compile(r"Unsupported global: GLOBAL (\S+)")


def _load(path: Path) -> Any:
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK" or zipfile.is_zipfile(path)
    if zipped:  # of today's torch, which reads its own format with care
        return torch.load(path, map_location="cpu", weights_only=True)
    if tarfile.is_tarfile(path):
        raise pickle.UnpicklingError("it is a tar file; the published weights are none")
    # Torch's careful reader knows neither latin-1 nor all opcodes that Python 2 wrote.
    return torch.load(
        path,
        map_location="cpu",
        weights_only=False,
        pickle_module=_RestrictedPickle,
        encoding="latin1",
    )


def _why_unsafe(error: BaseException) -> str:
    """What is wrong in a line; torch's own text advises to load the file unsafely."""
    refused = _REFUSED_BY_TORCH.search(str(error))
    if refused is not None:
        return f"it names {refused[1]}, which is no tensor"
    if isinstance(error, pickle.UnpicklingError) and "\n" not in str(error):
        return str(error)
    return "it is damaged or cut off"


def read_place_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of weights, its layers' names as the network has them.

    Args:
        path: `.pth`, `.pth.tar` or whatever it is called: a state dict, alone or under
            `state_dict`.

    Raises:
        DataError: the file is missing or damaged, names something other than tensors, or holds no
            state dict.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file of weights; {_WEIGHTS_FROM}")
    try:
        found = _load(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except _DAMAGE as error:
        raise DataError(
            f"{path}: holds no weights that can be read safely ({_why_unsafe(error)}); nothing in "
            f"it was run; {_WEIGHTS_FROM}"
        ) from None
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not found:
        raise DataError(f"{path}: holds no state dict; {_WEIGHTS_FROM}")
    wrong = [name for name, value in found.items() if not isinstance(value, Tensor)]
    if wrong:
        raise DataError(f"{path}: {wrong[0]!r} is not a tensor, so this is no state dict")
    return {str(name).removeprefix("module."): value for name, value in found.items()}


def _check_layers(path: Path, wanted: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    for name, value in wanted.items():
        if name.endswith("num_batches_tracked"):
            continue  # torch 0.2 did not have it, and it counts for nothing here
        if name not in found:
            raise DataError(f"{path}: layer {name} is missing")
        if found[name].shape != value.shape:
            raise DataError(
                f"{path}: layer {name} is {tuple(found[name].shape)}, the network's is "
                f"{tuple(value.shape)}"
            )
        if not bool(torch.isfinite(found[name]).all()):
            raise DataError(f"{path}: layer {name} holds numbers that are not finite")
    surplus = sorted(found.keys() - wanted.keys())
    if surplus:
        raise DataError(f"{path}: layer {surplus[0]} belongs to another network than a ResNet")


def load_place_network(path: Path) -> ResNet:
    """Build the Places365 network that a file of weights is for, and load them.

    ResNet-18 and ResNet-50 are the published ones.

    Returns:
        The network, ready to score; see `load_resnet`.

    Raises:
        DataError: see `load_resnet`; or the classes are not Places365's.
    """
    return load_resnet(path, CLASSES)


def load_resnet(path: Path, wanted: int | None = None) -> ResNet:
    """Build the network that a file of weights is for, and load them.

    The number of blocks, their kind and the width follow from the layers' names and shapes.

    Args:
        path: of the file.
        wanted: classes that it must tell apart, which are Places365's; None takes any.

    Returns:
        The network, ready to score: in evaluation mode, on the CPU, without gradients.

    Raises:
        DataError: see `read_place_weights`; a layer is missing, has another shape, or is one that
            a ResNet does not have; or the classes are not those wanted.
    """
    found = read_place_weights(path)
    for name in ("conv1.weight", "fc.weight"):
        if name not in found or found[name].ndim < 2:
            raise DataError(f"{path}: layer {name} is missing; the weights of a ResNet are needed")
    classes = len(found["fc.weight"])
    if wanted is not None and classes != wanted:
        raise DataError(
            f"{path}: layer fc tells {classes} classes apart, Places365 has {wanted}: these are "
            f"other weights; {_WEIGHTS_FROM}"
        )
    blocks, width, bottleneck = resnet_shape(list(found), len(found["conv1.weight"]))
    network = ResNet(blocks, width, classes, bottleneck)
    _check_layers(path, network.state_dict(), found)
    network.load_state_dict(found, strict=False)
    return network.eval().requires_grad_(False)
