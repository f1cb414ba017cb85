"""Rows print in the order that the study declares; the paper's and the alphabet fill in."""

import pytest

from analysis.load import load_judgments
from analysis.preference import row_order
from analysis.table import build_table
from evaluation.database import find_study
from evaluation.freeze import init_study
from evaluation.planning.progress import study_progress
from evaluation.storage import LocalStore
from evaluation.study import Comparison
from evaluation.study_file.reader import load_study

PAIRS = {("zeta", "alpha"): 0.6, ("alpha", "real"): 0.3, ("zeta", "real"): 0.4}


def labels(frame, write, study=None):
    path = write(frame)
    if study:
        (path.parent / "study.toml").write_text(f'[study]\nname = "paper"\n{study}')
    return [row.comparison.label for row in build_table(load_judgments(file=path)).rows]


@pytest.mark.parametrize(
    "study",
    [
        '[design]\ncomparisons = [["zeta", "real"], ["zeta", "alpha"], ["alpha", "real"]]\n',
        # In the order of pairs of the sources; how a pair is turned is the study's business.
        '[sources]\nreal = "r"\nzeta = "z"\nalpha = "a"\n[design]\ncomparisons = "all"\n',
    ],
)
def test_rows_follow_the_study_file(judgments_text, write_judgments, study):
    found = labels(judgments_text(PAIRS, per_cell=4), write_judgments, study)

    expected = {
        '[d': ["zeta over real", "zeta over alpha", "alpha over real"],
        '[s': ["zeta over real", "alpha over real", "zeta over alpha"],
    }  # fmt: skip
    assert found == expected[study[:2]]


def test_without_a_study_file_rows_over_real_come_last(judgments_text, write_judgments):
    found = labels(judgments_text(PAIRS, per_cell=4), write_judgments)

    assert found == ["zeta over alpha", "alpha over real", "zeta over real"]


def test_the_papers_rows_come_in_its_order_before_others_unless_declared():
    paper = Comparison("vgan-two-stream", "autoencoder-gmm")
    own = Comparison("a", "b")

    assert row_order([own, paper]) == [paper, own]
    assert row_order([own, paper], [Comparison("b", "a"), paper]) == [own, paper]


def test_the_database_gives_the_order_of_its_design(initialised_study, begin_and_answer):
    begin_and_answer(initialised_study.database)
    judgments = load_judgments(initialised_study.database.url)
    rows = [row.comparison.label for row in build_table(judgments).rows]

    assert rows == ["ours over theirs", "ours over real", "theirs over real"]


def test_progress_is_in_the_order_of_the_design(sqlite_database, study_toml, tmp_path):
    rows = '[["theirs", "real"], ["ours", "theirs"], ["ours", "real"]]'
    path = study_toml(
        ('[["ours", "theirs"], ["ours", "real"], ["theirs", "real"]]', rows),
        ("judgments_per_cell = 8", 'judgments_per_cell = 8\ncategories = ["golf", "beach"]'),
    )
    init_study(sqlite_database, load_study(path), LocalStore(tmp_path / "m"), tmp_path / "a")
    with sqlite_database.read() as session:
        cells = study_progress(session, find_study(session, None))

    assert [(cell.comparison.label, cell.category) for cell in cells] == [
        (row, category)
        for row in ("theirs over real", "ours over theirs", "ours over real")
        for category in ("golf", "beach")
    ]


@pytest.fixture
def begin_and_answer():
    from evaluation.simulate import simulate

    def run(database):
        simulate(database, None, workers=8, mix={"careful": 1}, seed=1)

    return run
