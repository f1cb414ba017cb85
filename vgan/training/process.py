"""What a training run asks of its process: deterministic arithmetic, and a Ctrl-C that saves."""

import ctypes
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.deterministic

logger = logging.getLogger(__name__)

# A module whose attributes are properties, which its type stubs do not know.
deterministic: Any = torch.utils.deterministic


def make_first_calls() -> None:
    """Call the vector functions that networks and mixture use once, on one thread.

    When several threads make a process's first call of such a function of MKL together, some of
    them may run another version of it, which rounds differently: in 5 of 100 processes with two
    threads, an eighth of the first tanh differed in its last bits. From the second call on, all
    agree. Few numbers are not shared among threads.
    """
    for dtype in (torch.float32, torch.float64):
        few = torch.ones(8, dtype=dtype)
        for function in (torch.tanh, torch.exp, torch.log, torch.sqrt):
            function(few)


def keep_memory() -> None:
    """Let the process keep the memory it frees, for the next step to use.

    A step frees and allocates hundreds of megabytes in pieces of tens. The C library of Linux gives
    such pieces back to the system and asks for them again, which clears every page: 100,000 page
    faults, a third of a small step. Elsewhere, and where another allocator is loaded, nothing is
    done.
    """
    largest, trim_threshold, mmap_threshold = 2**31 - 1, -1, -3  # of mallopt(3)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or no dlopen of the process
        return
    mallopt(mmap_threshold, largest // 2)
    mallopt(trim_threshold, largest)


def keep_to_one_kernel() -> None:
    """Let a GPU work a convolution out by one kernel, which adds up in one order, from now on."""
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True


@contextmanager
def arithmetic(device: torch.device) -> Iterator[None]:
    """Choose deterministic arithmetic on a CPU, the fastest kernels on a GPU; undo it after.

    On a CPU the process also keeps its memory from now on.
    """
    cudnn = torch.backends.cudnn
    if device.type == "cuda":
        kept = cudnn.benchmark, cudnn.deterministic
        cudnn.benchmark, cudnn.deterministic = True, False
        try:
            yield
        finally:
            cudnn.benchmark, cudnn.deterministic = kept
        return
    make_first_calls()
    keep_memory()
    before = torch.are_deterministic_algorithms_enabled()
    fill = deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # Filling new memory is a debugging aid that every step would pay for.
    deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        deterministic.fill_uninitialized_memory = fill


@contextmanager
def ctrl_c() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a flag; a second one stops at once, and so does SIGTERM."""
    asked = False

    def remember(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        logger.info("finishing the step, then saving; press Ctrl-C again to stop at once")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # only the main thread may handle signals
        return
    before = signal.signal(signal.SIGINT, remember)
    # A process that waits for the others would hear a handler only when they have answered.
    term = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, term)
