"""A look tops up the rows that are not done, and only those."""

from dataclasses import replace

import pytest

from analysis.intervals import Estimate
from analysis.needs import decide
from analysis.sequential import growth
from analysis.stopping import look_at_question
from evaluation.cli import main
from evaluation.simulate import simulate
from evaluation.study import Comparison
from evaluation.study_file.stop_rule import parse_stop

RULE = "decided or half-width 12"
# Everybody sees what is real; nobody can tell the two models apart.
STRENGTHS = {"real": 4.0, "ours": 0.0, "theirs": 0.0}
TIED = Comparison("ours", "theirs")


@pytest.mark.parametrize(
    ("percent", "low", "high", "rule", "expected"),
    [
        (50, 44, 56, "half-width 5", 1.44),  # (6 / 5) squared
        (60, 48, 72, "decided", 1.44),  # the interval has to shrink from 12 to 10
        (60, 48, 72, "decided or half-width 11.9", 1.1),  # never less than a tenth more
        (50, 44, 56, "decided", 2.0),  # a true tie is never decided: at most as many again
        (50, None, None, "half-width 5", 2.0),  # too few workers to tell
    ],
)
def test_how_many_more_follows_from_the_interval(percent, low, high, rule, expected):
    assert growth(Estimate(percent, low, high, 100, 20), parse_stop(rule)) == pytest.approx(
        expected
    )


@pytest.fixture
def judged(sqlite_database, study_toml, tmp_path, clip_folder):
    """A small study that simulated raters have judged; returns its URL."""
    from evaluation.freeze import init_study
    from evaluation.storage import LocalStore
    from evaluation.study_file.reader import load_study

    for source in ("ours", "theirs", "real"):
        clip_folder(source, {"golf": 8, "beach": 8})
    path = study_toml(
        ("judgments_per_cell = 8", "judgments_per_cell = 60"),
        ("sessions_per_worker = 2", "sessions_per_worker = 2\n[analysis]\nstop_when = 'decided'"),
        extra="[pay]\nreward_cents = 100\n",
    )
    store = LocalStore(tmp_path / "study.files" / "media")
    init_study(sqlite_database, load_study(path), store, tmp_path / "assets")
    simulate(sqlite_database, None, workers=40, mix={"careful": 1}, strengths=STRENGTHS, seed=2)
    return sqlite_database.url


def test_only_rows_that_are_not_done_get_more_and_all_their_cells_alike(judged):
    decision = decide(judged, None, RULE)

    assert decision.rows == (Comparison("ours", "theirs"),)
    assert decision.need.stop == {
        Comparison("ours", "real"),
        Comparison("theirs", "real"),
    }
    golf, beach = (decision.need.unanswered[TIED, c] for c in ("golf", "beach"))
    assert golf == beach
    assert 6 <= golf <= 60
    assert decision.need.reason.startswith(
        "stop when decided or half-width at most 12 points; not done: ours over theirs "
    )
    assert decide(judged, None, RULE, per_cell=30).need.unanswered == {
        (TIED, "golf"): 30,
        (TIED, "beach"): 30,
    }


def test_a_row_whose_judgments_were_all_left_out_gets_as_many_again(recorded, monkeypatch):
    def left_out(*arguments, **options):
        return replace(look_at_question(*arguments, **options), means={})

    monkeypatch.setattr("analysis.needs.look_at_question", left_out)
    need = decide(recorded(pairs=4), None, "decided").need

    assert need.stop == frozenset()
    assert need.unanswered == {(Comparison("mine", "real"), "all"): 16}


def top_up(url, *arguments):
    return main(["top-up", "--db", url, "--plan-only", "--yes", *arguments])


def test_the_command_plans_once_and_the_study_goes_on(judged, sqlite_database, capsys):
    assert top_up(judged, "--per-cell", "10") == 0
    assert "Planned 20 trials as batch 3." in capsys.readouterr().out
    assert top_up(judged, "--per-cell", "10") == 0
    assert "Nothing to add" in capsys.readouterr().out

    report = simulate(sqlite_database, None, workers=60, mix={"careful": 1}, seed=3)

    assert report.judgments == 20
    assert top_up(judged, "--per-cell", "10", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "To add, ours over theirs: beach 10, golf 10" in out
    assert out.endswith("Nothing was done.\n")


def test_judgments_that_come_before_the_answer_add_nothing(
    judged, sqlite_database, capsys, monkeypatch
):
    assert top_up(judged, "--per-cell", "10") == 0

    def judged_meanwhile(*_, **__):
        simulate(sqlite_database, None, workers=60, mix={"careful": 1}, seed=3)
        return True

    monkeypatch.setattr("click.confirm", judged_meanwhile)
    assert main(["top-up", "--db", judged, "--plan-only", "--per-cell", "16"]) == 0

    out = capsys.readouterr().out
    assert "To add, ours over theirs: beach 6, golf 6" in out
    assert "Planned 12 trials as batch 4." in out


def test_a_row_that_another_rule_opens_again_is_handed_out_again(judged, capsys):
    every_row_is_done = ("--stop-when", "half-width 40")
    assert top_up(judged, *every_row_is_done) == 0
    assert "(ours over real; ours over theirs; theirs over real)" in capsys.readouterr().out
    assert top_up(judged, *every_row_is_done, "--dry-run") == 0
    assert "Nothing was done" not in capsys.readouterr().out  # it is stopped already

    assert top_up(judged, "--stop-when", "half-width 0.1", "--per-cell", "10") == 0

    out = capsys.readouterr().out
    assert "Handed out again: ours over real; ours over theirs; theirs over real.\n" in out
    assert "Planned 60 trials" in out


def test_the_declared_rule_is_the_default_and_other_rules_win(judged, capsys):
    top_up(judged, "--dry-run")
    assert "stop when decided\n" in capsys.readouterr().out
    top_up(judged, "--dry-run", "--stop-when", "half-width 40")
    out = capsys.readouterr().out

    assert "Every row is done: the study may stop." in out
    assert "SIMULATED RATERS" in out


def test_a_simulated_study_is_not_planned_on_for_real_workers(judged, capsys):
    assert main(["top-up", "--db", judged, "--yes"]) == 2

    assert "has simulated sessions" in capsys.readouterr().err
    assert decide(judged, None, RULE).need.stop  # and nothing was written
    assert top_up(judged, "--per-cell", "10") == 0
    assert "Planned 20 trials" in capsys.readouterr().out


def test_an_odd_number_per_cell_is_refused(recorded, capsys):
    assert top_up(recorded(), "--per-cell", "9", "--stop-when", "decided") == 2
    assert "--per-cell 9: write an even number" in capsys.readouterr().err


def test_without_a_rule_there_is_nothing_to_plan(recorded, capsys):
    assert top_up(recorded()) == 2
    assert "need a stopping rule" in capsys.readouterr().err
