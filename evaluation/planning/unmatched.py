"""Items that one source of a comparison lacks, where pairs are made by item. Pure.

A system fails on some prompts. What it failed at can be shown beside nothing, so a study leaves
such items out of the comparison, and says everywhere how many: it flatters whoever failed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from evaluation.files import composed
from evaluation.study import Comparison

_NAMED = 10  # of the items that a source lacks

Items = Mapping[tuple[str, str], Set[str]]  # of every source and category


class Unmatched(NamedTuple):
    """A cell of a row in which a source lacks items that the other has, here or elsewhere.

    Args:
        comparison: the row.
        category: of the cell.
        items: how many at least one of the two sources has.
        a_lacks: those that only the second source has.
        b_lacks: those that only the first has.
    """

    comparison: Comparison
    category: str
    items: int
    a_lacks: frozenset[str]
    b_lacks: frozenset[str]

    @classmethod
    def of(cls, row: Comparison, category: str, held: Items) -> "Unmatched":
        """Compare the items of the two sources in a category."""
        a = held.get((row.source_a, category), frozenset())
        b = held.get((row.source_b, category), frozenset())
        return cls(row, category, len(a | b), frozenset(b - a), frozenset(a - b))

    @property
    def left(self) -> int:
        """How many both sources have."""
        return self.items - len(self.a_lacks) - len(self.b_lacks)


def items_held(clips: Iterable[tuple[str, str, str]]) -> Items:
    """Return the items of every source and category, from these three of each clip."""
    held: dict[tuple[str, str], set[str]] = {}
    for source, category, item in clips:
        held.setdefault((source, category), set()).add(composed(item))
    return held


def unmatched_items(
    comparisons: Iterable[Comparison], categories: Sequence[str], held: Items
) -> tuple[Unmatched, ...]:
    """Return every cell of the rows in which a source lacks an item, row after row.

    Args:
        comparisons: the rows.
        categories: of every row.
        held: from `items_held`; a source that has nothing in a category may be missing.
    """
    found: list[Unmatched] = []
    for row in comparisons:
        cells = [Unmatched.of(row, name, held) for name in categories]
        if any(cell.left < cell.items for cell in cells):
            found += cells
    return tuple(found)


def lacks_text(cells: Iterable[Unmatched]) -> str:
    """Name what each source lacks in each category."""
    lacking: dict[tuple[str, str], frozenset[str]] = {}
    for cell in cells:
        row, nothing = cell.comparison, frozenset[str]()
        for source, lacks in ((row.source_a, cell.a_lacks), (row.source_b, cell.b_lacks)):
            key = cell.category, source
            lacking[key] = lacking.get(key, nothing) | lacks
    parts = []
    for (category, source), items in sorted(lacking.items()):
        named = ", ".join(map(repr, sorted(items)[:_NAMED]))
        more = f" and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
        if items:
            parts.append(f"{source} lacks {named}{more} (category {category})")
    return "; ".join(parts)


def unmatched_text(cells: Iterable[Unmatched], name: Callable[[str], str] = str) -> str:
    """Say how many items each row leaves out, and which of its sources lacks them.

    Args:
        cells: from `unmatched_items`.
        name: gives the name of a source.

    Returns:
        A sentence without its full stop; empty where no item is left out.
    """
    rows: dict[Comparison, list[Unmatched]] = {}
    for cell in cells:
        rows.setdefault(cell.comparison, []).append(cell)
    parts = []
    for row, found in rows.items():
        a, b = name(row.source_a), name(row.source_b)
        lacks = (a, sum(len(c.a_lacks) for c in found)), (b, sum(len(c.b_lacks) for c in found))
        by = " and ".join(f"{source} lacks {n:,}" for source, n in lacks if n)
        items, left = sum(c.items for c in found), sum(c.left for c in found)
        parts.append(f"{a} over {b} {items - left:,} of {items:,} ({by})")
    if not parts:
        return ""
    return (
        "Items that one of two sources lacks are left out of their comparison, which flatters a "
        f"source that failed to make them: {'; '.join(parts)}"
    )
