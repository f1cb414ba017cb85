"""The discriminator as a classifier of clips: the paper's network for the action set.

The two-logit readout gives way to one of K classes over the flattened fourth-layer map, with
dropout before it. The authors' script drops whole channels and halves at test time; PyTorch drops
them and doubles while training, which is the same up to a factor 2 on the readout's input.

Source:
    main_ucf.lua of https://github.com/cvondrick/videogan at 88c0c4d.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from vgan.data.dataset import to_model_range
from vgan.models.discriminator import Discriminator
from vgan.models.layers import Readout
from vgan.representation.protocol import ActionData, Prediction, Task
from vgan.training.process import arithmetic

_AT_ONCE = 64  # windows classified together


class ClipClassifier(nn.Module):
    """A discriminator's trunk with a new readout of K classes.

    Args:
        width: of the trunk; the paper's is 64.
        classes: K.
        trunk: weights to start from; None draws new ones.
    """

    def __init__(self, width: int, classes: int, trunk: Discriminator | None = None) -> None:
        super().__init__()
        self.network = Discriminator(width)
        if trunk is not None:
            self.network.trunk.load_state_dict(trunk.trunk.state_dict())
        else:
            _reset(self.network)
        self.network.readout = Readout(8 * width, (2, 4, 4), classes)
        reach = (8 * width * 32) ** -0.5  # Torch's own start: +-1 / sqrt(fan in)
        nn.init.uniform_(self.network.readout.weight, -reach, reach)
        nn.init.uniform_(self.network.readout.bias, -reach, reach)
        self.dropout = nn.Dropout3d(0.5)

    def forward(self, clips: Tensor) -> Tensor:
        """Return logits (B, K) of clips (B, 3, 32, 64, 64), RGB in [-1, 1]."""
        maps = self.dropout(self.network.features(clips))
        return cast(Tensor, self.network.readout(maps))


def _reset(network: nn.Module) -> None:
    """Draw the weights that the authors' random-init row starts from, Torch7's `net:reset()`.

    Convolutions U(+-1/sqrt(fan in)), weights and biases; batch norm's gain U(0, 1).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            reach = module.weight[0].numel() ** -0.5
            nn.init.uniform_(module.weight, -reach, reach)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -reach, reach)
        elif isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.0, 1.0)
            nn.init.zeros_(module.bias)


@dataclass(frozen=True)
class Schedule:
    """How long a classifier trains.

    Args:
        epochs: over the windows of the labelled videos, at most.
        batch: windows in a step.
        learning_rate: of Adam (beta1 0.5).
        enough: mean loss of an epoch at which training ends early; 0 never.
    """

    epochs: int = 27  # the authors' 1,000 steps of 256 over 9,537 clips
    batch: int = 32
    learning_rate: float = 2e-4
    enough: float = 0.0


def train_classifier(
    network: nn.Module,
    clips: NDArray[np.uint8],
    windows: NDArray[np.int64],
    labels: NDArray[np.int64],
    schedule: Schedule,
    seed: int,
    *,
    title: str = "training",
) -> list[float]:
    """Train on labelled windows; return the mean loss of each epoch.

    Args:
        network: gives logits (B, K) of clips (B, 3, 32, 64, 64); left in evaluation mode.
        clips: (N, 32, 64, 64, 3), uint8.
        windows: which of them.
        labels: (windows,), their classes.
        schedule: how long.
        seed: of order and dropout.
        title: of the progress bar.
    """
    device = next(network.parameters()).device
    chance = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate, betas=(0.5, 0.999))
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]), arithmetic(device):
        torch.manual_seed(seed)
        network.train()
        for _ in tqdm(range(schedule.epochs), desc=title, unit="epoch", leave=False):
            total = torch.zeros((), device=device)
            for chosen in _batches(len(windows), schedule.batch, chance):
                batch = torch.from_numpy(clips[np.sort(windows[chosen])]).to(device)
                right = torch.from_numpy(labels[chosen[np.argsort(windows[chosen])]]).to(device)
                loss = functional.cross_entropy(network(to_model_range(batch)), right)
                adam.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                adam.step()
                total += loss.detach() * len(chosen)
            losses.append(float(total) / len(windows))
            if losses[-1] <= schedule.enough:
                break
        network.eval()
    return losses


def _batches(count: int, size: int, chance: torch.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers 0..count in a new order, in even parts of at most `size`.

    Even, because batch norm over a last batch of one or two clips would be noise.
    """
    order = torch.randperm(count, generator=chance).numpy()
    yield from np.array_split(order, -(-count // size))


def classify(
    network: nn.Module, clips: NDArray[np.uint8], windows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the probability of each class for each window, (windows, K)."""
    device = next(network.parameters()).device
    answers = []
    with torch.no_grad():
        for start in range(0, len(windows), _AT_ONCE):
            batch = torch.from_numpy(clips[windows[start : start + _AT_ONCE]]).to(device)
            answers.append(network(to_model_range(batch)).float().softmax(dim=1).cpu())
    return torch.cat(answers).double().numpy()


def trained_prediction(
    network: nn.Module, data: ActionData, task: Task, schedule: Schedule, name: str
) -> Prediction:
    """Train a network on a task's labelled windows; return its answers for the test windows.

    Args:
        network: gives logits (B, K) of clips (B, 3, 32, 64, 64).
        data: whose windows.
        task: which of them, and the seed.
        schedule: how long.
        name: of the row, for the progress bar.
    """
    windows = data.windows
    learnt = windows.of(task.train)
    network.to(data.device)
    train_classifier(
        network, windows.clips, learnt, data.labels[windows.owner[learnt]], schedule, task.seed,
        title=f"{name} {task.split}",
    )  # fmt: skip
    scores = classify(network, windows.clips, windows.of(task.test))
    return Prediction(scores, data.test_owner(task), count_parameters(network))


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers a network learns."""
    return sum(weight.numel() for weight in network.parameters())
