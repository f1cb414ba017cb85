"""From judgments to preferences: which row, which cell, was A preferred, and what is clustered.

A *row* is a comparison "A over B". A comes first as the study ordered the pair (`source_a`,
`source_b`); where that is not recorded, alphabetically, with `static`, then `real`, always second.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.clusters import codes_of
from analysis.declared import declared_of
from analysis.errors import JudgmentsError
from analysis.published import CATEGORY_ORDER, ROW_ORDER
from analysis.variance import Sample
from evaluation.study import Comparison

MEAN = "Mean"
# What the estimates of a row are made from, of the columns that `add_preferences` gives.
NEEDED = ("row", "category", "y", "worker", "cluster_a", "cluster_b")
# `real` is second to everything, `static` second to everything but `real`.
_LAST = {"real": 2, "static": 1}


def orient(first: str, second: str) -> Comparison:
    """Order two sources as a row without a recorded order."""
    a, b = sorted((first, second), key=lambda name: (_LAST.get(name, 0), name))
    return Comparison(a, b)


def add_preferences(judgments: pd.DataFrame) -> pd.DataFrame:
    """Add `row`, `a`, `b`, `y`, and clip and cluster of either, to judgments of any kind.

    Args:
        judgments: from `load_judgments`.

    Returns:
        A copy. `y` is 1 where A was chosen, 0 where B was, 0.5 for a tie. `clip_a` is the clip of
        A, whichever side it was on; `cluster_a` is the item where there is one, else its source
        video, else the clip.

    Raises:
        JudgmentsError: one pair of sources is recorded in both orders.
    """
    out = judgments.copy(deep=False)
    kept, out.attrs = out.attrs, {}  # pandas would copy all of it with every column
    left, right = _objects(out, "left_source"), _objects(out, "right_source")
    # Rows that show the same two sources are alike: work on one of each kind.
    kind, kinds = _kinds(left, right, _objects(out, "source_a"))
    rows = [_row_of(*key) for key in kinds]
    out["a"] = np.array([row.source_a for row in rows], dtype=object)[kind]
    out["b"] = np.array([row.source_b for row in rows], dtype=object)[kind]
    out["row"] = np.array([row.label for row in rows], dtype=object)[kind]
    on_left = [row.source_a == key[0] for row, key in zip(rows, kinds, strict=True)]
    a_left = np.array(on_left, dtype=bool)[kind]
    _one_order(out)
    choice = _objects(out, "choice")
    out["y"] = np.where(choice == "tie", 0.5, ((choice == "left") == a_left).astype(float))
    item = _objects(out, "item")
    for side, here in (("a", a_left), ("b", ~a_left)):
        clip = np.where(here, _objects(out, "left_clip"), _objects(out, "right_clip"))
        origin = np.where(here, _objects(out, "left_origin"), _objects(out, "right_origin"))
        cluster = np.where(origin != "", origin, clip)
        if (item != "").any():
            # Equal file names in two categories are two items.
            cluster = np.where(item != "", _objects(out, "category") + "/" + item, cluster)
        out[f"clip_{side}"], out[f"cluster_{side}"] = clip, cluster
    out.attrs = kept
    return out


def _objects(frame: pd.DataFrame, column: str) -> NDArray[np.object_]:
    return frame[column].to_numpy(dtype=object)


def _kinds(
    *columns: NDArray[np.object_],
) -> tuple[NDArray[np.int64], list[tuple[str, ...]]]:
    """Number the distinct combinations; return each row's number, and the combinations."""
    joint = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        codes, values = pd.factorize(column)
        joint = joint * max(len(values), 1) + codes
    codes, _ = pd.factorize(joint)
    first = np.flatnonzero(~pd.Series(codes).duplicated().to_numpy())
    return codes, [tuple(str(column[i]) for column in columns) for i in first]


def _row_of(left: str, right: str, recorded_a: str) -> Comparison:
    """The row that a judgment of these sources belongs to."""
    if recorded_a == "":
        return orient(left, right)
    return Comparison(recorded_a, right if recorded_a == left else left)


def _one_order(frame: pd.DataFrame) -> None:
    rows = frame[["pair_type", "row"]].drop_duplicates()
    twice = rows[rows.duplicated("pair_type")]
    if len(twice):
        raise JudgmentsError(
            f"{twice['pair_type'].iloc[0]}: the pair is recorded in both orders "
            "(source_a, source_b); a row needs one"
        )


def table_preferences(judgments: pd.DataFrame) -> pd.DataFrame:
    """Return the counted test judgments with their preferences: what enters Table 1."""
    tests = judgments[(judgments["trial_kind"] == "test") & judgments["counted"]]
    return add_preferences(tests)


def sample_of(preferences: pd.DataFrame) -> Sample:
    """Code the judgments of one row; its cells are the categories in alphabetical order."""
    cells = pd.factorize(preferences["category"], sort=True)[0].astype(np.int64)
    return Sample(
        preferences["y"].to_numpy(dtype=np.float64),
        cells,
        *(codes_of(preferences[name]) for name in ("worker", "cluster_a", "cluster_b")),
    )


def row_order(
    comparisons: Iterable[Comparison], declared: Sequence[Comparison] = ()
) -> list[Comparison]:
    """Order rows as the study declares them.

    What is not declared comes after: the paper's rows as the paper has them, then the others by
    the alphabet, those over `real` last.

    Args:
        comparisons: the rows.
        declared: the study file's rows, in its order.
    """
    order = [*(row.sources for row in declared), *ROW_ORDER]
    known = {pair: i for i, pair in reversed(list(enumerate(order)))}

    def key(row: Comparison) -> tuple[int, int, str, str]:
        place = known.get(row.sources, len(order))
        last = _LAST.get(row.source_b, 0) if place == len(order) else 0
        return place, last, row.source_b, row.source_a

    return sorted(comparisons, key=key)


def category_order(categories: Iterable[str]) -> list[str]:
    """Order categories: the paper's as the paper has them, then the others by the alphabet."""
    known = {name: i for i, name in enumerate(CATEGORY_ORDER)}
    return sorted(set(categories), key=lambda name: (known.get(name, len(known)), name))


def comparisons_in(preferences: pd.DataFrame) -> list[Comparison]:
    """Return the rows that have judgments, in printing order."""
    pairs = preferences[["a", "b"]].drop_duplicates().itertuples(index=False)
    rows = (Comparison(str(a), str(b)) for a, b in pairs)
    return row_order(rows, declared_of(preferences).comparisons)
