"""Progress counts what is planned, counted and leased; starved trials are named."""

from datetime import UTC, datetime, timedelta

from evaluation.allocation import expire_leases, return_session
from evaluation.planning.progress import CellProgress, starved_trials, study_progress

START = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
AFTER_LEASE = START + timedelta(minutes=36)


def test_each_cell_and_question_is_counted(database, plan_study, begin, answer_all):
    study = plan_study(
        database,
        cells={("b", "a", "golf"): 6, ("a", "c", "beach"): 2},
        session={"trials": 4, "practice": 1, "gold": 1, "repeats": 1},
        questions=("realism", "motion"),
    )
    with database.write() as unit:
        answer_all(unit, begin(unit, study, "w1"), choice="left")
        begin(unit, study, "w2")

    with database.read() as unit:
        progress = study_progress(unit, study)

    # Two laps of the plan serve each cell twice, so the second session takes golf alone.
    assert progress == [
        CellProgress("b", "a", "golf", "realism", 6, 2, 4),
        CellProgress("b", "a", "golf", "motion", 6, 2, 4),
        CellProgress("a", "c", "beach", "realism", 2, 2, 0),
        CellProgress("a", "c", "beach", "motion", 2, 2, 0),
    ]


def test_a_trial_that_is_always_given_back_is_starved(database, plan_study, begin, answer_all):
    study = plan_study(database, cells={("a", "b", "golf"): 4})
    with database.write() as unit:
        for i in range(3):
            assignment = begin(unit, study, f"w{i}")
            if i == 2:
                answer_all(unit, assignment, showings=1)
            else:
                return_session(unit, assignment)
        assert starved_trials(unit, study) == []  # under a live lease, there is still hope
    with database.write() as unit:
        begin(unit, study, "w3", now=AFTER_LEASE)
        begin(unit, study, "w4", now=AFTER_LEASE + timedelta(hours=1))
        assert starved_trials(unit, study) == []
    with database.write() as unit:
        expire_leases(unit, study, AFTER_LEASE + timedelta(hours=3))
        starved = starved_trials(unit, study)

    assert [(s.source_a, s.source_b, s.category, s.leases) for s in starved] == [
        ("a", "b", "golf", 5)
    ] * 3
