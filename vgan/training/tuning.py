"""Choose how the strided layers of a run are worked out: by measuring, once on each machine.

Which form (`vgan.models.forms`), arithmetic and memory layout is fastest differs from processor to
processor by a factor of two and more, in ways that are not to be guessed. So the first run of a
shape times them all, holds each against the library's float32, and keeps what it finds in the
user's cache: a later run of the same seed on the same machine does the same sums. A run keeps its
choice in its own folder (`forms.json`), and does the same sums wherever it is resumed.
"""

import json
import logging
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn
from tqdm import tqdm

from vgan.data.files import WriteError, write_atomic
from vgan.data.locking import locked
from vgan.errors import CheckpointError, TrainingError
from vgan.models.forms import Forms
from vgan.models.layers import CLIP_FRAMES, CLIP_SIZE, lay_out
from vgan.models.measuring import error_beside_float32, measure, tolerance
from vgan.models.strided import HalvingConv3d, StridedConv3d, strided_layers
from vgan.training.config import TrainConfig
from vgan.training.distributed import ALONE, World
from vgan.training.steps import DTYPES, Trainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """How a run's networks are worked out.

    Args:
        channels_last: the layout of weights, and so of maps.
        layers: forms of strided layers, by network and layer, as in `generator.head`.
    """

    channels_last: bool
    layers: Mapping[str, Forms]

    def apply(self, networks: Mapping[str, nn.Module]) -> None:
        """Lay the networks out and tell their layers; a layer not chosen for stays as it is."""
        for network in networks.values():
            lay_out(network, channels_last=self.channels_last)
        for name, layer in _layers_of(networks).items():
            layer.forms = self.layers.get(name)

    def to_json(self) -> str:
        """Return the choice as JSON text."""
        layers = {name: forms.to_dict() for name, forms in self.layers.items()}
        return json.dumps({"channels_last": self.channels_last, "layers": layers}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, where: Path) -> Self:
        """Read a choice back.

        Raises:
            CheckpointError: the file is damaged, or of another version.
        """
        try:
            raw = json.loads(text)
            layers = {name: Forms.from_dict(forms) for name, forms in raw["layers"].items()}
            return cls(bool(raw["channels_last"]), layers)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CheckpointError(
                f"{where}: damaged ({error}); delete it, and the run is measured anew"
            ) from None


def plain(device: torch.device) -> Choice:
    """Return what needs no measurement: the library's forms, in the layout of tensor cores."""
    return Choice(device.type == "cuda", {})


def settle(
    build: Callable[[], Trainer],
    config: TrainConfig,
    clips: int,
    device: torch.device,
    kept: Path,
    world: World = ALONE,
) -> Choice:
    """Return how a run's layers are worked out, measured where the run has not chosen yet.

    Args:
        build: makes a trainer of the run to measure; it is thrown away.
        config: the run's settings.
        clips: of this process in each batch.
        device: of the trainer.
        kept: the run's `forms.json`; made where it is missing.
        world: the processes that train together; the first one measures.

    Raises:
        CheckpointError: the file is damaged.
        TrainingError: a layer that has no forms is wrong in the run's arithmetic on this machine.
        WriteError: it cannot be written.
    """
    if not world.is_first:
        world.wait()
    if not kept.is_file():
        choice = choose(build(), config, clips, device, cache_file())
        write_atomic(kept, choice.to_json().encode())
    if world.is_first:
        world.wait()
    return Choice.from_json(kept.read_text(encoding="utf-8"), kept)


def cache_file() -> Path:
    """Return where this user's measurements are kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "vgan" / "forms.json"


def choose(
    trainer: Trainer, config: TrainConfig, clips: int, device: torch.device, cache: Path | None
) -> Choice:
    """Measure every strided layer of a trainer, and change nothing; arguments as `settle`.

    `cache` has the measurements of earlier runs, and these are kept there; None for neither.
    """
    networks = trainer.networks()
    layers, others = _layers_of(networks), _other_convolutions(networks)
    black = -torch.ones(clips, 3, CLIP_FRAMES, CLIP_SIZE, CLIP_SIZE, device=device)
    shapes = input_shapes(layers | others, lambda: trainer.rehearse(black))
    dtype = DTYPES[config.dtype]
    known = _Measurements(cache, device)
    found: dict[bool, dict[str, Forms]] = {True: {}, False: {}}
    total = dict.fromkeys(found, 0.0)
    todo = [(layout, name) for layout in found for name in layers if name in shapes]
    try:
        for layout, name in tqdm(todo, desc="timing layers", unit="layer", leave=False):
            forms, seconds = known.of(layers[name], shapes[name], dtype, layout)
            found[layout][name] = forms
            total[layout] += seconds
    finally:  # what is stopped in the middle goes on from there
        known.keep()
    best = min(total, key=lambda layout: total[layout])
    if dtype != torch.float32:
        for name, other in others.items():
            if name in shapes:
                _refuse_wrong(name, other, shapes[name], dtype, best)
    return Choice(best, found[best])


def _refuse_wrong(
    name: str, layer: nn.Module, shape: torch.Size, dtype: torch.dtype, channels_last: bool
) -> None:
    """Hold a layer that has no forms against float32; TrainingError where it is wrong."""
    error = error_beside_float32(layer, shape, dtype, channels_last)
    if error > tolerance(dtype, next(layer.parameters()).device):
        arithmetic = str(dtype).removeprefix("torch.")
        raise TrainingError(
            f"this machine works the layer {name} out wrongly in {arithmetic} (off by {error:.0%} "
            "of the largest value): start again with --dtype float32"
        )


def input_shapes(
    layers: Mapping[str, nn.Module], run: Callable[[], object]
) -> dict[str, torch.Size]:
    """Return the shapes that layers are given while something runs, of those that are used."""
    shapes: dict[str, torch.Size] = {}
    hooks = [
        layer.register_forward_pre_hook(
            lambda _, given, name=name: shapes.__setitem__(name, given[0].shape)
        )
        for name, layer in layers.items()
    ]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


class _Measurements:
    """What this machine's layers were measured to be fastest as; the first to measure is right.

    Args:
        cache: where measurements are kept; None for nowhere.
        device: that is measured.
    """

    def __init__(self, cache: Path | None, device: torch.device) -> None:
        self.cache, self.machine = cache, _machine(device)
        self.known = _measured(_read(cache), self.machine) if cache else {}
        self.is_new = False

    def of(
        self, layer: StridedConv3d, shape: torch.Size, dtype: torch.dtype, channels_last: bool
    ) -> tuple[Forms, float]:
        """Return what `measure` does, from memory where it is known."""
        kind = "halving" if isinstance(layer, HalvingConv3d) else "doubling"
        layout = "channels last" if channels_last else "planar"
        key = f"{kind} {list(shape)} to {layer.out_channels} {dtype} {layout}"
        known = _parsed(self.known.get(key))
        if known is None:
            known = measure(layer, shape, dtype, channels_last)
            self.known[key] = {**known[0].to_dict(), "seconds": known[1]}
            self.is_new = True
        return known

    def keep(self) -> None:
        """Add what is new to the cache; a folder that cannot be written costs a measurement."""
        if self.cache is None or not self.is_new:
            return
        try:
            with locked(self.cache.with_suffix(".lock")):
                kept = _read(self.cache)
                there = _measured(kept, self.machine)
                first = {key: entry for key, entry in there.items() if _parsed(entry)}
                kept[self.machine] = there | self.known | first
                write_atomic(self.cache, (json.dumps(kept, indent=1) + "\n").encode())
        except WriteError as error:
            logger.info("what was measured is not kept for the next run: %s", error)


def _read(cache: Path) -> dict[str, Any]:
    """Read the cache, measurements by machine; a damaged one is measured anew."""
    try:
        kept = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _measured(kept: Mapping[str, Any], machine: str) -> dict[str, Any]:
    """Return what the cache has of a machine."""
    found = kept.get(machine)
    return found if isinstance(found, dict) else {}


def _parsed(entry: Any) -> tuple[Forms, float] | None:
    """Read a measurement back; None for what is none, or of another version."""
    try:
        plain = dict(entry)
        seconds = float(plain.pop("seconds"))
        forms = Forms.from_dict(plain)
    except (ValueError, TypeError, KeyError):
        return None
    return (forms, seconds) if forms.to_dict() == plain else None


def _machine(device: torch.device) -> str:
    """Name what a measurement holds for: processor or card, its bfloat16, threads, torch."""
    if device.type == "cuda":
        version = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        name = torch.cuda.get_device_name(device)
        return f"{name}, cuDNN {version}, torch {torch.__version__}"
    features = getattr(torch.cpu, "get_capabilities", dict[str, Any])()
    name = features.get("cpu_name") or platform.processor() or platform.machine()
    narrow = sorted(feature for feature, there in features.items() if "bf16" in feature and there)
    kind = " ".join((str(name), torch.backends.cpu.get_cpu_capability(), *narrow))
    return f"{kind}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _layers_of(networks: Mapping[str, nn.Module]) -> dict[str, StridedConv3d]:
    return {
        f"{name}.{inner}": layer
        for name, network in networks.items()
        for inner, layer in strided_layers(network).items()
    }


def _other_convolutions(networks: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Return the convolutions that have no forms to choose from, by network and layer."""
    kinds = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    return {
        f"{name}.{inner}": module
        for name, network in networks.items()
        for inner, module in network.named_modules()
        if isinstance(module, kinds) and not isinstance(module, StridedConv3d)
    }
