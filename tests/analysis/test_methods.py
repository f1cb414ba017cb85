"""The methods paragraph claims what was done with the data at hand, and no more."""

import pytest

from analysis import layout
from analysis.exclusions import parse_rules
from analysis.load import load_judgments
from analysis.methods import methods
from analysis.preference import table_preferences
from analysis.ranking import rank
from analysis.table import build_table


@pytest.fixture
def told(judgments_text, write_judgments):
    """The paragraphs about intervals and tests, of a study with so many workers."""

    def tell(workers, **options):
        path = write_judgments(judgments_text({("x", "y"): 0.6}, workers=workers, **options))
        return methods(build_table(load_judgments(file=path)), None, 0.5)[2:]

    return tell


def test_one_rater_speaks_for_nobody_else(told):
    intervals, tests = told(1)

    assert "for new clips judged by this one rater, and say nothing of other people" in intervals
    assert "new workers" not in intervals
    assert "by worker" not in intervals
    assert "the level at which its interval touches 50 %" in tests
    assert "at the 5 % level for this rater (x over y)." in tests


def test_a_row_of_one_rater_is_tested_for_that_rater_only(judgments_text, write_judgments):
    rows = {("x", "y"): 0.9, ("x", "z"): 0.9}
    frame = judgments_text(rows, per_cell=40)
    frame.loc[frame["pair_type"] == "x__z", ["worker", "assignment"]] = "only", "as-only"
    table = build_table(load_judgments(file=write_judgments(frame)))
    test = methods(table, None, 0.5)[3]
    by = [row[4] for row in layout.tests_and_effects(table)[1]]

    assert "2 of 2 rows differ from 50 % at the 5 % level (x over y; x over z). Where" in test
    assert test.endswith("Where a single rater judged (x over z), the test is of that rater only.")
    assert by == ["Holm", "Holm, this rater"]


@pytest.mark.parametrize(
    ("clips", "said"),
    [
        (1, "workers on these clips. Their"),
        (3, "Where a source has under 5 clips, items or videos, intervals may be too short."),
        (30, "workers and new clips. Their"),
    ],
)
def test_intervals_claim_no_more_of_other_clips_than_the_clips_let_them(told, clips, said):
    intervals, _ = told(60, per_cell=100, clips=clips)

    assert said in intervals
    assert ("intervals say nothing of its others" in intervals) == (clips == 1)
    assert ("too short" in intervals) == (clips == 3)


def test_one_of_a_thing_is_not_said_as_if_there_were_several(judgments_text, write_judgments):
    options = {"workers": 1, "per_cell": 30, "categories": ("all",)}
    frame = judgments_text({("x", "y"): 0.9}, **options)
    table = build_table(load_judgments(file=write_judgments(frame)))
    told = methods(table, None, 0.5)

    assert told[0].startswith("1 worker compared 1 pair of sources in 1 category (all) in two-")
    assert "adjusted by Holm [holm] over 1 row, cells by" in told[3]
    assert "1 of 1 row differs from 50 % at the 5 % level for this rater (x over y)." in told[3]
    assert layout.remarks(table)[0] == "30 judgments by 1 worker"


def test_without_intervals_nothing_is_claimed(told):
    intervals, tests = told(3)

    assert intervals.startswith("No intervals are given: it takes at least 5 workers")
    assert "coverage" not in intervals
    assert tests.startswith("No Mean was tested against 50 %, as none has an interval.")


def test_few_workers_are_said_to_rest_on_pooled_correlations(told):
    intervals, _ = told(12)

    assert "for new workers and new clips. As fewer than 20 workers were effective" in intervals
    assert "in a Mean, on judgments clustered by worker" in intervals


def test_many_workers_have_the_jackknife_alone(told):
    intervals, tests = told(60, per_cell=200)

    assert "Their variance clusters judgments by worker, by clip" in intervals
    assert "pooled" not in intervals
    assert tests.startswith("Each Mean was tested")


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        (1, "clustered by any shared clip [dyadic], so that it says nothing of other people"),
        (3, "without intervals, rank ranges or a test of their fit (3 workers: too few"),
        (30, "clustered by worker and by any shared clip [dyadic]; one strength per source fits"),
    ],
)
def test_the_leaderboard_is_said_to_hold_for_as_many_as_its_workers_let_it(
    judgments_text, write_judgments, workers, said
):
    rows = {("x", "y"): 0.6, ("y", "z"): 0.6, ("x", "z"): 0.6}
    path = write_judgments(judgments_text(rows, workers=workers, per_cell=20))
    judgments = load_judgments(file=path)
    ranking = rank(table_preferences(judgments))

    assert said in methods(build_table(judgments), ranking, 0.5)[-1]


def test_ties_make_three_choices_of_two(judgments_text, write_judgments):
    frame = judgments_text({("x", "y"): 0.6}, per_cell=10)
    plain = build_table(load_judgments(file=write_judgments(frame)))
    frame.loc[frame.index % 10 < 3, ["choice", "label"]] = ["tie", ""]
    tied = build_table(load_judgments(file=write_judgments(frame)))

    assert (
        "in two-alternative forced choices, 10 judgments per cell" in methods(plain, None, 0.5)[0]
    )
    three = "in three choices (left, right, no difference; ties, 30.0 % of all, count one half), 10"
    assert three in methods(tied, None, 0.5)[0]


def test_what_several_rules_leave_out_is_said_once_for_all(judgments_text, write_judgments):
    frame = judgments_text(per_cell=40)
    frame.loc[frame["worker"] == "w003", "loops"] = "0.01"
    judgments = load_judgments(file=write_judgments(frame))
    n = int((frame["worker"] == "w003").sum())
    told = [
        methods(build_table(judgments, parse_rules(rules)), None, 0.5)[1]
        for rules in (["too-fast:0.125", "side-bias"], ["too-fast:0.125"])
    ]

    total = f"In all, that was {n} of 960 judgments, of 1 of 40 workers"
    assert f"{total}, as a worker may break several rules. Nobody's payment" in told[0]
    assert f"more than 12.5% of them ({n} judgments of 1 worker). {total}. Nobody's" in told[1]
