import csv
import io
import json
import re
import subprocess
import sys
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from analysis.data import CSV_COLUMNS
from analysis.layout import lay_out
from analysis.load import load_judgments
from analysis.published import ROWS, arithmetic, published_percent, round_half_up
from analysis.render import render
from analysis.table import build_table
from analysis.table1 import main
from analysis.text import BANNER, percent_text
from evaluation.study import Comparison

ROOT = Path(__file__).parents[2]


@pytest.fixture
def table(judgments_text, write_judgments):
    def build(frame=None, rules=(), **options):
        frame = judgments_text() if frame is None else frame
        return build_table(load_judgments(file=write_judgments(frame)), rules, **options)

    return build


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_planted_preferences_come_back_inside_their_intervals(judgments_text, table):
    rows = {("x", "real"): 0.2, ("y", "real"): 0.5, ("x", "y"): 0.8}
    found = table(judgments_text(rows, per_cell=400, workers=80, clips=200, sd=0.3))

    assert [row.comparison.label for row in found.rows] == [
        "x over y",
        "x over real",
        "y over real",
    ]
    for row in found.rows:
        truth = 100 * rows[row.comparison.source_a, row.comparison.source_b]
        assert row.mean.low < truth < row.mean.high
        assert row.mean.high - row.mean.low < 10


def test_csv_keeps_the_contract(table):
    lines = list(csv.reader(io.StringIO(render(table(), "csv"))))

    assert tuple(lines[0]) == CSV_COLUMNS
    assert len(lines) == 1 + 6 * 5
    assert lines[1][0] == "vgan-two-stream over autoencoder-gmm"
    assert [line[1] for line in lines[1:6]] == ["golf", "beach", "train", "baby", "Mean"]
    golf = lines[1]
    assert float(golf[3]) < float(golf[2]) < float(golf[4])
    assert (int(golf[5]), int(lines[5][5])) == (60, 240)


def test_percents_in_data_are_not_rounded(judgments_text, table):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=7, categories=("all",))
    cell = table(frame).rows[0].cells["all"]
    wins = int((frame["label"].str.startswith("x/")).sum())

    assert cell.percent == pytest.approx(100 * wins / 7, abs=1e-12)
    assert f",{100 * wins / 7!r},"[:12] in render(table(frame), "csv")


def test_mean_is_the_unweighted_mean_of_unrounded_cells(judgments_text, table):
    frame = judgments_text({("x", "y"): 0.6}, per_cell=40)
    uneven = frame.drop(frame.index[(frame["category"] == "golf")][:30])
    row = table(uneven).rows[0]

    assert row.mean.percent == pytest.approx(np.mean([c.percent for c in row.cells.values()]))
    assert row.pooled == pytest.approx(100 * uneven["label"].str.startswith("x/").mean())


def test_a_gap_between_mean_and_pooled_is_said(judgments_text, table):
    easy = judgments_text({("x", "y"): 0.95}, per_cell=90, categories=("golf",))
    hard = judgments_text({("x", "y"): 0.3}, per_cell=20, categories=("baby",), seed=5)
    both = pd.concat([easy, hard.assign(trial="h" + hard["trial"])])

    assert any("pooling all judgments gives" in note for note in table(both).notes)


def test_a_missing_category_leaves_no_mean_unless_partial(judgments_text, table):
    frame = judgments_text({("x", "y"): 0.6, ("x", "z"): 0.6}, per_cell=30)
    gone = (frame["category"] == "golf") & (frame["pair_type"] == "x__z")
    whole = table(frame[~gone])
    partial = table(frame[~gone], partial_mean=True)

    assert whole.rows[1].cells["golf"].percent is None
    assert whole.rows[1].cells["golf"].n == 0
    assert whole.rows[1].mean.percent is None
    assert whole.rows[0].mean.percent is not None
    assert "x over z: no Mean, as there are no judgments of golf" in whole.notes
    assert partial.rows[1].mean.percent is not None
    assert any("Mean over beach, train, baby only" in note for note in partial.notes)
    assert "x over z,golf,,,,0,0" in render(whole, "csv").splitlines()


def test_only_gold_judgments_are_an_error(judgments_text, write_judgments):
    result = run(
        "--judgments", write_judgments(judgments_text(per_cell=2).assign(trial_kind="gold"))
    )

    assert result.exit_code == 1
    assert result.stderr.strip() == ("Error: no counted test judgments: nothing to put in a table")


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html", "json", "csv"])
def test_simulated_raters_are_announced_in_every_format(judgments_text, write_judgments, form):
    path = write_judgments(judgments_text(per_cell=5, simulated=True))
    result = run("--judgments", path, "--format", form)

    assert result.exit_code == 0
    assert "SIMULATED RATERS" in (result.stderr if form == "csv" else result.stdout)


def test_real_raters_carry_no_banner(judgments_text, write_judgments):
    result = run("--judgments", write_judgments(judgments_text(per_cell=5)), "--details")

    assert "SIMULATED" not in result.output


def test_mixed_rows_need_a_word(judgments_text, write_judgments):
    frame = judgments_text(per_cell=5)
    frame.loc[:3, "simulated"] = "true"
    path = write_judgments(frame)

    assert run("--judgments", path).exit_code == 1
    assert BANNER in run("--judgments", path, "--include-simulated").stdout
    assert BANNER not in run("--judgments", path, "--exclude-simulated").stdout


def test_paper_puts_published_values_beside_ours_and_shows_its_arithmetic(table):
    text = render(table(), "text", paper=True)
    lines = text.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("VGAN One Stream over Auto"))

    assert lines[place + 3].split() == ["published", "85", "88", "85", "73", "82"]
    assert "its printed cells average 82.75" in text
    assert "Random preference" in text


def test_rows_that_are_not_the_papers_have_nothing_published_beside_them(judgments_text, table):
    text = render(table(judgments_text({("ours", "baseline"): 0.6})), "text", paper=True)

    assert "none of these rows is the paper's" in text
    assert "NIPS 2016" not in text
    assert "82.75" not in text


def test_published_rows_agree_with_their_means_but_for_one():
    gaps = {row.comparison.source_a: row.mean_of_cells for row in ROWS if row.cells}
    assert gaps["autoencoder-gmm"] == 3.0
    means = [row.mean_of_cells for row in ROWS if row.cells]
    assert means == [82.25, 82.75, 53.0, 18.25, 16.25, 3.0]
    assert [row.mean for row in ROWS if row.cells] == [82, 82, 53, 18, 16, 3]
    assert len(arithmetic()) == 1


def test_published_values_flip_with_the_row():
    assert published_percent(Comparison("vgan-two-stream", "real"), "golf") == 21
    assert published_percent(Comparison("real", "vgan-two-stream"), "golf") == 79
    assert published_percent(Comparison("static", "vgan-two-stream"), "Mean") == 38
    assert published_percent(Comparison("vgan-two-stream", "static"), "golf") is None
    assert published_percent(Comparison("mine", "real"), "golf") is None


def test_rounding_is_half_up_once():
    assert [round_half_up(x) for x in (81.5, 82.5, 82.49)] == [82, 83, 82]
    assert round_half_up(16.25, 1) == 16.3


@pytest.mark.parametrize("digits", [0, 1])
@pytest.mark.parametrize("n", [200, 400])
def test_exact_halves_round_up_whatever_a_float_makes_of_them(n, digits):
    halves = [k for k in range(n + 1) if Fraction(100 * k * 10**digits, n) % 1 == Fraction(1, 2)]
    assert bool(halves) == (n == 400 or digits == 0)
    for k in range(n + 1):
        exact = floor(Fraction(100 * k * 10**digits, n) + Fraction(1, 2)) / 10**digits
        assert percent_text(100 * (k / n), digits) == f"{exact:.{digits}f}"


def test_29_of_200_print_as_15_where_whole_percents_are_asked_for(judgments_text, table):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=200, categories=("all",))
    wins = frame.index < 29
    frame["choice"] = np.where(wins == (frame["left_source"] == "x"), "left", "right")
    frame["label"] = frame["left_clip"].where(frame["choice"] == "left", frame["right_clip"])

    assert lay_out(table(frame), paper=True).lines[1].values == ("15", "15")


def test_declared_exclusions_apply_unless_told_otherwise(judgments_text, write_judgments, tmp_path):
    frame = judgments_text(per_cell=20)
    frame.loc[frame["worker"] == "w001", "loops"] = "0.01"
    path = write_judgments(frame)
    (tmp_path / "study.toml").write_text(
        '[study]\nname = "paper"\nseed = 3\n[analysis]\nexclude = ["too-fast"]\n'
    )
    declared, none = run("--judgments", path), run("--judgments", path, "--exclude", "none")

    assert "Exclusion too-fast:0.1" in declared.stdout
    assert "of 1 worker" in declared.stdout
    assert "seed 3" in declared.stdout
    assert "Exclusions: none" in none.stdout


def test_rules_that_overlap_are_summed_up_in_one_line(judgments_text, write_judgments):
    frame = judgments_text(per_cell=20)
    frame.loc[frame["worker"] == "w001", "loops"] = "0.01"
    n = int((frame["worker"] == "w001").sum())
    options = ["--judgments", write_judgments(frame), "--exclude", "too-fast"]
    one, two = run(*options).stdout, run(*options, "--exclude", "side-bias").stdout
    data = json.loads(run(*options, "--format", "json").stdout)

    line = f"* Left out in all: {n} of 480 judgments, of 1 of 40 workers"
    assert f"{line}.\n" in one
    assert f"{line} (a worker may break several rules).\n" in two
    assert data["left_out"] == {
        "judgments": n,
        "of_judgments": 480,
        "workers": 1,
        "of_workers": 40,
    }


def test_ties_are_in_the_title_the_details_and_the_data(judgments_text, write_judgments):
    frame = judgments_text({("x", "y"): 0.6}, per_cell=10)
    plain = run("--judgments", write_judgments(frame), "--details").stdout
    frame.loc[frame.index % 10 < 3, ["choice", "label"]] = ["tie", ""]
    path = write_judgments(frame)
    text = run("--judgments", path, "--details").stdout
    data = json.loads(run("--judgments", path, "--format", "json").stdout)

    assert "ties" not in plain
    assert text.startswith(
        "Percent of judgments that prefer the first, ties (30.0 %) counting one half (paper"
    )
    details = text[text.index("What each interval") :].splitlines()
    assert details[1].split()[4:6] == ["n", "ties"]
    assert details[-1].split()[6:8] == ["40", "12"]
    cells = data["rows"][0]["cells"]
    assert (data["allow_tie"], data["ties"]) == (True, 12)
    assert (cells["golf"]["ties"], cells["Mean"]["ties"]) == (3, 12)


def test_a_study_that_allows_ties_says_so_before_the_first(judgments_text, write_judgments):
    path = write_judgments(judgments_text({("x", "y"): 0.6}, per_cell=10))
    path.with_name("study.toml").write_text('[study]\nname = "paper"\n[design]\nallow_tie = true\n')
    found = build_table(load_judgments(file=path))

    assert (found.allow_tie, found.ties) == (True, 0)
    assert lay_out(found).title.startswith("Percent of judgments that prefer the first (paper")


def test_exclude_duplicates_keeps_the_first(judgments_text, write_judgments):
    frame = judgments_text(per_cell=5)
    path = write_judgments(pd.concat([frame, frame.iloc[:2]]))

    assert run("--judgments", path).exit_code == 1
    result = run("--judgments", path, "--exclude", "duplicates")
    assert result.exit_code == 0
    assert "2 judgments left out, the first kept" in result.stdout


def test_one_worker_is_marked_this_rater(judgments_text, write_judgments):
    text = run("--judgments", write_judgments(judgments_text(workers=1))).stdout

    assert "this rater" in text


def test_json_holds_estimates_tests_and_effects(judgments_text, table):
    found = json.loads(render(table(), "json", paper=True))
    mean = found["rows"][0]["cells"]["Mean"]

    assert mean["published"] == 82
    assert mean["effect"]["d_prime"] > 0.8
    assert mean["test"]["adjusted"] >= mean["test"]["p"]
    assert found["study_hash"] == "ab" * 32


def test_json_of_a_unanimous_cell_has_no_infinity(judgments_text, table):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=12, categories=("all",))
    frame["choice"] = np.where(frame["left_source"] == "x", "left", "right")
    frame["label"] = frame["left_clip"].where(frame["choice"] == "left", frame["right_clip"])
    found = json.loads(render(table(frame), "json"))

    assert found["rows"][0]["cells"]["all"]["effect"]["odds"] is None


def test_names_are_escaped(judgments_text, write_judgments):
    path = write_judgments(judgments_text({("x", "y"): 0.5}, categories=("a",)))
    text = path.read_text().replace("paper,", "s_1&<b>,")
    path.write_text(text)
    frame = load_judgments(file=path)
    table = build_table(frame)

    assert r"s\_1\&$<$b$>$" in render(table, "latex")
    assert "s_1&amp;&lt;b&gt;" in render(table, "html")


@pytest.mark.parametrize("name", ["Mean", "mean"])
def test_no_category_may_be_named_as_the_means_are(judgments_text, write_judgments, name):
    path = write_judgments(judgments_text({("x", "y"): 0.5}, categories=("golf", name)))
    result = run("--judgments", path)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: a category is named {name!r}, as the column of Means")


def test_bars_in_names_do_not_end_a_cell_of_markdown(judgments_text, table):
    found = table(judgments_text({("x|1", "y"): 0.5}, categories=("a|b", "c\\")))
    whole = render(found, "markdown", more=True)
    lines = [line for line in whole.splitlines() if line.startswith("|")]
    cells = [len(re.split(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines]

    assert lines[0] == r"|  | A\|b | C\\ | Mean | n |"
    assert lines[3].startswith(r"| x\|1 over y |")
    assert set(cells[:4]) == {7}


def test_text_lines_up(table):
    layout = lay_out(table())
    text = render(table(), "text")
    ruled = [line for line in text.splitlines() if line.startswith("---")]

    assert len(layout.lines) == 1 + 3 * 6
    assert len(set(map(len, ruled))) == 1
    body = text.splitlines()[: 5 + 4 * 6]
    assert max(map(len, body)) <= len(ruled[0])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_under_the_output_is_one_line(
    judgments_text, write_judgments, monkeypatch, capsys
):
    path = write_judgments(judgments_text(per_cell=3))
    full = io.TextIOWrapper(open("/dev/full", "wb", buffering=0), write_through=True)  # noqa: SIM115
    monkeypatch.setattr(sys, "stdout", full)

    with pytest.raises(SystemExit) as ended:
        main(["--judgments", str(path)])

    assert ended.value.code == 1
    assert capsys.readouterr().err == "Error: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("how", [["-m", "analysis.table1"], [str(ROOT / "analysis/table1.py")]])
def test_runs_as_a_module_and_as_a_file(judgments_text, write_judgments, how):
    path = write_judgments(judgments_text(per_cell=3))
    done = subprocess.run(
        [sys.executable, *how, "--judgments", str(path), "--format", "csv"],
        capture_output=True,
        text=True,
        cwd=ROOT if how[0] == "-m" else path.parent,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("row,category,percent,low,high,n,workers\n")


def test_usage_errors_exit_2_and_data_errors_exit_1(judgments_text, write_judgments, tmp_path):
    path = write_judgments(judgments_text(per_cell=2))

    assert run().exit_code == 2
    assert run("--judgments", path, "--exclude", "golden").exit_code == 2
    assert run("--judgments", path, "--format", "pdf").exit_code == 2
    missing = run("--judgments", tmp_path / "none.csv")
    assert missing.exit_code == 1
    assert missing.stderr.count("\n") == 1
    assert missing.stderr.startswith("Error: ")


def test_out_writes_the_file_whole(judgments_text, write_judgments, tmp_path):
    path, out = write_judgments(judgments_text(per_cell=2)), tmp_path / "table.tex"

    assert run("--judgments", path, "--format", "latex", "--out", out).exit_code == 0
    assert out.read_text().endswith("\\end{table}\n")
    (tmp_path / "taken").mkdir()
    failed = run("--judgments", path, "--out", tmp_path / "taken")
    assert failed.exit_code == 1
    assert "taken: cannot be written" in failed.stderr
    assert {file.name for file in tmp_path.iterdir()} == {"judgments.csv", "table.tex", "taken"}
