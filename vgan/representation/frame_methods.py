"""The rows that pre-train on single frames: temporal coherence, and shuffle and learn."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from vgan.representation.classifier import Schedule, trained_prediction
from vgan.representation.coherence import Distance, contrastive_loss, draw_pairs
from vgan.representation.frame_network import FrameClassifier, FrameNetwork, take_frames
from vgan.representation.protocol import ActionData, Prediction, Task
from vgan.representation.shuffle import OrderNetwork, draw_triples, motion, order_labels
from vgan.representation.unlabelled import UnlabelledClips, training_videos
from vgan.training.checkpoint import load_checkpoint, save_checkpoint
from vgan.training.process import arithmetic

LossOfBatch = Callable[[np.random.Generator], Tensor]


@dataclass(frozen=True)
class Pretraining:
    """How long a frame network learns without labels.

    Args:
        steps: of Adam.
        batch: pairs or triples in a step.
        learning_rate: of Adam.
        width: of the network.
    """

    steps: int = 1000
    batch: int = 64
    learning_rate: float = 1e-3
    width: int = 32


@dataclass(frozen=True)
class _FrameMethod(ABC):
    """Pre-train a network of frames without labels, then fine-tune it on labelled frames.

    Args:
        unlabelled: clips to learn from; None takes the split's training videos.
        pretraining: how long.
        schedule: of the fine-tuning.
    """

    unlabelled: UnlabelledClips | None
    pretraining: Pretraining
    schedule: Schedule

    @property
    @abstractmethod
    def name(self) -> str:
        """The row's name."""

    @abstractmethod
    def learner(
        self, network: FrameNetwork, clips: UnlabelledClips, device: torch.device
    ) -> tuple[nn.Module, LossOfBatch]:
        """Return what learns, the network within it, and its loss on a batch that it draws."""

    def settings(self) -> dict[str, object]:
        """Return what decides the result."""
        return {
            "unlabelled": self.unlabelled.sha256 if self.unlabelled else "training videos",
            "pretraining": asdict(self.pretraining),
            **asdict(self.schedule),
        }

    def predict(self, data: ActionData, task: Task) -> Prediction:
        """Learn without labels (once for a seed), then from the labelled windows."""
        network = self._pretrained(data, task)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)
            classifier = FrameClassifier(network, len(data.classes))
        return trained_prediction(classifier, data, task, self.schedule, self.name)

    def _pretrained(self, data: ActionData, task: Task) -> FrameNetwork:
        """Return the pre-trained network: from the cache, where this was learnt before."""
        clips, plan = self.unlabelled or training_videos(data, task), self.pretraining
        settings = "-".join(str(value) for value in asdict(plan).values())
        file: Path = data.cache / f"{self.name}-{clips.sha256[:16]}-{task.seed}-{settings}.pt"
        with torch.random.fork_rng(devices=[]), arithmetic(data.device):
            torch.manual_seed(task.seed)
            network = FrameNetwork(plan.width).to(data.device)
            if file.is_file():
                network.load_state_dict(load_checkpoint(file)["network"])
                return network
            learner, loss_of_batch = self.learner(network, clips, data.device)
            adam = torch.optim.Adam(learner.parameters(), lr=plan.learning_rate)
            chance = np.random.default_rng(task.seed)
            title = f"{self.name} pre-training"
            for _ in tqdm(range(plan.steps), desc=title, unit="step", leave=False):
                loss = loss_of_batch(chance)
                adam.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                adam.step()
        save_checkpoint(file, {"network": network.state_dict()})
        return network


@dataclass(frozen=True)
class TemporalCoherence(_FrameMethod):
    """Pre-train by temporal coherence.

    Args:
        distance: `drlim` or `l1`.
    """

    distance: Distance

    @property
    def name(self) -> str:
        """`coherence-drlim` or `coherence-l1`."""
        return f"coherence-{self.distance}"

    def learner(
        self, network: FrameNetwork, clips: UnlabelledClips, device: torch.device
    ) -> tuple[nn.Module, LossOfBatch]:
        """Return the network, and its contrastive loss on pairs."""

        def loss(chance: np.random.Generator) -> Tensor:
            pairs = draw_pairs(clips, self.pretraining.batch, chance)
            which = np.concatenate([pairs.clip_a, pairs.clip_b])
            times = np.concatenate([pairs.time_a, pairs.time_b])
            a, b = network(take_frames(clips.clips, which, times).to(device)).chunk(2)
            return contrastive_loss(a, b, torch.from_numpy(pairs.near).to(device), self.distance)

        return network, loss


@dataclass(frozen=True)
class ShuffleAndLearn(_FrameMethod):
    """Pre-train by telling ordered triples of frames from others."""

    name = "shuffle-and-learn"

    def learner(
        self, network: FrameNetwork, clips: UnlabelledClips, device: torch.device
    ) -> tuple[nn.Module, LossOfBatch]:
        """Return a judge of triples, and its cross-entropy."""
        judge, moving = OrderNetwork(network).to(device), motion(clips.clips)

        def loss(chance: np.random.Generator) -> Tensor:
            triples = draw_triples(clips, moving, self.pretraining.batch, chance)
            frames = take_frames(clips.clips, np.repeat(triples.clip, 3), triples.times.ravel())
            logits = judge(frames.view(-1, 3, *frames.shape[1:]).to(device))
            return functional.cross_entropy(logits, order_labels(triples).to(device))

        return judge, loss
