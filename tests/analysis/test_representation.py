import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats
from scipy.special import expit, logit

from analysis import figure4, table_a
from analysis.errors import AnalysisError
from analysis.figure4 import curve, gains, of_split
from analysis.figures import INK
from analysis.representation import Tally, accuracy_of, jackknife, read_results, rows, tally

ROOT = Path(__file__).parents[2]


def line(method="stip", split="1", fraction=1.0, groups=None, **more):
    groups = groups or {"ann": [3, 4], "bob": [1, 2], "cat": [2, 2]}
    right, of = (sum(count[i] for count in groups.values()) for i in (0, 1))
    return {
        "method": method, "split": split, "fraction": fraction, "seed": 0,
        "accuracy": right / of, "single_window_accuracy": 0.5,
        "confusion": [[right, of - right], [0, 0]], "classes": ["bend", "jump"],
        "groups": groups, "parameters": 10, "seconds": 2.0, "data": "abc", **more,
    }  # fmt: skip


@pytest.fixture
def write(tmp_path):
    def make(*lines):
        path = tmp_path / "results.jsonl"
        path.write_text("".join(json.dumps(raw) + "\n" for raw in lines))
        return path

    return make


def test_the_interval_is_the_jackknife_over_groups(write):
    groups = {"ann": [7, 10], "bob": [3, 10], "cat": [5, 10]}
    found = accuracy_of(read_results(write(line(groups=groups))))
    left = np.asarray([8 / 20, 12 / 20, 10 / 20])  # without ann, bob, cat
    error = np.sqrt(2 / 3 * ((left - left.mean()) ** 2).sum())

    assert found.estimate == 0.5
    assert found.low == pytest.approx(expit(-stats.t.ppf(0.975, 2) * error / 0.25))


def test_the_interval_is_never_narrower_than_that_of_independent_videos(write):
    groups = {name: [9, 10] for name in "abcdef"}  # all alike, by chance
    found = accuracy_of(read_results(write(line(groups=groups))))
    half = stats.t.ppf(0.975, 5) / np.sqrt(0.9 * 0.1 * 60)  # on the logit scale

    assert found.low == pytest.approx(expit(logit(0.9) - half))
    assert found.high == pytest.approx(expit(logit(0.9) + half))


def test_the_error_of_independent_videos_is_that_of_a_mean_over_splits(write):
    groups = {name: [9, 10] for name in "abcdef"}
    found = accuracy_of(read_results(write(*(line(split=s, groups=groups) for s in "123"))))
    error = np.sqrt(3 * 0.9 * 0.1 / 60) / 3

    assert found.low == pytest.approx(expit(logit(0.9) - stats.t.ppf(0.975, 5) * error / 0.09))


def test_the_spread_is_over_splits_whose_seeds_are_averaged(write):
    right = {("1", 0): 2, ("1", 1): 4, ("2", 0): 5, ("2", 1): 7}
    lines = [line(split=s, seed=k, groups={"ann": [n, 10]}) for (s, k), n in right.items()]
    (row,) = rows(read_results(write(*lines)))

    assert row.accuracy.estimate == pytest.approx((0.3 + 0.6) / 2)
    assert row.spread == pytest.approx(0.3 / 2**0.5)


def test_accuracy_is_the_mean_over_splits_not_over_videos(write):
    results = read_results(
        write(
            line(split="1", groups={"ann": [8, 8]}),
            line(split="2", groups={"bob": [0, 2]}),
        )
    )

    (row,) = rows(results)
    assert row.accuracy.estimate == 0.5
    assert row.spread == pytest.approx(2**-0.5)


def test_one_group_has_no_interval(write):
    found = accuracy_of(read_results(write(line(groups={"ann": [3, 4]}))))

    assert (found.low, found.high) == (None, None)


def test_all_right_still_has_a_lower_bound(write):
    groups = {name: [2, 2] for name in "abcde"}
    found = accuracy_of(read_results(write(line(groups=groups))))

    assert found.high == 1.0
    assert found.low == pytest.approx(0.025 ** (1 / 5))


@pytest.mark.parametrize(("rate", "groups", "videos"), [(0.6, 12, 12), (0.9, 7, 20), (0.95, 9, 10)])
def test_the_jackknife_covers_where_groups_differ(rate, groups, videos):
    chance = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        rates = chance.beta(rate * 10, (1 - rate) * 10, groups)
        right = chance.binomial(videos, rates)
        counts = {("1", f"g{g}"): (int(count), videos) for g, count in enumerate(right)}
        found = jackknife([Tally(counts)], lambda a: a[0], bounds=(0.0, 1.0))
        covered += found.low <= rate <= found.high

    assert covered / 300 >= 0.93


def test_seeds_are_averaged(write):
    results = read_results(write(line(seed=0), line(seed=1, groups={"ann": [2, 4]})))

    assert tally(results).counts["1", "ann"] == (2.5, 4)


def test_more_seeds_are_not_more_videos(write):
    groups = {name: [5, 10] for name in "abcde"}
    one = accuracy_of(read_results(write(line(groups=groups))))
    many = accuracy_of(read_results(write(*(line(seed=k, groups=groups) for k in range(16)))))

    assert many == one
    assert one.low == pytest.approx(expit(-stats.t.ppf(0.975, 4) / np.sqrt(0.25 * 50)))


def test_a_task_that_two_runs_wrote_is_counted_once(write):
    (row,) = rows(read_results(write(line(seconds=3.0), line(seed=1), line(seconds=2.0))))

    assert (row.seeds, row.seconds) == (2, 4.0)


def test_a_table_of_shares_alone_says_what_to_do(write):
    path = write(line(fraction=0.125), line("vgan-random", fraction=0.5))
    done = CliRunner().invoke(table_a.main, [str(path)])

    assert done.exit_code == 1
    assert "of the shares 0.125, 0.5 alone: add `--fraction 1`" in done.stderr


def test_the_table_sets_ours_beside_the_published(write):
    path = write(line("vgan-finetune"), line("stip"), line("stip", fraction=0.5))
    shown = CliRunner().invoke(table_a.main, [str(path)], catch_exceptions=False).output
    lines = shown.splitlines()

    assert lines[2].split()[:2] == ["Chance", "50.0"]
    assert lines[3].startswith("STIP features")
    assert "43.9" in lines[3]
    assert lines[4].startswith("VGAN + fine-tuning")
    assert "75.0" in lines[4]
    assert "52.1" in lines[4]
    assert "compare the order of rows, not the numbers" in shown
    assert "Not measured: Temporal coherence (L1), Shuffle and Learn" in shown


def test_csv_keeps_unrounded_percents_and_leaves_what_is_missing_empty(write):
    path = write(line(groups={"ann": [1, 3]}))
    text = CliRunner().invoke(table_a.main, [str(path), "--format", "csv"]).output
    found = list(csv.DictReader(text.splitlines()))

    assert [row["method"] for row in found] == ["chance", "stip"]
    assert float(found[1]["accuracy"]) == pytest.approx(100 / 3)
    assert found[1]["low"] == ""
    assert found[1]["split_sd"] == ""


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_other_formats_hold_the_same_rows(write, form):
    text = CliRunner().invoke(table_a.main, [str(write(line())), "--format", form]).output

    assert "STIP features" in text
    assert "75.0" in text


def test_a_ratio_on_whose_size_all_groups_agree_has_no_interval(write):
    groups = {name: [2, 4] for name in "abc"}
    results = read_results(
        write(line("vgan-finetune", groups=groups), line("vgan-random", groups=groups))
    )
    ((_, found),) = gains(results, "vgan-random")

    assert (found.estimate, found.low, found.high) == (1.0, None, None)


def test_shares_are_named_as_fractions(write):
    results = read_results(write(line(fraction=2 / 3), line(fraction=1 / 16)))
    (axes,) = figure4.figure_b(results).axes

    assert [label.get_text() for label in axes.get_xticklabels()] == ["1/16", "2/3"]


def test_figure_4b_has_a_point_for_every_share(write):
    results = read_results(write(line(fraction=0.5), line(fraction=0.125), line(split="2")))

    assert [share for share, _ in curve(of_split(results, None), "stip")] == [0.125, 0.5]


def test_figure_4c_is_the_ratio_with_groups_left_out_of_both(write):
    random = {"ann": [2, 4], "bob": [1, 2], "cat": [1, 2]}
    results = read_results(write(line("vgan-finetune"), line("vgan-random", groups=random)))
    ((share, found),) = gains(results, "vgan-random")
    left = np.asarray([(3 / 4) / (2 / 4), (5 / 6) / (3 / 6), (4 / 6) / (3 / 6)])
    half = stats.t.ppf(0.975, 2) * np.sqrt(2 / 3 * ((left - left.mean()) ** 2).sum())

    assert share == 1.0
    assert found.estimate == pytest.approx(1.5)
    assert found.high == pytest.approx(1.5 + half)


def test_the_figures_are_written_with_their_numbers(write, tmp_path):
    path = write(
        line("vgan-finetune"), line("vgan-random", groups={"ann": [1, 4], "bob": [1, 2]}),
        line("vgan-finetune", fraction=0.5),
    )  # fmt: skip
    out = tmp_path / "figures"
    done = CliRunner().invoke(figure4.main, [str(path), "--out", str(out)], catch_exceptions=False)

    assert done.exit_code == 0
    assert done.output.endswith("confusion-vgan-random, all of split 1\n")
    names = {"figure4b", "figure4c", "confusion-vgan-finetune", "confusion-vgan-random"}
    assert {file.stem for file in out.glob("*.svg")} == names
    assert {file.stem for file in out.glob("*.pdf")} == names
    found = list(csv.DictReader((out / "figure4.csv").read_text().splitlines()))
    assert float(found[0]["value"]) == 75.0
    assert found[-1]["method"] == "vgan-finetune over vgan-random"


def test_intervals_of_figure_4c_stand_side_by_side(write):
    other = {"ann": [1, 4], "bob": [2, 3], "cat": [1, 2]}
    references = (line(name, groups=other) for name in ("vgan-random", "vgan-random-converged"))
    (axes,) = figure4.figure_c(read_results(write(line("vgan-finetune"), *references))).axes
    bars = [drawn.get_xdata() for drawn in axes.lines if drawn.get_linewidth() == 0.8]
    places = [x[0] for x in bars if x[0] == x[1]]

    assert len(places) == len(set(places)) == 2


def test_counts_on_the_middle_blues_of_a_confusion_matrix_are_dark(write):
    results = read_results(write(line(groups={"ann": [6, 10], "bob": [6, 10]})))
    (axes,) = figure4.confusion(results, "stip").axes

    assert {text.get_text(): text.get_color() for text in axes.texts} == {"12": INK, "8": INK}


def test_figures_that_cannot_be_written_are_one_line(write, tmp_path):
    results, out = str(write(line())), tmp_path / "figures"
    out.write_text("a file")
    over_a_file = CliRunner().invoke(figure4.main, [results, "--out", str(out)])
    out.unlink()
    (out / "figure4b.pdf").mkdir(parents=True)
    over_a_folder = CliRunner().invoke(figure4.main, [results, "--out", str(out)])

    for done, name in ((over_a_file, "figure4b.svg"), (over_a_folder, "figure4b.pdf")):
        assert done.exit_code == 1
        assert f"{name}: cannot be written" in done.stderr
    assert {file.name for file in out.iterdir()} == {"figure4b.svg", "figure4b.pdf"}


def test_no_figure_4c_without_its_two_methods(write, tmp_path):
    done = CliRunner().invoke(figure4.main, [str(write(line())), "--out", str(tmp_path / "f")])

    assert done.exit_code == 0
    assert not (tmp_path / "f" / "figure4c.svg").exists()
    assert "no figure 4c" in done.output


def test_damaged_missing_and_mixed_results_are_named(write, tmp_path):
    with pytest.raises(AnalysisError, match="cannot be read"):
        read_results(tmp_path / "none")
    with pytest.raises(AnalysisError, match=r"results\.jsonl:1: not a result"):
        read_results(write({"method": "stip"}))
    with pytest.raises(AnalysisError, match="several data sets"):
        read_results(write(line(), line(data="other")))
    with pytest.raises(AnalysisError, match="no results yet"):
        read_results(write())


@pytest.mark.parametrize("script", ["table_a.py", "figure4.py"])
def test_the_scripts_run_as_files(script):
    command = [sys.executable, str(ROOT / "analysis" / script), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parent)

    assert "RESULTS" in done.stdout
