"""What a table says of the sides that clips were on, and of who judged the most."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from analysis.load import check_judgments
from analysis.names import Names
from analysis.notes import busiest_notes, side_notes
from analysis.preference import table_preferences
from analysis.report import main as report
from analysis.table1 import main as table1


def sides(*rows):
    """Judgments of rows over y, so many of each, of which A was on the left in so many."""
    parts = []
    for i, (n, on_left) in enumerate(rows):
        left = np.where(np.arange(n) < on_left, f"x{i}", "y")
        parts.append(pd.DataFrame({"a": f"x{i}", "b": "y", "left_source": left}))
    return pd.concat(parts, ignore_index=True)


def test_a_side_that_one_source_had_too_often_is_named_by_row():
    named = Names(sources={"x1": "Ours"})
    (note,) = side_notes(sides((800, 400), (800, 718), (800, 420)), named)

    assert note.startswith("Ours over y: Ours was on the left in 89.8 % of the judgments: a liking")
    assert len(side_notes(sides((800, 82)), Names())) == 1


@pytest.mark.parametrize(
    # Of 100 on one side, 67 or more come up by chance once in 1,100 tables, 66 once in 550.
    ("on_left", "said"),
    [(33, True), (34, False), (66, False), (67, True)],
)
def test_sides_are_remarked_on_where_chance_gives_them_once_in_a_thousand_tables(on_left, said):
    assert bool(side_notes(sides((100, on_left)), Names())) == said


def test_several_rows_share_the_one_table_in_a_thousand():
    assert side_notes(sides((100, 67)), Names())
    assert not side_notes(sides((100, 67), (100, 50)), Names())


def test_planned_sides_raise_no_remark_however_early_a_study_is_cut_short(judgments_text):
    judgments = table_preferences(check_judgments(judgments_text(per_cell=100)))
    rng = np.random.default_rng(1)

    for n in (1, 20, 300, 2400):
        seen = judgments.iloc[rng.permutation(len(judgments))[:n]]
        assert side_notes(seen, Names()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((70, 6, 6, 6, 6, 6), "one of the 6 workers gave 70.0 % of the judgments"),
        ((4, 2, 2, 2, 2), "one of the 5 workers gave 33.3 % of the judgments"),
        ((39, 20, 20, 20, 20), None),
        ((70, 10, 10, 10), None),  # too few for intervals, which is said already
        ((50,), None),
    ],
)
def test_one_worker_who_gave_a_third_is_remarked_on(given, said):
    workers = np.repeat([f"w{i}" for i in range(len(given))], given)
    notes = busiest_notes(pd.DataFrame({"worker": workers}))

    assert [note.split(":")[0] for note in notes] == ([said] if said else [])


def test_table_says_that_one_worker_gave_most(judgments_text, write_judgments):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=100, categories=("golf",))
    frame.loc[20:, ["worker", "assignment"]] = "busy"
    printed = CliRunner().invoke(table1, ["--judgments", str(write_judgments(frame))]).output

    assert "workers gave 80.0 % of the judgments: so little is known" in printed


def test_table_and_report_say_it(judgments_text, write_judgments, tmp_path, no_pdf):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=100, categories=("golf",))
    kept = frame[(frame["left_source"] == "x") | (frame.index % 4 == 0)]
    path = str(write_judgments(kept))
    printed = CliRunner().invoke(table1, ["--judgments", path]).output
    CliRunner().invoke(report, ["--judgments", path, "--out", str(tmp_path / "report")])
    page = (tmp_path / "report" / "report.html").read_text()

    for text in (printed, page):
        assert "x over y: x was on the left in" in text
