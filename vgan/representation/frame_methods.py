"""The rows that pre-train on single frames: temporal coherence, and shuffle and learn."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from vgan.representation.classifier import (
    Schedule,
    classify,
    count_parameters,
    train_classifier,
)
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
class TemporalCoherence:
    """Pre-train by temporal coherence, then fine-tune on frames.

    Args:
        distance: `drlim` or `l1`.
        unlabelled: clips to learn from; None takes the split's training videos.
        pretraining: how long.
        schedule: of the fine-tuning.
    """

    distance: Distance
    unlabelled: UnlabelledClips | None
    pretraining: Pretraining
    schedule: Schedule

    @property
    def name(self) -> str:
        """`coherence-drlim` or `coherence-l1`."""
        return f"coherence-{self.distance}"

    def settings(self) -> dict[str, object]:
        """Return what decides the result."""
        return _settings(self.unlabelled, self.pretraining, self.schedule)

    def predict(self, data: ActionData, task: Task) -> Prediction:
        """Learn without labels (once for a seed), then from the labelled windows."""
        clips = self.unlabelled or training_videos(data, task)
        plan = self.pretraining

        def learn(network: FrameNetwork) -> tuple[nn.Module, LossOfBatch]:
            def loss(chance: np.random.Generator) -> Tensor:
                pairs = draw_pairs(clips, plan.batch, chance)
                which = np.concatenate([pairs.clip_a, pairs.clip_b])
                times = np.concatenate([pairs.time_a, pairs.time_b])
                a, b = network(take_frames(clips.clips, which, times).to(data.device)).chunk(2)
                near = torch.from_numpy(pairs.near).to(data.device)
                return contrastive_loss(a, b, near, self.distance)

            return network, loss

        network = _pretrained(self.name, data, task, clips, plan, learn)
        return _fine_tuned(self.name, network, data, task, self.schedule)


@dataclass(frozen=True)
class ShuffleAndLearn:
    """Pre-train by telling ordered triples of frames from others, then fine-tune on frames.

    Args:
        unlabelled: clips to learn from; None takes the split's training videos.
        pretraining: how long.
        schedule: of the fine-tuning.
        name: of the row.
    """

    unlabelled: UnlabelledClips | None
    pretraining: Pretraining
    schedule: Schedule
    name: str = "shuffle-and-learn"

    def settings(self) -> dict[str, object]:
        """Return what decides the result."""
        return _settings(self.unlabelled, self.pretraining, self.schedule)

    def predict(self, data: ActionData, task: Task) -> Prediction:
        """Learn without labels (once for a seed), then from the labelled windows."""
        clips = self.unlabelled or training_videos(data, task)
        plan = self.pretraining

        def learn(network: FrameNetwork) -> tuple[nn.Module, LossOfBatch]:
            judge = OrderNetwork(network).to(data.device)
            moving = motion(clips.clips)

            def loss(chance: np.random.Generator) -> Tensor:
                triples = draw_triples(clips, moving, plan.batch, chance)
                which = np.repeat(triples.clip, 3)
                frames = take_frames(clips.clips, which, triples.times.ravel())
                logits = judge(frames.view(plan.batch, 3, *frames.shape[1:]).to(data.device))
                return functional.cross_entropy(logits, order_labels(triples).to(data.device))

            return judge, loss

        network = _pretrained(self.name, data, task, clips, plan, learn)
        return _fine_tuned(self.name, network, data, task, self.schedule)


def _settings(
    unlabelled: UnlabelledClips | None, pretraining: Pretraining, schedule: Schedule
) -> dict[str, object]:
    return {
        "unlabelled": unlabelled.sha256 if unlabelled else "training videos",
        "pretraining": asdict(pretraining),
        **asdict(schedule),
    }


def _pretrained(
    name: str,
    data: ActionData,
    task: Task,
    clips: UnlabelledClips,
    plan: Pretraining,
    learn: Callable[[FrameNetwork], tuple[nn.Module, LossOfBatch]],
) -> FrameNetwork:
    """Return the pre-trained network: from the cache, where this was learnt before."""
    settings = "-".join(str(value) for value in asdict(plan).values())
    file: Path = data.cache / f"{name}-{clips.sha256[:16]}-{task.seed}-{settings}.pt"
    with torch.random.fork_rng(devices=[]), arithmetic(data.device):
        torch.manual_seed(task.seed)
        network = FrameNetwork(plan.width).to(data.device)
        if file.is_file():
            network.load_state_dict(load_checkpoint(file)["network"])
            return network
        learner, loss_of_batch = learn(network)
        adam = torch.optim.Adam(learner.parameters(), lr=plan.learning_rate)
        chance = np.random.default_rng(task.seed)
        for _ in tqdm(range(plan.steps), desc=f"{name} pre-training", unit="step", leave=False):
            loss = loss_of_batch(chance)
            adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
    save_checkpoint(file, {"network": network.state_dict()})
    return network


def _fine_tuned(
    name: str, network: FrameNetwork, data: ActionData, task: Task, schedule: Schedule
) -> Prediction:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        classifier = FrameClassifier(network, len(data.classes)).to(data.device)
    windows = data.windows
    learnt, tested = windows.of(task.train), windows.of(task.test)
    train_classifier(
        classifier, windows.clips, learnt, data.labels[windows.owner[learnt]], schedule,
        task.seed, title=f"{name} {task.split}",
    )  # fmt: skip
    scores = classify(classifier, windows.clips, tested)
    return Prediction(scores, data.test_owner(task), count_parameters(classifier))
