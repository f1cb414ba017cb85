"""The VGAN rows: random start, logistic regression on the fourth layer, and fine-tuning."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vgan.models.discriminator import Discriminator
from vgan.representation.batches import over_clips
from vgan.representation.cache import cached
from vgan.representation.classifier import (
    ClipClassifier,
    Schedule,
    count_parameters,
    trained_prediction,
)
from vgan.representation.linear import regressed_prediction
from vgan.representation.pretrained import PretrainedDiscriminator
from vgan.representation.protocol import ActionData, Prediction, Task

_AT_ONCE = 64


@dataclass(frozen=True)
class FromScratch:
    """The network of fine-tuning, but from random weights: what pre-training has to beat.

    Args:
        name: `vgan-random` trains as long as fine-tuning does (as the authors' code, which leaves
            it unfinished), `vgan-random-converged` until its training loss is low.
        width: of the network.
        schedule: how long it trains.
    """

    name: str
    width: int
    schedule: Schedule

    def settings(self) -> dict[str, object]:
        """Return width and schedule."""
        return {"width": self.width, **asdict(self.schedule)}

    def predict(self, data: ActionData, task: Task) -> Prediction:
        """Train on the labelled windows, then classify the test windows."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)
            network = ClipClassifier(self.width, len(data.classes))
        return trained_prediction(network, data, task, self.schedule, self.name)


@dataclass(frozen=True)
class FineTuned:
    """A pre-trained discriminator, every layer trained on.

    Args:
        pretrained: where its weights come from.
        schedule: how long it trains.
    """

    name = "vgan-finetune"

    pretrained: PretrainedDiscriminator
    schedule: Schedule

    def settings(self) -> dict[str, object]:
        """Return the weights' name and the schedule."""
        return {"weights": self.pretrained.sha256, **asdict(self.schedule)}

    def predict(self, data: ActionData, task: Task) -> Prediction:
        """Train on the labelled windows, then classify the test windows."""
        trunk = self.pretrained.network
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)
            network = ClipClassifier(self.pretrained.width, len(data.classes), trunk)
        return trained_prediction(network, data, task, self.schedule, self.name)


@dataclass(frozen=True)
class LogisticOnLayer4:
    """Logistic regression on the flattened fourth-layer map of a frozen discriminator.

    Departure: batch norm keeps the statistics of pre-training; the authors' script leaves it in
    training mode, so that a clip's features depend on its batch.

    Args:
        pretrained: where the weights come from.
    """

    name = "vgan-logistic"

    pretrained: PretrainedDiscriminator

    def settings(self) -> dict[str, object]:
        """Return the weights' name."""
        return {"weights": self.pretrained.sha256}

    def predict(self, data: ActionData, task: Task) -> Prediction:
        """Fit the regression to the labelled windows' features; they are computed once."""
        name = f"layer4-{self.pretrained.sha256[:16]}-{data.windows.sha256[:16]}.npy"
        features = layer4_features(self.pretrained.network, data, data.cache / name)
        learnt_before = count_parameters(self.pretrained.network.trunk)
        return regressed_prediction(features, data, task, learnt_before)


def layer4_features(network: Discriminator, data: ActionData, cache: Path) -> NDArray[np.float32]:
    """Return the fourth layer's map of every window, flattened, (N, 256 width); computed once.

    Args:
        network: in evaluation mode.
        data: whose windows.
        cache: the .npy file that keeps them.
    """

    def make() -> NDArray[np.float32]:
        placed = network.to(data.device).eval()
        return over_clips(
            lambda clips: placed.features(clips).flatten(1),
            data.windows.clips, _AT_ONCE, data.device, title="features",
        )  # fmt: skip

    return cached(cache, make)
