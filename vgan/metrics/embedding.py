"""What turns a clip into numbers for the Fréchet distance, and what the result may be called.

The default is a fixed random network: it needs no download, it tells still from moving and sharp
from blurred, and its numbers mean something only beside other numbers from it. A TorchScript file
(I3D, VideoMAE) can be given instead. Only I3D on 2,048 against 2,048 clips of 16 frames is FVD.
"""

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vgan.data.dataset import model_batches
from vgan.data.videos import Frames
from vgan.errors import DataError, failure_of_device

BATCH = 16
RANDOM_SEED = 0
RANDOM_CHANNELS = (12, 16, 32, 32)  # in (colours, differences, and the squares of both), then out
# The published protocol (Unterthiner et al., 2018, in the form of StyleGAN-V's evaluation).
FVD_CLIPS, FVD_FRAMES, FVD_SIZE = 2048, 16, 224
_I3D_ARGUMENTS = {"rescale", "resize", "return_features"}


@dataclass(frozen=True)
class Embedder:
    """Turns clips into numbers.

    Args:
        name: always printed beside the distance.
        frames: of a clip that are used, the first ones; None for all.
        size: that frames are brought to, in pixels; None for their own.
        embed: gives (B, D) of clips (B, 3, T, H, W), RGB in [-1, 1].
        is_i3d: whether it is the I3D network that FVD is defined by.
    """

    name: str
    frames: int | None
    size: int | None
    embed: Callable[[Tensor], Tensor]
    is_i3d: bool = False

    def features(self, clips: Frames, device: torch.device) -> NDArray[np.float64]:
        """Return (N, D) of clips (N, T, H, W, 3), uint8.

        Raises:
            DataError: the network cannot take such clips, or does not give (B, D).
        """
        batches = model_batches(clips[:, : self.frames], BATCH, device, title=self.name)
        with torch.no_grad():
            return np.concatenate([self._embedded(batch) for batch in batches])

    def _embedded(self, clips: Tensor) -> NDArray[np.float64]:
        if self.size and self.size != clips.shape[-1]:
            size = (clips.shape[2], self.size, self.size)
            clips = functional.interpolate(clips, size, mode="trilinear", align_corners=False)
        try:
            numbers = self.embed(clips)
        except RuntimeError as error:
            if failure_of_device(error):
                raise
            why = str(error).strip().splitlines()[-1]
            raise DataError(
                f"{self.name}: cannot take clips {tuple(clips.shape)} ({why}); state `frames` and "
                "`size` in a JSON file beside it (docs/measures.md)"
            ) from None
        if numbers.ndim != 2 or len(numbers) != len(clips):
            raise DataError(f"{self.name}: gives {tuple(numbers.shape)}, not (clips, numbers)")
        return numbers.double().cpu().numpy()

    def protocol(self, generated: int, real: int, frames: int, size: int) -> str:
        """Return what a distance is called: `FVD` for its published protocol and nothing else.

        Args:
            generated: clips on the generated side.
            real: clips on the real side.
            frames: of the clips.
            size: of the clips' side, in pixels.
        """
        used, side = min(self.frames or frames, frames), self.size or size
        published = (FVD_CLIPS, FVD_CLIPS, FVD_FRAMES, FVD_SIZE)
        is_fvd = self.is_i3d and (generated, real, used, side) == published
        title = "FVD" if is_fvd else "Fréchet distance"
        scaled = f"{size} px" if side == size else f"{size} px scaled to {side}"
        return f"{title} ({self.name}; {generated} against {real} clips of {used} frames, {scaled})"


def random_embedder() -> Embedder:
    """Return the default: three random 3-D convolutions, averaged over time and space."""
    rng = np.random.default_rng(RANDOM_SEED)
    kernels = []
    for inputs, outputs in pairwise(RANDOM_CHANNELS):
        drawn = rng.standard_normal((outputs, inputs, 4, 4, 4)) * np.sqrt(2 / (inputs * 64))
        kernels.append(torch.from_numpy(drawn.astype(np.float32)))

    def embed(clips: Tensor) -> Tensor:
        change = functional.pad(4 * clips.diff(dim=2), (0, 0, 0, 0, 1, 0))
        maps = torch.cat([clips, change], dim=1)
        maps = torch.cat([maps, maps**2], dim=1)  # (B, 12, T, H, W)
        for kernel in kernels:
            maps = functional.relu(functional.conv3d(maps, kernel.to(maps.device), None, 2, 1))
        return maps.mean((2, 3, 4))

    return Embedder(f"random-conv-{RANDOM_CHANNELS[-1]}", None, 32, embed)


def open_embedder(path: Path | None, device: torch.device) -> Embedder:
    """Return the embedder of a TorchScript file, or the default for None.

    A file `NAME.json` beside `NAME.pt` may state `name`, `frames` and `size`; without it clips go
    in as they are, (B, 3, T, H, W), RGB in [-1, 1]. The I3D file of the field is known by its
    arguments, and needs none.

    Args:
        path: the file.
        device: where it runs.

    Raises:
        DataError: not a TorchScript file, or the JSON beside it is damaged.
    """
    if path is None:
        return random_embedder()
    script = _loaded(path, device)
    arguments = {argument.name for argument in script.forward.schema.arguments}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    if arguments >= _I3D_ARGUMENTS:
        embed = partial(script, rescale=False, resize=False, return_features=True)
        return Embedder(f"I3D {path.name} {digest}", FVD_FRAMES, FVD_SIZE, embed, is_i3d=True)
    stated = _stated(path.with_suffix(".json"))
    name = f"{stated.get('name', path.stem)} {digest}"
    return Embedder(name, stated.get("frames"), stated.get("size"), script)


def _loaded(path: Path, device: torch.device) -> Any:
    try:
        with warnings.catch_warnings():
            # What the field's embedders are published as; torch warns in a kind of its version.
            warnings.filterwarnings("ignore", r"`torch\.jit\.load` is deprecated")
            script: Any = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError):
        why = "is not a TorchScript file" if path.exists() else "no such file"
        raise DataError(f"{path}: {why}; save one with torch.jit.save") from None
    return script.eval()


def _stated(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        stated: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: is not JSON ({error})") from None
    known = {"name": str, "frames": int, "size": int}
    wrong = not isinstance(stated, dict) or any(
        key not in known or not isinstance(value, known[key]) for key, value in stated.items()
    )
    if wrong:
        raise DataError(
            f"{path}: may state `name` (text), `frames` and `size` (whole numbers) only"
        )
    return stated
