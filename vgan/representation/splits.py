"""Which videos are trained on: folds of groups, and shares of the labelled videos.

A group is what must not be split (in UCF101 the 25 videos shot in one go): a model that has seen a
group's background knows its test clips. Folds keep groups whole; shares are nested, so that more
labels always means the same ones and others.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from vgan.data.actions import ActionSet, ActionSplit, ActionVideo
from vgan.errors import UsageError

_ATTEMPTS = 100  # at dealing groups out, of which nearly always the first will do


def group_folds(actions: ActionSet, folds: int, seed: int = 0) -> tuple[ActionSplit, ...]:
    """Split by group into folds, each of which is the test set once.

    Args:
        actions: videos with their groups.
        folds: how many, at most the number of groups of the class with fewest.
        seed: of the order in which groups are dealt out.

    Returns:
        Splits `fold-1`, `fold-2`...; no group is in both halves of any, every class is.

    Raises:
        UsageError: too few groups for so many folds; the message names the class.
    """
    if folds < 2:
        raise UsageError(f"--folds {folds}: at least 2, to train on one part and test on another")
    by_class: dict[str, set[str]] = defaultdict(set)
    for video in actions.videos:
        by_class[video.label].add(video.group)
    label, fewest = min(by_class.items(), key=lambda item: (len(item[1]), item[0]))
    if len(fewest) < folds:
        raise UsageError(
            f"--folds {folds}: class {label!r} has only {len(fewest)} group"
            f"{'' if len(fewest) == 1 else 's'}; take fewer folds, or leave the class out"
        )
    dealt = _deal(actions, folds, seed)
    return tuple(
        ActionSplit(
            name=f"fold-{fold + 1}",
            train=tuple(v for v in actions.videos if dealt[v.group] != fold),
            test=tuple(v for v in actions.videos if dealt[v.group] == fold),
        )
        for fold in range(folds)
    )


def _deal(actions: ActionSet, folds: int, seed: int) -> dict[str, int]:
    """Give each group a fold so that every class is in every fold."""
    members: dict[str, list[str]] = defaultdict(list)
    for video in actions.videos:
        members[video.group].append(video.label)
    chance = np.random.default_rng(seed)
    for attempt in range(_ATTEMPTS):
        order = [sorted(members)[i] for i in chance.permutation(len(members))]
        if not attempt:
            # Groups of many videos first, so that the last ones can even the folds out.
            order.sort(key=lambda name: -len(members[name]))
        dealt, filled = _dealt_in_turn(order, members, folds)
        lacking = sorted(
            label for label in actions.classes for fold in range(folds) if not filled[fold, label]
        )
        if not lacking:
            return dealt
    raise UsageError(
        f"--folds {folds}: in {_ATTEMPTS} ways of dealing the groups out some class was in too few "
        f"folds (the last time {lacking[0]!r}); take fewer folds, or leave the class out"
    )


def _dealt_in_turn(
    order: list[str], members: Mapping[str, list[str]], folds: int
) -> tuple[dict[str, int], Counter[tuple[int, str]]]:
    """Give each group the fold that has fewest videos of its classes so far; count them."""
    filled: Counter[tuple[int, str]] = Counter()
    dealt: dict[str, int] = {}
    for name in order:
        loads = [sum(filled[fold, label] for label in members[name]) for fold in range(folds)]
        dealt[name] = int(np.argmin(loads))
        filled.update((dealt[name], label) for label in members[name])
    return dealt, filled


def take_share(split: ActionSplit, share: float, seed: int) -> tuple[ActionVideo, ...]:
    """Take a share of a split's training videos, the same share of each class.

    Args:
        split: whose training videos.
        share: in (0, 1]; at least one video of each class is taken.
        seed: of which come first. With the same seed a smaller share is part of a larger one.

    Raises:
        UsageError: the share is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise UsageError(f"--fraction {share:g}: the share of labelled videos is above 0, up to 1")
    if share == 1:
        return split.train
    by_class: dict[str, list[ActionVideo]] = defaultdict(list)
    for video in split.train:
        by_class[video.label].append(video)
    taken: set[str] = set()
    for label, videos in sorted(by_class.items()):
        # A stream of its own for each class: leaving a class out moves no other's choice.
        digest = hashlib.sha256(f"{seed} {split.name} {label}".encode()).digest()
        order = np.random.default_rng(int.from_bytes(digest[:8], "big")).permutation(len(videos))
        count = max(1, math.ceil(share * len(videos) - 1e-9))
        taken |= {videos[i].name for i in order[:count]}
    return tuple(video for video in split.train if video.name in taken)
