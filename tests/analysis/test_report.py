import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from analysis import figures
from analysis.examples import clips_in
from analysis.exclusions import parse_rules
from analysis.load import check_judgments, load_judgments
from analysis.names import Names
from analysis.preference import table_preferences
from analysis.quality import funnel_steps, quality
from analysis.ranking import rank
from analysis.report import _facts, main, ranking_rows, report
from analysis.rexport import long_table, write_r
from analysis.table import build_table
from evaluation.cli import main as vgan_eval

SVG_TEXT = "{http://www.w3.org/2000/svg}text"


@pytest.fixture
def loaded(judgments_text, write_judgments):
    def load(**options):
        return load_judgments(file=write_judgments(judgments_text(**options)))

    return load


@pytest.fixture(scope="module")
def write_report(judgments_text, tmp_path_factory):
    def write():
        folder = tmp_path_factory.mktemp("report")
        frame = judgments_text(per_cell=40)
        frame.to_csv(folder / "judgments.csv", index=False)
        judgments = load_judgments(file=folder / "judgments.csv")
        return report(judgments, folder / "out", parse_rules(["side-bias"]), paper=True)

    return write


@pytest.fixture(scope="module")
def written(write_report):
    return write_report()


def test_the_page_stands_alone_and_its_folder_is_complete(written):
    names = {str(p.relative_to(written.parent)) for p in written.parent.rglob("*.*")}
    text = written.read_text()

    # Namespaces and citations apart, nothing points outside the page.
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert "@import" not in text
    assert text.count("<svg") == 5
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    for figure in ("forest", "ranking", "funnel", "side_bias", "response_times"):
        assert {f"figures/{figure}.svg", f"figures/{figure}.pdf"} <= names
    assert {"tables/table1.tex", "tables/table1.csv", "r/analysis.R"} <= names
    assert not any(name.endswith(".part") for name in names)


def test_figures_are_well_formed_and_hold_their_words(written):
    folder = written.parent / "figures"
    words = "".join(ET.parse(folder / "forest.svg").getroot().itertext())

    assert "VGAN Two Stream over Autoencoder" in words
    assert (folder / "forest.pdf").read_bytes().startswith(b"%PDF")


def tick_labels(drawn):
    words = [text.text for text in ET.fromstring(figures.to_svg(drawn)).iter(SVG_TEXT)]
    return words[: words.index("judgments of the worker")]


def test_the_axis_of_the_sides_has_plain_numbers(judgments_text):
    frame = check_judgments(judgments_text(per_cell=40))
    busy = pd.concat([frame] * 50)

    assert tick_labels(figures.side_bias(frame, False)) == ["1", "2", "5", "10", "20", "50"]
    assert tick_labels(figures.side_bias(busy, False)) == ["1", "10", "100", "1000"]


def test_methods_give_the_numbers(written):
    text = " ".join(re.sub(r"<[^>]+>", " ", written.read_text()).split())

    assert "40 workers compared 6 pairs of sources in 4 categories" in text
    assert "40 judgments per cell and 960 in all" in text
    assert "hash abababababababab" in text
    assert "Nobody&#39;s payment depended on it" in text
    assert "How people answered All judgments that count, before exclusions." in text
    assert "Korn, Graubard" in text
    assert "Response time, from the first frame" in text


def announcements(written):
    yield written.read_text()
    yield (written.parent / "r" / "analysis.R").read_text()
    yield from (p.read_text() for p in (written.parent / "tables").glob("*.tex"))
    yield from (p.read_text() for p in (written.parent / "figures").glob("*.svg"))


@pytest.mark.usefixtures("no_pdf")
def test_simulated_raters_are_announced_in_page_figures_tables_and_script(
    written, judgments_text, write_judgments, tmp_path, capsys
):
    rows = {("x", "y"): 0.7, ("x", "real"): 0.2}
    path = write_judgments(judgments_text(rows, per_cell=30, categories=("a",), simulated=True))
    out = tmp_path / "report"
    assert vgan_eval(["report", "--judgments", str(path), "--out", str(out)]) == 0

    assert capsys.readouterr().out == f"wrote {out / 'report.html'}\n"
    assert not any("SIMULATED RATERS" in text for text in announcements(written))
    assert all("SIMULATED RATERS" in text for text in announcements(out / "report.html"))


def test_equal_data_give_equal_bytes(written, write_report):
    again = write_report()

    for path in written.parent.rglob("*.*"):
        assert path.read_bytes() == (again.parent / path.relative_to(written.parent)).read_bytes()


@pytest.mark.usefixtures("no_pdf")
def test_without_a_finite_ranking_the_page_says_why(judgments_text, write_judgments, tmp_path):
    frame = judgments_text({("x", "y"): 0.5}, per_cell=12, categories=("all",))
    frame["choice"] = np.where(frame["left_source"] == "x", "left", "right")
    frame["label"] = frame["left_clip"].where(frame["choice"] == "left", frame["right_clip"])
    page = report(load_judgments(file=write_judgments(frame)), tmp_path).read_text()

    assert "No ranking: no finite strengths" in page


@pytest.mark.usefixtures("no_pdf")
def test_one_rater_gets_a_report_too(loaded, tmp_path):
    page = report(loaded(per_cell=20, workers=1), tmp_path).read_text()

    assert "this rater" in page


@pytest.mark.parametrize(
    ("workers", "header", "bounds"),
    [(1, "interval, for this rater only", " to "), (3, "interval", "–")],
)
def test_the_leaderboard_marks_one_rater_and_gives_a_few_no_intervals(
    judgments_text, workers, header, bounds
):
    frame = judgments_text({("x", "y"): 0.6, ("y", "z"): 0.6}, per_cell=20, workers=workers)
    ranking = rank(table_preferences(check_judgments(frame)))
    heads, rows = ranking_rows(ranking, Names(), one_look=False)
    axes = figures.leaderboard(ranking, Names(), simulated=False).axes[0]

    assert heads[2] == header
    assert all(bounds in row[2] for row in rows)
    assert ("for this rater only" in axes.get_xlabel()) == (workers == 1)
    assert len(axes.lines) == 1 + len(rows) * (2 if workers == 1 else 1)


def test_funnel_counts_workers_rule_by_rule(judgments_text, write_judgments):
    frame = judgments_text(per_cell=40)
    frame.loc[frame["worker"] == "w001", "loops"] = "0.01"
    judgments = load_judgments(file=write_judgments(frame))
    steps = funnel_steps(judgments, parse_rules(["too-fast"]))

    assert [count for _, count in steps] == [40, 40, 39]
    hasty = int((frame["worker"] == "w001").sum())
    assert f"{hasty} answers came before the clips had run once." in quality(judgments)


def test_ties_alone_say_nothing_of_sides(judgments_text):
    frame = judgments_text(per_cell=5).assign(choice="tie", label="")
    lines = quality(check_judgments(frame))

    assert not any("left" in line for line in lines)
    assert any(line.startswith("Median answer after") for line in lines)


def test_judgments_that_do_not_count_change_neither_funnel_nor_sentences(judgments_text):
    frame = judgments_text(per_cell=20)
    late = frame.iloc[:30].assign(
        counted="false", assignment="late", choice="tie", label="", rt_ms="1", loops="0.01"
    )
    late.iloc[:15, late.columns.get_loc("worker")] = "only-late"
    late.iloc[15:, late.columns.get_loc("worker")] = "w001"
    plain = check_judgments(frame)
    everything = check_judgments(pd.concat([frame, late], ignore_index=True))
    rules = parse_rules(["too-fast"])

    assert funnel_steps(everything, rules) == funnel_steps(plain, rules)
    assert quality(everything) == quality(plain)


def test_judgments_that_do_not_count_are_in_no_date_crowd_or_figure(
    judgments_text, write_judgments
):
    frame = judgments_text({("x", "y"): 0.6}, per_cell=40, categories=("all",))
    late = frame.iloc[:20].assign(
        counted="false", assignment="late", worker="only-late", crowd="elsewhere", rt_ms="90000",
        answered_at="2031-01-01T00:00:00Z",
    )  # fmt: skip
    plain, everything = (
        load_judgments(file=write_judgments(rows)) for rows in (frame, pd.concat([frame, late]))
    )
    facts = _facts(everything, build_table(everything, ()))

    assert "2026-01-01 to 2026-01-01" in facts
    assert facts == _facts(plain, build_table(plain, ()))
    for draw in (figures.side_bias, figures.response_times):
        assert figures.to_svg(draw(everything, False)) == figures.to_svg(draw(plain, False))


def test_gold_repeats_and_identical_pairs_are_summed_up(judgments_text):
    frame = judgments_text(per_cell=40)
    gold, again, same = frame.iloc[:4].copy(), frame.iloc[:4].copy(), frame.iloc[:4].copy()
    gold["trial_kind"], gold["trial"] = "gold", ["g1", "g2", "g3", "g4"]
    gold["correct_choice"] = gold["choice"]
    gold.iloc[0, gold.columns.get_loc("correct_choice")] = (
        "left" if gold["choice"].iloc[0] == "right" else "right"
    )
    again["trial_kind"], again["repeat_of"] = "repeat", again["trial"]
    again["trial"] = "r" + again["trial"]
    same["trial_kind"], same["trial"] = "identical", "i" + same["trial"]
    same["right_clip"] = same["label"] = same["left_clip"]
    same["choice"] = "left"
    lines = quality(check_judgments(pd.concat([frame, gold, again, same])))

    gold["correct_choice"] = ["", *gold["correct_choice"].iloc[1:]]
    three = quality(check_judgments(pd.concat([frame, gold])))

    assert "75.0 % of 4 answers to gold trials were right." in lines
    assert "100.0 % of 3 answers to gold trials were right." in three
    assert "100.0 % of 4 repeated pairs got the same answer." in lines
    assert "Of 4 pairs of identical clips, 100.0 % went left." in lines


def test_long_table_for_r_names_a_and_b_whatever_their_side(loaded):
    judgments = loaded(per_cell=10)
    table = long_table(judgments)

    assert len(table) == len(judgments)
    assert (table["clip_a"].str.split("/").str[0] == table["source_a"]).all()
    assert (table["clip_b"].str.split("/").str[0] == table["source_b"]).all()
    assert set(table["side"]) == {"left", "right"}
    chosen = judgments["label"].to_numpy()
    assert (np.where(table["y"] == 1, table["clip_a"], table["clip_b"]) == chosen).all()


def test_r_script_reads_only_columns_that_are_written(loaded, tmp_path):
    write_r(loaded(per_cell=10), tmp_path)
    script = (tmp_path / "analysis.R").read_text()
    columns = set(pd.read_csv(tmp_path / "judgments_long.csv").columns)

    assert set(re.findall(r"\bd\$(\w+)", script)) - {"weight"} <= columns
    assert script.count("{") == script.count("}")
    assert script.count("(") == script.count(")")


def test_r_script_drops_ties_from_the_mixed_model_only_as_tables_count_them(loaded, tmp_path):
    write_r(loaded(per_cell=10), tmp_path)
    mixed, *others = (tmp_path / "analysis.R").read_text().split("\npart(")[1:]

    assert "subset(d, y %in% c(0, 1))" in mixed
    assert "(1 | row:worker)" in mixed  # whichever source a row names first, the model is the same
    assert len(others) == 2
    assert all("subset" not in part and "data = d" in part for part in others)


def test_clips_are_looked_up_inside_their_folder_only(tmp_path):
    (tmp_path / "clips" / "x").mkdir(parents=True)
    (tmp_path / "clips" / "x" / "1.mp4").write_bytes(b"")
    (tmp_path / "secret.mp4").write_bytes(b"")
    find = clips_in(tmp_path / "clips")

    assert find("x/1.mp4") is not None
    assert find("x/2.mp4") is None
    assert find("../secret.mp4") is None


def test_a_source_may_be_a_link_to_another_folder(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.mp4").write_bytes(b"")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "x").symlink_to(tmp_path / "elsewhere")
    find = clips_in(tmp_path / "clips")

    assert find("x/1.mp4") == tmp_path / "clips" / "x" / "1.mp4"
    assert find("x/../x/1.mp4") is None
    assert find(str(tmp_path / "elsewhere" / "1.mp4")) is None


@pytest.mark.usefixtures("no_pdf")
def test_clips_that_are_missing_are_said(judgments_text, write_judgments, tmp_path):
    path = write_judgments(judgments_text({("x", "y"): 0.6}, per_cell=20, categories=("all",)))
    (tmp_path / "clips").mkdir()
    out = tmp_path / "out"
    result = CliRunner().invoke(
        main, ["--judgments", str(path), "--clips", str(tmp_path / "clips"), "--out", str(out)]
    )

    assert result.exit_code == 0
    assert "the file is not here" in (out / "report.html").read_text()


def test_a_folder_that_cannot_be_written_is_one_line(judgments_text, write_judgments, tmp_path):
    (tmp_path / "file").write_text("")
    path = write_judgments(judgments_text(per_cell=5))
    result = CliRunner().invoke(
        main, ["--judgments", str(path), "--out", str(tmp_path / "file" / "out")]
    )

    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_letters_that_no_font_has_are_text_in_an_svg_and_one_remark_on_a_pdf(caplog):
    made = figures.figure(2, 1, simulated=False)
    made.text(0.1, 0.5, "モデル over ours")

    assert "モデル over ours" in figures.to_svg(made)
    assert caplog.messages == []
    assert figures.to_pdf(made).startswith(b"%PDF")
    [said] = caplog.messages
    assert said == "letters that a PDF figure's font lacks are boxes there; its SVG has them"
