"""The two-dimensional network of the methods that learn from single frames, and its classifier.

Five convolutions and one matrix product, batch norm throughout: a small stand-in for the CaffeNet
of Misra et al., for frames of 64x64. A clip's class is read from each of its frames alone.
"""

from itertools import pairwise
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vgan.data.dataset import to_model_range

TESTED_FRAMES = 8  # evenly spaced in a window; Misra et al. average 25 over a whole video


class FrameNetwork(nn.Module):
    """An embedding of frames.

    Args:
        width: channels of the first layer (32-64-128-256-256 at 32).
        embedding: numbers per frame.
    """

    def __init__(self, width: int = 32, embedding: int = 256) -> None:
        super().__init__()
        self.embedding = embedding
        channels = [3, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(channels):
            layers += [
                nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        layers += [
            nn.Conv2d(8 * width, 8 * width, 3, padding=1, bias=False),
            nn.BatchNorm2d(8 * width),
            nn.ReLU(inplace=True),
        ]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(8 * width * 16, embedding)

    def forward(self, frames: Tensor) -> Tensor:
        """Embed frames (B, 3, 64, 64), RGB in [-1, 1], as (B, embedding)."""
        return cast(Tensor, self.head(self.trunk(frames).flatten(1)))


class FrameClassifier(nn.Module):
    """Classify a clip by the mean of what each of some of its frames says.

    While training, one random frame of each clip is looked at; afterwards `TESTED_FRAMES`.

    Args:
        network: the embedding to start from; trained on.
        classes: K.
    """

    def __init__(self, network: FrameNetwork, classes: int) -> None:
        super().__init__()
        self.network = network
        self.readout = nn.Sequential(
            nn.ReLU(), nn.Dropout(0.5), nn.Linear(network.embedding, classes)
        )

    def forward(self, clips: Tensor) -> Tensor:
        """Return logits (B, K) of clips (B, 3, T, 64, 64), RGB in [-1, 1]."""
        count, _, length = clips.shape[:3]
        if self.training:
            chosen = torch.randint(length, (count,)).to(clips.device)
            frames = clips[torch.arange(count, device=clips.device), :, chosen]
            return cast(Tensor, self.readout(self.network(frames)))
        chosen = torch.linspace(0, length - 1, TESTED_FRAMES).round().long()
        frames = clips[:, :, chosen].transpose(1, 2).flatten(0, 1)
        logits = self.readout(self.network(frames)).log_softmax(dim=1)
        return cast(Tensor, logits.view(count, TESTED_FRAMES, -1).mean(dim=1))


def take_frames(
    clips: NDArray[np.uint8], which: NDArray[np.int64], times: NDArray[np.int64]
) -> Tensor:
    """Return frames as (B, 3, 64, 64), RGB in [-1, 1].

    Args:
        clips: (N, T, 64, 64, 3), uint8.
        which: (B,), the clip of each.
        times: (B,), the frame of each.
    """
    order = np.argsort(which, kind="stable")  # a memory-mapped file is read from front to back
    frames = np.empty((len(which), *clips.shape[2:]), np.uint8)
    for i in order:
        frames[i] = clips[which[i], times[i]]
    return to_model_range(torch.from_numpy(frames[:, None]))[:, :, 0]
