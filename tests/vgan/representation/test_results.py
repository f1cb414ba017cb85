import json
from dataclasses import replace

import pytest

from vgan.data.journal import Journal
from vgan.errors import DataError, UsageError
from vgan.representation.results import Record, Results, read_records

RECORD = Record(
    method="stip",
    split="1",
    fraction=1.0,
    seed=0,
    accuracy=0.75,
    single_window_accuracy=0.5,
    per_class={"bend": 1.0, "jump": None},
    confusion=[[3, 1], [0, 0]],
    classes=["bend", "jump"],
    groups={"ann": [3, 4]},
    train_videos=8,
    test_videos=4,
    parameters=10,
    seconds=1.5,
    settings={"words": 4},
    data="abc",
)


def test_what_is_added_is_read_back(tmp_path):
    Results(tmp_path, "abc").add(RECORD)

    assert read_records(Journal(tmp_path / "results.jsonl")) == [RECORD]
    assert Results(tmp_path, "abc").done("stip", "1", 1.0, 0, {"words": 4}) == RECORD


def test_a_line_that_a_killed_process_left_is_cut_off(tmp_path):
    results = Results(tmp_path, "abc")
    results.add(RECORD)
    with results.path.open("a") as file:
        file.write('{"method": "sti')
    again = Results(tmp_path, "abc")
    again.add(replace(RECORD, split="2"))

    assert [record.split for record in read_records(Journal(results.path))] == ["1", "2"]


def test_a_task_not_done_has_no_record(tmp_path):
    assert Results(tmp_path, "abc").done("stip", "1", 0.5, 0, {}) is None


def test_results_under_other_settings_are_refused(tmp_path):
    Results(tmp_path, "abc").add(RECORD)

    with pytest.raises(UsageError, match="stip was measured with words 4; take another --out"):
        Results(tmp_path, "abc").done("stip", "1", 1.0, 0, {"words": 5})


def test_results_of_other_videos_are_refused(tmp_path):
    Results(tmp_path, "abc").add(RECORD)

    with pytest.raises(UsageError, match="results of other videos, labels or splits"):
        Results(tmp_path, "xyz")


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps({"method": "stip"}) + "\n")

    with pytest.raises(DataError, match=r"results\.jsonl:1: not a result"):
        read_records(Journal(path))
