"""How a method is asked and marked: one task, scores for every test window, one set of marks.

Departures from the paper, whose test script was never published: a video's scores are the mean
over all its non-overlapping windows, and the accuracy of a single window is reported beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from vgan.data.actions import ActionSet
from vgan.representation.windows import ActionWindows


@dataclass(frozen=True)
class Task:
    """What is learnt from and tested on, as numbers of videos in the action set.

    Args:
        split: its name.
        share: of the labelled training videos, in (0, 1].
        seed: of everything the method draws.
        train: labelled videos.
        test: videos to classify.
    """

    split: str
    share: float
    seed: int
    train: tuple[int, ...]
    test: tuple[int, ...]


@dataclass(frozen=True)
class ActionData:
    """What every method works on.

    Args:
        actions: videos, classes and splits.
        windows: of all videos.
        labels: (videos,), the number of each video's class in `actions.classes`.
        cache: folder for what is computed once: features, pre-trained networks.
        device: where networks run.
    """

    actions: ActionSet
    windows: ActionWindows
    labels: NDArray[np.int64]
    cache: Path
    device: torch.device

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, in the order of a score's columns."""
        return self.actions.classes

    def test_owner(self, task: Task) -> NDArray[np.int64]:
        """Return, for each window of the test videos, which of them it is of, from 0."""
        counts = [int((self.windows.owner == video).sum()) for video in task.test]
        return np.repeat(np.arange(len(task.test)), counts)


@dataclass(frozen=True)
class Prediction:
    """A method's answer to a task.

    Args:
        scores: (N, classes), higher is likelier; one row for each part of a test video that the
            method looked at by itself.
        owner: (N,), which of the task's test videos each row is of, from 0.
        parameters: numbers learnt, pre-training included; 0 for a rule.
    """

    scores: NDArray[np.float64]
    owner: NDArray[np.int64]
    parameters: int


class Method(Protocol):
    """One row of the table."""

    @property
    def name(self) -> str:
        """The row's name in results."""
        ...

    def settings(self) -> dict[str, object]:
        """Return what the result depends on beside the task, as JSON values."""
        ...

    def predict(self, data: ActionData, task: Task) -> Prediction:
        """Learn from the task's training videos and score its test videos."""
        ...


@dataclass(frozen=True)
class Marks:
    """How well a prediction did.

    Args:
        accuracy: share of test videos whose highest mean score is the right class.
        single_window: the same from one window each: over each video's windows, then over videos.
        per_class: accuracy of each class; None where it has no test video.
        confusion: [right class][answered class], counts of videos.
        groups: right answers and videos of each test group, for intervals.
    """

    accuracy: float
    single_window: float
    per_class: dict[str, float | None]
    confusion: list[list[int]]
    groups: dict[str, tuple[int, int]]


def mark(
    prediction: Prediction,
    labels: Sequence[int],
    groups: Sequence[str],
    classes: Sequence[str],
) -> Marks:
    """Mark a prediction; a tie counts for its first class.

    Args:
        prediction: for the test videos.
        labels: the right class of each test video.
        groups: the group of each test video.
        classes: names of the columns.

    Raises:
        ValueError: a test video without a score, a score that is not finite, or other columns.
    """
    videos, kinds = len(labels), len(classes)
    if prediction.scores.shape != (len(prediction.owner), kinds):
        raise ValueError(f"scores are {prediction.scores.shape}, for {kinds} classes")
    if not np.isfinite(prediction.scores).all():
        raise ValueError("a score is not finite")
    rows = np.bincount(prediction.owner, minlength=videos)
    if len(rows) != videos or not rows.all():
        raise ValueError("every test video needs a score")
    sums = np.zeros((videos, kinds))
    np.add.at(sums, prediction.owner, prediction.scores)
    right = np.asarray(labels)
    answers = sums.argmax(axis=1)
    window_right = prediction.scores.argmax(axis=1) == right[prediction.owner]
    share_right = np.bincount(prediction.owner, window_right, minlength=videos) / rows
    confusion = np.zeros((kinds, kinds), np.int64)
    np.add.at(confusion, (right, answers), 1)
    totals = confusion.sum(axis=1)
    tally: dict[str, tuple[int, int]] = {}
    for group, is_right in zip(groups, answers == right, strict=True):
        won, of = tally.get(group, (0, 0))
        tally[group] = (won + int(is_right), of + 1)
    return Marks(
        accuracy=float((answers == right).mean()),
        single_window=float(share_right.mean()),
        per_class={
            name: float(confusion[k, k] / totals[k]) if totals[k] else None
            for k, name in enumerate(classes)
        },
        confusion=confusion.tolist(),
        groups=dict(sorted(tally.items())),
    )
