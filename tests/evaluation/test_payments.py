"""Bonuses: each is paid once, and the ledger knows it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from evaluation import schema
from evaluation.crowd.base import CrowdError, CrowdUnreachable
from evaluation.errors import EvaluationError, UsageError
from evaluation.money.cancelling import Cancellation, cancel_bonuses
from evaluation.money.ledger import ledger, settle_reward
from evaluation.payments import declared_bonus, pay_bonuses
from evaluation.reviews import review
from evaluation.schema import CallState, PaymentKind

REASON = "For careful work"


def pay(crowded, crowd=None, *, cents=3, reason=REASON, **options):
    return pay_bonuses(
        crowded.database, None, crowd or crowded.crowd(), cents=cents, reason=reason,
        now=crowded.clock, **options,
    )  # fmt: skip


@pytest.fixture
def approved(crowded):
    """Three workers finished and were approved; one is still at work."""
    crowded.publish()
    first, second, _ = crowded.hits()
    for worker, hit in (("A1", first), ("A2", first), ("A3", second)):
        crowded.work(worker, hit)
    crowded.start("A4", first, crowded.accept("A4", first), showings=1)
    review(crowded.database, None, crowded.crowd(), now=crowded.clock)
    return crowded


def test_bonus_and_its_fee_are_paid_to_each_approved_assignment(approved):
    done = pay(approved)

    assert (done.bonuses, done.cents, done.fee_cents) == (3, 9, 3)
    assert approved.bonuses() == [
        ("A1", 3), ("A2", 3), ("A3", 3)
    ]  # fmt: skip
    assert approved.balance() == 1_000_000 - 3 * 12 - 3 * 4


def test_who_was_approved_in_the_other_environment_is_paid_no_bonus_here(approved):
    with approved.database.write() as session:
        one = session.scalars(select(schema.Assignment).order_by(schema.Assignment.id)).first()
        one.environment = schema.Environment.PRODUCTION

    assert pay(approved).bonuses == 2
    assert approved.bonuses() == [("A2", 3), ("A3", 3)]


def test_ledger_adds_up_to_what_left_the_account(approved):
    pay(approved)

    with approved.database.read() as session:
        lines = ledger(session, session.scalars(select(schema.Study)).one())
    assert {(line.kind, line.state): (line.payments, line.cents) for line in lines} == {
        (PaymentKind.REWARD, CallState.DONE): (3, 30),
        (PaymentKind.FEE, CallState.DONE): (6, 9),
        (PaymentKind.BONUS, CallState.DONE): (3, 9),
    }
    assert sum(line.cents for line in lines) == 1_000_000 - approved.balance()


def test_no_bonus_is_paid_for_an_approval_whose_call_is_not_known_to_be_done(crowded):
    crowded.publish()
    crowded.work("A1", crowded.hits()[0])
    with pytest.raises(CrowdUnreachable):  # three calls list what was handed in; this approves
        review(crowded.database, None, crowded.crowd(4, "fault"), now=crowded.clock)

    done = pay(crowded)

    assert [r.state for r in crowded.rows(schema.Review)] == [CallState.INTENDED]
    assert (done.approved, done.bonuses, crowded.bonuses()) == (0, 0, [])


def test_a_reward_that_comes_to_nothing_leaves_the_fee_of_a_bonus_that_was_paid(approved):
    pay(approved)
    with approved.database.write() as session:
        first = session.scalars(select(schema.Assignment).order_by(schema.Assignment.id)).first()
        settle_reward(session, first, approved.clock(), paid=False)

    failed = approved.rows(schema.Payment, schema.Payment.state == CallState.FAILED)
    assert [(row.kind, row.cents) for row in failed] == [
        (PaymentKind.REWARD, 10), (PaymentKind.FEE, 2)
    ]  # fmt: skip


def test_paying_again_pays_nobody(approved):
    pay(approved)
    crowd = approved.crowd()

    assert pay(approved, crowd).bonuses == 0
    assert crowd._calls.made == []
    assert len(approved.bonuses()) == 3


def test_another_amount_under_the_same_reason_says_who_has_had_what(approved):
    pay(approved)

    again = pay(approved, cents=5)

    assert (again.bonuses, again.approved, again.others) == (0, 3, {3: 3})
    assert len(approved.bonuses()) == 3


def test_another_reason_is_another_bonus(approved):
    pay(approved)

    assert pay(approved, reason="For coming back").bonuses == 3
    assert len(approved.bonuses()) == 6


def interrupted(approved, how="fault"):
    """Bonuses of 3 cents are written down; `lost` pays the first, and nobody knows it."""
    with pytest.raises(CrowdUnreachable):
        pay(approved, approved.crowd(3, how), cents=3)


def cancel(crowded, **options):
    return cancel_bonuses(
        crowded.database, None, crowded.crowd(), reason=REASON, now=crowded.clock, **options
    )


def bonuses_in_the_books(crowded):
    rows = crowded.rows(schema.Payment, schema.Payment.kind == PaymentKind.BONUS)
    return [(row.state, row.cents) for row in rows]


def test_another_amount_for_an_interrupted_bonus_is_refused_until_the_first_is_paid(approved):
    interrupted(approved)

    with pytest.raises(EvaluationError, match=r"of 0\.03 USD .* would be 0\.50; .* --cents 3`"):
        pay(approved, cents=50)
    assert approved.bonuses() == []

    assert pay(approved, cents=3).cents == 9
    assert pay(approved, cents=50).bonuses == 0
    assert {cents for _, cents in approved.bonuses()} == {3}


def test_an_amount_that_another_run_wrote_down_before_this_one_was_confirmed_is_refused(approved):
    with pytest.raises(EvaluationError, match=r"of 0\.03 USD .* would be 0\.50"):
        pay(approved, cents=50, confirm=lambda _: interrupted(approved) is None)

    assert approved.bonuses() == []


def test_bonuses_that_were_never_asked_for_are_taken_back_and_paid_ones_ticked_off(approved):
    interrupted(approved, "lost")

    assert cancel(approved, confirm=lambda plan: False) == Cancellation(2, 6, 1, 0)
    assert {state for state, _ in bonuses_in_the_books(approved)} == {CallState.INTENDED}
    assert cancel(approved, cents=4) == Cancellation(0, 0, 0, 0)
    cancel(approved)

    done, failed = (CallState.DONE, 3), (CallState.FAILED, 3)
    assert bonuses_in_the_books(approved) == [done, failed, failed]
    assert cancel(approved) == Cancellation(0, 0, 0, 0)
    assert pay(approved, cents=50).cents == 100
    assert approved.bonuses() == [("A1", 3), ("A2", 50), ("A3", 50)]
    with approved.database.read() as session:
        lines = ledger(session, session.scalars(select(schema.Study)).one())
    assert sum(line.cents for line in lines) == 1_000_000 - approved.balance()


def test_bonus_that_another_run_wrote_down_and_paid_meanwhile_is_not_taken_back(approved):
    interrupted(approved)
    with approved.database.write() as session:
        query = select(schema.Payment).where(schema.Payment.kind == PaymentKind.BONUS)
        session.scalars(query.order_by(schema.Payment.id)).first().state = CallState.FAILED

    cancel(approved, confirm=lambda _: interrupted(approved, "lost") is None)

    assert approved.bonuses() == [("A1", 3)]
    states = [state for state, _ in bonuses_in_the_books(approved)]
    assert states == [CallState.INTENDED, CallState.FAILED, CallState.FAILED]


def test_run_that_is_paying_leaves_out_what_is_taken_back_meanwhile(approved):
    crowd = approved.crowd()
    bonus = crowd.bonus

    def pay_one(*arguments):
        bonus(*arguments)
        cancel(approved)

    crowd.bonus = pay_one
    pay(approved, crowd)

    assert approved.bonuses() == [("A1", 3)]
    states = [state for state, _ in bonuses_in_the_books(approved)]
    assert states == [CallState.DONE, CallState.FAILED, CallState.FAILED]


def test_a_bonus_is_not_paid_twice_after_its_token_has_expired(approved):
    with pytest.raises(CrowdUnreachable):
        pay(approved, approved.crowd(3, "lost"))
    approved.clock.time += timedelta(hours=30)

    pay(approved)

    assert len(approved.bonuses()) == 3


def test_no_call_killed_anywhere_pays_twice(sqlite_database, recruit, crowd_on, walk):
    recruit(sqlite_database, trials=8)
    crowded = crowd_on(sqlite_database)
    crowded.publish()
    (hit,) = crowded.hits()
    for worker in ("A1", "A2"):
        crowded.work(worker, hit)
    review(crowded.database, None, crowded.crowd(), now=crowded.clock)

    calls = walk(crowded, lambda world, crowd: pay(world, crowd))

    assert len(calls) == 1 + 2 * 2  # the balance, then a look and a payment for each


@pytest.mark.parametrize("form", ["documented", "field"])
def test_a_lost_reply_that_boto3_repeats_pays_once(approved, no_pauses, form):
    approved.sandbox.configure(duplicate_error=form)
    approved.sandbox.inject("lost", "SendBonus", times=1)

    pay(approved, approved.crowd(attempts=4))

    assert len(approved.bonuses()) == 3
    payments = approved.rows(schema.Payment, schema.Payment.kind == PaymentKind.BONUS)
    assert {payment.state for payment in payments} == {CallState.DONE}


def test_too_little_money_is_said_before_anything_is_paid(approved):
    crowd = approved.crowd()
    crowd.balance_cents = lambda: 11

    with pytest.raises(CrowdError, match=r"cost 0\.12 USD and the account holds 0\.11"):
        pay(approved, crowd)

    assert approved.bonuses() == []
    assert approved.rows(schema.Payment, schema.Payment.kind == PaymentKind.BONUS) == []


@pytest.mark.parametrize(("cents", "reason"), [(0, "x"), (-1, "x"), (5, "  "), (5, "x" * 1001)])
def test_a_bonus_needs_an_amount_and_a_reason(approved, cents, reason):
    with pytest.raises(UsageError):
        pay(approved, cents=cents, reason=reason)


def test_bonus_of_the_study_file_is_the_default(approved):
    assert declared_bonus(approved.database, None) == 3


def test_a_study_without_a_bonus_says_what_to_give(approved):
    with approved.database.write() as session:
        study = session.scalars(select(schema.Study)).one()
        study.settings = study.settings | {"pay": study.settings["pay"] | {"bonus_cents": 0}}

    with pytest.raises(UsageError, match="give --cents"):
        declared_bonus(approved.database, None)


def test_nothing_is_paid_when_it_is_not_confirmed(approved):
    plan = pay(approved, confirm=lambda plan: False)

    assert plan.total_cents == 12
    assert approved.bonuses() == []
