"""After the time that a study file says, ids are gone and pseudonyms are what they were."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import inspect, select, text

from evaluation.allocation import finish_session
from evaluation.cli import main
from evaluation.errors import UsageError
from evaluation.export import judgment_rows, session_rows
from evaluation.forgetting import Forgotten, forget
from evaluation.privacy.pseudonyms import forgotten_id, is_forgotten, pseudonym
from evaluation.schema import Assignment, Study, Worker
from evaluation.withdrawing import withdraw

START = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
# Where the two databases cannot differ.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
KEY = b"k" * 32
WHO = "A1LONGAGO99"


def days(n):
    return lambda: START + timedelta(days=n)


@pytest.fixture
def rated(database, plan_study, begin, answer_all):
    study = plan_study(database)
    with database.write() as unit:
        one = begin(unit, study, WHO, f"SUBMISSION-{WHO}")
        answer_all(unit, one)
        one.environment_details = {
            "user_agent": "Browser 9",
            "languages": "de",
            "device": "desktop",
        }
        unit.flush()
        finish_session(unit, one, START)
    return study


def exported(database, study, **options):
    with database.read() as session:
        rows = list(judgment_rows(session, study, key=KEY, **options))
        return rows + list(session_rows(session, study, key=KEY, **options))


def test_ids_go_and_the_export_stays_the_same(database, rated):
    before = exported(database, rated)

    done = forget(database, key=KEY, older_than_days=30, now=days(31))

    assert done == Forgotten(people=1, owed=0)
    assert exported(database, rated) == before
    with database.read() as session:
        tables = inspect(session.get_bind()).get_table_names()
        everything = str([session.execute(text(f"SELECT * FROM {t}")).all() for t in tables])
        assert session.scalars(select(Assignment.environment_details)).one() == {
            "device": "desktop"
        }
        assert session.scalars(select(Assignment.nonce)).one() is None  # it gave the code
    assert WHO not in everything
    assert "Browser 9" not in everything


@on_sqlite
def test_an_unlinkable_export_stays_the_same_and_does_not_carry_the_installations_pseudonym(
    database, rated
):
    name = pseudonym(KEY, "worker", "local", "sandbox", WHO)
    before = exported(database, rated, unlinkable=True)
    forget(database, key=KEY, older_than_days=30, now=days(31))

    rows = exported(database, rated, unlinkable=True)

    assert rows == before
    assert len({row["worker"] for row in rows}) == 1
    assert name not in str(rows)


@on_sqlite
@pytest.mark.parametrize("unlinkable", [False, True])
def test_a_forgotten_person_can_still_withdraw_by_pseudonym(database, rated, unlinkable):
    name = exported(database, rated, unlinkable=unlinkable)[0]["worker"]
    forget(database, key=KEY, older_than_days=30, now=days(31))

    assert withdraw(database, name, key=KEY).judgments == 4
    assert exported(database, rated) == []


@on_sqlite
@pytest.mark.parametrize("comes_back", [False, True])
def test_a_forgotten_person_can_still_withdraw_by_the_id_that_they_know(
    database, rated, begin, answer_all, comes_back
):
    forget(database, key=KEY, older_than_days=30, now=days(31))
    if comes_back:
        with database.write() as unit:
            answer_all(unit, begin(unit, rated, WHO, "SUBMISSION-2"))

    done = withdraw(database, WHO, key=KEY)

    assert (done.people, done.judgments) == ((2, 8) if comes_back else (1, 4))
    assert exported(database, rated) == []
    assert withdraw(database, WHO, key=KEY).people == 0


@on_sqlite
def test_who_comes_back_is_forgotten_again_and_exports_name_one_person(
    database, rated, begin, answer_all
):
    forget(database, key=KEY, older_than_days=30, now=days(31))
    with database.write() as unit:
        again = begin(unit, rated, WHO, "SUBMISSION-2", now=START + timedelta(days=40))
        answer_all(unit, again)
        finish_session(unit, again, START + timedelta(days=40))
    before = exported(database, rated)

    assert forget(database, key=KEY, older_than_days=30, now=days(80), dry_run=True).people == 1
    assert forget(database, key=KEY, older_than_days=30, now=days(80)).people == 1
    assert forget(database, key=KEY, older_than_days=30, now=days(80)).people == 0

    assert exported(database, rated) == before
    assert {row["worker"] for row in before} == {pseudonym(KEY, "worker", "local", "sandbox", WHO)}
    assert withdraw(database, before[0]["worker"], key=KEY).judgments == 8


@on_sqlite
def test_it_waits_for_the_time_and_changes_nothing_twice(database, rated):
    assert forget(database, key=KEY, older_than_days=30, now=days(29)).people == 0
    assert forget(database, key=KEY, older_than_days=30, now=days(31), dry_run=True).people == 1
    assert forget(database, key=KEY, older_than_days=30, now=days(31)).people == 1
    assert forget(database, key=KEY, older_than_days=30, now=days(31)).people == 0


@on_sqlite
def test_the_study_file_says_how_long(database, rated):
    with pytest.raises(UsageError, match="retention_days under \\[study\\]"):
        forget(database, key=KEY, now=days(400))
    with database.write() as unit:
        study = unit.get_one(Study, rated.id)
        study.settings = {**study.settings, "retention_days": 90}

    assert forget(database, key=KEY, now=days(89)).people == 0
    assert forget(database, key=KEY, now=days(91)).people == 1


@on_sqlite
def test_who_also_took_part_in_a_study_that_keeps_ids_for_ever_is_counted_and_it_is_named(
    database, rated, plan_study, begin, capsys
):
    other = plan_study(database, name="other")
    with database.write() as unit:
        begin(unit, other, WHO, "SUBMISSION-2")
        study = unit.get_one(Study, rated.id)
        study.settings = {**study.settings, "retention_days": 90}

    done = forget(database, key=KEY, now=days(400))

    assert done == Forgotten(0, 0, kept=1, keepers=("other",))
    assert forget(database, key=KEY, now=days(89)).kept == 0  # not due anyway
    assert main(["forget", "--db", database.url]) == 0
    assert "1 person took part in other too, without retention_days" in capsys.readouterr().out
    assert forget(database, key=KEY, older_than_days=90, now=days(400)).people == 1


@on_sqlite
def test_who_is_still_to_be_paid_is_kept(database, rated):
    with database.write() as unit:
        unit.scalars(select(Assignment)).one().hit.reward_cents = 10

    assert forget(database, key=KEY, older_than_days=1, now=days(9)) == Forgotten(0, 1)
    with database.read() as session:
        assert session.scalars(select(Worker.external_id)).all() == [WHO]


def test_a_forgotten_id_carries_its_pseudonym_for_its_own_key_only():
    kept = forgotten_id(KEY, "worker", "mturk", "production", "A1", row=7)
    of_earlier_versions = kept.removesuffix("~7")

    assert is_forgotten(kept)
    assert is_forgotten(of_earlier_versions)
    assert not is_forgotten("A1")
    for one in (kept, of_earlier_versions):
        assert pseudonym(KEY, "worker", "mturk", "production", one) == pseudonym(
            KEY, "worker", "mturk", "production", "A1"
        )
    assert pseudonym(b"x" * 32, "worker", "mturk", "production", kept)[2:] not in kept
