import json

import pytest
from click.testing import CliRunner

from analysis.exclusions import parse_rules
from analysis.load import load_judgments
from analysis.sensitivity import sensitivity
from analysis.table1 import main


@pytest.fixture
def loaded(judgments_text, write_judgments):
    def load(**options):
        return load_judgments(file=write_judgments(judgments_text(**options)))

    return load


def test_default_is_compared_with_itself_first(loaded):
    found = sensitivity(loaded(per_cell=120, workers=20))
    default = found.variants[0]

    assert default.name == "default"
    assert (default.shift, default.tau, default.same_ranking) == (0, pytest.approx(1), True)
    assert found.variants[1].name == "none"
    assert found.variants[1].means == default.means


def test_rules_a_study_cannot_apply_are_named(loaded):
    found = sensitivity(loaded(per_cell=60))

    assert "rule gold: there are no gold trials among the judgments" in found.left_out
    assert not any(v.name.startswith("gold") for v in found.variants)


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


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html", "csv", "json"])
def test_every_format_prints_the_grid(judgments_text, write_judgments, form):
    path = write_judgments(judgments_text(per_cell=40))
    result = CliRunner().invoke(main, ["--judgments", str(path), "--sensitivity", "--format", form])

    assert result.exit_code == 0
    assert "paper-as-published:0.35" in result.stdout
    if form == "json":
        assert json.loads(result.stdout)["verdict"]
