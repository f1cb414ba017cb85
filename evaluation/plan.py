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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import UsageError
from evaluation.files import composed
from evaluation.planning.drawing import Indices, balance_sides, draw_pairs
from evaluation.planning.unmatched import Unmatched, lacks_text, unmatched_items
from evaluation.study import Comparison, Design


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


@dataclass(frozen=True)
class Plan:
    """A batch of trials and the pairs they show, each pair once."""

    pairs: tuple[PlannedPair, ...]
    trials: tuple[PlannedTrial, ...]
    unmatched: tuple[Unmatched, ...] = ()  # of a first plan, from `check_partners`


Clips = Mapping[tuple[str, str], Sequence[PlannedClip]]
Partners = list[tuple[PlannedClip, PlannedClip]]


def generator(seed: int, *names: str) -> np.random.Generator:
    """A stream of its own for every purpose, so that adding a cell leaves the others alone."""
    digest = hashlib.sha256("\n".join(names).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, np.uint32).tolist()])


class CellSteps(NamedTuple):
    """Which part of a cell's walk through its pairs a batch takes."""

    comparison: Comparison
    category: str
    start: int  # trials of the cell in earlier batches
    n: int  # even, so that the sides can be balanced


class _Drawn(NamedTuple):
    """A cell's pairs, the pair and the side of every trial, and the chance it was drawn by."""

    pairs: list[PlannedPair]
    shown: Indices
    left: NDArray[np.bool_]
    rng: np.random.Generator


def _random_cell(
    cell: CellSteps, clips: Clips, walk: np.random.Generator, rng: np.random.Generator
) -> _Drawn:
    comparison, category = cell.comparison, cell.category
    side_a = clips[comparison.source_a, category]
    side_b = clips[comparison.source_b, category]
    a, b = draw_pairs(len(side_a), len(side_b), cell.n, walk, cell.start)
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
    return _Drawn(pairs, index, left, rng)


def _by_item(source: str, category: str, clips: Clips) -> dict[str, PlannedClip]:
    by_item: dict[str, PlannedClip] = {}
    for clip in clips[source, category]:
        item = composed(clip.item)
        if item in by_item:
            raise UsageError(
                f"{by_item[item].name} and {clip.name} are both item {clip.item!r} of "
                f'{source} in {category}; pairing = "item" needs one clip per item'
            )
        by_item[item] = clip
    return by_item


def partners(comparison: Comparison, category: str, clips: Clips) -> Partners:
    """Return the clips of two sources that show the same item, sorted by item.

    Raises:
        UsageError: a source has an item twice; the message names it.
    """
    side_a = _by_item(comparison.source_a, category, clips)
    side_b = _by_item(comparison.source_b, category, clips)
    matched = ((side_a[item], side_b[item]) for item in side_a if item in side_b)
    return sorted(matched, key=lambda both: both[0].item)  # as later batches count on


def check_partners(design: Design, clips: Clips) -> tuple[Unmatched, ...]:
    """Refuse a design that pairs by item where a source lacks items, unless it leaves them out.

    Args:
        design: with its categories filled in.
        clips: of every compared source and category.

    Returns:
        The cells that leave items out, as [design] unmatched has it.

    Raises:
        UsageError: a source lacks an item that it is compared on, and the message names all that
            each lacks; or a cell is left with none; or a source has an item twice.
    """
    if design.pairing != "item":
        return ()
    held = {
        (source, category): _by_item(source, category, clips).keys()
        for category in design.categories
        for source in sorted(design.compared)
    }
    found = unmatched_items(design.comparisons, design.categories, held)
    if nothing := [cell for cell in found if not cell.left]:
        raise UsageError(
            f'{nothing[0].comparison.label}: pairing = "item", and no item is in both sources: '
            f"{lacks_text(nothing[:1])}; give clips of one item equal file names, or an equal "
            "`item` in their manifests"
        )
    if found and not design.leaves_out:
        raise UsageError(
            f'pairing = "item" needs every item in both sources of a comparison: '
            f"{lacks_text(found)}; make these clips, take their items out of the other folders, "
            'or leave them out by unmatched = "leave-out" under [design]'
        )
    return found


def _item_cell(
    cell: CellSteps, matched: Partners, walk: np.random.Generator, rng: np.random.Generator
) -> _Drawn:
    comparison, category = cell.comparison, cell.category
    steps = np.arange(cell.start, cell.start + cell.n, dtype=np.int64)
    items = walk.permutation(len(matched))[steps % len(matched)]
    left = balance_sides(items, items, rng)
    pairs = [
        PlannedPair(comparison.source_a, comparison.source_b, category, a.name, b.name, a.item)
        for a, b in matched
    ]
    return _Drawn(pairs, items, left, rng)


def item_trials(comparison: Comparison, category: str, design: Design, items: int) -> int:
    """Return how many trials a cell has in which both sources have so many items.

    Raises:
        UsageError: the number is odd, so that the sides cannot be balanced.
    """
    n = design.judgments_per_cell or (design.judgments_per_pair or 0) * items
    if n % 2:
        raise UsageError(
            f"{comparison.label}, {category}: {items} items times judgments_per_pair "
            f"{design.judgments_per_pair} is odd, so the sides cannot be balanced; make one of the "
            "two even"
        )
    return n


def _in_rounds(drawn: Iterable[_Drawn], order_rng: np.random.Generator) -> Plan:
    """Order the trials of all cells in rounds that take one trial of every cell."""
    pairs: list[PlannedPair] = []
    chosen, sides, rounds = [], [], []
    for cell in drawn:
        order = cell.rng.permutation(len(cell.shown))
        used, index = np.unique(cell.shown[order], return_inverse=True)
        chosen.append(index + len(pairs))
        sides.append(cell.left[order])
        rounds.append(np.arange(len(order)))
        pairs += [cell.pairs[i] for i in used.tolist()]
    turn = np.concatenate(rounds)
    order = np.lexsort((order_rng.random(len(turn)), turn))
    pair_of, left_of = np.concatenate(chosen)[order], np.concatenate(sides)[order]
    trials = map(PlannedTrial, pair_of.tolist(), left_of.tolist())
    return Plan(tuple(pairs), tuple(trials))


def _stream(seed: int, purpose: str, comparison: Comparison, category: str) -> np.random.Generator:
    return generator(seed, purpose, comparison.source_a, comparison.source_b, category)


def plan_trials(design: Design, clips: Clips, seed: int) -> Plan:
    """Plan every test trial of a study.

    Args:
        design: with its categories filled in.
        clips: of every compared source and category, at least one each, in a fixed order.
        seed: of the study.

    Raises:
        UsageError: with pairing by item, see `check_partners` and `item_trials`.
    """
    unmatched = check_partners(design, clips)
    drawn = []
    for comparison in design.comparisons:
        for category in design.categories:
            rng = _stream(seed, "cell", comparison, category)
            if design.pairing == "item":
                matched = partners(comparison, category, clips)
                n = item_trials(comparison, category, design, len(matched))
                cell = CellSteps(comparison, category, 0, n)
                drawn.append(_item_cell(cell, matched, rng, rng))
            else:
                cell = CellSteps(comparison, category, 0, design.judgments_per_cell or 0)
                drawn.append(_random_cell(cell, clips, rng, rng))
    return replace(_in_rounds(drawn, generator(seed, "order")), unmatched=unmatched)


def plan_more(
    cells: Sequence[CellSteps], pairing: str, clips: Clips, seed: int, batch: int
) -> Plan:
    """Plan a later batch: every cell's walk goes on where the batches before it ended.

    So clips stay evenly used over all batches, and no pair comes twice while a fresh one exists.

    Args:
        cells: those that get trials, each with an even number; at least one.
        pairing: `random` or `item`, as in the design.
        clips: as given to `plan_trials`, in the same order.
        seed: of the study.
        batch: number of the batch, which draws its own sides and order.

    Raises:
        UsageError: with pairing by item, a source has an item twice.
    """
    name = f"batch {batch}"
    drawn = []
    for cell in cells:
        walk = _stream(seed, "cell", cell.comparison, cell.category)
        rng = _stream(seed, name, cell.comparison, cell.category)
        if pairing == "item":
            matched = partners(cell.comparison, cell.category, clips)
            drawn.append(_item_cell(cell, matched, walk, rng))
        else:
            drawn.append(_random_cell(cell, clips, walk, rng))
    return _in_rounds(drawn, generator(seed, name, "order"))
