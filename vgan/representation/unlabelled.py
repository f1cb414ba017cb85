"""The clips that unsupervised methods learn from: a clip folder, or training videos unlabelled."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgan.data.dataset import open_dataset
from vgan.data.listing import training_categories
from vgan.errors import UsageError
from vgan.representation.protocol import ActionData, Task


@dataclass(frozen=True)
class UnlabelledClips:
    """Clips without labels.

    Args:
        clips: (N, 32, 64, 64, 3), uint8 RGB.
        video: (N,), a number of the video that each was cut from.
        sha256: fingerprint of names and contents, for caches.
    """

    clips: NDArray[np.uint8]
    video: NDArray[np.int64]
    sha256: str

    def __len__(self) -> int:
        return len(self.video)


def only_category(folder: Path) -> str:
    """Return the category of a clip folder that has one.

    Raises:
        DataError: there are no training clips.
        UsageError: there are several.
    """
    found = training_categories(folder)
    if len(found) > 1:
        raise UsageError(
            f"{folder}: holds the categories {', '.join(found)}; cut the videos again with "
            "`vgan ingest --category all` to learn from all of them"
        )
    return found[0]


def open_unlabelled(folder: Path) -> UnlabelledClips:
    """Open the training clips of a folder with one category.

    Raises:
        DataError: the clips cannot be read.
        UsageError: there are several categories.
    """
    dataset = open_dataset(folder, only_category(folder))
    video = np.unique([r.video for r in dataset.records], return_inverse=True)[1].astype(np.int64)
    listed = "\n".join(f"{r.clip} {r.sha256}" for r in dataset.records)
    return UnlabelledClips(dataset.clips, video, hashlib.sha256(listed.encode()).hexdigest())


def training_videos(data: ActionData, task: Task) -> UnlabelledClips:
    """Return all training videos of the task's split, whatever share of them has labels."""
    split = next(s for s in data.actions.splits if s.name == task.split)
    number = {video.name: i for i, video in enumerate(data.actions.videos)}
    videos = [number[video.name] for video in split.train]
    windows = data.windows.of(videos)
    listed = "\n".join(f"{data.actions.videos[v].name} {data.windows.contents[v]}" for v in videos)
    return UnlabelledClips(
        np.asarray(data.windows.clips[windows]),
        data.windows.owner[windows],
        hashlib.sha256(listed.encode()).hexdigest(),
    )
