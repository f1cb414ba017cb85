"""Temporal coherence: neighbouring frames should embed alike, other frames apart.

Two forms. `drlim` is the contrastive loss of Hadsell, Chopra and LeCun (CVPR 2006), on squared
Euclidean distance. `l1` is the loss of Mobahi, Collobert and Weston (ICML 2009), on the L1
distance. The paper's row repeats a number of Misra, Zitnick and Hebert (ECCV 2016), which is the
L1 form on split 1, while the text cites the other: both are here.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vgan.representation.unlabelled import UnlabelledClips

Distance = Literal["drlim", "l1"]

MARGIN = 1.0  # embeddings have length 1 (drlim), or coordinates of mean magnitude 1 (l1)
NEAR = 2  # frames: neighbours are at most this far apart
FAR = 12  # frames: in one clip, strangers are at least this far apart


def contrastive_loss(a: Tensor, b: Tensor, near: Tensor, distance: Distance) -> Tensor:
    """Return the mean loss of pairs of embeddings.

    Args:
        a: (B, D).
        b: (B, D).
        near: (B,), True where a and b are neighbours.
        distance: `drlim`: near d²/2, far max(0, 1 - d)²/2 with d the Euclidean distance of the
            embeddings scaled to length 1. `l1`: near d, far max(0, 1 - d) with d the mean absolute
            difference of their coordinates.
    """
    if distance == "drlim":
        a, b = functional.normalize(a), functional.normalize(b)
        apart = (a - b).square().sum(dim=1).add(1e-12).sqrt()
        pull, push = apart.square() / 2, (MARGIN - apart).clamp(min=0).square() / 2
    else:
        apart = (a - b).abs().mean(dim=1)
        pull, push = apart, (MARGIN - apart).clamp(min=0)
    return torch.where(near, pull, push).mean()


@dataclass(frozen=True)
class FramePairs:
    """Pairs of frames, by clip and by time within it."""

    clip_a: NDArray[np.int64]
    time_a: NDArray[np.int64]
    clip_b: NDArray[np.int64]
    time_b: NDArray[np.int64]
    near: NDArray[np.bool_]


def draw_pairs(clips: UnlabelledClips, count: int, chance: np.random.Generator) -> FramePairs:
    """Draw pairs: half of neighbours, half of strangers, those half from another video.

    Where there is only one video, all strangers come from the same clip, far apart.

    Args:
        clips: where from.
        count: of pairs.
        chance: of the draw.
    """
    length = clips.clips.shape[1]
    clip_a = chance.integers(len(clips), size=count)
    near = np.arange(count) % 2 == 0
    elsewhere = np.arange(count) % 4 == 1
    gap = np.where(near, chance.integers(1, NEAR + 1, count), chance.integers(FAR, length, count))
    time_a = chance.integers(0, length - gap)
    time_b = time_a + gap
    clip_b = clip_a.copy()
    if len(np.unique(clips.video)) > 1:
        for i in np.flatnonzero(elsewhere):
            others = np.flatnonzero(clips.video != clips.video[clip_a[i]])
            clip_b[i] = chance.choice(others)
            time_b[i] = chance.integers(length)
    return FramePairs(clip_a, time_a, clip_b, time_b, near)
