"""Fees, cost and feasibility against figures worked out by hand."""

import pytest

from evaluation.budget import (
    PairUse,
    check_pay,
    check_workers,
    crowd_fee_cents,
    fee_cents,
    filling,
    plan_cost,
    short_sessions,
)
from evaluation.errors import UsageError
from evaluation.study import Pay, Session, Workers

FEES = [  # reward, assignments of its HIT, fee
    (1, 1, 1), (1, 100, 1), (2, 1, 1), (12, 1, 2), (13, 1, 3), (10, 9, 2), (10, 10, 4), (250, 1, 50)
]  # fmt: skip


def fresh(trials):
    """So many trials, each of a pair of its own."""
    return PairUse(trials, trials, 1)


def cost_of(trials, per_session, pay, crowd):
    return plan_cost(fresh(trials), Session(trials=per_session), Workers(), pay, crowd)


@pytest.mark.parametrize(("cents", "assignments", "fee"), FEES)
def test_the_fee_is_a_fifth_or_two_fifths_halves_up_and_never_under_a_cent(cents, assignments, fee):
    assert fee_cents(cents, assignments) == fee


def test_masters_cost_five_percent_more():
    assert fee_cents(100, 1, masters=True) == 25


def test_13000_one_cent_hits_cost_260_dollars_and_ten_to_a_hit_156():
    single = cost_of(13_000, 1, Pay(reward_cents=1), "mturk")
    tens = cost_of(13_000, 10, Pay(reward_cents=10), "mturk")

    assert (single.reward_cents, single.fee_cents, single.total_cents) == (13_000, 13_000, 26_000)
    assert (tens.reward_cents, tens.fee_cents, tens.total_cents) == (13_000, 2_600, 15_600)


def test_the_hourly_rate_follows_the_expected_minutes():
    cost = cost_of(45, 20, Pay(reward_cents=50, expected_minutes=4), "link")

    assert (cost.sessions, cost.hourly_cents, cost.fee_cents) == (3, 750, 0)


def test_bonuses_have_a_fee_of_their_own():
    cost = cost_of(20, 20, Pay(reward_cents=100, bonus_cents=5), "mturk")

    assert (cost.bonus_cents, cost.fee_cents) == (5, 21)


def test_prolific_takes_a_third_rounded_up():
    assert crowd_fee_cents("prolific", 850) == 284


def test_pay_under_prolifics_minimum_says_what_to_write():
    with pytest.raises(UsageError, match=r"under prolific's 8\.00 USD an hour; write at least 67"):
        check_pay(Pay(reward_cents=66, expected_minutes=5), "prolific")
    check_pay(Pay(reward_cents=67, expected_minutes=5), "prolific")


def test_prolific_counts_the_minutes_that_a_session_takes_as_whole_ones():
    with pytest.raises(UsageError, match=r"79 for 6 whole minutes is .* write at least 80"):
        check_pay(Pay(reward_cents=79, expected_minutes=5.2), "prolific")
    check_pay(Pay(reward_cents=80, expected_minutes=5.2), "prolific")


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
    check_workers(PairUse.of([1000]), Session(), Workers())


def test_too_few_workers_are_told_both_numbers_that_would_do():
    with pytest.raises(UsageError, match=r"workers to 7, or sessions_per_worker to 3") as caught:
        check_workers(fresh(130), Session(trials=10), Workers(workers=5, sessions_per_worker=2))
    assert "give at most 100 judgments" in str(caught.value)
    check_workers(fresh(130), Session(trials=10), Workers(workers=7, sessions_per_worker=2))


def test_a_pair_with_more_trials_than_workers_is_refused():
    use = PairUse.of([6, 2])
    with pytest.raises(UsageError, match=r"one pair has 6 trials, .* raise .* workers to 6"):
        check_workers(use, Session(trials=10), Workers(workers=5))
    check_workers(use, Session(trials=10), Workers(workers=6))


FILLED = [  # trials of every pair, trials of a session, sessions of a worker; how many it takes
    ([20] * 8, 20, 1, (20, 8)),  # eight pairs: nobody can be shown more
    ([1] * 144, 12, 1, (12, 12)),
    ([1] * 45, 20, 1, (3, 20)),
    ([20] * 8 + [1] * 160, 20, 1, (20, 16)),  # no more than one of a pair to each person
    ([20] * 8, 5, 2, (40, 4)),  # everybody sees five pairs, and in a second session three
    ([2] * 41, 20, 3, (6, 13)),  # two people with sessions of 20, 20 and 1
    ([1] * 500, 20, 1000, (25, 20)),  # one rater may do it all
    ([], 20, 1, (0, 20)),
]


@pytest.mark.parametrize(("counts", "trials", "per_worker", "expected"), FILLED)
def test_a_plan_takes_as_many_sessions_as_people_who_see_no_pair_twice_need(
    counts, trials, per_worker, expected
):
    assert filling(PairUse.of(counts), trials, per_worker) == expected


def test_sessions_that_would_be_short_are_priced_and_warned_of():
    use, session = PairUse.of([20] * 8), Session(trials=20)
    (warning,) = short_sessions(use, session, Workers())

    assert plan_cost(use, session, Workers(), Pay(reward_cents=200), "link").total_cents == 4000
    assert "8 test trials, not 20, at full pay: 20 sessions instead of 8" in warning
    assert "lower [session] trials to 8" in warning
    assert not short_sessions(use, Session(trials=8), Workers())


def test_workers_who_see_every_pair_are_told_how_many_more_it_takes():
    use = PairUse.of([20] * 8)
    with pytest.raises(UsageError, match=r"raise \[workers\] workers to 20, or add clips"):
        check_workers(use, Session(trials=20), Workers(workers=8, sessions_per_worker=2))
    check_workers(use, Session(trials=20), Workers(workers=20))
