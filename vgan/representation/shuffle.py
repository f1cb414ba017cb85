"""Shuffle and Learn: is this triple of frames in order?

Frames b < c < d around which something moves make a positive triple, and so does the triple
backwards; (b, a, d) and (b, e, d) with a before b and e after d make negatives, three for every
positive. Where the frame put in the middle looks like the one taken out, there is nothing to see
and the triple is drawn again.

Source:
    Misra, Zitnick and Hebert, Shuffle and Learn, ECCV 2016: the tuples, the share of negatives and
    the verification network. Gaps are scaled from its 15 to 60 frames to clips of 32, and motion
    is the mean frame difference instead of optical flow.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vgan.representation.frame_network import FrameNetwork
from vgan.representation.unlabelled import UnlabelledClips

SHORTEST, LONGEST = 6, 15  # frames between b and d
_ALIKE = 1.0  # mean level difference (of 255) under which two frames look the same
_TRIES = 8


@dataclass(frozen=True)
class Triples:
    """Triples of frames.

    Args:
        clip: (B,), of all three.
        times: (B, 3), in the order they are shown.
        ordered: (B,), whether the middle one belongs there.
    """

    clip: NDArray[np.int64]
    times: NDArray[np.int64]
    ordered: NDArray[np.bool_]


def triple_of(
    a: int, b: int, c: int, d: int, e: int, form: str, *, backwards: bool
) -> tuple[tuple[int, int, int], bool]:
    """Return the frames shown, and whether they are in order.

    Args:
        a: a frame before b.
        b: first of the true triple.
        c: its middle.
        d: its last.
        e: a frame after d.
        form: `true`, `before` (a in the middle) or `after` (e in the middle).
        backwards: show the triple the other way round.
    """
    middle = {"true": c, "before": a, "after": e}[form]
    shown = (d, middle, b) if backwards else (b, middle, d)
    return shown, form == "true"


class OrderNetwork(nn.Module):
    """Say from three embeddings whether the frames are in order.

    Args:
        network: that embeds each frame.
    """

    def __init__(self, network: FrameNetwork) -> None:
        super().__init__()
        self.network = network
        self.verdict = nn.Linear(3 * network.embedding, 2)

    def forward(self, frames: Tensor) -> Tensor:
        """Return logits (B, 2), of out of order and in order, for frames (B, 3, 3, H, W)."""
        embedded = self.network(frames.flatten(0, 1)).relu()
        return cast(Tensor, self.verdict(embedded.view(len(frames), -1)))


def motion(clips: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return how much happens around each frame: mean level change to the next, (N, T - 1)."""
    found = np.empty((len(clips), clips.shape[1] - 1))
    for i, clip in enumerate(clips):
        small = clip[:, ::2, ::2].astype(np.int16)
        found[i] = np.abs(np.diff(small, axis=0)).mean(axis=(1, 2, 3))
    return found


def draw_triples(
    clips: UnlabelledClips,
    moving: NDArray[np.float64],
    count: int,
    chance: np.random.Generator,
) -> Triples:
    """Draw triples, in clips and at times in proportion to how much moves there.

    Args:
        clips: where from.
        moving: from `motion`.
        count: of triples; a quarter of them in order.
        chance: of the draw.
    """
    clip = np.empty(count, np.int64)
    times = np.empty((count, 3), np.int64)
    ordered = np.empty(count, np.bool_)
    weights = moving.ravel() + 1e-6
    weights /= weights.sum()
    centres = chance.choice(moving.size, size=(count, _TRIES), p=weights)
    for i in range(count):
        form = "true" if i % 4 == 0 else ("before", "after")[int(chance.integers(2))]
        for centre in centres[i]:
            number, at = divmod(int(centre), moving.shape[1])
            five = _five_times(at, clips.clips.shape[1], chance)
            shown, is_ordered = triple_of(*five, form, backwards=bool(chance.integers(2)))
            clip[i], times[i], ordered[i] = number, shown, is_ordered
            if _differs(clips.clips[number], five, form):
                break  # else the last try stands: a clip without motion has nothing better
    return Triples(clip, times, ordered)


def _five_times(
    centre: int, length: int, chance: np.random.Generator
) -> tuple[int, int, int, int, int]:
    """Return a < b < c < d < e with b and d around a centre."""
    span = int(chance.integers(SHORTEST, LONGEST + 1))
    b = int(np.clip(centre - span // 2, 2, length - 3 - span))
    d = b + span
    c = b + 1 + int(chance.integers(span - 1))
    return int(chance.integers(b)), b, c, d, int(chance.integers(d + 1, length))


def _differs(clip: NDArray[np.uint8], five: tuple[int, int, int, int, int], form: str) -> bool:
    """Tell whether the middle frame can be told from the one that could stand there."""
    a, _, c, _, e = five
    others = {"true": (a, e), "before": (a,), "after": (e,)}[form]
    middle = clip[c, ::2, ::2].astype(np.int16)
    return all(
        float(np.abs(clip[other, ::2, ::2].astype(np.int16) - middle).mean()) > _ALIKE
        for other in others
    )


def order_labels(triples: Triples) -> Tensor:
    """Return the classes that `OrderNetwork` learns, (B,): 1 in order, 0 not."""
    return torch.from_numpy(triples.ordered.astype(np.int64))
