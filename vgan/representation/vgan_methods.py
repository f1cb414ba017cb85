"""The VGAN rows: random start, logistic regression on the fourth layer, and fine-tuning."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vgan.models.discriminator import Discriminator
from vgan.representation.batches import over_clips
from vgan.representation.cache import cached
from vgan.representation.classifier import (
    ClipClassifier,
    Schedule,
    classify,
    count_parameters,
    train_classifier,
)
from vgan.representation.linear import fit_logistic
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
        return _learn(network, data, task, self.schedule, self.name)


@dataclass(frozen=True)
class FineTuned:
    """A pre-trained discriminator, every layer trained on.

    Args:
        pretrained: where its weights come from.
        schedule: how long it trains.
        name: of the row.
    """

    pretrained: PretrainedDiscriminator
    schedule: Schedule
    name: str = "vgan-finetune"

    def settings(self) -> dict[str, object]:
        """Return the weights' name and the schedule."""
        return {"weights": self.pretrained.sha256, **asdict(self.schedule)}

    def predict(self, data: ActionData, task: Task) -> Prediction:
        """Train on the labelled windows, then classify the test windows."""
        trunk = self.pretrained.network
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)
            network = ClipClassifier(self.pretrained.width, len(data.classes), trunk)
        return _learn(network, data, task, self.schedule, self.name)


def _learn(
    network: nn.Module, data: ActionData, task: Task, schedule: Schedule, name: str
) -> Prediction:
    windows = data.windows
    learnt = windows.of(task.train)
    network.to(data.device)
    train_classifier(
        network, windows.clips, learnt, data.labels[windows.owner[learnt]], schedule, task.seed,
        title=f"{name} {task.split}",
    )  # fmt: skip
    tested = windows.of(task.test)
    scores = classify(network, windows.clips, tested)
    return Prediction(scores, data.test_owner(task), count_parameters(network))


@dataclass(frozen=True)
class LogisticOnLayer4:
    """Logistic regression on the flattened fourth-layer map of a frozen discriminator.

    Departure: batch norm keeps the statistics of pre-training; the authors' script leaves it in
    training mode, so that a clip's features depend on its batch.

    Args:
        pretrained: where the weights come from.
        name: of the row.
    """

    pretrained: PretrainedDiscriminator
    name: str = "vgan-logistic"

    def settings(self) -> dict[str, object]:
        """Return the weights' name."""
        return {"weights": self.pretrained.sha256}

    def predict(self, data: ActionData, task: Task) -> Prediction:
        """Fit the regression to the labelled windows' features; they are computed once."""
        name = f"layer4-{self.pretrained.sha256[:16]}-{data.windows.sha256[:16]}.npy"
        features = layer4_features(self.pretrained.network, data, data.cache / name)
        windows = data.windows
        learnt, tested = windows.of(task.train), windows.of(task.test)
        labels = data.labels[windows.owner[learnt]]
        groups = np.asarray([data.actions.videos[v].group for v in windows.owner[learnt]])
        fitted = fit_logistic(
            features[learnt], labels, groups, len(data.classes), task.seed,
            title=f"split {task.split}",
        )  # fmt: skip
        size = fitted.parameters + count_parameters(self.pretrained.network.trunk)
        return Prediction(fitted.probabilities(features[tested]), data.test_owner(task), size)


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
