"""Rows that a look stopped or topped up, without a declared rule, are named under the table."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from analysis.load import load_judgments
from analysis.methods import methods
from analysis.table import build_table
from evaluation.database import find_study, open_database
from evaluation.schema import Judgment, JudgmentStatus
from evaluation.sessions.stopped import record_stopped
from evaluation.study import Comparison

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
TOPPED_UP = (
    "Rows were topped up (y over z) after a look, though the study declares no stopping rule"
)


@pytest.fixture
def topped_up(judgments_text, write_judgments):
    """Judgments of two rows, some of the second in a later batch; returns their file."""
    frame = judgments_text({("x", "y"): 0.5, ("y", "z"): 0.5}, per_cell=20, categories=("all",))
    frame["batch"] = ["1"] * 30 + ["4"] * 10
    return write_judgments(frame)


def test_judgments_of_a_later_batch_are_owned_up_to(topped_up):
    table = build_table(load_judgments(file=topped_up))

    assert table.notes[-1].startswith(TOPPED_UP)
    assert "not protected against this" in table.notes[-1]
    assert f"{table.notes[-1]}." in methods(table, None, 0.5)[-1]


def test_a_declared_rule_or_one_batch_leaves_nothing_to_own_up_to(
    topped_up, judgments_text, write_judgments
):
    rule = '[study]\nname = "paper"\n[analysis]\nstop_when = "decided"\n'
    topped_up.with_name("study.toml").write_text(rule)
    declared = build_table(load_judgments(file=topped_up))
    one = build_table(load_judgments(file=write_judgments(judgments_text(per_cell=20), "one.csv")))

    assert (declared.undeclared, one.undeclared) == ("", "")
    assert not any("topped up" in note for note in (*declared.notes, *one.notes))


def test_a_row_that_was_stopped_before_its_last_judgment_is_named(recorded):
    url = recorded()
    database = open_database(url)
    with database.write() as session:
        record_stopped(session, find_study(session, None), [Comparison("mine", "real")], "", NOW)
    complete = build_table(load_judgments(db=url))
    with database.write() as session:
        session.scalars(select(Judgment).limit(1)).one().status = JudgmentStatus.WITHDRAWN
    database.close()
    stopped = build_table(load_judgments(db=url))

    assert complete.undeclared == ""
    assert stopped.undeclared.startswith("Rows were stopped (mine over Real) after a look, though")
