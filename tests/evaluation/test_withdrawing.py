"""A person who withdraws is gone, their trials are open again, and the ledger is as it was."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, inspect, select, text

from evaluation.allocation import finish_session, get_worker, local_hit, next_showing, start_session
from evaluation.errors import EvaluationError, UsageError
from evaluation.export import judgment_rows, session_rows
from evaluation.judgments import Answer, record_judgment
from evaluation.money.ledger import intend_reward, ledger, settle_reward
from evaluation.planning.progress import study_progress
from evaluation.privacy.pseudonyms import pseudonym, unlinkable_pseudonym
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    Base,
    CallState,
    Consent,
    Environment,
    Event,
    EventKind,
    Hit,
    Judgment,
    Review,
    ReviewDecision,
    Showing,
    Study,
    Trial,
    TrialKind,
    Worker,
)
from evaluation.sessions.consents import note_consent
from evaluation.withdrawing import Withdrawal, withdraw

ROOT = Path(__file__).parents[2]
START = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
# Where the two databases cannot differ.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LATER = START + timedelta(hours=3)
KEY = b"k" * 32
WHO = "A1WITHDRAWS9"
SESSION = {"trials": 4, "practice": 1, "gold": 1, "repeats": 1}


def dump(database):
    """Every value of every table, as one text."""
    with database.read() as session:
        tables = inspect(session.get_bind()).get_table_names()
        return "\n".join(
            str(tuple(row))
            for table in tables
            for row in session.execute(text(f"SELECT * FROM {table}"))
        )


@pytest.fixture
def rated(database, plan_study, answer_all):
    """Two people who finished a session each, under ids of a platform; WHO is approved and paid."""

    def make(*, reward=10, settled=True, crowd="local", study="study"):
        planned = plan_study(database, name=study, session=SESSION, questions=("realism", "motion"))
        with database.write() as unit:
            for worker in (WHO, "B2STAYS"):
                hit = local_hit(unit, planned, crowd, Environment.SANDBOX, START)
                hit.reward_cents = reward
                person = get_worker(unit, crowd, Environment.SANDBOX, worker, START)
                person.details = {"barred": [f"group of {worker}"]}
                one = start_session(
                    unit, planned, hit=hit, worker=person, now=START,
                    external_id=f"SUBMISSION-{worker}" + ("" if study == "study" else f"-{study}"),
                )  # fmt: skip
                answer_all(unit, one)
                one.environment_details = {"user_agent": f"browser of {worker}"}
                one.survey = {"note": f"I am {worker}"}
                note_consent(unit, one, "1", "I agree.", START)
                finish_session(unit, one, START + timedelta(minutes=5))
                if settled:
                    unit.add(
                        Review(
                            assignment_id=one.id, number=1, decision=ReviewDecision.APPROVE,
                            reason=f"Thank you, {worker}.", state=CallState.DONE, created_at=START,
                        )
                    )  # fmt: skip
                    intend_reward(unit, planned, one, START)
                    settle_reward(unit, one, START, paid=True)
            unit.add(
                Event(
                    study_id=planned.id,
                    kind=EventKind.PUBLISH,
                    details={"to": [WHO]},
                    created_at=START,
                )
            )
        return planned

    return make


def counts(database, study):
    with database.read() as session:
        return [
            sum(cell.counted for cell in study_progress(session, study)),
            session.scalar(select(func.count(Judgment.id))),
            session.scalar(select(func.count()).where(Trial.free, Trial.kind == TrialKind.TEST)),
        ]


def test_a_withdrawn_person_is_nowhere_and_the_ledger_is_unchanged(database, rated):
    study = rated()
    with database.read() as session:
        before = ledger(session, study)
    assert counts(database, study) == [16, 28, 8]

    done = withdraw(database, WHO, key=KEY, now=lambda: LATER)

    assert done == Withdrawal(people=1, sessions=1, judgments=14, trials=4, payments=2, owed=0)
    assert counts(database, study) == [8, 14, 12]
    with database.read() as session:
        assert ledger(session, study) == before
        assert sum(line.cents for line in before) == 20
        # The other person's consent, and their practice, gold and repeat.
        assert session.scalar(select(func.count(Consent.id))) == 1
        assert session.scalar(select(func.count()).where(Trial.number >= 1000)) == 3
    everything = dump(database)
    assert WHO not in everything
    assert "browser of B2STAYS" in everything


@on_sqlite
def test_nothing_of_them_is_exported_and_the_event_names_nobody(database, rated):
    study = rated()

    withdraw(database, WHO, key=KEY, now=lambda: LATER)

    with database.read() as session:
        rows = list(judgment_rows(session, study, key=KEY, all_judgments=True))
        assert {row["worker"] for row in rows} == {
            pseudonym(KEY, "worker", "local", "sandbox", "B2STAYS")
        }
        assert len(list(session_rows(session, study, key=KEY, survey=True))) == 1
        event = session.scalars(select(Event).where(Event.kind == "withdrawal")).one()
        assert event.details == {"sessions": 1, "judgments": 14, "trials": 4}


@on_sqlite
def test_no_times_of_theirs_are_left(database, rated):
    study = rated()

    withdraw(database, WHO, key=KEY, now=lambda: LATER)

    with database.read() as session:
        stone = session.scalars(
            select(Assignment).where(Assignment.status == AssignmentStatus.WITHDRAWN)
        ).one()
        assert {stone.accepted_at, stone.lease_until} == {study.created_at}
        assert (stone.submitted_at, stone.completion_code, stone.survey) == (None, "", {})
        assert stone.nonce is None
        assert (
            session.scalars(select(Showing).where(Showing.worker_id == stone.worker_id)).all() == []
        )


@on_sqlite
def test_others_can_judge_the_trials_again(database, rated, begin, answer_all):
    study = rated()
    withdraw(database, WHO, key=KEY)

    with database.write() as unit:
        for name in ("C", "D", "E"):
            answer_all(unit, begin(unit, unit.get_one(Study, study.id), name, name))

    assert counts(database, study)[0] == 32


@on_sqlite
def test_a_dry_run_counts_and_changes_nothing(database, rated):
    rated()
    before = dump(database)

    planned = withdraw(database, WHO, key=KEY, dry_run=True)

    assert planned.judgments == 14
    assert dump(database) == before


@on_sqlite
def test_withdrawing_again_finds_nobody_and_changes_nothing(database, rated):
    rated()
    withdraw(database, WHO, key=KEY)
    before = dump(database)

    assert withdraw(database, WHO, key=KEY) == Withdrawal()
    assert dump(database) == before


@on_sqlite
@pytest.mark.parametrize("unlinkable", [False, True])
def test_a_pseudonym_of_an_export_names_the_person(database, rated, unlinkable):
    study = rated()
    identity = ("worker", "local", "sandbox", WHO)
    name = unlinkable_pseudonym(KEY, study, *identity) if unlinkable else pseudonym(KEY, *identity)

    assert withdraw(database, name, key=KEY).judgments == 14
    assert WHO not in dump(database)


def test_what_is_not_paid_keeps_its_ids_until_it_is(database, rated):
    study = rated(settled=False)

    first = withdraw(database, WHO, key=KEY)

    assert (first.judgments, first.owed) == (14, 1)
    assert counts(database, study) == [8, 14, 12]
    with database.write() as unit:
        owed = unit.scalars(
            select(Assignment).where(Assignment.external_id == f"SUBMISSION-{WHO}")
        ).one()
        assert owed.worker.external_id == WHO
        assert f"browser of {WHO}" not in dump(database)
        unit.add(
            Review(
                assignment_id=owed.id, number=1, decision=ReviewDecision.APPROVE, reason="Thanks.",
                state=CallState.DONE, created_at=START,
            )
        )  # fmt: skip
    assert withdraw(database, WHO, key=KEY).owed == 0
    assert WHO not in dump(database)
    with database.read() as session:
        kinds = session.scalars(select(Event.kind).order_by(Event.id)).all()
    assert kinds.count("withdrawal") == 1


@on_sqlite
def test_an_id_on_two_crowds_is_two_people(database, rated):
    rated()
    rated(crowd="mturk", study="other")

    with pytest.raises(UsageError, match=r"--crowd: local, mturk"):
        withdraw(database, WHO, key=KEY)
    assert withdraw(database, WHO, key=KEY, crowd="mturk").people == 1
    assert withdraw(database, WHO, key=KEY).people == 1


def test_one_study_of_two_leaves_the_other(database, rated):
    study = rated()
    other = rated(study="other")

    done = withdraw(database, WHO, key=KEY, study_name="other")

    assert done.sessions == 1
    assert counts(database, study)[0] == 16
    assert counts(database, other)[0] == 8
    with database.read() as session:
        worker = session.scalars(select(Worker).where(Worker.external_id == WHO)).one()
        left = session.scalars(select(Assignment).where(Assignment.worker_id == worker.id)).all()
    assert [one.study_id for one in left] == [study.id]


def test_a_session_in_the_middle_is_shut_and_stores_nothing_more(database, plan_study, begin):
    study = plan_study(database, session=SESSION)
    with database.write() as unit:
        assignment = begin(unit, study, WHO)
        showings = unit.scalars(
            select(Showing.id).where(Showing.assignment_id == assignment.id)
        ).all()
    barrier = threading.Barrier(len(showings) + 1)

    def answer(showing):
        barrier.wait(timeout=30)
        try:
            with database.write() as unit:
                mine = unit.get_one(Assignment, assignment.id)
                record_judgment(unit, mine, showing, Answer("realism", "left", 1, 1, START))
        except EvaluationError:
            return "refused"
        return "stored"

    def leave(_):
        barrier.wait(timeout=30)
        return withdraw(database, WHO, key=KEY)

    with ThreadPoolExecutor(len(showings) + 1) as pool:
        left = pool.submit(leave, None)
        answers = list(pool.map(answer, showings))
    assert left.result().judgments == answers.count("stored")

    assert counts(database, study) == [0, 0, 16]
    with database.read() as session:
        stone = session.get_one(Assignment, assignment.id)
        assert stone.status is AssignmentStatus.WITHDRAWN
        assert next_showing(session, stone) is None
    assert WHO not in dump(database)


def test_sqlite_overwrites_what_is_deleted(
    sqlite_database, plan_study, begin, answer_all, tmp_path
):
    study = plan_study(sqlite_database)
    with sqlite_database.write() as unit:
        assignment = begin(unit, study, WHO)
        assignment.survey = {"note": "a secret of theirs " * 400}
        answer_all(unit, assignment)

    withdraw(sqlite_database, WHO, key=KEY)
    sqlite_database.close()

    files = b"".join(path.read_bytes() for path in tmp_path.glob("*.db*"))
    assert WHO.encode() not in files
    assert b"a secret of theirs" not in files


@on_sqlite
def test_ids_in_notes_about_hits_go_too(database, rated):
    rated()
    with database.write() as unit:
        hit = unit.scalars(select(Hit)).first()
        hit.details = {"lines": [f"SUBMISSION-{WHO},1.50"], WHO: 1, "other": "B2STAYS"}

    withdraw(database, WHO, key=KEY)

    with database.read() as session:
        hit = session.scalars(select(Hit)).first()
        assert hit.details == {"lines": ["withdrawn,1.50"], "withdrawn": 1, "other": "B2STAYS"}


def test_every_table_about_people_is_on_the_privacy_page():
    about = {"worker"}
    for _ in Base.metadata.tables:  # until nothing more refers to one of them
        about |= {
            table.name
            for table in Base.metadata.tables.values()
            if {key.column.table.name for key in table.foreign_keys} & about
        }
    page = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?`) \|", page, re.M)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert about >= {"assignment", "showing", "judgment", "consent", "review", "payment"}
    assert about - told == set()
    assert told <= set(Base.metadata.tables)
