"""Where a study asks several questions, gold and practice pairs may answer only some of them."""

import pytest
from sqlalchemy import select

from analysis.exclusions import exclude, parse_rules
from analysis.load import load_judgments
from evaluation.allocation import next_showing
from evaluation.export import export_study
from evaluation.judgments import record_judgment
from evaluation.privacy.pseudonyms import database_key
from evaluation.schema import Trial
from evaluation.sessions.answers import Answer
from evaluation.simulate import simulate
from evaluation.study import Gold
from webapp.dashboard_workers import worker_rows

QUESTIONS = ("realism", "calm")


@pytest.fixture
def asked(database, plan_study):
    """A study with gold and practice pairs that have a right answer to its first question only."""
    return plan_study(
        database,
        session={"trials": 4, "practice": 1, "gold": 3},
        sessions_per_worker=1,
        questions=QUESTIONS,
        gold=Gold(auto="noise", source="a", questions=QUESTIONS[:1]),
    )


def test_practice_is_silent_on_a_question_that_its_pair_does_not_answer(database, asked, begin):
    with database.write() as unit:
        assignment = begin(unit, asked, "w")
        showing = next_showing(unit, assignment)
        right = unit.scalar(select(Trial.correct).where(Trial.id == showing.trial_id))
        now = assignment.accepted_at
        told = [
            record_judgment(
                unit, assignment, showing.id, Answer(question, right.value, 1.0, 1.0, now)
            )
            for question in QUESTIONS
        ]

    assert [one.correct for one in told] == [True, None]


def test_whoever_misses_gold_is_left_out_of_the_tables_of_all_questions(database, asked, tmp_path):
    simulate(database, None, workers=6, mix={"careful": 0.5, "side-biased": 0.5}, seed=1)
    export_study(database, None, tmp_path, key=database_key(database))
    for place in ({"db": database.url}, {"file": tmp_path / "judgments.csv"}):
        judgments = {name: load_judgments(**place, question=name) for name in QUESTIONS}
        kept = {
            name: set(exclude(one, parse_rules(["gold"]))[0]["worker"])
            for name, one in judgments.items()
        }
        tests = {n: one[one["trial_kind"] == "test"] for n, one in judgments.items()}

        assert kept["realism"] == kept["calm"]
        assert 0 < len(kept["calm"]) < judgments["calm"]["worker"].nunique()
        assert [set(tests[name]["question"]) for name in QUESTIONS] == [{"realism"}, {"calm"}]
        assert len(tests["realism"]) == len(tests["calm"]) == 16
        assert judgments["calm"].attrs["question"] == "calm"
        assert judgments["calm"].attrs["notes"] == [
            "gold trials count by the answers to realism, as none is right for calm"
        ]
        assert judgments["realism"].attrs["notes"] == []


def test_the_dashboard_counts_the_answers_that_can_be_right(database, asked):
    simulate(database, None, workers=4, mix={"random": 1}, seed=1)
    with database.read() as session:
        rows = worker_rows(session, asked, database_key(database))
    judgments = load_judgments(database.url, question="realism")
    gold = judgments[judgments["trial_kind"] == "gold"]

    assert {row.gold for row in rows} == {3}
    assert sum(row.gold_right for row in rows) == sum(gold["choice"] == gold["correct_choice"])
