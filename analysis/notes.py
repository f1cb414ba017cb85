"""What has to be said under a table: of its intervals, who judged, and the sides of the clips."""

from collections.abc import Iterable, Sequence, Set

import pandas as pd
from scipy import special

from analysis.intervals import LEAST_WORKERS, Estimate
from analysis.names import Names
from analysis.text import share_text
from evaluation.study import Comparison

# How often sides drawn at random may raise a remark anywhere in a table; balanced ones never do.
_BY_CHANCE = 0.001
# Of the judgments, by one worker: at most 9 workers are effective then, however many there are.
_MUCH = 1 / 3


def interval_notes(found: Iterable[tuple[str, Estimate]]) -> list[str]:
    """Say once what is unusual about intervals, and where.

    Args:
        found: where each estimate stands, for print, and the estimate.
    """
    where: dict[str, list[str]] = {}
    for place, estimate in found:
        if estimate.note and estimate.n:
            where.setdefault(estimate.note, []).append(place)
    return [
        f"{note} ({places[0]}{f' and {len(places) - 1} more' if len(places) > 1 else ''})"
        for note, places in where.items()
    ]


def side_notes(preferences: pd.DataFrame, names: Names) -> list[str]:
    """Name the rows whose first source was on the left more, or less, often than chance has it.

    Args:
        preferences: from `table_preferences`.
        names: for print.
    """
    left = preferences["left_source"] == preferences["a"]
    rows = left.groupby([preferences["a"], preferences["b"]], sort=False).agg(["sum", "size"])
    notes = []
    for (a, b), on_left, n in rows.itertuples():
        if 2 * special.bdtr(min(on_left, n - on_left), n, 0.5) < _BY_CHANCE / len(rows):
            notes.append(
                f"{names.row(Comparison(a, b))}: {names.source(a)} was on the left in "
                f"{share_text(on_left, n)} of the judgments: a liking of raters for one side is "
                "mixed with their preference"
            )
    return notes


def busiest_notes(preferences: pd.DataFrame) -> list[str]:
    """Say where one of several workers gave so much that intervals tell little of the others.

    Args:
        preferences: from `table_preferences`.
    """
    given = preferences["worker"].value_counts()
    if len(given) < LEAST_WORKERS or given.iloc[0] < _MUCH * len(preferences):
        return []
    return [
        f"one of the {len(given):,} workers gave "
        f"{share_text(int(given.iloc[0]), len(preferences))} of the judgments: so little is "
        "known of other people that intervals are wide"
    ]


def unjudged_notes(
    primary: Sequence[Comparison], judged: Set[frozenset[str]], names: Names
) -> list[str]:
    """Name the primary rows that have no judgments: their tests are missing, not passed.

    Args:
        primary: rows that the study declares so.
        judged: the sources of each row that somebody judged.
        names: for print.
    """
    return [
        f"{names.row(row)} is declared primary, but has no judgments"
        for row in primary
        if row.sources not in judged
    ]
