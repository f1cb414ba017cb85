"""Where videos are cut: in this process, in one process per core, or on a Dask cluster.

All three are `concurrent.futures` executors, and `run_all` is the one loop over them. Ctrl-C and
SIGTERM end it, and this machine's processes with it; they end too when this one is killed.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from vgan.errors import UsageError, VganError
from vgan.signals import sigterm_as_ctrl_c

Task = TypeVar("Task")
Result = TypeVar("Result")

_CLUSTER_QUEUE = 1000  # tasks handed to a cluster at once
_CLUSTER_PATIENCE = "10s"  # for its scheduler to answer


class WorkerError(VganError):
    """A worker process died; what is done is kept."""


class _InlineExecutor(Executor):
    """Runs a task at once, here; it can be debugged, and a test can reach into it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run the task; what it raises is kept in the future, Ctrl-C is not."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the future's reader gets it
            future.set_exception(error)
        return future


@dataclass(frozen=True)
class Workers:
    """An executor and how many tasks it is given ahead.

    Args:
        executor: runs tasks.
        ahead: tasks that wait or run at any time, so that a million are not queued at once.
    """

    executor: Executor
    ahead: int


@contextmanager
def open_workers(workers: int, scheduler: str | None = None) -> Iterator[Workers]:
    """Open an executor.

    Args:
        workers: processes; 1 works in this one.
        scheduler: address of a Dask scheduler, such as `tcp://10.0.0.1:8786`, whose workers see
            the same folders; `workers` then counts for nothing.

    Raises:
        UsageError: no scheduler answers there, or `distributed` is not installed.
        WorkerError: while it is open, a process died.
    """
    with sigterm_as_ctrl_c():
        if scheduler is not None:
            with _dask(scheduler) as opened:
                yield opened
        elif workers <= 1:
            yield Workers(_InlineExecutor(), 1)
        else:
            with _processes(workers) as opened:
                yield opened


@contextmanager
def _processes(workers: int) -> Iterator[Workers]:
    # Nothing is ever sent through the lifeline. Its end is seen when this process closes it or is
    # no more, on every system.
    reader, lifeline = Pipe(duplex=False)
    # Spawned, not forked: the caller may hold threads (torch, a progress bar).
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_hold_on, initargs=(reader,)
    )
    with reader, lifeline, pool:
        try:
            yield Workers(pool, 2 * workers)
        except BrokenProcessPool:
            raise WorkerError(
                "a worker process was killed (out of memory?); run again to go on, with fewer "
                "--workers"
            ) from None
        except KeyboardInterrupt:
            lifeline.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _hold_on(reader: Connection) -> None:
    """In a worker: end at once when the lifeline does. Ctrl-C is the first process's to hear."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        with suppress(EOFError, OSError):
            reader.recv()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _dask(scheduler: str) -> Iterator[Workers]:
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise UsageError(
            "--scheduler needs dask.distributed: install the extra `dask` (pip install "
            "'vgan-eval[dask]')"
        ) from None
    try:
        client = distributed.Client(scheduler, timeout=_CLUSTER_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"--scheduler {scheduler}: no Dask scheduler answers ({error})") from None
    with client:
        try:
            yield Workers(client.get_executor(), _CLUSTER_QUEUE)
        except distributed.KilledWorker as error:
            raise WorkerError(
                f"Dask gave up on a task whose workers died one after the other ({error}); run "
                "again to go on"
            ) from None


def map_in_threads(
    function: Callable[[Task], Result], tasks: Sequence[Task], at_once: int
) -> Iterator[Result]:
    """Yield what a function makes of each task, in their order; on all cores of this process.

    Args:
        function: works outside Python's lock, as FFmpeg does.
        tasks: its argument, one each.
        at_once: tasks whose results may be in memory together.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(tasks), at_once):
            yield from pool.map(function, tasks[start : start + at_once])


def run_all(
    workers: Workers, function: Callable[[Task], Result], tasks: Iterable[Task]
) -> Iterator[Result]:
    """Run a function on every task; yield what it returns, in the order the tasks end.

    Args:
        workers: where.
        function: importable by name, for other processes.
        tasks: its argument, one each.

    Raises:
        Exception: the first that a task raises; tasks not yet begun are given up.
    """
    left = iter(tasks)
    running = {workers.executor.submit(function, t) for t in islice(left, workers.ahead)}
    try:
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
            running |= {workers.executor.submit(function, t) for t in islice(left, len(done))}
    finally:
        for future in running:
            future.cancel()
