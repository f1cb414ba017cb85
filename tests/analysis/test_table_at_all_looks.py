"""A study that may be stopped early has Means whose intervals hold at all looks together."""

import json

import pytest
from click.testing import CliRunner

from analysis.declared import declared_of
from analysis.exclusions import rules_for
from analysis.load import load_judgments
from analysis.methods import methods
from analysis.preference import MEAN, sample_of, table_preferences
from analysis.replication import comparison_text
from analysis.report import main as report_main
from analysis.sensitivity import sensitivity
from analysis.sequential import mean_at_all_looks
from analysis.stopping import look_at_question
from analysis.table import build_table
from analysis.table1 import main
from evaluation.export import export_study
from evaluation.freeze import init_study
from evaluation.simulate import simulate
from evaluation.storage import LocalStore
from evaluation.study_file.reader import load_study

RULE = "decided or half-width 3"
ROWS = {("x", "y"): 0.6, ("y", "z"): 0.5}
PLAN = {"x over y": 400, "y over z": 400}
STUDY = """\
[study]
name = "paper"
[sources]
x = "x"
y = "y"
z = "z"
[design]
categories = ["golf", "beach"]
comparisons = [["x", "y"], ["y", "z"]]
judgments_per_cell = 200
[analysis]
"""


@pytest.fixture
def judged(judgments_text, write_judgments):
    """Half of what was planned for each of two rows, beside a study file; returns the file."""

    def write(*changes, rule=f'stop_when = "{RULE}"\n', **options):
        cells = {"per_cell": 100, "categories": ("golf", "beach"), **options}
        path = write_judgments(judgments_text(ROWS, **cells))
        text = STUDY + rule
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (path.parent / "study.toml").write_text(text)
        return path

    return write


def means(table):
    return {row.comparison.label: (row.mean.low, row.mean.high) for row in table.rows}


def test_the_means_are_those_of_a_look(judged):
    judgments = load_judgments(file=judged())
    table = build_table(judgments)
    preferences = table_preferences(judgments)

    for row in table.rows:
        label = row.comparison.label
        sample = sample_of(preferences[preferences["row"] == label])
        assert mean_at_all_looks(row.mean, sample, PLAN[label]) == row.mean
    assert {row.mean.method for row in table.rows} == {"sequence"}
    assert {category for _, category in table.tests} == {"golf", "beach"}
    assert RULE in table.notes[-1]


def test_only_means_differ_from_a_study_without_a_rule(judged):
    stopped = build_table(load_judgments(file=judged()))
    plain = build_table(load_judgments(file=judged(rule="")))

    for ours, theirs in zip(stopped.rows, plain.rows, strict=True):
        assert ours.cells == theirs.cells
        assert ours.mean.percent == theirs.mean.percent
        assert ours.mean.low < theirs.mean.low < theirs.mean.high < ours.mean.high
    assert {row.mean.method for row in plain.rows} == {"multiway"}
    assert all((row.comparison.label, MEAN) in plain.tests for row in plain.rows)
    assert plain.stop_when is None
    assert not any("stopped early" in note for note in plain.notes)


def test_without_a_known_plan_a_mean_has_no_interval(judged):
    table = build_table(load_judgments(file=judged(("judgments_per_cell = 200\n", ""))))

    assert set(means(table).values()) == {(None, None)}
    assert not any(category == MEAN for _, category in table.tests)
    assert (
        "how many judgments were planned is not known: no interval at all looks "
        "(x over y, Mean and 1 more)" in table.notes
    )
    assert "not known how many judgments were planned" in methods(table, None, 0.5)[2]


def test_items_judged_so_often_each_are_counted_in_the_clips(judged):
    by_item = ("judgments_per_cell = 200", 'pairing = "item"\njudgments_per_pair = 20')
    path = judged(by_item)
    clips = [
        f"paper,{source},{category},{item}"
        for source in "xyz"
        for category in ("golf", "beach", "other")
        for item in range(10)
    ]
    clips.append("paper,y,golf,one that the others lack")
    (path.parent / "clips.csv").write_text("\n".join(["study,source,category,item", *clips]))

    assert declared_of(load_judgments(file=path)).planned == PLAN


@pytest.mark.parametrize(
    ("options", "partial", "why"),
    [
        ({"workers": 3}, False, "under 5 workers: too few for an interval at all looks"),
        ({"workers": 1}, False, "under 5 workers: too few for an interval at all looks"),
        ({"categories": ("golf",)}, True, "a category is empty: no interval at all looks"),
    ],
)
def test_where_a_look_has_no_interval_the_mean_has_none(judged, options, partial, why):
    table = build_table(load_judgments(file=judged(**options)), partial_mean=partial)

    assert table.rows[0].mean.percent is not None
    assert {(row.mean.low, row.mean.note) for row in table.rows} == {(None, why)}


def test_methods_and_sensitivity_follow(judged):
    judgments = load_judgments(file=judged())
    table = build_table(judgments)
    _, _, intervals, tests = methods(table, None, 0.5)
    found = sensitivity(judgments)

    assert "confidence sequences instead, which hold at all looks together" in intervals
    assert "no Mean was tested against 50 %; 1 of 2 confidence sequences exclude it" in tests
    assert "Holm" not in tests
    assert found.variants[0].decided == tuple(
        not low <= 50 <= high for low, high in means(table).values()
    )
    compared = comparison_text([judgments, judgments], ())
    assert compared.endswith(
        f"stopped early ({RULE}): these intervals and tests hold for one look only, and are not "
        "protected\n"
    )


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html", "json", "csv"])
def test_every_format_prints_it(judged, form):
    arguments = ["--judgments", str(judged()), "--format", form, "--details"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)

    assert result.exit_code == 0
    if form == "json":
        mean = json.loads(result.stdout)["rows"][0]["cells"][MEAN]
        assert (mean["method"], mean["test"]) == ("sequence", None)
    elif form != "csv":
        assert "hold at all looks together" in result.stdout


@pytest.mark.usefixtures("no_pdf")
def test_the_report_prints_it(judged, tmp_path):
    arguments = ["--judgments", str(judged()), "--out", str(tmp_path / "report")]
    result = CliRunner().invoke(report_main, arguments, catch_exceptions=False)

    assert result.exit_code == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "confidence sequences" in page
    assert "interval, for one look only" in page  # of the leaderboard
    assert "rank ranges and fit hold for one look only" in page


def test_database_export_and_looks_give_the_same_numbers(sqlite_database, study_toml, tmp_path):
    rule = f'[analysis]\nexclude = ["side-bias"]\nstop_when = "{RULE}"\n'
    path = study_toml(("judgments_per_cell = 8", "judgments_per_cell = 40"), extra=rule)
    init_study(sqlite_database, load_study(path), LocalStore(tmp_path / "media"), tmp_path / "a")
    simulate(sqlite_database, None, workers=20, mix={"careful": 1}, seed=3)
    export_study(sqlite_database, None, tmp_path / "out", key=b"k" * 32)
    tables = []
    for place in ({"db": sqlite_database.url}, {"file": tmp_path / "out" / "judgments.csv"}):
        judgments = load_judgments(**place)
        tables.append(build_table(judgments, rules_for(judgments, ())))
    look = look_at_question(sqlite_database.url, None, None)

    assert tables[0] == tables[1]
    assert {row.comparison.label: row.mean for row in tables[0].rows} == look.means
    assert all(low < high for low, high in means(tables[0]).values())
