"""Which pairs a cell shows and on which sides, as indices: even, fresh, and balanced. Pure."""

from math import gcd

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def draw_pairs(
    n_a: int, n_b: int, n: int, rng: np.random.Generator, start: int = 0
) -> tuple[Indices, Indices]:
    """Draw n pairs of n_a and n_b clips, evenly on both sides and fresh as long as can be.

    The pairs walk along the diagonals of the n_a x n_b grid, which meet every square once before
    any square twice, with rows and columns in random order.

    Args:
        n_a: clips of A.
        n_b: clips of B.
        n: how many pairs.
        rng: orders rows and columns; in the same state it gives the same walk.
        start: pairs of the walk that are passed over, because an earlier batch has them.

    Returns:
        Indices of clips A and of clips B, (n,) each.
    """
    steps = np.arange(start, start + n, dtype=np.int64)
    diagonal = n_a * n_b // gcd(n_a, n_b)  # steps until the walk would meet its first square again
    a = steps % n_a
    b = (steps + steps // diagonal) % n_b
    return rng.permutation(n_a)[a], rng.permutation(n_b)[b]


def balance_sides(a: Indices, b: Indices, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose for every pair whether clip A is on the left.

    Each clip's trials are linked in twos that must differ. The links form paths and, because a
    link through a clip A is always followed by one through a clip B, only even cycles: both can be
    coloured alternately. Paths of odd length tip the balance by one each, and take turns.

    Args:
        a: index of clip A of every trial, (n,); n is even.
        b: index of clip B, (n,).
        rng: chooses which trials are linked, and the first side.

    Returns:
        (n,), exactly half of them True; for every clip the two sides differ by at most one.
    """
    n = len(a)
    links = _links(a, rng), _links(b, rng)
    first = rng.integers(2, size=n).astype(bool)
    left = np.zeros(n, dtype=bool)
    done = bytearray(n)
    ends = [i for i in range(n) if links[0][i] < 0 or links[1][i] < 0]
    surplus = bool(rng.integers(2))  # the side that the next odd path favours
    for start in [*ends, *range(n)]:  # paths first; what is left after them are cycles
        if done[start]:
            continue
        members = _component(start, links, done)
        side = bool(first[start])
        if len(members) % 2:
            side, surplus = surplus, not surplus
        left[members[::2]] = side
        left[members[1::2]] = not side
    return left


def _component(start: int, links: tuple[list[int], list[int]], done: bytearray) -> list[int]:
    """Follow the links from an end of a path, or around a cycle, through A and B in turn."""
    members = []
    through = 0 if links[0][start] >= 0 else 1
    here = start
    while here >= 0 and not done[here]:
        done[here] = 1
        members.append(here)
        here = links[through][here]
        through = 1 - through
    return members


def _links(clips: Indices, rng: np.random.Generator) -> list[int]:
    """Link the trials of every clip in random twos; -1 for the odd one out."""
    links = [-1] * len(clips)
    waiting: dict[int, int] = {}
    for trial in rng.permutation(len(clips)).tolist():
        clip = int(clips[trial])
        other = waiting.pop(clip, -1)
        if other < 0:
            waiting[clip] = trial
        else:
            links[trial], links[other] = other, trial
    return links
