"""What looks decided in a study that declares no stopping rule: a table has to own up to it.

Its intervals are for one look at the planned end, and cover less than they say where a look decided
when to end.
"""

from collections.abc import Sequence

import pandas as pd

from analysis.names import Names
from analysis.preference import comparisons_in
from evaluation.study import Comparison


def undeclared_looks(preferences: pd.DataFrame, stopped: Sequence[Comparison], names: Names) -> str:
    """Say which rows were stopped or topped up after a look; empty where none were.

    Args:
        preferences: from `table_preferences`. Only top-ups plan test trials after the first batch.
        stopped: rows that lack judgments as a look stopped them.
        names: for print.
    """
    added = comparisons_in(preferences[preferences["batch"] > preferences["batch"].min()])
    done = {"stopped": stopped, "topped up": added}
    parts = [f"{verb} ({'; '.join(map(names.row, rows))})" for verb, rows in done.items() if rows]
    if not parts:
        return ""
    return (
        f"Rows were {' and '.join(parts)} after a look, though the study declares no stopping "
        "rule: intervals, tests and ranking hold for one look only, and are not protected against "
        "this"
    )
