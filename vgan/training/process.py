"""What a training run asks of its process: deterministic arithmetic, and a Ctrl-C that saves."""

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


@contextmanager
def arithmetic(device: torch.device) -> Iterator[None]:
    """Choose deterministic arithmetic on a CPU, the fastest kernels on a GPU; undo it after."""
    if device.type == "cuda":
        before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = True
        try:
            yield
        finally:
            torch.backends.cudnn.benchmark = before
        return
    before = torch.are_deterministic_algorithms_enabled()
    fill = deterministic.fill_uninitialized_memory
    # Saying the number, even the one it has, stops MKL from using fewer threads when the machine is
    # busy: tanh over other pieces of a tensor rounds differently, and runs would part.
    torch.set_num_threads(torch.get_num_threads())
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
    """Turn the first Ctrl-C into a flag; a second one stops at once."""
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
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
