"""Measure methods on tasks: what `vgan represent` does, one line of results at a time."""

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from vgan.data.actions import ActionSet, open_action_set
from vgan.errors import UsageError
from vgan.representation.protocol import ActionData, Method, Task, mark
from vgan.representation.results import Record, Results
from vgan.representation.splits import group_folds, take_share
from vgan.representation.windows import open_windows

logger = logging.getLogger(__name__)

CACHE_NAME = "cache"


@dataclass(frozen=True)
class Plan:
    """Which tasks are done.

    Args:
        fractions: shares of the labelled training videos.
        seeds: of each task.
        splits: names of the splits to take; empty takes all.
    """

    fractions: tuple[float, ...] = (1.0,)
    seeds: tuple[int, ...] = (0,)
    splits: tuple[str, ...] = ()


def open_actions(
    folder: Path, lists: Path | None, folds: int | None, group_pattern: str | None = None
) -> ActionSet:
    """Open an action set with its own splits, or with folds of its groups.

    Args:
        folder: of class folders.
        lists: split files; None looks for them in the folder.
        folds: how many folds to make instead; None takes the splits there are.
        group_pattern: regular expression that finds a video's group in its name; None takes
            UCF101's names.

    Raises:
        DataError: videos or lists cannot be used; the message names file and line.
        UsageError: too few groups for so many folds, or the pattern is none.
    """
    actions = open_action_set(
        folder, lists, group_pattern=group_pattern, check_splits=folds is None
    )
    for note in actions.notes:
        logger.warning("%s", note)
    if folds is None:
        return actions
    return ActionSet(actions.classes, actions.videos, group_folds(actions, folds))


def open_data(actions: ActionSet, out: Path, device: torch.device) -> ActionData:
    """Decode an action set's windows, or open them where that was done before.

    Args:
        actions: videos, classes and splits.
        out: folder of the results; the cache is inside.
        device: where networks run.

    Raises:
        DataError: a video cannot be read, or the results file is damaged.
        UsageError: the folder holds results of other videos, labels or splits.
    """
    cache = out / CACHE_NAME
    windows = open_windows(actions.videos, cache)
    if windows.padded:
        logger.warning(
            "%d videos are shorter than 32 frames and hold their last one: %s",
            len(windows.padded), ", ".join(windows.padded[:5]),
        )  # fmt: skip
    number = {label: i for i, label in enumerate(actions.classes)}
    labels = np.asarray([number[video.label] for video in actions.videos], np.int64)
    data = ActionData(actions, windows, labels, cache, device)
    Results(out, _fingerprint(data))  # those of other data are refused before a VGAN is trained
    return data


def tasks(actions: ActionSet, plan: Plan) -> Iterator[Task]:
    """Yield every task of a plan, split by split.

    Raises:
        UsageError: no split of that name.
    """
    known = {split.name: split for split in actions.splits}
    for name in plan.splits:
        if name not in known:
            raise UsageError(f"--split {name}: no such split; there are {', '.join(known)}")
    number = {video.name: i for i, video in enumerate(actions.videos)}
    for name in plan.splits or tuple(known):
        for fraction in plan.fractions:
            for seed in plan.seeds:
                split = known[name]
                train = tuple(number[v.name] for v in take_share(split, fraction, seed))
                test = tuple(number[v.name] for v in split.test)
                yield Task(name, fraction, seed, train, test)


def measure(data: ActionData, methods: Sequence[Method], plan: Plan, out: Path) -> Iterator[Record]:
    """Do every task that has no result yet, and yield all their results in order.

    Args:
        data: from `open_data`.
        methods: from `build_methods`.
        plan: which tasks.
        out: folder of `results.jsonl`; a task found in it is not done again.

    Raises:
        UsageError: the folder holds results of other data or settings.
        DataError: its results file is damaged or cannot be written.
    """
    results = Results(out, _fingerprint(data))
    todo = [(method, task) for method in methods for task in tasks(data.actions, plan)]
    with tqdm(total=len(todo), desc="tasks", unit="task") as bar:
        for method, task in todo:
            bar.set_postfix_str(f"{method.name}, split {task.split}, {task.share:g} of the labels")
            settings = method.settings()
            record = results.done(method.name, task.split, task.share, task.seed, settings)
            if record is None:
                record = _measured(method, task, data, results.data)
                results.add(record)
            bar.update()
            yield record


def _measured(method: Method, task: Task, data: ActionData, fingerprint: str) -> Record:
    """Do one task."""
    begun = time.perf_counter()
    prediction = method.predict(data, task)
    seconds = time.perf_counter() - begun
    groups = [data.actions.videos[v].group for v in task.test]
    marks = mark(prediction, data.labels[list(task.test)].tolist(), groups, data.classes)
    return Record(
        method=method.name,
        split=task.split,
        fraction=task.share,
        seed=task.seed,
        accuracy=marks.accuracy,
        single_window_accuracy=marks.single_window,
        per_class=marks.per_class,
        confusion=marks.confusion,
        classes=list(data.classes),
        groups={group: list(tally) for group, tally in marks.groups.items()},
        train_videos=len(task.train),
        test_videos=len(task.test),
        parameters=prediction.parameters,
        seconds=round(seconds, 3),
        settings=method.settings(),
        data=fingerprint,
    )


def _fingerprint(data: ActionData) -> str:
    """Name videos, what is in their files, labels, groups and splits."""
    digest = hashlib.sha256()
    for video, content in zip(data.actions.videos, data.windows.contents, strict=True):
        digest.update(f"{video.name} {content} {video.label} {video.group}\n".encode())
    for split in data.actions.splits:
        for half, videos in (("train", split.train), ("test", split.test)):
            listed = " ".join(video.name for video in videos)
            digest.update(f"{split.name} {half}: {listed}\n".encode())
    return digest.hexdigest()[:16]
