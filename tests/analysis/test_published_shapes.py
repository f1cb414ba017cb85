"""Tables as other studies publish them become judgments, and their known answers come back."""

import pandas as pd
import pytest

from analysis.load import load_judgments
from analysis.preference import table_preferences
from evaluation.cli import main


@pytest.fixture
def imported(tmp_path, capsys):
    """Write a table and import it; returns its preferences, or the exit code and the message."""

    def call(columns, *arguments):
        path, out = tmp_path / "published.csv", tmp_path / "judgments.csv"
        pd.DataFrame(columns).to_csv(path, index=False)
        code = main(["import", str(path), "--study", "other", "--out", str(out), *arguments])
        if code:
            return code, capsys.readouterr().err
        return table_preferences(load_judgments(file=out))

    return call


def mapped(*pairs):
    return [argument for pair in pairs for argument in ("--map", pair)]


ARENA = {
    "judge": ["u1", "u2", "u3", "u4"],
    "question_id": ["q1", "q1", "q2", "q2"],
    "model_a": ["x", "y", "x", "x"],
    "model_b": ["y", "x", "y", "y"],
    "winner": ["model_a", "model_a", "tie (bothbad)", "model_b"],
}
ARENA_MAP = mapped(
    "worker=judge", "item=question_id", "left_source=model_a", "right_source=model_b",
    "choice=winner",
)  # fmt: skip
ARENA_ANSWERS = (
    "--answer", "model_a=left", "--answer", "model_b=right", "--answer", "tie (bothbad)=tie",
)  # fmt: skip


def test_a_winner_that_names_a_column_is_translated(imported):
    found = imported(ARENA, *ARENA_MAP, *ARENA_ANSWERS)

    assert found["row"].unique().tolist() == ["x over y"]
    assert found["y"].tolist() == [1, 0, 0.5, 0]


def test_labels_of_0_and_1_with_clips_name_the_second_as_chosen(imported):
    table = {
        "rater": ["a", "b"], "video0": ["x/1.mp4", "y/1.mp4"], "video1": ["y/1.mp4", "x/1.mp4"],
        "method0": ["x", "y"], "method1": ["y", "x"], "label": ["1", "1"],
    }  # fmt: skip
    found = imported(
        table,
        *mapped("worker=rater", "left_clip=video0", "right_clip=video1", "left_source=method0",
                "right_source=method1", "choice=label"),
        "--answer", "0=left", "--answer", "1=right",
    )  # fmt: skip

    assert found["label"].tolist() == ["y/1.mp4", "x/1.mp4"]
    assert found["y"].tolist() == [0, 1]


def test_a_rating_matrix_gives_a_judgment_for_every_two_ratings(imported):
    table = {
        "person": ["p1", "p2"], "scene": ["car", "tree"],
        "x": ["5", "2"], "y": ["3", "2"], "z": ["4", ""],
    }  # fmt: skip
    found = imported(table, *mapped("worker=person", "item=scene"), "--ratings", "x,y,z")
    wins = {
        (row, worker): y
        for row, worker, y in zip(found["row"], found["worker"], found["y"], strict=True)
    }

    # 5 > 3, 5 > 4, 3 < 4; p2 gave x and y the same, and z nothing.
    assert wins == {
        ("x over y", "p1"): 1, ("x over z", "p1"): 1, ("y over z", "p1"): 0,
        ("x over y", "p2"): 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((*ARENA_MAP, *ARENA_ANSWERS[:4]), 1, "published.csv:4: choice 'tie (bothbad)' is in no"),
        ((*ARENA_MAP, "--answer", "model_a=first"), 2, "write THEIRS=left"),
        ((*ARENA_MAP, "--answer", "1=left", "--answer", "1=tie"), 2, "'1' is given twice"),
        ((*mapped("worker=judge", "item=winner"), "--ratings", "q"), 2, "no such column"),
        ((*mapped("worker=judge", "item=winner"), "--ratings", "winner"), 2, "two columns or more"),
        (
            (*mapped("worker=judge", "item=winner"), "--ratings", "winner,judge"),
            1,
            "published.csv:2: column 'winner' is not a rating: 'model_a'",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(imported, arguments, code, says):
    found = imported(ARENA, *arguments)

    assert found[0] == code
    assert says in found[1]
    assert found[1].count("\n") == 1
