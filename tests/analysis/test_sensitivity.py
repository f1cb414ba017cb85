import json

import numpy as np
import pytest
from click.testing import CliRunner

from analysis.exclusions import parse_rules
from analysis.layout import sensitivity_remarks, sensitivity_rows
from analysis.load import load_judgments
from analysis.render import render_sensitivity
from analysis.sensitivity import GRID, sensitivity
from analysis.table1 import main
from evaluation.exclusion_rules import THRESHOLDS


@pytest.fixture
def loaded(judgments_text, write_judgments):
    def load(**options):
        return load_judgments(file=write_judgments(judgments_text(**options)))

    return load


def test_every_rule_is_tried():
    assert [rule for rule, _ in GRID] == list(THRESHOLDS)


def test_default_is_compared_with_itself_first(loaded):
    found = sensitivity(loaded(per_cell=120, workers=20))
    default = found.variants[0]

    assert default.name == "default"
    assert (default.shift, default.tau, default.same_ranking) == (0, pytest.approx(1), True)
    assert found.variants[1].name == "none"
    assert found.variants[1].means == default.means


def test_rules_a_study_cannot_apply_are_named(loaded):
    found = sensitivity(loaded(rows={("x", "y"): 0.6}, per_cell=20, categories=("golf",)))

    assert "rule gold: there are no gold trials among the judgments" in found.left_out
    assert not any(v.name.startswith("gold") for v in found.variants)


def test_a_rule_that_can_judge_nobody_and_the_default_itself_show_no_stability(loaded, monkeypatch):
    monkeypatch.setattr("analysis.sensitivity.GRID", (("too-fast", (0.1, 0.5)), ("paper", (0.2,))))
    judgments = loaded(rows={("x", "real"): 0.2}, per_cell=200, workers=12, categories=("golf",))
    plain, speedy = sensitivity(judgments), sensitivity(judgments, parse_rules(["too-fast:0.1"]))

    few = "trials against real clips on other rows"
    assert f"rule paper: 12 workers saw too few {few} to be judged, and are kept" in plain.left_out
    for found, same in ((plain, "none"), (speedy, "too-fast:0.1")):
        names = [v.name for v in found.variants]
        assert names == ["default", "none", "too-fast:0.1", "too-fast:0.5"]
        assert [v.name for v in found.variants if v.by_default] == ["default", same]
        assert "did not change under any of 2 other choices" in found.verdict
    assert plain.stands == (1.0,)


def test_a_strict_circular_rule_moves_the_rows_over_real_down(loaded):
    judgments = loaded(per_cell=200, workers=30, sd=0.8)
    found = sensitivity(judgments)
    by_name = {v.name: v for v in found.variants}
    over_real = found.rows.index("vgan-two-stream over real")
    strict = by_name["paper-as-published:0.2"]

    assert strict.workers < by_name["none"].workers
    assert strict.means[over_real] < by_name["none"].means[over_real] - 1
    assert strict.shift > 0.5


def test_clear_claims_stand_and_undecided_rows_claim_nothing(loaded):
    found = sensitivity(loaded(per_cell=150, workers=40))
    claims = dict(zip(found.rows, found.stands, strict=True))

    assert claims["vgan-two-stream over autoencoder-gmm"] == 1.0
    assert claims["vgan-two-stream over vgan-one-stream"] in (None, 0.0) or (
        claims["vgan-two-stream over vgan-one-stream"] < 1
    )
    assert "rankings" in found.verdict


def test_the_declared_rules_are_the_default(loaded):
    judgments = loaded(per_cell=150, workers=20)
    found = sensitivity(judgments, parse_rules(["paper-as-published:0.2"]))
    by_name = {v.name: v for v in found.variants}

    assert by_name["default"].means == by_name["paper-as-published:0.2"].means


def even(frame):
    """The same judgments, each source chosen in every other one of a row."""
    first = frame.groupby("pair_type").cumcount() % 2 == 0
    frame["choice"] = np.where(
        first == (frame["left_source"] == frame["source_a"]), "left", "right"
    )
    frame["label"] = frame["left_clip"].where(frame["choice"] == "left", frame["right_clip"])
    return frame


def test_equal_means_have_no_order_to_compare(judgments_text, write_judgments):
    rows = {("x", "real"): 0.5, ("y", "real"): 0.5}
    path = str(write_judgments(even(judgments_text(rows, per_cell=20, categories=("golf",)))))
    as_json = CliRunner().invoke(main, ["--judgments", path, "--sensitivity", "--format", "json"])
    as_text = CliRunner().invoke(main, ["--judgments", path, "--sensitivity"])

    default = json.loads(as_json.stdout)["variants"][0]
    assert (default["means"], default["tau"]) == ([50, 50], None)
    assert "nan" not in as_text.stdout
    assert as_text.stdout.splitlines()[2].split()[-2:] == ["–", "yes"]


def test_the_star_follows_the_level(judgments_text, write_judgments):
    path = str(write_judgments(judgments_text({("x", "y"): 0.6}, per_cell=60)))
    shown = {}
    for level in ("0.5", "0.999"):
        arguments = ["--judgments", path, "--sensitivity", "--level", level]
        shown[level] = CliRunner().invoke(main, arguments).stdout

    default = {level: text.splitlines()[2].split()[3] for level, text in shown.items()}
    assert default["0.5"] == default["0.999"] + "*"
    assert "where its 99.9 % interval excludes 50" in shown["0.999"]


def test_a_row_that_lacks_a_category_is_in_the_grid_of_partial_means(
    judgments_text, write_judgments
):
    frame = judgments_text({("x", "y"): 0.6, ("x", "z"): 0.6}, per_cell=30)
    gone = (frame["category"] == "golf") & (frame["pair_type"] == "x__z")
    judgments = load_judgments(file=write_judgments(frame[~gone]))
    whole, partial = sensitivity(judgments), sensitivity(judgments, partial_mean=True)

    assert whole.variants[0].means[1] is None
    assert partial.variants[0].means[1] is not None
    arguments = ["--judgments", str(write_judgments(frame[~gone])), "--sensitivity"]
    text = CliRunner().invoke(main, [*arguments, "--partial-mean"]).stdout
    assert "A Mean is over the categories that have judgments" in text


def test_every_format_prints_the_grid(judgments_text, write_judgments):
    judgments = load_judgments(file=write_judgments(judgments_text(per_cell=40)))
    found = sensitivity(judgments)

    for form in ("text", "markdown", "latex", "html", "csv", "json"):
        assert "paper-as-published:0.35" in render_sensitivity(found, form, simulated=False)
    assert json.loads(render_sensitivity(found, "json", simulated=False))["verdict"]


def test_every_column_of_the_grid_is_explained_below_it(loaded):
    found = sensitivity(loaded(per_cell=20))
    header, rows = sensitivity_rows(found)
    remarks = " ".join(sensitivity_remarks(found)).lower()

    for name in (*header[3:], rows[-1][0]):
        assert name.removesuffix(" (s.e.)") in remarks
