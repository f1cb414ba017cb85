"""What a study costs, and whether the stated workers can fill it. Pure, in whole cents.

Source:
    Amazon's last price list for `mturk`; Prolific's help pages for `prolific` (a third on top of
    rewards and bonuses for academics, before tax).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from evaluation.crowd.terms import Fee, terms_of
from evaluation.errors import UsageError
from evaluation.quantities import quantity
from evaluation.study import Pay, Session, Workers

SMALL_HIT = 9  # assignments; from the tenth on Amazon took twice the fee


def fee_cents(cents: int, assignments: int = 1, *, masters: bool = False) -> int:
    """Return Mechanical Turk's fee for one assignment, or for one bonus.

    Args:
        cents: the reward or bonus, >= 0.
        assignments: of the HIT as it was created; 1 for a bonus.
        masters: whether the HIT asks for the Masters qualification.

    Returns:
        20 % of it, 20 % more of a reward in HITs of ten and more assignments, 5 % more for
        Masters; halves rounded up; at least one cent.

    >>> fee_cents(1), fee_cents(10, 9), fee_cents(10, 10), fee_cents(13)
    (1, 2, 4, 3)
    """
    percent = 20 + (20 if assignments > SMALL_HIT else 0) + (5 if masters else 0)
    return max(1, (cents * percent + 50) // 100)


def crowd_fee_cents(crowd: str, cents: int) -> int:
    """Return what a crowd charges on top of one reward or bonus, in HITs small enough.

    >>> crowd_fee_cents("prolific", 100), crowd_fee_cents("link", 100)
    (34, 0)
    """
    match terms_of(crowd).fee:
        case Fee.AMAZON:
            return fee_cents(cents)
        case Fee.THIRD:
            return -(-cents // 3)
        case Fee.NONE:
            return 0


class PairUse(NamedTuple):
    """How many test trials there are, of how many pairs, and how many the pair with most has."""

    trials: int
    pairs: int
    most: int

    @classmethod
    def of(cls, counts: Iterable[int]) -> "PairUse":
        """Sum up the numbers of trials of all pairs, each at least 1.

        >>> PairUse.of([20, 20, 2])
        PairUse(trials=42, pairs=3, most=20)
        """
        counts = list(counts)
        return cls(sum(counts), len(counts), max(counts, default=0))


class Filling(NamedTuple):
    """How many sessions hold all trials, and how many trials each of them but the last has."""

    sessions: int
    trials: int


def worker_trials(use: PairUse, trials: int, sessions_per_worker: int) -> int:
    """Return how many test trials one worker can give in all: of every pair one at most."""
    return min(trials * sessions_per_worker, use.pairs)


def filling(use: PairUse, trials: int, sessions_per_worker: int) -> Filling:
    """Return how many sessions it takes to show all trials, each pair once to a worker.

    The sessions of a worker who has seen every pair are short. With several sessions for each
    worker, everybody is taken to do all of them, so that every worker's last one may be short.

    Args:
        use: of the trials to show.
        trials: that a session has at most.
        sessions_per_worker: how many each may do.

    Returns:
        The fewest sessions, if all trials are dealt out evenly. In a real study the last few
        people may find trials of pairs that they have seen, and leave some for others.

    >>> filling(PairUse(160, 8, 20), 20, 1), filling(PairUse(45, 45, 1), 20, 1)
    (Filling(sessions=20, trials=8), Filling(sessions=3, trials=20))
    """
    if not use.trials:
        return Filling(0, trials)
    seen = worker_trials(use, trials, sessions_per_worker)
    sessions = max(ceil(use.trials * ceil(seen / trials) / seen), use.most)
    is_full = sessions == ceil(use.trials / trials)
    return Filling(sessions, trials if is_full else use.trials // sessions)


def short_sessions(use: PairUse, session: Session, workers: Workers) -> tuple[str, ...]:
    """Return a warning where most sessions would be short, as there are too few pairs."""
    sessions, trials = filling(use, session.trials, workers.sessions_per_worker)
    if trials == session.trials:
        return ()
    return (
        f"nobody sees a pair twice, so a session will have about {trials} test trials, not "
        f"{session.trials}, at full pay: {sessions:,} sessions instead of "
        f"{ceil(use.trials / session.trials):,}; lower [session] trials to {trials}, or add clips",
    )


@dataclass(frozen=True)
class Cost:
    """What filling a plan costs, but for sessions that are added because the last are short.

    Args:
        sessions: how many sessions hold the plan's test trials.
        reward_cents: of all sessions.
        bonus_cents: of all sessions, when everybody earns it.
        fee_cents: the crowd's, on both; before tax.
        hourly_cents: what a worker earns in an hour of expected_minutes sessions, unrounded.
        currency: ISO 4217.
    """

    sessions: int
    reward_cents: int
    bonus_cents: int
    fee_cents: int
    hourly_cents: float
    currency: str

    @property
    def total_cents(self) -> int:
        """All of it together."""
        return self.reward_cents + self.bonus_cents + self.fee_cents


def plan_cost(use: PairUse, session: Session, workers: Workers, pay: Pay, crowd: str) -> Cost:
    """Return the cost of collecting a judgment of every test trial on a crowd."""
    sessions = filling(use, session.trials, workers.sessions_per_worker).sessions
    fee = crowd_fee_cents(crowd, pay.reward_cents) if pay.reward_cents else 0
    bonus_fee = crowd_fee_cents(crowd, pay.bonus_cents) if pay.bonus_cents else 0
    return Cost(
        sessions=sessions,
        reward_cents=sessions * pay.reward_cents,
        bonus_cents=sessions * pay.bonus_cents,
        fee_cents=sessions * (fee + bonus_fee),
        hourly_cents=pay.reward_cents * 60 / pay.expected_minutes,
        currency=pay.currency,
    )


def prolific_minutes(minutes: float) -> int:
    """Return how long a session is expected to take as Prolific is told: in whole minutes.

    >>> prolific_minutes(5), prolific_minutes(5.2), prolific_minutes(0.4)
    (5, 6, 1)
    """
    return max(1, ceil(minutes))


def check_pay(pay: Pay, crowd: str) -> None:
    """Refuse pay that the crowd would not accept.

    Raises:
        UsageError: no reward on a paid crowd, a currency it does not pay in, or less than its
            hourly minimum; the message says what to write.
    """
    hourly_minimum = terms_of(crowd).hourly_minimum
    if not hourly_minimum:
        return
    if pay.reward_cents < 1:
        raise UsageError(f"[pay] reward_cents is 0, but {crowd} pays its workers; write a reward")
    if pay.currency not in hourly_minimum:
        known = " or ".join(hourly_minimum)
        raise UsageError(f"[pay] currency is {pay.currency}, but {crowd} pays in {known}")
    least = hourly_minimum[pay.currency]
    minutes = prolific_minutes(pay.expected_minutes)
    if pay.reward_cents * 60 < least * minutes:
        raise UsageError(
            f"[pay] reward_cents = {pay.reward_cents} for {minutes} whole minutes is under "
            f"{crowd}'s {least / 100:.2f} {pay.currency} an hour; write at least "
            f"{ceil(least * minutes / 60)}"
        )


def check_workers(use: PairUse, session: Session, w: Workers) -> None:
    """Refuse a plan that the stated workers cannot fill.

    Dealing the trials out pair by pair, in turn to all workers, shows that two conditions are
    enough: there are places for all trials, and no pair has more trials than there are workers
    (a worker never sees a pair twice).

    Args:
        use: of all test trials.
        session: how many test trials a session has.
        w: how many workers, and sessions each; nothing is checked without a number of workers.

    Raises:
        UsageError: the message says which number to raise.
    """
    if w.workers is None:
        return
    needed = least_workers(use, session, w)
    if use.most > w.workers:
        raise UsageError(
            f"one pair has {use.most} trials, but a worker never sees a pair twice and there are "
            f"{w.workers} workers: raise [workers] workers to {needed}, or add clips"
        )
    if needed > w.workers:
        places = w.workers * w.sessions_per_worker * session.trials
        raise UsageError(
            f"{w.workers} workers give at most {places} judgments ("
            f"{quantity(w.sessions_per_worker, 'session')} each, of "
            f"{quantity(session.trials, 'trial')}), the plan has {use.trials}: raise "
            f"[workers] workers to {needed}, or sessions_per_worker to "
            f"{ceil(use.trials / (w.workers * session.trials))}"
        )


def least_workers(use: PairUse, session: Session, w: Workers) -> int:
    """Return how many workers can fill a plan; at least one trial."""
    each = worker_trials(use, session.trials, w.sessions_per_worker)
    return max(ceil(use.trials / each), use.most)
