"""Who withdrew, or was forgotten, is paid once like everybody, and stays gone.

The platform goes on listing their assignments, whatever is taken away here.
"""

from datetime import timedelta

import pytest
from sqlalchemy import inspect, select, text, update

from evaluation import schema
from evaluation.crowd.base import CrowdUnreachable
from evaluation.forgetting import forget
from evaluation.money.ledger import ledger
from evaluation.money.policy import Policy
from evaluation.payments import pay_bonuses
from evaluation.reviews import review
from evaluation.sessions.closing import return_session
from evaluation.withdrawing import withdraw

KEY = b"k" * 32
ANN, BEN = "A1ANNANNANN", "A2BENBENBEN"


def reviewed(crowded):
    return review(crowded.database, None, crowded.crowd(), now=crowded.clock)


def pay(crowded):
    return pay_bonuses(
        crowded.database, None, crowded.crowd(), cents=3, reason="Thanks", now=crowded.clock
    )


def paid(crowded):
    pay(crowded)
    return crowded.bonuses()


def books(crowded):
    with crowded.database.read() as session:
        return ledger(session, session.scalars(select(schema.Study)).one())


def everything(crowded):
    """Every value in the study's database, as one text."""
    with crowded.database.read() as session:
        tables = inspect(session.get_bind()).get_table_names()
        return str([session.execute(text(f"SELECT * FROM {t}")).all() for t in tables])


def withdrawn(crowded):
    return withdraw(crowded.database, ANN, key=KEY, now=crowded.clock)


def forgotten(crowded):
    crowded.clock.time += timedelta(days=20)
    return forget(crowded.database, key=KEY, older_than_days=10, now=crowded.clock)


@pytest.fixture
def approved(crowded):
    """Ann and Ben finished a session each and were approved."""
    crowded.publish()
    hit = crowded.hits()[0]
    for worker in (ANN, BEN):
        crowded.work(worker, hit)
    reviewed(crowded)
    return crowded


@pytest.mark.parametrize("goes", [withdrawn, forgotten])
def test_review_knows_who_is_gone_and_books_nothing_again(approved, goes):
    bonuses = paid(approved)
    before = books(approved)
    goes(approved)

    again = reviewed(approved)

    assert (again.approve, again.noted, again.already) == (0, 0, 2)
    assert ANN not in everything(approved)
    assert books(approved) == before
    assert paid(approved) == bonuses == [(ANN, 3), (BEN, 3)]


def test_who_comes_back_is_reviewed_and_forgotten_again(sqlite_database, recruit, crowd_on):
    recruit(sqlite_database, sessions_per_worker=2)
    crowded = crowd_on(sqlite_database)

    for _ in range(2):
        crowded.publish()
        crowded.work(ANN, crowded.hits()[-1])
        assert reviewed(crowded).approve == 1
        assert forgotten(crowded).people == 1
        assert ANN not in everything(crowded)


def test_others_are_paid_their_bonus_when_somebody_is_gone(approved):
    withdrawn(approved)
    plan = pay(approved)

    assert (plan.bonuses, plan.approved, plan.gone) == (1, 1, 1)
    assert paid(approved) == [(BEN, 3)]
    assert {payment.state for payment in approved.rows(schema.Payment)} == {"done"}


def test_bonuses_of_forgotten_people_stop_nobody(approved):
    forgotten(approved)

    assert paid(approved) == []


def test_who_withdraws_before_the_review_is_paid_once_and_then_gone(crowded):
    crowded.publish()
    crowded.work(ANN, crowded.hits()[0])
    withdrawn(crowded)
    assert ANN in everything(crowded)  # nobody could pay them without

    assert reviewed(crowded).approve == 1
    withdrawn(crowded)

    assert reviewed(crowded).already == 1
    assert ANN not in everything(crowded)
    assert crowded.balance() == 1_000_000 - 12


@pytest.mark.parametrize("goes", [withdrawn, forgotten])
def test_rejections_reversed_after_people_are_gone_are_booked_once(crowded, goes):
    crowded.publish()
    hit = crowded.hits()[0]
    for worker in (ANN, BEN):
        assignment = crowded.accept(worker, hit)
        crowded.start(worker, hit, assignment, showings=1)
        crowded.submit(assignment)
    refused = Policy(reject_unfinished=True, reason="You did not answer every pair.")
    review(crowded.database, None, crowded.crowd(), refused, now=crowded.clock)
    ids = [crowded.by_worker()[worker].external_id for worker in (ANN, BEN)]
    goes(crowded)

    for number, assignment in enumerate(ids, 1):
        client = crowded.crowd()._calls._client
        client.approve_assignment(AssignmentId=assignment, OverrideRejection=True)
        done = review(
            crowded.database, None, crowded.crowd(), now=crowded.clock,
            confirm=lambda _: reviewed(crowded).noted == 1,  # another run is first
        )  # fmt: skip

        assert (done.approve, done.noted, done.already) == (0, 1, 1)
        assert reviewed(crowded).already == 2
        spent = sum(line.cents for line in books(crowded) if line.state == "done")
        assert spent == 1_000_000 - crowded.balance() == number * 12
    assert ANN not in everything(crowded)


def test_decision_that_an_earlier_version_did_not_keep_is_settled(approved):
    withdrawn(approved)
    with approved.database.write() as session:
        event = session.scalars(
            select(schema.Event).where(schema.Event.kind == "settled sessions")
        ).one()
        event.details = {"digests": list(event.details["digests"])}

    assert reviewed(approved).already == 2


@pytest.mark.parametrize("goes", [withdrawn, forgotten])
def test_only_a_bonus_that_is_not_settled_is_named_to_who_takes_ids_away(approved, goes):
    paid(approved)
    crowd = approved.crowd()
    crowd.bonus = lambda *_: (_ for _ in ()).throw(CrowdUnreachable("no answer"))
    for reason in ("Taken back", "More"):
        with pytest.raises(CrowdUnreachable):
            pay_bonuses(approved.database, None, crowd, cents=3, reason=reason, now=approved.clock)
    with approved.database.write() as session:
        taken_back = update(schema.Payment).where(schema.Payment.reason.contains("Taken back"))
        session.execute(taken_back.values(state=schema.CallState.FAILED))

    kept = goes(approved)

    assert kept.owed == (1 if goes is withdrawn else 2)
    assert kept.bonuses == ((3, "More"),)
    assert ANN in everything(approved)


def test_who_never_handed_in_is_named_by_review_until_they_are_forgotten(crowded):
    crowded.publish()
    hit = crowded.hits()[0]
    assignment = crowded.accept(ANN, hit)
    crowded.start(ANN, hit, assignment)
    crowded.clock.time = crowded.rows(schema.Hit)[0].expires_at + timedelta(hours=3)

    assert reviewed(crowded).unlisted == ((ANN, assignment, 4, 4),)
    assert forgotten(crowded).people == 1
    assert reviewed(crowded).unlisted == ()


def test_who_finished_after_the_last_review_is_owed_until_the_next_one(crowded):
    crowded.publish()
    hit = crowded.hits()[0]
    crowded.start(ANN, hit, crowded.accept(ANN, hit))
    crowded.clock.time = crowded.rows(schema.Hit)[0].expires_at + timedelta(hours=3)
    reviewed(crowded)
    with crowded.database.write() as session:
        one = session.scalars(select(schema.Assignment)).one()
        one.submitted_at = crowded.clock() + timedelta(hours=1)

    assert (forgotten(crowded).people, ANN in everything(crowded)) == (0, True)
    reviewed(crowded)
    assert (forgotten(crowded).people, ANN in everything(crowded)) == (1, False)


def test_session_given_back_here_and_handed_in_there_is_left_for_a_person_to_look_at(crowded):
    crowded.publish()
    hit = crowded.hits()[0]
    assignment = crowded.accept(ANN, hit)
    crowded.start(ANN, hit, assignment, showings=1)
    with crowded.database.write() as session:
        return_session(session, session.scalars(select(schema.Assignment)).one())
    crowded.submit(assignment)

    done = reviewed(crowded)

    assert (done.approve, done.undecided) == (0, ((ANN, assignment, 1, 4),))
    assert crowded.rows(schema.Payment) == []
