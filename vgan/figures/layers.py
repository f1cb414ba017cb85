"""The layers of a network that looks at clips, each with what its units see of a clip.

Named by what they are in the run: `layer1` to `layer4` of the paper's discriminator and of the
autoencoder's encoder; `motion1` to `motion4` (the whole clip at half size) and `picture1` to
`picture4` (single frames) of the small discriminator.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from vgan.data.dataset import ClipDataset, open_dataset
from vgan.errors import UsageError
from vgan.models.autoencoder import Autoencoder
from vgan.models.discriminator import Discriminator
from vgan.models.small import SmallDiscriminator
from vgan.training.checkpoint import fitting
from vgan.training.folder import SavedRun, find_run
from vgan.training.networks import build_discriminator, build_network
from vgan.training.run import read_checkpoint


@dataclass(frozen=True)
class Axis:
    """What the cells of a map see along one axis of the clip.

    Args:
        field: pixels (or frames) that one cell sees.
        step: pixels from one cell's centre to the next.
        first: centre of the first cell, in pixels from the first pixel's centre.
    """

    field: int = 1
    step: int = 1
    first: float = 0.0

    def after(self, kernel: int, stride: int, padding: int) -> "Axis":
        """Return the axis behind a convolution or pooling."""
        return Axis(
            self.field + (kernel - 1) * self.step,
            self.step * stride,
            self.first + ((kernel - 1) / 2 - padding) * self.step,
        )


Axes = tuple[Axis, Axis, Axis]  # T, H, W


@dataclass(frozen=True)
class Layer:
    """One layer's units.

    Args:
        name: of the layer.
        units: how many.
        axes: what its cells see, along T, H and W.
        maps: gives activations (B, units, t, h, w) of clips (B, 3, T, H, W).
    """

    name: str
    units: int
    axes: Axes
    maps: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Looker(SavedRun):
    """A run's network that looks at clips.

    Args:
        part: what the network is in the run.
        layers: by name, in their order.
        default: name of the layer shown when none is asked for: the third, whose units see a part
            of the picture and not all of it.
    """

    part: str
    layers: dict[str, Layer]
    default: str

    def layer(self, name: str | None) -> Layer:
        """Return a layer by name.

        Raises:
            UsageError: there is none; the message names those there are.
        """
        name = name or self.default
        if name not in self.layers:
            raise UsageError(f"no layer called {name!r}; there are {', '.join(self.layers)}")
        return self.layers[name]

    def clips(self, data: Path | None, split: str) -> ClipDataset:
        """Open a split of the run's own clips, or of those in another folder.

        Raises:
            DataError: there are none, or they have another size.
        """
        return open_dataset(
            self.data.clips_in(data),
            self.config.category,
            split,
            root=None if data else self.data.list_root,
        )


def load_looker(path: Path, device: torch.device) -> Looker:
    """Load what looks at clips in a run: its discriminator, or the autoencoder's encoder.

    Args:
        path: the run folder.
        device: where the network goes.

    Raises:
        CheckpointError: not a run folder, no checkpoint that can be read, or a discriminator that
            has learnt nothing.
        UsageError: the run has no such network.
    """
    saved = find_run(path)
    config, state = saved.config, read_checkpoint(saved)
    with fitting(saved.file), torch.random.fork_rng(devices=[]):
        if config.model == "autoencoder":
            part, whole = "encoder", build_network(config)
            whole.load_state_dict(state["trainer"]["autoencoder"]["network"])
            network = cast(Autoencoder, whole).encoder
        else:
            saved.folder.check_discriminator()
            part, network = "discriminator", build_discriminator(config)
            network.load_state_dict(state["trainer"]["discriminator"]["network"])
    layers = clip_layers(network.to(device).eval().requires_grad_(False))
    if not layers:
        raise UsageError(f"{path}: the {config.model} model has no network that looks at clips")
    default = next(name for name in layers if name.endswith("3"))
    known = (saved.folder, config, saved.data, saved.step, saved.file)
    return Looker(*known, part, layers, default)


def clip_layers(network: nn.Module) -> dict[str, Layer]:
    """Return the layers of a network that takes clips, in order; none where it is not known."""
    if isinstance(network, Discriminator):
        return _stack("layer", network.trunk, lambda clip: clip, (Axis(), Axis(), Axis()))
    if isinstance(network, SmallDiscriminator):
        half = Axis().after(2, 2, 0)
        # A frame's difference from the one before: two frames, between which it stands.
        difference = replace(Axis().after(2, 1, 0), first=-0.5)
        return {
            **_stack("motion", network.motion, network.motion_input, (difference, half, half)),
            **_stack("picture", network.picture, lambda clip: clip, (Axis(), Axis(), Axis())),
        }
    return {}


def _stack(
    name: str, stack: nn.Module, prepare: Callable[[Tensor], Tensor], axes: Axes
) -> dict[str, Layer]:
    """Return a layer for each activation of a stack of convolutions."""
    found: dict[str, Layer] = {}
    modules = list(cast(nn.Sequential, stack))
    units = 0
    for place, module in enumerate(modules):
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            axes, units = _behind(axes, module), module.out_channels
        if isinstance(module, nn.LeakyReLU | nn.ReLU):
            label = f"{name}{len(found) + 1}"
            head = nn.Sequential(*modules[: place + 1])
            single = any(isinstance(m, nn.Conv2d) for m in modules)
            found[label] = Layer(label, units, axes, partial(_maps, head, prepare, single))
    return found


def _behind(axes: Axes, conv: nn.Conv2d | nn.Conv3d) -> Axes:
    """Return the axes behind a convolution; one of single frames leaves time alone."""
    sizes: Any = list(zip(conv.kernel_size, conv.stride, conv.padding, strict=True))
    sizes = [(1, 1, 0)] * (3 - len(sizes)) + sizes
    t, h, w = (axis.after(*size) for axis, size in zip(axes, sizes, strict=True))
    return t, h, w


def _maps(
    head: nn.Module, prepare: Callable[[Tensor], Tensor], single: bool, clip: Tensor
) -> Tensor:
    """Return activations (B, units, t, h, w); frames go one by one through a network of single."""
    inputs = prepare(clip)
    if not single:
        return cast(Tensor, head(inputs))
    frames = inputs.transpose(1, 2)  # (B, T, 3, H, W)
    maps: Tensor = head(frames.flatten(0, 1))  # (B T, units, h, w)
    return maps.reshape(*frames.shape[:2], *maps.shape[1:]).transpose(1, 2)
