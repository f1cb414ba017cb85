"""What a study declares is in its table, whether anybody has judged it or not."""

import pytest
from click.testing import CliRunner

from analysis.declared import declared_of
from analysis.layout import lay_out
from analysis.load import load_judgments
from analysis.methods import methods
from analysis.render import render
from analysis.report import report
from analysis.sensitivity import sensitivity
from analysis.table import build_table
from analysis.table1 import main
from evaluation.export import export_study
from evaluation.simulate import simulate

STUDY = """\
[study]
name = "paper"
[sources]
x = "x"
y = "y"
z = "z"
[design]
categories = ["golf", "beach", "train"]
comparisons = [["z", "y"], ["y", "x"], ["x", "z"]]
[analysis]
primary = [["z", "y"]]
"""


@pytest.fixture
def declared(judgments_text, write_judgments):
    """Judgments of one of three rows in two of three categories, beside the study file."""
    rows = {("y", "x"): 0.7, ("x", "z"): 0.4}
    frame = judgments_text(rows, per_cell=30, categories=("golf", "beach"))
    path = write_judgments(frame[frame["pair_type"] == "x__y"])
    (path.parent / "study.toml").write_text(STUDY)
    return path


def test_a_category_without_judgments_leaves_no_mean(declared):
    table = build_table(load_judgments(file=declared))
    lines = render(table, "csv").splitlines()

    assert table.categories == ("golf", "beach", "train")
    assert "y over x,train,,,,0,0" in lines
    assert "y over x,Mean,,,,0,0" in lines
    assert "y over x: no Mean, as there are no judgments of train" in table.notes


def test_a_partial_mean_names_the_category_that_it_lacks(declared):
    table = build_table(load_judgments(file=declared), partial_mean=True)
    row = next(row for row in table.rows if row.judged)

    assert row.mean.percent == pytest.approx(sum(row.cells[c].percent for c in row.averaged) / 2)
    assert "y over x: Mean over golf, beach only, no judgments of train" in table.notes


def test_declared_rows_without_judgments_are_there_in_the_declared_order(declared):
    table = build_table(load_judgments(file=declared))

    assert [row.comparison.label for row in table.rows] == ["z over y", "y over x", "x over z"]
    assert "z over y,golf,,,,0,0" in render(table, "csv").splitlines()
    assert "x over z: no judgments" in table.notes
    assert "z over y is declared primary, but has no judgments" in table.notes
    assert "compared 1 pair of sources" in methods(table, None, 0.5)[0]


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html", "json"])
def test_every_format_prints_rows_without_judgments(declared, form):
    arguments = ["--judgments", str(declared), "--format", form, "--details"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)

    assert result.exit_code == 0
    assert "z over y" in result.stdout
    assert len(lay_out(build_table(load_judgments(file=declared))).lines) == 1 + 3 * 3
    assert sensitivity(load_judgments(file=declared)).variants[0].means[0] is None


def test_a_study_file_without_a_seed_was_planned_with_the_default_one(declared):
    default = load_judgments(file=declared)
    (declared.parent / "study.toml").write_text(STUDY.replace("[sources]", "seed = 7\n[sources]"))
    named = load_judgments(file=declared)

    assert [build_table(judgments).seed for judgments in (default, named)] == [1, 7]


def test_judgments_alone_declare_nothing(declared):
    (declared.parent / "study.toml").unlink()
    table = build_table(load_judgments(file=declared))

    assert table.categories == ("golf", "beach")
    assert [row.comparison.label for row in table.rows] == ["y over x"]
    assert table.rows[0].mean.percent is not None


def test_database_and_export_name_the_same_cells_and_question(initialised_study, tmp_path):
    # The study file names no categories: they are those of the clips.
    database = initialised_study.database
    simulate(database, None, workers=8, mix={"careful": 1}, seed=1)
    export_study(database, None, tmp_path / "out", key=b"k" * 32)
    tables = []
    for place in ({"db": database.url}, {"file": tmp_path / "out" / "judgments.csv"}):
        judgments = load_judgments(**place)
        asked = declared_of(judgments).wordings
        assert asked == {"realism": "Which video is more realistic?"}
        judgments.loc[judgments["category"] == "golf", "counted"] = False
        tables.append(build_table(judgments))

    assert render(tables[0], "csv") == render(tables[1], "csv")
    assert tables[0].categories == tables[1].categories == ("golf", "beach")
    assert all(row.mean.percent is None for row in tables[0].rows)


def test_the_methods_quote_the_question_of_the_study_file(declared):
    study = STUDY + '[[questions]]\nid = "realism"\ntext = "Which is sharper?"\n'
    (declared.parent / "study.toml").write_text(study)
    page = report(load_judgments(file=declared), declared.parent / "out", ())

    assert "The question was: &#34;Which is sharper?&#34;" in page.read_text()
