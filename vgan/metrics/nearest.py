"""The training clip nearest to each given clip: does a generator repeat what it was shown?

Clips are compared as 8 frames of 16x16 mean colours, so that a copy with a little noise is still
found; an exact copy is at distance 0. A blurred clip is near to everything: what gives a copy away
is that it is much nearer to one training clip than to any of another video. Real clips that were
not trained on say how near, and how much nearer, comes by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vgan.data.videos import Frames

FRAMES, SIZE = 8, 16  # of the pictures compared
SEARCHED = 8192  # training clips looked at, at most: evenly spread over them
_CHUNK = 64
_HARDLY_EVER = 0.05  # share of real clips that are nearer

Small = NDArray[np.float32]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Nearest:
    """The nearest training clip of every clip.

    Args:
        clips: (N,), its number among the training clips.
        distances: (N,), root mean square difference as a share of the full range.
        ratios: (N,), this distance over that to the nearest clip of another video: 0 for a copy,
            near 1 for a clip like many; NaN where there is no other video.
        searched: training clips that were looked at.
    """

    clips: NDArray[np.int64]
    distances: Values
    ratios: Values
    searched: int


def nearest_clips(
    queries: Frames, training: Frames, videos: Sequence[str], *, progress: bool = True
) -> Nearest:
    """Return the training clip nearest to each query.

    Args:
        queries: (N, T, H, W, 3), uint8.
        training: (M, T, H, W, 3), uint8, perhaps memory-mapped; of more than `SEARCHED` every so
            many is looked at, and a few at a time are in memory.
        videos: M names: what each training clip was cut from.
        progress: show a bar.

    Raises:
        ValueError: no clips, or clips of other sizes.
    """
    if not len(queries) or not len(training) or queries.shape[1:] != training.shape[1:]:
        raise ValueError(f"clips of different size: {queries.shape[1:]} and {training.shape[1:]}")
    numbers = np.arange(0, len(training), -(-len(training) // SEARCHED))
    places = np.unique(np.asarray(videos), return_inverse=True)[1][numbers]
    chunks = tqdm(range(0, len(numbers), _CHUNK), desc="nearest clips", unit="batch", leave=False,
                  disable=not progress)  # fmt: skip
    known = np.concatenate([reduced(training[numbers[c : c + _CHUNK]]) for c in chunks])
    small = np.concatenate(
        [reduced(queries[c : c + _CHUNK]) for c in range(0, len(queries), _CHUNK)]
    )
    # |a|^2 + |b|^2 - 2 ab finds the nearest; distances are then taken exactly.
    apart = (small**2).sum(1)[:, None] + (known**2).sum(1) - 2 * small @ known.T  # (N, M)
    first = apart.argmin(axis=1)
    apart[places[first][:, None] == places] = np.inf
    second = apart.argmin(axis=1)
    distances, seconds = _distance(small, known[first]), _distance(small, known[second])
    seconds[np.isinf(apart[np.arange(len(small)), second])] = np.nan
    return Nearest(numbers[first], distances, distances / np.maximum(seconds, 1e-12), len(numbers))


def reduced(clips: Frames) -> Small:
    """Return clips (N, T, H, W, 3) as the mean colours of 8 x 16 x 16 blocks, (N, 6144), in [0, 1].

    Raises:
        ValueError: a size that blocks do not divide.
    """
    n, t, h, w, colours = clips.shape
    if t % FRAMES or h % SIZE or w % SIZE:
        raise ValueError(f"clips of {t} frames of {w}x{h} do not divide into 8 x 16 x 16 blocks")
    blocks = clips.reshape(n, FRAMES, t // FRAMES, SIZE, h // SIZE, SIZE, w // SIZE, colours)
    means: Small = blocks.mean(axis=(2, 4, 6), dtype=np.float32) / 255
    return means.reshape(n, -1)


def near_copies(ratios: Values, held_out: Values) -> Values:
    """Return which clips (1 or 0) are nearer to one training clip than real ones hardly ever are.

    Args:
        ratios: (N,), of the clips in question; see `Nearest`.
        held_out: (M,), of real clips that were not trained on.
    """
    known = held_out[np.isfinite(held_out)]
    if not len(known):
        return np.full(len(ratios), np.nan)
    near = (ratios < np.quantile(known, _HARDLY_EVER)).astype(float)
    near[~np.isfinite(ratios)] = np.nan
    return near


def _distance(first: Small, second: Small) -> Values:
    apart: Values = np.sqrt(((first - second).astype(np.float64) ** 2).mean(axis=1))
    return apart
