import evalica
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from analysis.agreement import agreement, krippendorff_alpha, read_scores
from analysis.commands import agreement as command
from analysis.errors import AnalysisError, JudgmentsError
from analysis.load import check_judgments
from analysis.preference import sample_of, table_preferences
from analysis.shared_clips import Clusters, spread_over_rows


def preferences_of(frame):
    return table_preferences(check_judgments(frame))


def test_scores_of_sources_predict_their_share(judgments_text):
    found = preferences_of(judgments_text({("x", "y"): 0.8}, per_cell=200, sd=0.0))
    result = agreement(found, "source", pd.Series({"x": 2.0, "y": 1.0}))
    reverse = agreement(found, "source", pd.Series({"x": 2.0, "y": 1.0}), lower_is_better=True)

    assert result.metric.percent == pytest.approx(100 * found["y"].mean())
    assert reverse.metric.percent == pytest.approx(100 - 100 * found["y"].mean())
    assert result.by_row["x over y"].percent == pytest.approx(result.metric.percent)
    assert result.metric.low < result.metric.percent < result.metric.high


def test_every_row_has_the_share_of_its_own_judgments(judgments_text):
    rows = {("x", "y"): 0.9, ("x", "z"): 0.3, ("y", "z"): 0.5}
    found = preferences_of(judgments_text(rows, per_cell=40))
    result = agreement(found, "source", pd.Series({"x": 3.0, "y": 2.0, "z": 1.0}))
    shares = 100 * found.groupby("row")["y"].mean()

    assert shares["x over y"] > 75 > 45 > shares["x over z"]
    for row, estimate in result.by_row.items():
        assert estimate.percent == pytest.approx(shares[row])


def test_scores_of_the_chosen_clips_predict_everything_and_constants_half(judgments_text):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=100, categories=("all",), clips=4000)
    clips = pd.unique(pd.concat([frame["left_clip"], frame["right_clip"]]))
    constant = pd.Series(1.0, index=clips)
    knowing = constant.copy()
    knowing[frame["label"]] = 2.0
    found = preferences_of(frame)

    assert agreement(found, "clip", constant).metric.percent == 50
    assert agreement(found, "clip", knowing).metric.percent > 95


def test_ties_of_people_are_left_out(judgments_text):
    frame = judgments_text({("x", "y"): 0.7}, per_cell=60, categories=("all",), clips=8)
    ties = frame.iloc[:40].copy()
    ties["trial"], ties["worker"] = "b" + ties["trial"], "v" + ties["worker"]
    ties[["choice", "label"]] = ["tie", ""]
    scores = pd.Series({"x": 1.0, "y": 0.0})
    expected = agreement(preferences_of(frame), "source", scores)

    assert agreement(preferences_of(pd.concat([frame, ties])), "source", scores) == expected


def test_people_agree_with_each_other_on_pairs_judged_twice(judgments_text):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=60, categories=("all",), clips=4000)
    second = frame.copy()
    second["trial"] = "b" + second["trial"]
    second[["worker", "assignment"]] = "v" + second[["worker", "assignment"]]
    flipped = np.arange(60) < 15
    other = second["left_clip"].where(second["choice"] == "right", second["right_clip"])
    second["label"] = second["label"].where(~flipped, other)
    swapped = second["choice"].map({"left": "right", "right": "left"})
    second["choice"] = second["choice"].where(~flipped, swapped)
    scores = pd.Series({"x": 1.0, "y": 0.0})
    found = agreement(preferences_of(pd.concat([frame, second])), "source", scores)

    assert found.pairs == 60
    assert found.people.percent == pytest.approx(75)
    alone = agreement(preferences_of(frame), "source", scores)
    assert (alone.people, alone.pairs, alone.alpha) == (None, 0, None)
    # A quarter of the pairs has one vote each way; chance is what the votes were in all.
    share = preferences_of(pd.concat([frame, second]))["y"].mean()
    chance = 2 * share * (1 - share) * 120 / 119
    assert found.alpha == pytest.approx(1 - 0.25 / chance)


def test_a_worker_who_answers_a_pair_again_is_not_another_person(judgments_text):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=40, categories=("all",), clips=4000)
    again = frame.copy()
    again["trial"], again["answered_at"] = "b" + again["trial"], "2026-02-01T00:00:00Z"
    swapped = {"left": "right", "right": "left"}
    again["choice"] = again["choice"].map(swapped)
    again["label"] = again["left_clip"].where(again["choice"] == "left", again["right_clip"])
    other = frame.copy()
    other["trial"], other["worker"] = "c" + other["trial"], "v" + other["worker"]
    scores = pd.Series({"x": 1.0, "y": 0.0})
    alone = agreement(preferences_of(pd.concat([again, frame])), "source", scores)
    both = agreement(preferences_of(pd.concat([again, frame, other])), "source", scores)

    assert (alone.people, alone.pairs, alone.alpha) == (None, 0, None)
    assert (both.people.percent, both.pairs, both.people.n) == (100, 40, 80)  # their first answers
    assert both.alpha == pytest.approx(1)


def test_a_row_written_the_other_way_round_gives_the_same_numbers(judgments_text):
    rows = {("x", "real"): 0.2, ("y", "real"): 0.2, ("x", "y"): 0.5}
    frame = judgments_text(rows, per_cell=300, categories=("all",), clips=6, sd=1.0)
    turned, mine = frame.copy(), frame["pair_type"] == "real__y"
    turned.loc[mine, ["source_a", "source_b"]] = "real", "y"
    scores = pd.Series({"x": 1.0, "y": 0.0, "real": 2.0})
    found, other = (agreement(preferences_of(f), "source", scores) for f in (frame, turned))

    for ours, theirs in ((found.metric, other.metric), (found.people, other.people)):
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    turned_row, as_it_was = other.by_row["real over y"], found.by_row["y over real"]
    assert turned_row.low == pytest.approx(as_it_was.low, abs=1e-9)
    assert found.alpha == pytest.approx(other.alpha)


def test_the_spread_of_one_row_is_the_multiway_one_and_rows_that_share_clips_have_more(
    judgments_text,
):
    rows = {("x", "real"): 0.2, ("y", "real"): 0.2}
    text = judgments_text(rows, per_cell=900, categories=("all",), clips=60, sd=1.0)
    both = preferences_of(text)
    alone = both[both["row"] == "x over real"]
    apart = both.assign(cluster_b=both["row"] + both["cluster_b"])
    one, shared, less = (
        spread_over_rows(frame["y"].to_numpy(), Clusters.of(frame)).variance
        for frame in (alone, both, apart)
    )

    # The jackknife's (G - 1) / G is of the 120 clips together, not of 60 and 60.
    assert one == pytest.approx(sample_of(alone).multiway.variance, rel=0.01)
    assert shared > less


def answers_of(workers, pairs, each, careless, rng):
    """What each worker of a pair chose; the careful are right 95 % of the time, others half."""
    skill = np.where(rng.random(workers) < careless, 0.5, 0.95)
    better, pair = (np.repeat(x, each) for x in (rng.integers(0, 2, pairs), np.arange(pairs)))
    worker = rng.random((pairs, workers)).argpartition(each - 1, axis=1)[:, :each].ravel()
    y = np.where(rng.random(len(pair)) < skill[worker], better, 1 - better)
    clips = {"a": pair.astype(str), "b": (pairs + pair).astype(str)}
    frame = pd.DataFrame({"row": "a over b", "worker": worker, "y": y, "answered_at": 0})
    for side, source in (("left", "a"), ("right", "b")):
        frame[f"{side}_source"] = frame[source] = source
        for name in (f"{side}_clip", f"clip_{source}", f"cluster_{source}"):
            frame[name] = clips[source]
    return frame.assign(choice=np.where(y == 1, "left", "right"), position=0)


def between_people(frame):
    return agreement(frame, "source", pd.Series({"a": 1.0, "b": 0.0})).people


def test_careless_workers_are_allowed_for_in_how_often_another_person_agrees():
    # A worker is in the answers of all with whom they share a pair, as another person.
    right = 0.7 * 0.95 + 0.3 * 0.5
    truth = 100 * (right**2 + (1 - right) ** 2)
    rng = np.random.default_rng(1)
    found = [between_people(answers_of(30, 200, 4, 0.3, rng)) for _ in range(80)]

    assert np.mean([e.low <= truth <= e.high for e in found]) > 0.9


def test_the_spread_between_people_is_a_jackknife_of_workers_on_both_sides():
    frame = answers_of(40, 200, 3, 0.3, np.random.default_rng(2)).iloc[:-1]  # the last pair has two

    def share(kept):
        n, won = kept.groupby("left_clip")["y"].agg(["size", "sum"]).to_numpy().T
        n, won = n[n > 1], won[n > 1]
        return np.sum((won * (won - 1) + (n - won) * (n - won - 1)) / (n - 1)) / n.sum()

    def left_out(clusters):
        without = [share(frame[clusters != each]) for each in np.unique(clusters)]
        return np.sum((np.array(without) - share(frame)) ** 2)

    of_both = left_out(np.arange(len(frame)))
    expected = left_out(frame["worker"].to_numpy()) + left_out(frame["left_clip"]) - of_both

    assert (between_people(frame).se / 100) ** 2 == pytest.approx(expected, rel=0.03)


def test_unanimous_pairs_tell_as_much_as_there_are_pairs_not_answers():
    rng = np.random.default_rng(3)
    found = [
        between_people(answers_of(200, 30, each, 0, rng).assign(y=1, choice="left"))
        for each in (2, 5)
    ]

    assert [e.percent for e in found] == [100, 100]
    assert found[0].low == pytest.approx(100 * 0.025 ** (1 / 30), abs=2)  # of 30 that agree


def test_there_is_no_interval_where_one_worker_shares_every_pair():
    frame = answers_of(30, 60, 2, 0, np.random.default_rng(4))
    frame.loc[::2, "worker"] = 99
    found = between_people(frame)

    assert found.low is None
    assert found.note == "every pair was judged by one worker and others: no interval"


def test_the_spread_of_all_rows_has_the_floors_of_the_multiway_one():
    def variance(y, worker, item):
        return spread_over_rows(np.array(y, float), Clusters(np.array(worker), (item, item)))

    # Ten workers are right once and wrong once, each of items of its own: nobody differs.
    even = variance([1, 0] * 10, np.repeat(np.arange(10), 2), np.arange(20))
    # Of each two workers one is right in four items, the other wrong in the same.
    item = np.concatenate([np.tile(np.arange(4 * k, 4 * k + 4), 2) for k in range(4)])
    clips_cancel = variance(np.repeat([1, 0] * 4, 4), np.repeat(np.arange(8), 4), item)

    assert even.variance == pytest.approx(1 / 4 / 20)
    assert clips_cancel.variance == pytest.approx(7 / 8 * 8 * (2 / 28) ** 2)


def test_unanimous_answers_vary_as_those_of_comparable_studies():
    clips = np.arange(12), np.arange(12, 24)
    spread = spread_over_rows(np.ones(12), Clusters(np.repeat(np.arange(6), 2), clips))
    rate = (12 + 2) / (12 + 4)

    # Each answer shares its worker with one other, and its clips with none.
    assert spread.variance == pytest.approx(rate * (1 - rate) / 12 * (1 + 0.05))


def test_alpha_over_rows_sums_what_is_observed_and_expected_in_each():
    # Row 1: two units agree on 0, one is split. Row 2: three units agree, on 1, 1 and 0.
    unit, row = np.repeat(np.arange(6), 2), np.repeat([1, 2], 6)
    value = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0]

    observed, expected = 2, (36 - 25 - 1) / 5 + (36 - 16 - 4) / 5
    assert krippendorff_alpha(unit, value, row) == pytest.approx(1 - observed / expected)
    turned = [*value[:6], *(1 - v for v in value[6:])]
    assert krippendorff_alpha(unit, turned, row) == pytest.approx(1 - observed / expected)


@pytest.mark.parametrize(("workers", "given"), [(1, True), (3, False), (12, True)])
def test_unanimous_answers_have_an_interval_where_their_workers_allow_one(
    judgments_text, workers, given
):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=60, workers=workers, categories=("all",))
    found = preferences_of(frame)
    clips = pd.unique(found[["left_clip", "right_clip"]].to_numpy().ravel())
    one_worker_a_pair = found[~found.duplicated(["cluster_a"]) & ~found.duplicated(["cluster_b"])]
    knowing = pd.Series(0.0, index=clips)
    knowing[one_worker_a_pair["label"]] = 1.0
    result = agreement(one_worker_a_pair, "clip", knowing).metric

    assert result.percent == 100
    assert (result.low is not None) == given
    assert not given or result.low < result.naive[0] < result.high == 100


# Krippendorff's worked example: four people code twelve units on a scale of 5; "-" is missing.
CODINGS = ("123321412---", "1233224125--", "-33323422513", "12332441251-")


def test_alpha_of_krippendorffs_worked_example():
    unit = [i for row in CODINGS for i, code in enumerate(row) if code != "-"]
    value = [code for row in CODINGS for code in row if code != "-"]
    table = pd.DataFrame([[np.nan if c == "-" else float(c) for c in row] for row in CODINGS])

    assert krippendorff_alpha(unit, value) == pytest.approx(0.743421, abs=5e-7)
    assert krippendorff_alpha(unit, value) == pytest.approx(evalica.alpha(table).alpha, abs=1e-12)


def test_alpha_of_full_tables_is_fleiss_kappa_without_its_small_sample_bias():
    rng = np.random.default_rng(3)
    table = np.where(rng.random((50, 4)) < 0.6, rng.integers(0, 3, (50, 1)), 2)
    kappa = fleiss_kappa(aggregate_raters(table)[0])
    unit = np.repeat(np.arange(50), 4)

    assert krippendorff_alpha(unit, table.ravel()) == pytest.approx(1 - (1 - kappa) * 199 / 200)


def test_alpha_is_missing_where_nothing_can_disagree():
    assert krippendorff_alpha([1, 2, 3], ["a", "b", "a"]) is None
    assert krippendorff_alpha([1, 1, 2, 2], ["a", "a", "a", "a"]) is None
    assert krippendorff_alpha([], []) is None


def test_a_clip_without_a_score_is_named(judgments_text):
    found = preferences_of(judgments_text({("x", "y"): 0.5}, per_cell=5))

    with pytest.raises(AnalysisError, match="1 judged sources have no score, first y"):
        agreement(found, "source", pd.Series({"x": 1.0}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,score\nx,1\n", "needs the columns"),
        ("clip,score\nx,high\n", ":2: the score is not a finite number"),
        ("clip,score\nx,1\nx,2\n", ":3: clip 'x' comes twice"),
        ("", "the file is empty"),
    ],
)
def test_bad_score_files_are_clear(tmp_path, text, message):
    path = tmp_path / "scores.csv"
    path.write_text(text)

    with pytest.raises(JudgmentsError, match=message):
        read_scores(path)


def test_scores_may_come_out_of_a_spreadsheet_program(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("\ufeffclip,score\nx,1\n", encoding="utf-8")

    key, scores = read_scores(path)

    assert (key, dict(scores)) == ("clip", {"x": 1.0})


def test_a_file_of_scores_that_is_not_there_is_named(tmp_path):
    with pytest.raises(JudgmentsError, match=r"scores\.csv: no such file"):
        read_scores(tmp_path / "scores.csv")


def test_command_prints_metric_and_rows(judgments_text, write_judgments, tmp_path):
    scores = tmp_path / "scores.csv"
    scores.write_text("source,score\nx,2\ny,1\n")
    path = write_judgments(judgments_text({("x", "y"): 0.7}, per_cell=40, simulated=True))
    result = CliRunner().invoke(command, [str(scores), "--judgments", str(path)])

    assert result.exit_code == 0
    assert "SIMULATED RATERS" in result.stdout
    assert "scores, all rows" in result.stdout
    assert "x over y" in result.stdout
