"""The live Table 1: the numbers of the analysis, and what a stopping rule changes."""

from analysis.exclusions import rules_for
from analysis.load import load_judgments
from analysis.table import build_table
from evaluation.freeze import init_study
from evaluation.simulate import simulate
from evaluation.storage import LocalStore
from evaluation.study_file.reader import load_study
from webapp import create_app
from webapp.dashboard_child import tables

TOKEN = "a-token-of-some-length"


def test_the_table_is_that_of_the_analysis_and_says_which_rows_are_done(
    sqlite_database, study_toml, tmp_path, monkeypatch
):
    path = study_toml(extra='[analysis]\nexclude = ["gold"]\nstop_when = "half-width 30"\n')
    init_study(sqlite_database, load_study(path), LocalStore(tmp_path / "media"), tmp_path / "a")
    simulate(sqlite_database, None, workers=12, seed=3)
    made = tables(sqlite_database.url, "small")
    judgments = load_judgments(sqlite_database.url)
    expected = build_table(judgments, rules_for(judgments, ()))

    (table,) = made["tables"]
    assert made["rule"] == "half-width 30"
    assert [row["row"] for row in table["rows"]] == [row.comparison.label for row in expected.rows]
    for ours, theirs in zip(table["rows"], expected.rows, strict=True):
        mean = ours["cells"]["Mean"]
        assert (mean["percent"], mean["low"]) == (theirs.mean.percent, theirs.mean.low)
        assert mean["method"] == "sequence"
        assert table["done"][ours["row"]] == (mean["high"] - mean["low"] <= 60)

    monkeypatch.setattr("webapp.dashboard.run_child", lambda job, **asked: made)
    app = create_app(sqlite_database.url, LocalStore(tmp_path / "media"), dashboard_token=TOKEN)
    client = app.test_client()
    text = client.get(f"/dashboard/{TOKEN}/").text
    while "being computed" in text:
        text = client.get(f"/dashboard/{TOKEN}/").text
    app.extensions["vgan_eval"].database.close()

    assert "are confidence sequences, which hold at all looks together" in text
    assert "Interim" not in text
    assert f"{expected.rows[0].mean.percent:.1f}" in text
    assert "Left out by <code>gold:0.8</code>" in text
