import pytest

from analysis.errors import JudgmentsError
from analysis.load import check_judgments
from analysis.preference import (
    Comparison,
    category_order,
    comparisons_in,
    orient,
    row_order,
    sample_of,
    table_preferences,
)


@pytest.mark.parametrize(
    ("pair", "label"),
    [
        (("b", "a"), "a over b"),
        (("real", "a"), "a over real"),
        (("real", "zebra"), "zebra over real"),
        (("static", "zebra"), "zebra over static"),
        (("real", "static"), "static over real"),
    ],
)
def test_rows_without_a_recorded_order_are_alphabetical_with_real_last(pair, label):
    assert orient(*pair).label == label


def test_rows_follow_the_study_where_it_recorded_the_order(judgments_text):
    frame = judgments_text({("zebra", "ant"): 0.8}, per_cell=50, categories=("all",), sd=0.0)
    recorded = table_preferences(check_judgments(frame))
    guessed = table_preferences(check_judgments(frame.drop(columns=["source_a", "source_b"])))

    assert set(recorded["row"]) == {"zebra over ant"}
    assert set(guessed["row"]) == {"ant over zebra"}
    assert recorded["y"].mean() == pytest.approx(1 - guessed["y"].mean())
    assert recorded["y"].mean() > 0.6


def test_preference_counts_the_chosen_source_whatever_side_it_was_on(judgments_text):
    frame = judgments_text(per_cell=20)
    found = table_preferences(check_judgments(frame))
    chosen = found["label"].str.split("/").str[0]

    assert ((chosen == found["a"]) == (found["y"] == 1)).all()
    assert 0 < (found["left_source"] == found["a"]).mean() < 1


def test_only_counted_test_judgments_enter(judgments_text):
    frame = judgments_text(per_cell=5)
    frame.loc[0, "trial_kind"] = "gold"
    frame.loc[1, "counted"] = "false"

    assert len(table_preferences(check_judgments(frame))) == len(frame) - 2


def test_ties_count_half(judgments_text):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=4, categories=("all",))
    frame.loc[0, ["choice", "label"]] = ["tie", ""]

    assert table_preferences(check_judgments(frame))["y"].iloc[0] == 0.5


def test_a_pair_in_both_orders_is_an_error(judgments_text):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=4, categories=("all",))
    frame.loc[0, ["source_a", "source_b"]] = ["y", "x"]

    with pytest.raises(JudgmentsError, match="x__y: the pair is recorded in both orders"):
        table_preferences(check_judgments(frame))


def test_clusters_are_the_item_else_the_source_video_else_the_clip(judgments_text):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=4, categories=("all",))
    frame.loc[0, "item"] = "prompt-1"
    frame.loc[1, ["left_origin", "right_origin"]] = ["video-7", ""]
    found = table_preferences(check_judgments(frame))
    first, second, third = (found.iloc[i] for i in range(3))

    assert first["cluster_a"] == first["cluster_b"] == "all/prompt-1"
    left = "a" if second["left_source"] == "x" else "b"
    assert second[f"cluster_{left}"] == "video-7"
    assert third["cluster_a"].startswith("x/all/")
    assert third["cluster_b"].startswith("y/all/")


def test_papers_rows_and_categories_print_in_its_order(judgments_text):
    found = table_preferences(check_judgments(judgments_text(per_cell=3)))

    labels = [row.label for row in comparisons_in(found)]
    assert labels[0] == "vgan-two-stream over autoencoder-gmm"
    assert labels[-1] == "autoencoder-gmm over real"
    assert category_order(["zoo", "baby", "golf", "attic"]) == ["golf", "baby", "attic", "zoo"]
    others = [Comparison("a", "real"), Comparison("b", "c"), Comparison("a", "c")]
    assert [r.label for r in row_order(others)] == ["a over c", "b over c", "a over real"]


def test_cells_of_a_sample_follow_the_alphabet(judgments_text):
    found = table_preferences(check_judgments(judgments_text({("x", "y"): 0.7}, per_cell=30)))
    sample = sample_of(found)
    expected = found.groupby("category")["y"].mean()

    assert list(expected.index) == ["baby", "beach", "golf", "train"]
    assert sample.rates == pytest.approx(expected.to_numpy())
