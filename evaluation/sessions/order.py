"""The order of one session, and its own trials: practice, gold, identical pairs and repeats (pure).

Test trials come from the plan. The others are made when the session starts, from the study's pool
of pairs, with a random side; a repeat shows one of the session's test pairs again, sides swapped.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from evaluation.schema import Side, TrialKind

REPEAT_GAP = 4  # trials between a pair and its repeat, where the session is long enough


@dataclass(frozen=True)
class SessionTrial:
    """One place of a session.

    Args:
        kind: what it is for.
        pair_id: the pair shown.
        a_is_left: whether the pair's clip A is on the left.
        trial_id: of a test trial, which exists already; None: still to be made.
        correct: the side that gold and practice trials expect.
        repeat_of: id of the test trial that a repeat shows again.
    """

    kind: TrialKind
    pair_id: int
    a_is_left: bool
    trial_id: int | None = None
    correct: Side | None = None
    repeat_of: int | None = None


def opposite(side: Side) -> Side:
    """Return the other side of the screen."""
    return Side.RIGHT if side is Side.LEFT else Side.LEFT


def draw_from_pool(
    pool: Sequence[SessionTrial], wanted: int, taken: set[int], rng: random.Random
) -> list[SessionTrial]:
    """Draw patterns at random, each with a random side.

    Args:
        pool: patterns of one kind.
        wanted: how many; fewer come back when the pool is short.
        taken: pairs of this session so far; the drawn ones are added.
        rng: source of chance.
    """
    drawn: list[SessionTrial] = []
    for pattern in rng.sample(pool, len(pool)):
        if len(drawn) == wanted:
            break
        if pattern.pair_id in taken:
            continue
        taken.add(pattern.pair_id)
        drawn.append(_swapped(pattern) if rng.random() < 0.5 else pattern)
    return drawn


def _swapped(trial: SessionTrial) -> SessionTrial:
    correct = opposite(trial.correct) if trial.correct else None
    return replace(trial, a_is_left=not trial.a_is_left, correct=correct)


def arrange(
    practice: Sequence[SessionTrial],
    others: Sequence[SessionTrial],
    repeats: int,
    rng: random.Random,
) -> list[SessionTrial]:
    """Return a session in the order it is shown: practice first, the others shuffled.

    Each repeat comes at least `REPEAT_GAP` trials after its original, or as many as a shorter
    session allows; a session of one or two trials has no repeat, which would follow at once.
    """
    shuffled = rng.sample(others, len(others))
    gap = min(REPEAT_GAP, len(shuffled) - 2)
    if gap < 1:
        return [*practice, *shuffled]
    early = [
        index
        for index, trial in enumerate(shuffled[: len(shuffled) - gap])
        if trial.kind is TrialKind.TEST
    ]
    after: dict[int, list[SessionTrial]] = {}
    for index in rng.sample(early, min(repeats, len(early))):
        original = shuffled[index]
        repeat = replace(
            _swapped(original), kind=TrialKind.REPEAT, trial_id=None, repeat_of=original.trial_id
        )
        after.setdefault(rng.randrange(index + gap, len(shuffled)), []).append(repeat)
    ordered = list(practice)
    for index, trial in enumerate(shuffled):
        ordered += [trial, *after.get(index, [])]
    return ordered
