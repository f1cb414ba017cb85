"""The row with outside supervision: a network trained on ImageNet, frame by frame.

Ours, and small: the paper's row is a two-stream VGG-16 with optical flow at 224 pixels. This one
sees frames of 64 pixels enlarged, and only a logistic regression is learnt on top.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vgan.data.place_weights import load_resnet
from vgan.representation.batches import over_clips
from vgan.representation.cache import cached
from vgan.representation.classifier import count_parameters
from vgan.representation.linear import regressed_prediction
from vgan.representation.protocol import ActionData, Prediction, Task

SIZE = 224  # pixels, what ImageNet's networks were trained at
FRAMES = 8  # evenly spaced in a window
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's RGB in 0..1
_AT_ONCE = 4  # windows


@dataclass(frozen=True)
class ImageNet:
    """Logistic regression on the mean over frames of a pre-trained network's last features.

    Args:
        network: gives features (B, D) of frames (B, 3, 224, 224), normalised as ImageNet's.
        sha256: of the file with its weights.
    """

    name = "imagenet"

    network: nn.Module
    sha256: str

    def settings(self) -> dict[str, object]:
        """Return the weights' name."""
        return {"weights": self.sha256}

    def predict(self, data: ActionData, task: Task) -> Prediction:
        """Fit the regression to the labelled windows' features; they are computed once."""
        name = f"imagenet-{self.sha256[:16]}-{data.windows.sha256[:16]}.npy"
        features = cached(data.cache / name, lambda: self._features(data))
        return regressed_prediction(features, data, task, count_parameters(self.network))

    def _features(self, data: ActionData) -> NDArray[np.float32]:
        network = self.network.to(data.device).eval()
        return over_clips(
            lambda clips: network(_frames(clips)).float().unflatten(0, (-1, FRAMES)).mean(1),
            data.windows.clips, _AT_ONCE, data.device, title="imagenet features",
        )  # fmt: skip


def load_features(path: Path) -> nn.Module:
    """Load a ResNet and cut off its last layer.

    Args:
        path: a state dict in torchvision's names, such as its ResNet-18's.

    Returns:
        A network that gives (B, D) of frames (B, 3, 224, 224), in evaluation mode.

    Raises:
        DataError: the file cannot be read safely, or is of another network.
    """
    network = load_resnet(path)
    network.fc = nn.Identity()  # type: ignore[assignment]
    return network


def _frames(clips: Tensor) -> Tensor:
    """Turn clips (B, 3, T, 64, 64) in [-1, 1] into frames (B * FRAMES, 3, 224, 224)."""
    chosen = torch.linspace(0, clips.shape[2] - 1, FRAMES).round().long()
    frames = clips[:, :, chosen].transpose(1, 2).flatten(0, 1)
    frames = functional.interpolate((frames + 1) / 2, size=(SIZE, SIZE), mode="bilinear")
    mean, spread = (
        torch.tensor(values, device=clips.device).view(1, 3, 1, 1) for values in (_MEAN, _SPREAD)
    )
    return (frames - mean) / spread
