"""Tables and reports print the study's own names, then the paper's, then slugs; data keep slugs."""

import pytest

from analysis.database import read_database
from analysis.declared import declared_of
from analysis.figures import forest, to_svg
from analysis.load import load_judgments
from analysis.names import Names
from analysis.render import render
from analysis.table import build_table

STUDY = """\
[study]
name = "paper"
[sources]
freeze = { path = "f", name = "Füße & <$Freeze$>" }
real = { path = "r", name = "Camera" }
static = { path = "s", name = "static" }
noise = "n"
[categories]
golf = "Golf courses"
[design]
comparisons = [["freeze", "real"], ["noise", "static"]]
"""


@pytest.fixture
def table(judgments_text, write_judgments):
    rows = {("freeze", "real"): 0.3, ("noise", "static"): 0.6}
    path = write_judgments(judgments_text(rows, categories=("golf", "beach"), per_cell=20))
    (path.parent / "study.toml").write_text(STUDY)
    return build_table(load_judgments(file=path))


def test_a_name_of_its_own_goes_before_the_papers_and_that_before_the_slug(table):
    text = render(table, "text")

    assert "Füße & <$Freeze$> over Camera" in text
    assert "noise over Static Frame" in text  # `static` is only the slug again
    assert "Golf courses" in text
    assert "Beach" in text


def test_names_are_escaped_where_the_form_asks_for_it(table):
    assert r"Füße \& $<$\$Freeze\$$>$ over Camera" in render(table, "latex")
    assert "Füße &amp; &lt;$Freeze$&gt; over Camera" in render(table, "html")
    assert "Füße &amp; &lt;$Freeze$&gt; over Camera" in to_svg(forest(table))  # no formula


def test_data_keep_slugs(table):
    assert "freeze over real,golf," in render(table, "csv")
    assert '"source_a": "freeze"' in render(table, "json")


def test_the_database_gives_the_names_of_its_study(initialised_study):
    read = read_database(initialised_study.database.url, None)

    assert declared_of(read).names == Names({"ours": "Our Model"}, {})
