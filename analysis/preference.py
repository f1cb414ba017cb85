"""From judgments to preferences: which row, which cell, was A preferred, and what is clustered.

A *row* is a comparison "A over B". A comes first as the study ordered the pair (`source_a`,
`source_b`); where that is not recorded, alphabetically, with `static`, then `real`, always second.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.errors import JudgmentsError
from analysis.published import CATEGORY_ORDER, ROW_ORDER
from analysis.variance import Sample

MEAN = "Mean"
# `real` is second to everything, `static` second to everything but `real`.
_LAST = {"real": 2, "static": 1}


@dataclass(frozen=True)
class Comparison:
    """A row: how often `source_a` is preferred over `source_b`."""

    source_a: str
    source_b: str

    @property
    def label(self) -> str:
        """The row's name in data."""
        return f"{self.source_a} over {self.source_b}"


def orient(first: str, second: str) -> Comparison:
    """Order two sources as a row without a recorded order."""
    a, b = sorted((first, second), key=lambda name: (_LAST.get(name, 0), name))
    return Comparison(a, b)


def add_preferences(judgments: pd.DataFrame) -> pd.DataFrame:
    """Add `row`, `a`, `b`, `y`, `cluster_a`, `cluster_b` to judgments of any kind.

    Args:
        judgments: from `load_judgments`.

    Returns:
        A copy. `y` is 1 where A was chosen, 0 where B was, 0.5 for a tie. The clusters are the
        item where there is one, else the source video, else the clip.

    Raises:
        JudgmentsError: one pair of sources is recorded in both orders.
    """
    out = judgments.copy()
    left, right = out["left_source"], out["right_source"]
    recorded = out["source_a"] != ""
    pairs = out[~recorded][["left_source", "right_source"]].drop_duplicates()
    order = {(x, y): orient(x, y) for x, y in pairs.itertuples(index=False)}
    guessed = [
        order[pair].source_a if not known else ""
        for pair, known in zip(zip(left, right, strict=True), recorded, strict=True)
    ]
    out["a"] = out["source_a"].where(recorded, guessed)
    a_left = out["a"] == left
    out["b"] = right.where(a_left, left)
    out["row"] = out["a"] + " over " + out["b"]
    _one_order(out)
    chose_left = out["choice"] == "left"
    out["y"] = np.where(out["choice"] == "tie", 0.5, (chose_left == a_left).astype(float))
    for side, here in (("a", a_left), ("b", ~a_left)):
        clip = out["left_clip"].where(here, out["right_clip"])
        origin = out["left_origin"].where(here, out["right_origin"])
        cluster = origin.where(origin != "", clip)
        # Equal file names in two categories are two items.
        item = out["category"] + "/" + out["item"]
        out[f"cluster_{side}"] = item.where(out["item"] != "", cluster)
    return out


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
    # Sorted by category, so that the codes of the cells follow the alphabet.
    ordered = preferences.sort_values("category", kind="stable")
    return Sample.of(
        ordered["y"],
        ordered["worker"],
        ordered["cluster_a"],
        ordered["cluster_b"],
        ordered["category"],
    )


def row_order(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Order rows: the paper's as the paper has them, then the others, those over `real` last."""
    known = {pair: i for i, pair in enumerate(ROW_ORDER)}

    def key(row: Comparison) -> tuple[int, int, str, str]:
        place = known.get(frozenset((row.source_a, row.source_b)), len(known))
        last = _LAST.get(row.source_b, 0) if place == len(known) else 0
        return place, last, row.source_b, row.source_a

    return sorted(comparisons, key=key)


def category_order(categories: Iterable[str]) -> list[str]:
    """Order categories: the paper's as the paper has them, then the others by the alphabet."""
    known = {name: i for i, name in enumerate(CATEGORY_ORDER)}
    return sorted(set(categories), key=lambda name: (known.get(name, len(known)), name))


def comparisons_in(preferences: pd.DataFrame) -> list[Comparison]:
    """Return the rows that have judgments, in printing order."""
    pairs = preferences[["a", "b"]].drop_duplicates().itertuples(index=False)
    return row_order(Comparison(str(a), str(b)) for a, b in pairs)
