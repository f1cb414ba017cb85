import json
import re

import pandas as pd
import pytest
from click.testing import CliRunner

from analysis.intervals import Estimate
from analysis.load import load_judgments
from analysis.planning import ACTIVITY, Crowd, half_width, half_width_at_all_looks, power
from analysis.preference import sample_of, table_preferences
from analysis.sequential import mean_at_all_looks
from analysis.table import build_table
from analysis.table1 import main as table1
from evaluation.cli import main
from evaluation.database import find_study, open_database
from evaluation.schema import Study

PAIRS = {("mine", "yours"): 0.7, ("mine", "real"): 0.2}

STUDY = """\
[study]
name = "small"
title = "Which clip is more realistic?"
seed = 7

[sources]
mine = "clips/mine"
yours = "clips/yours"
real = "clips/real"

[design]
comparisons = [["mine", "yours"], ["mine", "real"]]
categories = ["golf", "beach"]
judgments_per_cell = 500

[session]
trials = 20
practice = 0
gold = 0

[pay]
reward_cents = 100
expected_minutes = 6.0

[workers]
workers = 100
"""


@pytest.fixture
def run(capsys):
    """Run `vgan-eval`; returns exit code, stdout and stderr."""

    def call(*arguments):
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def study_file(tmp_path):
    def write(*changes):
        text = STUDY
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "plan.toml"
        path.write_text(text)
        return path

    return write


def numbers_of(text, start):
    """The fields of the first line that begins so, in columns two blanks apart."""
    (line, *_) = [line for line in text.splitlines() if line.startswith(start)]
    return re.split(r"\s{2,}", line)


# --- primary rows


def test_only_the_declared_primary_rows_share_holm(judgments_text, write_judgments):
    path = write_judgments(judgments_text(PAIRS))
    declared = '[study]\nname = "paper"\n[analysis]\nprimary = [["real", "mine"], ["x", "y"]]\n'
    (path.parent / "study.toml").write_text(declared)
    table = build_table(load_judgments(file=path))
    tests = {row: t for (row, category), t in table.tests.items() if category == "Mean"}

    assert tests["mine over real"].primary
    assert tests["mine over real"].adjusted == tests["mine over real"].p
    assert not tests["mine over yours"].primary
    assert "x over y is declared primary, but has no judgments" in table.notes


def test_without_declared_rows_all_are_primary(judgments_text, write_judgments):
    table = build_table(load_judgments(file=write_judgments(judgments_text(PAIRS))))

    assert all(t.primary == (category == "Mean") for (_, category), t in table.tests.items())


# --- plan


def test_plan_counts_sessions_and_cost_to_the_cent(run, study_file):
    code, out, _ = run("plan", study_file(), "--clips", 50)

    assert code == 0
    assert "2 rows, 2 categories, 2,000 test judgments in 100 sessions of 20" in out
    assert numbers_of(out, "mturk")[1:] == ["100.00", "0.00", "20.00", "120.00", "10.00"]
    # A third of 1.00 is 0.34, a hundred times.
    assert numbers_of(out, "prolific")[3:5] == ["34.00", "134.00"]
    assert numbers_of(out, "local")[4] == "100.00"


def test_plan_half_widths_are_those_of_the_planning_functions(run, study_file):
    _, out, _ = run("plan", study_file(), "--clips", 50)
    # 100 workers x 20 trials = 2,000 places for 2,000 judgments: everybody gives the same.
    row = half_width(0.5, 1000, Crowd(100, 100, 100, ACTIVITY, 1.0))
    cell = half_width(0.5, 500, Crowd(100, 50, 50, ACTIVITY, 1.0))

    precision = out[out.index("Expected half-widths") :]
    found = numbers_of(precision, "mine over real")
    assert (found[4], found[6]) == (f"{row:.1f}", f"{cell:.1f}")


def test_plan_counts_the_clips_in_the_folders(run, study_file, clip_folder):
    for source in ("mine", "yours", "real"):
        clip_folder(source, {"golf": 3, "beach": 3})
    code, out, _ = run("plan", study_file())
    same = run("plan", study_file(), "--clips", 3)[1]

    assert code == 0
    assert out == same


def test_plan_refuses_to_show_prompts_where_there_are_none(run, study_file, tmp_path):
    for source in ("mine", "yours", "real"):
        for category in ("golf", "beach"):
            (tmp_path / "clips" / source / category).mkdir(parents=True)
            (tmp_path / "clips" / source / category / "1.mp4").touch()

    code, _, err = run("plan", study_file(("[design]\n", "[design]\nshow_prompt = true\n")))

    assert code == 2
    assert "there is no prompt to show" in err


def test_plan_with_fewer_pairs_than_a_session_has_trials_counts_short_sessions(run, study_file):
    few = study_file(
        ("judgments_per_cell = 500", 'judgments_per_cell = 80\npairing = "item"'),
        ("workers = 100", "workers = 20"),
    )
    _, out, _ = run("plan", few, "--clips", 4)  # four cells of four pairs, 20 trials of each

    assert "320 test judgments in 20 sessions of 16\n20 workers, at most 16 judgments each" in out
    assert "Warning: nobody sees a pair twice" in out
    assert "lower [session] trials to 16" in out
    assert numbers_of(out, "link")[4] == "20.00"
    # Four times the judgments of the same pairs: four times the people.
    assert numbers_of(out, "the study costs")[1:] == ["20.00", "40.00", "80.00"]


def test_plan_of_missing_folders_names_the_option(run, study_file):
    code, _, err = run("plan", study_file())

    assert code == 2
    assert err.count("\n") == 1
    assert "--clips N" in err


def test_plan_on_a_crowd_that_refuses_the_pay_says_so_and_is_planned_all_the_same(run, study_file):
    little = study_file(("reward_cents = 100", "reward_cents = 10"))
    code, out, _ = run("plan", little, "--clips", 5, "--crowd", "prolific")
    everywhere = run("plan", little, "--clips", 5)[1]
    (refused,) = [line for line in out.splitlines() if "refused: [pay] reward_cents = 10" in line]

    assert code == 0
    assert "write at least 80" in refused
    assert refused.split() in [line.split() for line in everywhere.splitlines()]
    assert "Power of one test" in out


def test_plan_names_the_crowd_that_cannot_keep_to_the_countries(run, study_file):
    abroad = study_file(("workers = 100", 'workers = 100\ncountries = ["US"]'))
    out = run("plan", abroad, "--clips", 50)[1]

    (refused,) = [line for line in out.splitlines() if "refused" in line]
    assert refused.startswith("prolific")
    assert "[workers] countries has no like on Prolific" in refused


def test_plan_says_nothing_of_conditions_on_a_crowd_that_the_study_does_not_use(run, study_file):
    abroad = study_file(
        ("workers = 100", 'workers = 100\ncountries = ["US"]\n[recruit]\ncrowd = "mturk"')
    )
    out = run("plan", abroad, "--clips", 50)[1]

    assert "refused" not in out
    assert numbers_of(out, "prolific ")[1] == numbers_of(out, "mturk ")[1]


def test_plan_refuses_a_rule_that_could_judge_nobody_and_warns_of_a_weak_one(run, study_file):
    rule = ("[workers]", '[analysis]\nexclude = ["gold"]\n[workers]')
    code, _, err = run("plan", study_file(rule), "--clips", 50)

    assert code == 2
    assert "[analysis] exclude: gold judges a worker from 1 gold trials on" in err
    assert err.count("\n") == 1
    out = run("plan", study_file(rule, ("gold = 0", "gold = 2")), "--clips", 50)[1]
    assert "Warning: [analysis] exclude: gold leaves a worker out for a single slip" in out


def test_plan_that_the_workers_cannot_fill_is_refused(run, study_file):
    few = study_file(("workers = 100", "workers = 99"))
    code, _, err = run("plan", few, "--clips", 5)

    assert code == 2
    assert "99 workers give at most 1980 judgments (1 session each, of 20 trials)" in err


def test_a_larger_difference_has_more_power(run, study_file):
    def power(points):
        out = run("plan", study_file(), "--clips", 50, "--difference", points)[1]
        return int(numbers_of(out[out.index("Power") :], "mine over real")[1].split()[0])

    assert power(1) < power(3) < power(8)
    assert power(20) == 100


def test_plan_of_a_study_that_may_be_stopped_early_has_intervals_at_all_looks(run, study_file):
    rule = study_file(("[pay]", '[analysis]\nstop_when = "half-width 5"\n[pay]'))
    out = run("plan", rule, "--clips", 50)[1]
    precision, chance = (
        numbers_of(out[out.index(start) :], "mine over real")
        for start in ("Expected half-widths", "Chance that a row of 55 % is decided")
    )
    people = Crowd(100, 100, 100, ACTIVITY, 1.0)
    curve = numbers_of(out[out.index("at 50 % at all looks together") :], "100 workers")

    assert "(of Means at all looks together, of cells for one look)" in out
    assert precision[4] == f"{half_width_at_all_looks(0.5, 1000, people):.1f}"
    assert precision[6] == f"{half_width(0.5, 500, Crowd(100, 50, 50, ACTIVITY, 1.0)):.1f}"
    expected = power(0.55, 1000, people, width=half_width_at_all_looks)
    assert chance[1] == f"{100 * expected:.0f} %"
    assert curve[1] == f"{half_width_at_all_looks(0.5, 1000, people):.2f}"
    assert "Power of one test" not in out


@pytest.mark.parametrize(
    ("workers", "why"),
    [(4, "4 workers: too few for an interval"), (1, "1 worker: the interval will be over clips")],
)
def test_plan_for_too_few_workers_promises_nothing_and_says_why(run, study_file, workers, why):
    few = study_file(("workers = 100", f"workers = {workers}\nsessions_per_worker = 100"))
    out = run("plan", few, "--clips", 50)[1]
    precision, power = (
        numbers_of(out[out.index(start) :], "mine over real")
        for start in ("Expected half-widths", "Power of one test")
    )

    assert (precision[4], precision[6]) == ("–", "–")
    assert power[1:] == ["–"] * 3
    assert out.count(f"– {why}") == 3
    curve = out[out.index("workers against judgments") :]
    assert numbers_of(curve, f"{workers} worker")[1:] == ["–"] * 3


def test_plan_shows_that_more_workers_beat_more_judgments(run, study_file):
    many = study_file(
        ("workers = 100", "workers = 25\nsessions_per_worker = 80"),
    )
    out = run("plan", many, "--clips", 400)[1]
    workers, judgments = re.findall(r"(\d+\.\d+) points", out)

    assert float(workers) < float(judgments)


def test_plan_promises_of_more_workers_what_declaring_them_does(run, study_file):
    few, many = (
        run("plan", study_file(("workers = 100", f"workers = {n}")), "--clips", 400)[1]
        for n in (100, 400)
    )
    promised = re.search(r"4 times the workers, same judgments and money: ([\d.]+)", few)[1]
    declared = numbers_of(many[many.index("workers against judgments") :], "400 workers")[1]

    assert promised == declared


def test_a_pilot_gives_correlations_rates_and_allocation(
    run, study_file, judgments_text, write_judgments
):
    frame = judgments_text(PAIRS, per_cell=300, categories=("golf", "beach"), sd=1.0)
    # The pilot has the second row the other way round.
    swapped = frame["source_b"] == "real"
    frame.loc[swapped, ["source_a", "source_b"]] = ["real", "mine"]
    path = write_judgments(frame)
    code, out, _ = run("plan", study_file(), "--clips", 50, "--judgments", path)
    split = out[out.index("split in proportion") :]
    first, second = numbers_of(split, "mine over yours"), numbers_of(split, "mine over real")

    assert code == 0
    assert "from the pilot of 1,200 judgments by 40 workers" in out
    assert float(re.search(r"Correlations: worker (\d\.\d+)", out)[1]) > 0.06
    assert float(second[1]) < 40 < 55 < float(first[1])
    planned = [int(row[4].replace(",", "")) for row in (first, second)]
    assert sum(planned) == 2000
    rates = [float(row[1]) / 100 for row in (first, second)]
    wanted = rates[0] * (1 - rates[0]) / sum(r * (1 - r) for r in rates)
    assert planned[0] / 2000 == pytest.approx(wanted, abs=0.002)


def test_ties_of_a_pilot_count_where_the_study_allows_them(
    run, study_file, judgments_text, write_judgments
):
    frame = judgments_text({("mine", "yours"): 0.5}, per_cell=200, categories=("golf",), sd=0.0)
    frame.loc[frame.index % 4 > 0, ["choice", "label"]] = ["tie", ""]
    path = write_judgments(frame)
    forced, free = (
        run("plan", study_file(*changes), "--clips", 50, "--judgments", path)[1]
        for changes in ([], [("[design]", "[design]\nallow_tie = true")])
    )
    widths = [
        float(numbers_of(out[out.index("half-widths of 95") :], "mine over yours")[4])
        for out in (forced, free)
    ]

    assert "Ties" not in forced
    assert "Ties (from the pilot): mine over yours 73.5 %" in free
    # 150 ties of 204: a judgment varies by 54 / 204 of what it does without them.
    assert widths[1] == pytest.approx(widths[0] * (54 / 204) ** 0.5, abs=0.1)


def test_a_simulated_pilot_carries_the_banner(run, study_file, judgments_text, write_judgments):
    path = write_judgments(judgments_text(PAIRS, categories=("golf",), simulated=True))
    out = run("plan", study_file(), "--clips", 50, "--judgments", path)[1]

    assert out.startswith("SIMULATED RATERS")
    assert out.rstrip().splitlines()[-1].startswith("SIMULATED RATERS")


def test_a_pilot_of_several_questions_names_the_option_that_chooses_one(
    run, study_file, judgments_text, write_judgments
):
    one = judgments_text(PAIRS, categories=("golf",))
    path = write_judgments(pd.concat([one.assign(question=q) for q in ("motion", "realism")]))
    plan = ("plan", study_file(), "--clips", 50, "--judgments", path)
    code, _, error = run(*plan)

    assert code != 0
    assert "several questions (motion, realism); choose by --pilot-question NAME" in error
    assert run(*plan, "--pilot-question", "motion")[0] == 0


def test_a_pilot_in_a_database_of_several_studies_names_the_option_that_chooses_one(
    run, study_file, recorded
):
    url = recorded()
    with open_database(url) as database, database.write() as unit:
        first = find_study(unit, None)
        unit.add(
            Study(
                name="other", title="", seed=1, design_hash="0" * 64, design=first.design,
                settings=first.settings, study_file="", secret="s", created_at=first.created_at,
            )
        )  # fmt: skip
    code, _, error = run("plan", study_file(), "--clips", 50, "--pilot-db", url)

    assert code != 0
    assert "several studies; say which with --pilot-study: " in error


def test_a_pilot_too_small_to_tell_says_so(run, study_file, judgments_text, write_judgments):
    path = write_judgments(judgments_text({("mine", "yours"): 0.5}, per_cell=1, categories=("g",)))
    out = run("plan", study_file(), "--clips", 50, "--judgments", path)[1]

    assert "the pilot of 1 judgment by 1 worker cannot tell" in out
    assert "Not in the pilot, taken as 50 %: mine over real" in out


def test_four_workers_of_a_pilot_cannot_tell_how_much_workers_differ(
    run, study_file, judgments_text, write_judgments
):
    def head(workers):
        frame = judgments_text(PAIRS, per_cell=60, categories=("golf",), workers=workers, clips=9)
        return run("plan", study_file(), "--clips", 50, "--judgments", write_judgments(frame))[1]

    assert "(typical; the pilot of 120 judgments by 4 workers cannot tell)" in head(4)
    assert "(from the pilot of 120 judgments by 5 workers)" in head(5)


def test_clips_that_a_pilot_showed_once_each_keep_the_typical_correlation(
    run, study_file, judgments_text, write_judgments
):
    frame = judgments_text({("mine", "yours"): 0.5}, per_cell=60, categories=("golf",), workers=9)
    mine = frame["left_source"] == "mine"
    frame.loc[mine, "left_clip"] = [f"mine/golf/{i}.mp4" for i in range(mine.sum())]
    frame.loc[~mine, "right_clip"] = [f"mine/golf/{i}.mp4" for i in range(mine.sum(), 60)]
    chosen = frame["choice"] == "left"
    frame["label"] = frame["left_clip"].where(chosen, frame["right_clip"])
    out = run("plan", study_file(), "--clips", 50, "--judgments", write_judgments(frame))[1]

    assert "clip of A 0.050" in out
    assert "clip of B 0.050" not in out
    assert "9 workers; typical for clip of A, which never came twice)" in out


# --- report, agreement, compare


def test_a_database_and_a_file_together_are_refused(run, tmp_path, recorded):
    code, _, err = run(
        "report", "--db", recorded(), "--judgments", tmp_path / "j.csv", "--out", tmp_path / "r"
    )

    assert code == 2
    assert "not both" in err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "command", [("report", "--out", "r"), ("agreement", "scores.csv"), ("plan", "study.toml"), ()]
)
def test_a_second_file_of_judgments_is_refused_and_never_read_in_place_of_the_first(run, command):
    twice = (*command, "--judgments", "first.csv", "--judgments", "second.csv")
    if command:
        code, _, err = run(*twice)
    else:
        found = CliRunner().invoke(table1, twice)
        code, err = found.exit_code, found.stderr

    assert code == 2
    assert "give one --judgments FILE, not 2" in err
    assert "vgan-eval compare A B" in err


def test_agreement_reads_a_database(run, tmp_path, recorded):
    scores = tmp_path / "scores.csv"
    scores.write_text("source,score\nmine,0.1\nreal,0.9\n")
    url = recorded()
    code, out, _ = run("agreement", scores, "--db", url)
    lower = run("agreement", scores, "--db", url, "--lower-is-better")[1]
    percent = float(numbers_of(out, "scores, all rows")[1])

    assert code == 0
    assert percent > 50
    assert float(numbers_of(lower, "scores, all rows")[1]) == pytest.approx(100 - percent, abs=0.11)


def test_a_missing_score_is_one_line_and_exit_code_1(run, tmp_path, recorded):
    scores = tmp_path / "scores.csv"
    scores.write_text("source,score\nmine,0.1\n")
    code, _, err = run("agreement", scores, "--db", recorded())

    assert code == 1
    assert err.count("\n") == 1
    assert "1 judged sources have no score, first real" in err


def test_compare_finds_no_difference_of_a_study_from_itself(run, judgments_text, write_judgments):
    path = write_judgments(judgments_text(PAIRS, categories=("golf",)))
    other = write_judgments(
        judgments_text({("mine", "yours"): 0.2}, categories=("golf",), seed=3), "other.csv"
    )
    same = run("compare", path, path)
    code, out, _ = run("compare", path, other)

    assert same[0] == code == 0
    assert numbers_of(same[1], "mine over yours")[3] == "+0.0"
    assert float(numbers_of(out, "mine over yours")[3]) < -30
    assert numbers_of(out, "mine over yours")[-1] == "<0.001"


def test_compare_sets_simulated_beside_peoples_judgments_only_when_told(
    run, judgments_text, write_judgments
):
    people = str(write_judgments(judgments_text(per_cell=20)))
    made_up = str(write_judgments(judgments_text(per_cell=20, simulated=True), "made-up.csv"))

    code, _, err = run("compare", people, made_up)
    assert code == 2
    assert "judgments of B are simulated and those of A are people's" in err
    code, _, err = run("compare", people, made_up, "--exclude-simulated")
    assert code == 1
    assert "made-up.csv: all judgments are simulated" in err
    code, out, _ = run("compare", people, made_up, "--include-simulated")
    assert code == 0
    assert "made by a program, not by people (second study)" in out


def test_compare_refuses_answers_to_different_questions(run, judgments_text, write_judgments):
    frame = judgments_text(PAIRS, categories=("golf",))
    path = write_judgments(frame)
    other = write_judgments(frame.assign(question="quality"), "other.csv")
    code, out, err = run("compare", path, other)

    assert (code, out) == (2, "")
    assert "A asks 'realism' and B asks 'quality'" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["report", "agreement", "looks"])
def test_a_missing_database_is_one_line_and_exit_code_1(run, tmp_path, command):
    arguments = {
        "report": ["--out", tmp_path / "r"],
        "agreement": [tmp_path / "scores.csv"],
        "looks": ["--stop-when", "decided"],
    }
    code, _, err = run(command, *arguments[command], "--db", f"sqlite:///{tmp_path}/none.db")

    assert code == 1
    assert err.count("\n") == 1
    assert "none.db" in err


# --- import


def pairwise_table(tmp_path, **changes):
    """A table as published ones are: observers, scenes, two conditions, who was selected."""
    columns = {
        "observer": ["ann", "ann", "bob", "bob", "cy", "cy"],
        "session": ["1", "2", "1", "1", "1", "1"],
        "scene": ["car", "tree", "car", "tree", "car", "tree"],
        "condition_A": ["x", "y", "x", "y", "x", "x"],
        "condition_B": ["y", "x", "y", "x", "y", "y"],
        "is_A_selected": ["1", "0", "1", "1", "0", "1"],
    }
    path = tmp_path / "published.csv"
    pd.DataFrame({**columns, **changes}).to_csv(path, index=False)
    return path


MAP = [
    argument
    for pair in (
        "worker=observer", "session=session", "item=scene", "left_source=condition_A",
        "right_source=condition_B", "left_chosen=is_A_selected",
    )
    for argument in ("--map", pair)
]  # fmt: skip


def test_import_gives_judgments_that_the_analysis_reads(run, tmp_path):
    out_file = tmp_path / "judgments.csv"
    code, out, err = run(
        "import", pairwise_table(tmp_path), *MAP, "--study", "other", "--out", out_file
    )
    judgments = load_judgments(file=out_file)
    preferences = table_preferences(judgments)

    assert code == 0
    assert out == f"{out_file}: 6 judgments by 3 workers\n"
    # x won lines 2, 3, 4 and 7: counted by hand.
    assert preferences["row"].unique().tolist() == ["x over y"]
    assert preferences["y"].tolist() == [1, 1, 1, 0, 0, 1]
    assert preferences["cluster_a"].tolist() == ["all/car", "all/tree"] * 3
    assert judgments["left_clip"][1] == "y/all/tree"
    assert judgments["answered_at"].isna().all()
    assert judgments["rt_ms"].isna().all()
    assert "left empty: hit, rt_ms, answered_at" in err
    assert "crowd is `imported` in all rows" in err
    assert "without loops the rule `too-fast` cannot be applied" in err


def test_import_takes_loops_for_the_rule_too_fast(run, tmp_path):
    out_file = tmp_path / "judgments.csv"
    table = pairwise_table(tmp_path, views=["1", "0.5", "2", "1", "", "1.5"])
    code, _, err = run(
        "import", table, *MAP, "--map", "loops=views", "--study", "other", "--out", out_file
    )

    assert code == 0
    assert "too-fast" not in err
    assert (load_judgments(file=out_file)["loops"] < 1).tolist() == [0, 1, 0, 0, 0, 0]


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("no_pdf")
def test_an_imported_study_has_a_table_and_a_report(run, tmp_path):
    out_file = tmp_path / "judgments.csv"
    table = pairwise_table(
        tmp_path,
        observer=[f"o{i // 4}" for i in range(48)],
        session=["1"] * 48,
        scene=[f"s{i % 6}" for i in range(48)],
        condition_A=["x"] * 48,
        condition_B=["y"] * 48,
        is_A_selected=[str(int(i % 3 > 0)) for i in range(48)],
    )
    run("import", table, *MAP, "--study", "other", "--out", out_file)
    code, _, err = run("report", "--judgments", out_file, "--out", tmp_path / "report")
    written = json.loads((tmp_path / "report" / "tables" / "table1.json").read_text())

    assert (code, err) == (0, "")
    assert written["rows"][0]["cells"]["Mean"]["percent"] == pytest.approx(100 * 32 / 48)
    assert "at unknown times" in (tmp_path / "report" / "report.html").read_text()


@pytest.mark.parametrize(
    ("drop", "says"),
    [
        ("worker=observer", "--map worker=COLUMN is missing: who judged"),
        ("item=scene", "--map left_clip=COLUMN and --map right_clip=COLUMN are missing"),
        ("left_chosen=is_A_selected", "map exactly one of choice"),
    ],
)
def test_what_cannot_be_derived_is_asked_for(run, tmp_path, drop, says):
    pairs = [part for part in MAP if part not in ("--map", drop)]
    arguments = [a for pair in pairs for a in ("--map", pair)]
    out_file = tmp_path / "judgments.csv"
    code, _, err = run(
        "import", pairwise_table(tmp_path), *arguments, "--study", "other", "--out", out_file
    )

    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert not out_file.exists()


def test_a_selection_that_is_neither_names_its_line(run, tmp_path):
    table = pairwise_table(tmp_path, is_A_selected=["1", "0", "A", "1", "0", "1"])
    code, _, err = run(
        "import", table, *MAP, "--study", "other", "--out", tmp_path / "judgments.csv"
    )

    assert code == 1
    assert "published.csv:4: left_chosen must be 1, 0, or 0.5 for a tie, not 'A'" in err


def test_a_winner_may_be_named_and_a_tie_kept(run, tmp_path):
    table = pairwise_table(tmp_path, is_A_selected=["x", "x", "tie", "y", "y", "x"])
    arguments = [a.replace("left_chosen", "winner") for a in MAP]
    out_file = tmp_path / "judgments.csv"
    code, _, _ = run("import", table, *arguments, "--study", "other", "--out", out_file)

    assert code == 0
    assert table_preferences(load_judgments(file=out_file))["y"].tolist() == [1, 1, 0.5, 0, 0, 1]


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--map", "worker=nobody"], "worker is given twice"),
        (["--map", "rt_ms=nobody"], "has no such column; it has observer, session"),
        (["--map", "colour=scene"], "no column 'colour' in judgments.csv"),
        (["--set", "crowd"], "write COLUMN=VALUE"),
        (["--set", "item=car"], "item is both mapped and set"),
    ],
)
def test_a_wrong_mapping_is_wrong_usage(run, tmp_path, extra, says):
    code, _, err = run(
        "import",
        pairwise_table(tmp_path),
        *MAP,
        *extra,
        "--study",
        "s",
        "--out",
        tmp_path / "o.csv",
    )

    assert code == 2
    assert says in err


# --- looks


def test_looks_shows_the_sequence_of_every_row(run, recorded):
    url = recorded(workers=8, pairs=16)
    code, out, _ = run("looks", "--db", url, "--stop-when", "half-width 3")
    sample = sample_of(table_preferences(load_judgments(url)))
    whole = Estimate(100 * sample.mean, None, None, len(sample), 8)
    expected = mean_at_all_looks(whole, sample, planned=len(sample))
    found = numbers_of(out, "mine over real")

    assert code == 0
    assert found[2] == f"{expected.low:.1f}–{expected.high:.1f}"
    assert found[-1] == "needs judgments"
    assert out.endswith("Rows that still need judgments: mine over real.\n")


def test_a_decided_row_is_done(run, recorded):
    out = run("looks", "--db", recorded(workers=30, pairs=30), "--stop-when", "decided")[1]

    assert numbers_of(out, "mine over real")[-1] == "done: decided"
    assert out.endswith("Every row is done: the study may stop.\n")


def test_looks_without_a_rule_asks_for_one(run, recorded):
    code, _, err = run("looks", "--db", recorded())

    assert code == 2
    assert "no stopping rule: say --stop-when" in err


def test_a_look_at_judgments_that_are_all_left_out_needs_them_all(run, recorded):
    url = recorded(workers=4, pairs=4, exclude=("side-bias:1",))
    code, out, _ = run("looks", "--db", url, "--stop-when", "decided")

    assert code == 0
    assert numbers_of(out, "mine over real")[-3:] == ["16", "16", "no judgments yet"]
    assert "the exclusion rules leave no judgments at all\n" in out


def test_a_stopping_rule_that_cannot_be_read_is_wrong_usage(run, recorded):
    code, _, err = run("looks", "--db", recorded(), "--stop-when", "tired")

    assert code == 2
    assert "write `decided`" in err


def test_a_study_without_judgments_needs_them_all(run, initialised_study):
    code, out, _ = run(
        "looks", "--db", initialised_study.database.url, "--stop-when", "decided or half-width 3"
    )

    assert code == 0
    assert numbers_of(out, "ours over real")[-3:] == ["0", "16", "no judgments yet"]
