"""Work on many clips at once, on all cores, and say how far it is."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

Progress = Callable[[str, int, int], None]  # the stage, how many are done, and of how many


def silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""


def in_threads(
    work: Callable[[T], R], items: Iterable[T], stage: str, progress: Progress
) -> list[R]:
    """Run work over items on all cores: decoding and encoding leave Python's lock.

    Returns:
        The results in the order of the items; of several errors the first item's is raised.
    """
    todo = list(items)
    results = []
    pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
    try:
        progress(stage, 0, len(todo))
        for done, result in enumerate(pool.map(work, todo), start=1):
            results.append(result)
            progress(stage, done, len(todo))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return results
