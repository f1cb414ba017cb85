"""Which pairs are shown how often, with which clip on the left. Pure: same seed, same plan.

A *cell* is one comparison in one category. Within every cell

- each clip of a side is used equally often (counts differ by at most one);
- no pair of clips comes twice while a fresh combination exists;
- exactly half of the trials show clip A on the left, and each clip is on the left in half of its
  trials (to within one).

Trials are ordered in rounds that take one trial of every cell, so that a study that stops early
has cells of nearly equal size.

Practice, gold and identical pairs form *pools*. In the database every pool pair has one template
trial, in plan batch number 0 with the rule `pool`, its kind set. Templates are never shown: when a
session starts, `evaluation.allocation` draws pairs from the pools and makes the session's own
trials from them, with a random side. `correct` of a template is the side of its good clip.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import UsageError
from evaluation.schema import TrialKind
from evaluation.study import Comparison, Design

Indices = NDArray[np.int64]


class PlannedClip(NamedTuple):
    """A clip as the plan sees it: its name, and what it pairs by (empty where it does not)."""

    name: str
    item: str = ""


class PlannedPair(NamedTuple):
    """Two clips of a cell, in the design's order."""

    source_a: str
    source_b: str
    category: str
    clip_a: str
    clip_b: str
    item: str = ""


class PlannedTrial(NamedTuple):
    """A slot: an index into the plan's pairs, and whether clip A is on the left."""

    pair: int
    a_is_left: bool
    kind: TrialKind = TrialKind.TEST


@dataclass(frozen=True)
class Plan:
    """A batch of trials and the pairs they show, each pair once."""

    pairs: tuple[PlannedPair, ...]
    trials: tuple[PlannedTrial, ...]


Clips = Mapping[tuple[str, str], Sequence[PlannedClip]]


def generator(seed: int, *names: str) -> np.random.Generator:
    """A stream of its own for every purpose, so that adding a cell leaves the others alone."""
    digest = hashlib.sha256("\n".join(names).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, np.uint32).tolist()])


def draw_pairs(n_a: int, n_b: int, n: int, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Draw n pairs of n_a and n_b clips, evenly on both sides and fresh as long as can be.

    The pairs walk along the diagonals of the n_a x n_b grid, which meet every square once before
    any square twice, with rows and columns in random order.

    Returns:
        Indices of clips A and of clips B, (n,) each.
    """
    steps = np.arange(n, dtype=np.int64)
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


def _random_cell(
    cell: tuple[Comparison, str], design: Design, clips: Clips, rng: np.random.Generator
) -> tuple[list[PlannedPair], Indices, NDArray[np.bool_]]:
    comparison, category = cell
    side_a = clips[comparison.source_a, category]
    side_b = clips[comparison.source_b, category]
    assert design.judgments_per_cell is not None
    a, b = draw_pairs(len(side_a), len(side_b), design.judgments_per_cell, rng)
    left = balance_sides(a, b, rng)
    unique, index = np.unique(a * len(side_b) + b, return_inverse=True)
    pairs = [
        PlannedPair(
            comparison.source_a,
            comparison.source_b,
            category,
            side_a[code // len(side_b)].name,
            side_b[code % len(side_b)].name,
        )
        for code in unique.tolist()
    ]
    return pairs, index, left


def partners(
    comparison: Comparison, category: str, clips: Clips
) -> list[tuple[PlannedClip, PlannedClip]]:
    """Return the clips of two sources that show the same item, sorted by item.

    Raises:
        UsageError: an item has no partner, or a source has it twice; the message names it.
    """
    sides = []
    for source in (comparison.source_a, comparison.source_b):
        by_item: dict[str, PlannedClip] = {}
        for clip in clips[source, category]:
            if clip.item in by_item:
                raise UsageError(
                    f"{by_item[clip.item].name} and {clip.name} are both item {clip.item!r} of "
                    f'{source} in {category}; pairing = "item" needs one clip per item'
                )
            by_item[clip.item] = clip
        sides.append(by_item)
    for here, there, source in ((0, 1, comparison.source_b), (1, 0, comparison.source_a)):
        missing = sorted(sides[here].keys() - sides[there].keys())
        if missing:
            others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise UsageError(
                f"{sides[here][missing[0]].name}: item {missing[0]!r}{others} has no partner in "
                f'{source}, category {category}; pairing = "item" needs the same items in both'
            )
    return [(sides[0][item], sides[1][item]) for item in sorted(sides[0])]


def _item_cell(
    cell: tuple[Comparison, str], design: Design, clips: Clips, rng: np.random.Generator
) -> tuple[list[PlannedPair], Indices, NDArray[np.bool_]]:
    comparison, category = cell
    matched = partners(comparison, category, clips)
    n = design.judgments_per_cell or (design.judgments_per_pair or 0) * len(matched)
    if n % 2:
        raise UsageError(
            f"{comparison.source_a} over {comparison.source_b}, {category}: {len(matched)} items "
            f"times judgments_per_pair {design.judgments_per_pair} is odd, so the sides cannot be "
            "balanced; make one of the two even"
        )
    items = rng.permutation(len(matched))[np.arange(n, dtype=np.int64) % len(matched)]
    left = balance_sides(items, items, rng)
    pairs = [
        PlannedPair(comparison.source_a, comparison.source_b, category, a.name, b.name, a.item)
        for a, b in matched
    ]
    return pairs, items, left


def plan_trials(design: Design, clips: Clips, seed: int) -> Plan:
    """Plan every test trial of a study.

    Args:
        design: with its categories filled in.
        clips: of every compared source and category, at least one each, in a fixed order.
        seed: of the study.

    Raises:
        UsageError: with pairing by item, an item lacks a partner or the sides cannot be balanced.
    """
    make = _item_cell if design.pairing == "item" else _random_cell
    pairs: list[PlannedPair] = []
    chosen, sides, rounds = [], [], []
    for comparison in design.comparisons:
        for category in design.categories:
            name = (comparison.source_a, comparison.source_b, category)
            rng = generator(seed, "cell", *name)
            cell_pairs, index, left = make((comparison, category), design, clips, rng)
            order = rng.permutation(len(index))
            used, index = np.unique(index[order], return_inverse=True)
            chosen.append(index + len(pairs))
            sides.append(left[order])
            rounds.append(np.arange(len(order)))
            pairs += [cell_pairs[i] for i in used.tolist()]
    turn = np.concatenate(rounds)
    order = np.lexsort((generator(seed, "order").random(len(turn)), turn))
    pair_of, left_of = np.concatenate(chosen)[order], np.concatenate(sides)[order]
    trials = map(PlannedTrial, pair_of.tolist(), left_of.tolist())
    return Plan(tuple(pairs), tuple(trials))
