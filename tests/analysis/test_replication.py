from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.declared import Declared
from analysis.errors import AnalysisError, UsageError
from analysis.load import load_judgments
from analysis.replication import comparison_text, differences
from analysis.table import build_table
from evaluation.planning.unmatched import items_held, unmatched_items
from evaluation.study import Comparison

ROWS = {("x", "y"): 0.7, ("x", "real"): 0.2}


@pytest.fixture
def table(judgments_text, write_judgments):
    def build(rows=ROWS, **options):
        return build_table(load_judgments(file=write_judgments(judgments_text(rows, **options))))

    return build


def test_equal_studies_do_not_differ_and_a_shift_is_found(table):
    first = table(per_cell=300, workers=60, clips=200)
    again = differences(first, table(per_cell=300, workers=60, clips=200, seed=9))
    moved = differences(
        first, table({("x", "y"): 0.5, ("x", "real"): 0.2}, per_cell=300, workers=60, clips=200)
    )

    assert all(d.low < 0 < d.high for d in again)
    assert moved[0].comparison.label == "x over y"
    assert moved[0].points == pytest.approx(-20, abs=8)
    assert moved[0].adjusted < 0.001
    assert moved[1].adjusted > 0.05


def test_a_row_in_the_other_order_is_flipped(table):
    first = table({("x", "y"): 0.7}, per_cell=300, workers=60, clips=200)
    second = table({("y", "x"): 0.3}, per_cell=300, workers=60, clips=200)
    found = differences(first, second)[0]

    assert found.second == pytest.approx(100 - second.rows[0].mean.percent)
    assert found.low < 0 < found.high


def test_the_interval_adds_the_variances(table):
    first, second = table(per_cell=300, workers=60), table(per_cell=300, workers=60, seed=4)
    found = differences(first, second)[0]
    se = np.hypot(first.rows[0].mean.se, second.rows[0].mean.se)

    assert (found.high - found.low) / 2 == pytest.approx(1.97 * se, rel=0.02)


def test_one_rater_is_compared_without_a_p_and_the_notes_of_means_are_printed(
    judgments_text, write_judgments
):
    alone = judgments_text(ROWS, workers=1, per_cell=30)
    some = judgments_text(ROWS, workers=12, per_cell=30, seed=2)
    mixed = pd.concat([alone[alone["source_b"] == "real"], some[some["source_b"] != "real"]])
    studies = [
        load_judgments(file=write_judgments(frame, f"{i}.csv"))
        for i, frame in enumerate((mixed, some))
    ]
    tested, untested = differences(*map(build_table, studies))
    text = comparison_text(studies, ())

    assert untested.comparison.label == "x over real"
    assert (untested.p, untested.adjusted) == (None, None)
    assert untested.low < untested.points < untested.high
    assert tested.adjusted == tested.p  # Holm over the one row that has a p
    assert "No p where one rater judged a row in either study" in text
    assert (
        "this rater: the interval is over clips, not over people (first study, x over real)" in text
    )
    assert "correlations pooled over the row (first study, x over y and 2 more)" in text


def test_studies_that_cannot_be_compared_say_why(table):
    with pytest.raises(AnalysisError, match="different categories"):
        differences(table(), table(categories=("golf",)))
    with pytest.raises(AnalysisError, match="no row has an interval in both"):
        differences(table(), table({("a", "b"): 0.5}))
    with pytest.raises(UsageError, match="A asks 'realism' and B asks 'quality'"):
        differences(table(), replace(table(), question="quality"))


def test_items_that_one_of_the_studies_leaves_out_are_told(judgments_text, write_judgments):
    row, frame = Comparison("x", "y"), judgments_text({("x", "y"): 0.7}, per_cell=60)
    first, second = (load_judgments(file=write_judgments(frame, f"{i}.csv")) for i in "ab")
    held = items_held((source, "all", item) for source, item in ("x1", "y1", "x2"))
    second.attrs["declared"] = Declared(unmatched=unmatched_items([row], ["all"], held))

    assert comparison_text((first, second), ()).endswith(
        "\nsecond study: Items that one of two sources lacks are left out of their comparison, "
        "which flatters a source that failed to make them: x over y 1 of 2 (y lacks 1)\n"
    )
