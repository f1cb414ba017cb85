"""Fees, cost and feasibility against figures worked out by hand."""

import pytest

from evaluation.budget import check_pay, check_workers, crowd_fee_cents, fee_cents, plan_cost
from evaluation.errors import UsageError
from evaluation.study import Pay, Session, Workers

FEES = [  # reward, assignments of its HIT, fee
    (1, 1, 1), (1, 100, 1), (2, 1, 1), (12, 1, 2), (13, 1, 3), (10, 9, 2), (10, 10, 4), (250, 1, 50)
]  # fmt: skip


@pytest.mark.parametrize(("cents", "assignments", "fee"), FEES)
def test_the_fee_is_a_fifth_or_two_fifths_halves_up_and_never_under_a_cent(cents, assignments, fee):
    assert fee_cents(cents, assignments) == fee


def test_masters_cost_five_percent_more():
    assert fee_cents(100, 1, masters=True) == 25


def test_13000_one_cent_hits_cost_260_dollars_and_ten_to_a_hit_156():
    single = plan_cost(13_000, Session(trials=1), Pay(reward_cents=1), "mturk")
    tens = plan_cost(13_000, Session(trials=10), Pay(reward_cents=10), "mturk")

    assert (single.reward_cents, single.fee_cents, single.total_cents) == (13_000, 13_000, 26_000)
    assert (tens.reward_cents, tens.fee_cents, tens.total_cents) == (13_000, 2_600, 15_600)


def test_the_hourly_rate_follows_the_expected_minutes():
    cost = plan_cost(45, Session(trials=20), Pay(reward_cents=50, expected_minutes=4), "link")

    assert (cost.sessions, cost.hourly_cents, cost.fee_cents) == (3, 750, 0)


def test_bonuses_have_a_fee_of_their_own():
    cost = plan_cost(20, Session(trials=20), Pay(reward_cents=100, bonus_cents=5), "mturk")

    assert (cost.bonus_cents, cost.fee_cents) == (5, 21)


def test_prolific_takes_a_third_rounded_up():
    assert crowd_fee_cents("prolific", 850) == 284


def test_pay_under_prolifics_minimum_says_what_to_write():
    with pytest.raises(UsageError, match=r"under prolific's 8\.00 USD an hour; write at least 67"):
        check_pay(Pay(reward_cents=66, expected_minutes=5), "prolific")
    check_pay(Pay(reward_cents=67, expected_minutes=5), "prolific")


@pytest.mark.parametrize(
    ("pay", "crowd", "message"),
    [
        (Pay(), "mturk", "reward_cents is 0"),
        (Pay(), "prolific", "reward_cents is 0"),
        (Pay(reward_cents=9, currency="EUR"), "mturk", "pays in USD"),
        (Pay(reward_cents=999, currency="EUR"), "prolific", "pays in USD or GBP"),
    ],
)
def test_pay_that_a_crowd_does_not_take_is_refused(pay, crowd, message):
    with pytest.raises(UsageError, match=message):
        check_pay(pay, crowd)


def test_free_local_ratings_are_fine():
    check_pay(Pay(), "local")
    check_workers([0] * 1000, Session(), Workers())


def test_too_few_workers_are_told_both_numbers_that_would_do():
    with pytest.raises(UsageError, match=r"workers to 7, or sessions_per_worker to 3") as caught:
        check_workers(range(130), Session(trials=10), Workers(workers=5, sessions_per_worker=2))
    assert "give at most 100 judgments" in str(caught.value)
    check_workers(range(130), Session(trials=10), Workers(workers=7, sessions_per_worker=2))


def test_a_pair_with_more_trials_than_workers_is_refused():
    shown = [0] * 6 + [1] * 2
    with pytest.raises(UsageError, match=r"one pair has 6 trials, .* raise .* workers to 6"):
        check_workers(shown, Session(trials=10), Workers(workers=5))
    check_workers(shown, Session(trials=10), Workers(workers=6))
