"""Pools of pairs that sessions draw their checks from; see `evaluation.plan`. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from typing import TypeVar

from evaluation.errors import UsageError
from evaluation.plan import Clips, PlannedPair, generator
from evaluation.schema import TrialKind

T = TypeVar("T")


def in_turn(stacks: Mapping[tuple[str, ...], Sequence[T]], seed: int) -> Iterator[T]:
    """Yield one of every stack, each shuffled by the chance of its names, then one more of each."""
    orders = ((stack, generator(seed, *names)) for names, stack in stacks.items())
    shuffled = [[stack[i] for i in rng.permutation(len(stack)).tolist()] for stack, rng in orders]
    for lap in zip_longest(*shuffled):
        yield from (one for one in lap if one is not None)


def split_pool(
    pairs: Sequence[PlannedPair], needs: Mapping[TrialKind, int], seed: int, where: str
) -> list[tuple[TrialKind, PlannedPair]]:
    """Share out pairs with a known answer between gold and practice, as they need them.

    Args:
        pairs: all there are.
        needs: how many pairs of each kind one worker may meet, over all their sessions.
        seed: of the study.
        where: the setting the pairs come from, for the message.

    Returns:
        Every pair with its kind; each kind has at least what it needs.

    Raises:
        UsageError: there are too few pairs; the message names the counts.
    """
    total = sum(needs.values())
    if len(pairs) < total:
        detail = " + ".join(f"{n} {kind.value}" for kind, n in needs.items() if n)
        raise UsageError(
            f"{where} gives {len(pairs)} pairs, but one worker may need {total} ({detail}, over "
            "all sessions per worker); add pairs, or lower [session] gold and practice"
        )
    order = generator(seed, "pool", where).permutation(len(pairs)).tolist()
    kinds: list[TrialKind] = []
    for kind, n in needs.items():
        share = len(pairs) * n // total if total else 0
        kinds += [kind] * max(n, share)
    wanted = list(zip(kinds, order, strict=False))
    return [(kind, pairs[i]) for kind, i in sorted(wanted, key=lambda entry: entry[1])]


def identical_pairs(
    clips: Clips, sources: Iterable[str], need: int, seed: int
) -> list[PlannedPair]:
    """Pair clips with themselves, drawn evenly over the cells of sources and categories.

    Args:
        clips: see `plan_trials`.
        sources: those that are compared.
        need: how many one worker may meet; four times as many are made where clips allow.
        seed: of the study.

    Raises:
        UsageError: there are fewer clips than needed.
    """
    wanted = set(sources)
    stacks: dict[tuple[str, ...], list[PlannedPair]] = {
        ("identical", source, category): [
            PlannedPair(source, source, category, clip.name, clip.name, clip.item) for clip in held
        ]
        for (source, category), held in clips.items()
        if source in wanted
    }
    drawn = list(islice(in_turn(stacks, seed), 4 * need))
    if len(drawn) < need:
        raise UsageError(
            f"[session] identical: one worker may need {need} clips over all sessions, the study "
            f"has {len(drawn)}; lower it"
        )
    return drawn
