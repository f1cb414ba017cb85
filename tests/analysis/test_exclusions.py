import numpy as np
import pandas as pd
import pytest

from analysis.errors import JudgmentsError, UsageError
from analysis.exclusions import (
    LeftOut,
    exclude,
    left_out,
    parse_rule,
    parse_rules,
    repeat_agreement,
)
from analysis.load import check_judgments
from analysis.preference import table_preferences


def with_gold(frame, right_of):
    """Add ten gold trials for each worker in `right_of`, so many of them right."""
    parts = [frame]
    for worker, right in right_of.items():
        gold = frame.iloc[:10].copy()
        gold[["worker", "assignment"]] = worker
        gold["trial"] = [f"gold-{worker}-{i}" for i in range(10)]
        gold["trial_kind"] = "gold"
        other = gold["choice"].map({"left": "right", "right": "left"})
        gold["correct_choice"] = gold["choice"].where(np.arange(10) < right, other)
        parts.append(gold)
    return pd.concat(parts, ignore_index=True)


def dropped_workers(frame, rule):
    checked = check_judgments(frame)
    kept, report = exclude(checked, parse_rules([rule]))
    return set(checked["worker"]) - set(kept["worker"]), report[0]


def test_gold_keeps_eight_of_ten_and_drops_seven(judgments_text):
    frame = with_gold(judgments_text(per_cell=40), {"w000": 8, "w001": 7})
    gone, report = dropped_workers(frame, "gold")

    assert gone == {"w001"}
    assert report.workers == 1
    assert report.judgments == int((frame["worker"] == "w001").sum()) - 10
    assert "38 workers saw too few" in report.note


def test_gold_threshold_can_be_given(judgments_text):
    frame = with_gold(judgments_text(per_cell=40), {"w000": 8, "w001": 7})

    assert dropped_workers(frame, "gold:0.9")[0] == {"w000", "w001"}
    assert dropped_workers(frame, "gold:0.7")[0] == set()


def test_gold_trials_without_a_right_answer_are_not_answered_wrong(judgments_text):
    frame = with_gold(judgments_text(per_cell=40), {"w000": 10, "w001": 7, "w002": 10})
    for worker, blank in (("w000", 4), ("w002", 10)):
        gold = frame.index[frame["trial"].str.startswith(f"gold-{worker}")]
        frame.loc[gold[:blank], "correct_choice"] = ""
    gone, report = dropped_workers(frame, "gold")

    assert gone == {"w001"}
    assert "38 workers saw too few" in report.note  # w002 too


def test_judgments_that_do_not_count_do_not_change_what_is_left_out(judgments_text):
    frame = with_gold(judgments_text(per_cell=40), {"w000": 8, "w001": 7, "w002": 10})
    # A session that was given back: every gold trial wrong, every answer left and at once.
    back = frame[frame["worker"].isin(["w000", "w002"])].copy()
    back[["counted", "assignment", "choice", "loops"]] = ["false", "back", "left", "0.1"]
    back["label"] = back["left_clip"]
    back.loc[back["correct_choice"] != "", "correct_choice"] = "right"
    everything = check_judgments(pd.concat([back, frame], ignore_index=True))
    plain = check_judgments(frame)

    for rule in ("gold", "side-bias", "too-fast", "paper", "paper-as-published"):
        expected, said = exclude(plain, parse_rules([rule]))
        kept, says = exclude(everything, parse_rules([rule]))
        assert says == said
        assert table_preferences(kept)["trial"].tolist() == (
            table_preferences(expected)["trial"].tolist()
        )


def test_rules_that_lack_their_trials_or_columns_say_so(judgments_text):
    frame = judgments_text(per_cell=3)
    for rule, message in (
        ("gold", "there are no gold trials"),
        ("repeats", "there are no repeated trials"),
    ):
        with pytest.raises(JudgmentsError, match=message):
            dropped_workers(frame, rule)
    with pytest.raises(JudgmentsError, match="needs the column `loops`"):
        dropped_workers(frame.drop(columns="loops"), "too-fast")
    with pytest.raises(JudgmentsError, match="no trial compares with the source `real`"):
        dropped_workers(judgments_text({("x", "y"): 0.5}, per_cell=3), "paper")


def test_unknown_rules_and_thresholds_are_usage_errors():
    for text in ("golden", "gold:2", "gold:x"):
        with pytest.raises(UsageError):
            parse_rule(text)
    with pytest.raises(UsageError, match="none cannot be combined"):
        parse_rules(["none", "gold"])
    assert parse_rules(["none"]) == ()


def force_side(frame, worker, side):
    mine = frame["worker"] == worker
    frame.loc[mine, "choice"] = side
    frame.loc[mine, "label"] = frame.loc[mine, f"{side}_clip"]
    return frame


def test_all_left_is_side_bias(judgments_text):
    frame = force_side(judgments_text(per_cell=40), "w003", "left")

    assert dropped_workers(frame, "side-bias")[0] == {"w003"}


def test_balanced_halves_in_two_long_runs_are_side_bias_too(judgments_text):
    frame = judgments_text(per_cell=40)
    mine = frame.index[frame["worker"] == "w003"]
    for side, part in (
        ("left", mine[: len(mine) // 2]),
        ("right", mine[len(mine) // 2 :]),
    ):
        frame.loc[part, "choice"] = side
        frame.loc[part, "label"] = frame.loc[part, f"{side}_clip"]

    assert dropped_workers(frame, "side-bias")[0] == {"w003"}


def with_sides(frame, worker, sides, kind="test", **columns):
    """Add answers of a worker: the sides chosen, in the order of answering."""
    added = frame.iloc[: len(sides)].copy()
    added[["worker", "assignment", "trial_kind"]] = [worker, worker, kind]
    added["trial"] = [f"{kind}-{worker}-{i}" for i in range(len(sides))]
    added["choice"] = sides
    added["label"] = added["left_clip"].where(added["choice"] == "left", added["right_clip"])
    return pd.concat([frame, added.assign(**columns)], ignore_index=True)


def test_a_run_of_one_side_goes_by_the_order_of_answering_over_sessions(judgments_text):
    # Twice 20 positions: in the first session always left, in the second always right.
    sides, positions = ["left"] * 20 + ["right"] * 20, [*range(20), *range(20)]
    two_sessions = with_sides(judgments_text(per_cell=40), "new", sides, position=positions)

    for frame in (two_sessions, two_sessions.sample(frac=1, random_state=0)):
        assert dropped_workers(frame, "side-bias")[0] == {"new"}


@pytest.mark.parametrize("kind", ["repeat", "identical"])
def test_sides_of_repeats_and_identical_pairs_count(judgments_text, kind):
    even = with_sides(judgments_text(per_cell=40), "new", ["left", "right"] * 5)
    biased = with_sides(even, "new", ["left"] * 20, kind)

    assert dropped_workers(even, "side-bias")[0] == set()
    assert dropped_workers(biased, "side-bias")[0] == {"new"}


@pytest.mark.parametrize("kind", ["gold", "practice"])
def test_sides_of_trials_with_a_right_answer_do_not_count(judgments_text, kind):
    even = with_sides(judgments_text(per_cell=40), "new", ["left", "right"] * 5)

    assert dropped_workers(with_sides(even, "new", ["left"] * 20, kind), "side-bias")[0] == set()


def test_ties_are_of_neither_side(judgments_text):
    frame = with_sides(judgments_text(per_cell=40), "new", ["left", "right", *["tie"] * 4] * 5)
    frame.loc[frame["choice"] == "tie", "label"] = ""

    assert dropped_workers(frame, "side-bias")[0] == set()


@pytest.mark.parametrize("turn", [1, -1])
def test_a_run_that_begins_or_ends_a_workers_answers_counts_in_full(judgments_text, turn):
    # Of 18 fair flips 4.7 % have a run of 8 and 10 % one of 7; 9.6 % are as uneven as 13 to 5.
    sides = ["right", "left"] * 5 + ["right"] * 8
    frame = with_sides(judgments_text(per_cell=40), "new", sides[::turn])

    assert "new" in dropped_workers(frame, "side-bias:0.05")[0]


def test_too_fast_drops_the_answer_and_the_hasty_worker(judgments_text):
    frame = judgments_text(per_cell=40)
    one = frame.index[frame["worker"] == "w001"][0]
    frame.loc[one, "loops"] = "0.99"
    frame.loc[frame["worker"] == "w002", "loops"] = "0.24"
    checked = check_judgments(frame)
    kept, report = exclude(checked, parse_rules(["too-fast"]))

    assert "w002" not in set(kept["worker"])
    assert one not in kept.index
    assert (kept["worker"] == "w001").sum() == (frame["worker"] == "w001").sum() - 1
    assert report[0].judgments == (frame["worker"] == "w002").sum() + 1


def test_too_fast_goes_by_the_turns_of_the_clips_not_by_how_long_they_ran(judgments_text):
    frame = judgments_text(per_cell=40)
    # As the page measures it: at a further question the clips have run for longer than it took,
    # and the clock of videos starts after the first frame.
    frame["clip_ms"] = (frame["rt_ms"].astype(float) + 2000).astype(str)
    frame.loc[frame["worker"] == "w002", ["clip_ms", "rt_ms", "loops"]] = ["300", "310", "0.23"]

    assert dropped_workers(frame, "too-fast")[0] == {"w002"}


def test_answers_whose_loops_are_unknown_are_neither_fast_nor_in_the_share(judgments_text):
    frame = judgments_text(per_cell=40)
    mine = frame.index[frame["worker"] == "w001"]
    assert len(mine) >= 20  # one of them all would not be more than a tenth
    frame.loc[mine, "loops"] = ""
    frame.loc[mine[:2], "loops"] = ["0.5", "1"]
    kept, _ = exclude(check_judgments(frame), parse_rules(["too-fast:0.5"]))
    gone, report = dropped_workers(frame, "too-fast")

    assert set(frame.index) - set(kept.index) == {mine[0]}  # one of two is not more than half
    assert gone == {"w001"}
    assert report.judgments == len(mine)


def with_repeats(frame, worker, same):
    """Repeat the first trials of a worker with sides swapped; `same` says which come back."""
    first = frame[frame["worker"] == worker].iloc[: len(same)]
    again = first.copy()
    again["trial_kind"] = "repeat"
    again["repeat_of"] = first["trial"]
    again["trial"] = "r" + first["trial"]
    for side, other in (("left", "right"), ("right", "left")):
        for what in ("source", "clip", "origin"):
            again[f"{side}_{what}"] = first[f"{other}_{what}"]
    swapped = first["choice"].map({"left": "right", "right": "left"})
    again["choice"] = np.where(same, swapped, first["choice"])
    again["label"] = again["left_clip"].where(again["choice"] == "left", again["right_clip"])
    return pd.concat([frame, again], ignore_index=True)


def test_repeats_drop_the_worker_who_contradicts_himself(judgments_text):
    frame = with_repeats(judgments_text(per_cell=40), "w001", [True, False, False, False])
    frame = with_repeats(frame, "w002", [True, True, False, True])
    agreement = repeat_agreement(check_judgments(frame)).groupby("worker")["same"].mean()

    assert agreement.to_dict() == {"w001": 0.25, "w002": 0.75}
    assert dropped_workers(frame, "repeats")[0] == {"w001"}


def test_who_repeats_half_of_the_answers_is_kept(judgments_text):
    frame = with_repeats(judgments_text(per_cell=40), "w001", [True, True, False, False])

    assert dropped_workers(frame, "repeats")[0] == set()


def test_three_repeats_are_too_few_to_judge_a_worker_by(judgments_text):
    frame = with_repeats(judgments_text(per_cell=40), "w001", [False] * 3)
    gone, report = dropped_workers(with_repeats(frame, "w002", [False] * 4), "repeats")

    assert gone == {"w002"}
    assert "39 workers saw too few repeats to be judged" in report.note


REAL = {("x", "real"): 0.2, ("z", "real"): 0.2, ("x", "z"): 0.5}


def fooled(frame, worker, rows):
    """Make a worker prefer the generated clip in all trials of some rows."""
    for a, b in rows:
        mine = (frame["worker"] == worker) & (frame["source_a"] == a) & (frame["source_b"] == b)
        side = np.where(frame.loc[mine, "left_source"] == a, "left", "right")
        frame.loc[mine, "choice"] = side
        clips = frame.loc[mine, ["left_clip", "right_clip"]].to_numpy()
        frame.loc[mine, "label"] = np.where(side == "left", clips[:, 0], clips[:, 1])
    return frame


def test_paper_rule_judges_a_row_by_the_other_rows_only(judgments_text):
    frame = judgments_text(REAL, per_cell=200, workers=12, sd=0.0)
    frame = fooled(frame, "w005", [("x", "real")])
    kept, report = exclude(check_judgments(frame), parse_rules(["paper:0.5"]))
    left = table_preferences(kept)
    rows = set(left[left["worker"] == "w005"]["row"])

    # Fooled in "x over real" only: that row keeps them, as the other row shows no fault.
    assert rows == {"x over real"}
    assert report[0].workers == 1
    assert report[0].note == ""


def test_paper_as_published_looks_at_the_same_rows_and_says_circular(judgments_text):
    frame = judgments_text(REAL, per_cell=200, workers=12, sd=0.0)
    frame = fooled(frame, "w005", [("x", "real")])
    gone, report = dropped_workers(frame, "paper-as-published")

    assert gone == {"w005"}
    assert "circular" in report.note


@pytest.mark.parametrize("rule", ["paper:0.5", "paper-as-published:0.5"])
def test_the_papers_rules_do_not_depend_on_the_side_of_the_row_that_real_is_on(
    judgments_text, rule
):
    frame = judgments_text(REAL, per_cell=100, workers=12, sd=0.0)
    second = fooled(frame, "w005", [("x", "real"), ("z", "real")])
    real = second["source_b"] == "real"
    first = second.assign(
        source_a=second["source_a"].mask(real, "real"),
        source_b=second["source_b"].mask(real, second["source_a"]),
    )

    assert dropped_workers(second, rule)[0] == dropped_workers(first, rule)[0] == {"w005"}


def against_real(frame, worker, missed, trials):
    """Add trials of x against real for a worker, so many of them missed."""
    real = frame[frame["source_b"] == "real"]
    left = real["left_source"].iloc[:trials]
    wrong = np.arange(trials) < missed
    sides = np.where((left == "real").to_numpy() == wrong, "right", "left")
    return pd.concat([frame, with_sides(real, worker, sides).iloc[len(real) :]], ignore_index=True)


@pytest.mark.parametrize("rule", ["paper", "paper-as-published"])
@pytest.mark.parametrize(
    ("missed", "trials", "dropped"),
    [(9, 9, False), (10, 10, True), (7, 20, False), (8, 20, True)],
)
def test_the_papers_rules_need_ten_trials_and_drop_above_35_percent(
    judgments_text, rule, missed, trials, dropped
):
    frame = judgments_text({("x", "real"): 0.01, ("x", "z"): 0.5}, per_cell=20, sd=0.0)
    frame = against_real(frame, "new", missed, trials)
    # The paper's rule drops them from the other row, which has an answer of theirs too.
    other = frame[frame["source_b"] == "z"].iloc[:1].assign(worker="new", trial="other")
    checked = check_judgments(pd.concat([frame, other], ignore_index=True))
    kept, _ = exclude(checked, parse_rules([rule]))

    assert ("other" not in set(kept["trial"])) == dropped


def test_the_paper_rule_says_whom_it_cannot_judge_as_gold_does(judgments_text):
    frame = judgments_text({("x", "real"): 0.2, ("x", "z"): 0.5}, per_cell=200, workers=12)
    alone = frame[frame["pair_type"] == "real__x"]
    alone, both = dropped_workers(alone, "paper")[1], dropped_workers(frame, "paper")[1]

    assert (alone.judged, both.judged) == (0, 12)  # there, x over z is judged by x over real
    assert alone.note == (
        "12 workers saw too few trials against real clips on other rows to be judged, and are kept"
    )
    assert both.note == ""


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("too-fast:0.005", "more than 0.5% of them"),
        ("too-fast:0.07", "more than 7% of them"),
        ("side-bias:0.0002", "p < 0.0002 by chance"),
        ("paper:0.125", "more than 12.5% of trials"),
    ],
)
def test_thresholds_are_said_exactly(judgments_text, rule, said):
    assert said in dropped_workers(judgments_text(REAL, per_cell=20), rule)[1].says


def test_rules_that_drop_the_same_judgments_drop_them_once(judgments_text):
    frame = force_side(judgments_text(per_cell=40), "w003", "left")
    frame.loc[frame["worker"] == "w003", "loops"] = "0.24"
    checked = check_judgments(frame)
    kept, report = exclude(checked, parse_rules(["too-fast", "side-bias"]))
    found = left_out(table_preferences(checked), table_preferences(kept))

    n = int((frame["worker"] == "w003").sum())
    assert [rule.judgments for rule in report] == [n, n]
    assert found == LeftOut(n, len(frame), 1, 40)
    assert found.text == f"{n} of 960 judgments, of 1 of 40 workers"


def test_rules_do_not_depend_on_their_order(judgments_text):
    frame = force_side(judgments_text(per_cell=40), "w003", "left")
    frame.loc[frame["worker"] == "w002", "loops"] = "0.24"
    checked = check_judgments(frame)
    one, _ = exclude(checked, parse_rules(["too-fast", "side-bias"]))
    two, _ = exclude(checked, parse_rules(["side-bias", "too-fast"]))

    assert list(one.index) == list(two.index)
    assert len(one) < len(frame)
