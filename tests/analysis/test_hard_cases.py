"""Data that cannot carry a number give a marked cell or a clear error, never a silent number."""

import time

import pytest

from analysis.errors import AnalysisError
from analysis.exclusions import parse_rules
from analysis.intervals import FEW_CLIPS, ONE_CLIP
from analysis.load import check_judgments, load_judgments
from analysis.table import build_table

ONE_ROW = {("mine", "real"): 0.3}


@pytest.fixture
def table(write_judgments):
    def build(frame, *rules):
        return build_table(load_judgments(file=write_judgments(frame)), parse_rules(rules))

    return build


def all_left(frame):
    return frame.assign(choice="left", label=frame["left_clip"])


def test_everybody_choosing_left_says_nothing_about_the_sources(judgments_text, table):
    frame = all_left(judgments_text(ONE_ROW, per_cell=40))
    (row,) = table(frame).rows

    # Sides are balanced in every cell, so half of the left clips are A's.
    assert row.mean.percent == pytest.approx(50)
    assert row.mean.low < 50 < row.mean.high
    with pytest.raises(AnalysisError, match="leave no judgments"):
        table(all_left(judgments_text(ONE_ROW, per_cell=80, workers=8)), "side-bias")


def test_one_clip_of_a_source_is_said_to_tell_nothing_of_others(judgments_text, table):
    found = table(judgments_text(ONE_ROW, per_cell=60, clips=1))
    (row,) = found.rows

    assert row.mean.low < row.mean.percent < row.mean.high
    assert all(ONE_CLIP in cell.note for cell in (*row.cells.values(), row.mean))
    assert any(ONE_CLIP in note for note in found.notes)
    (several,) = table(judgments_text(ONE_ROW, per_cell=60, clips=2)).rows
    assert ONE_CLIP not in several.mean.note


def test_under_five_clips_of_a_source_are_warned_of_in_cells_and_not_in_means(
    judgments_text, table
):
    found = table(judgments_text(ONE_ROW, per_cell=60, clips=4))
    (row,) = found.rows
    (enough,) = table(judgments_text(ONE_ROW, per_cell=60, clips=5)).rows

    assert {cell.note for cell in row.cells.values()} == {FEW_CLIPS}
    assert row.mean.note == ""  # over 16 clips of each source
    assert [note for note in found.notes if FEW_CLIPS in note] == [
        f"{FEW_CLIPS} (mine over Real, golf and 3 more)"
    ]
    assert {cell.note for cell in enough.cells.values()} == {""}


@pytest.mark.parametrize(("rate", "answer"), [(1e-6, 0), (1 - 1e-6, 100)])
def test_cells_of_0_and_100_percent_keep_a_bound_and_say_why(judgments_text, table, rate, answer):
    (row,) = table(judgments_text({("mine", "real"): rate}, per_cell=60, sd=0.0)).rows
    cell = row.cells["golf"]

    assert cell.percent == answer
    assert 0 < abs(cell.high - cell.low) < 60
    assert "all judgments of a cell agree" in cell.note


def test_a_study_as_large_as_the_papers_takes_less_than_half_a_second(judgments_text):
    judgments = check_judgments(judgments_text(per_cell=541, workers=150))
    judgments.attrs.update(study="paper", question="realism", study_hash="", simulated=False)
    build_table(judgments)
    start = time.process_time()

    found = build_table(judgments)

    assert found.judgments == 24 * 541
    assert time.process_time() - start < 0.5
