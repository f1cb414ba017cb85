"""Which workers stand out, and how their list is sorted, filtered and cut into pages."""

from datetime import UTC, datetime

from sqlalchemy import select

from evaluation import schema
from evaluation.database import find_study
from evaluation.simulate import simulate
from webapp.dashboard_workers import WorkerRow, worker_page, worker_rows

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def worker(name, **evidence):
    return WorkerRow(name, "local", schema.Environment.SANDBOX, 1, 1, START, **evidence)


def test_a_worker_stands_out_by_each_kind_of_evidence():
    assert worker("w", gold=5, gold_right=4).flags == ()
    assert worker("w", gold=5, gold_right=3).flags == ("gold",)
    assert worker("w", side_chance=0.001).flags == ()
    assert worker("w", side_chance=0.0009).flags == ("side-bias",)
    assert worker("w", answers=20, timed=10, fast=1).flags == ()
    assert worker("w", answers=20, timed=10, fast=2).flags == ("too-fast",)
    assert worker("w", repeats=3, same=0).flags == ()
    assert worker("w", repeats=4, same=1).flags == ("repeats",)


def test_fast_answers_are_told_by_the_loops_that_the_page_reports(initialised_study):
    simulate(initialised_study.database, None, workers=6, seed=1)
    sent = [{"loops": 0.4}, {"loops": 1}, {"loops": 3.5}, {}, {"loops": "many"}, {"loops": None}]
    with initialised_study.database.write() as session:
        judgments = session.scalars(select(schema.Judgment)).all()
        for i, judgment in enumerate(judgments):
            judgment.clip_ms = judgment.rt_ms + 2000  # the clips had run before this question
            judgment.details = sent[i % 6]
    with initialised_study.database.read() as session:
        rows = worker_rows(session, find_study(session, None), b"k" * 32)

    n = len(judgments)
    assert n > sum(row.answers for row in rows) > 0  # practice is timed, as in the rule
    assert sum(row.timed for row in rows) == sum(i % 6 < 3 for i in range(n))
    assert sum(row.fast for row in rows) == sum(i % 6 == 0 for i in range(n)) > 0


def test_workers_are_sorted_filtered_and_cut_into_pages():
    crowd = [worker(f"w-{i:02d}", judgments=i, gold=2, gold_right=i % 3) for i in range(60)]
    crowd.append(worker("w-none"))

    first = worker_page(crowd)
    assert (first.rows[0].worker, len(first.rows), first.pages) == ("w-59", 25, 3)
    assert worker_page(crowd, number=9).rows[-1].worker == "w-none"
    by_gold = worker_page(crowd, sort="gold", descending=False)
    assert by_gold.rows[0].gold_share == 0
    assert worker_page(crowd, sort="gold", descending=False, number=3).rows[-1].worker == "w-none"
    assert worker_page(crowd, search="w-1").found == 10
    assert worker_page(crowd, flagged=True).found == 40
    assert worker_page([], sort="nonsense").pages == 1
