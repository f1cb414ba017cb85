"""Feed a training step: the clips of the next batch are gathered while it works on this one.

What is drawn is decided by the run's own random state, at the moment a batch is taken, as without
any of this. What is gathered ahead is what a copy of that state draws next; a checkpoint in
between therefore never sees a draw that has not been trained on.
"""

import copy
import logging
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vgan.data.dataset import ClipDataset

logger = logging.getLogger(__name__)

_SHARE_OF_MEMORY = 0.5  # of a GPU's free memory that clips may take up
_COPIERS = 4  # threads; more do not read memory faster
_WORTH_SHARING = 16  # clips


class Feed:
    """The batches of a run, in order. Use it as a context: it holds threads.

    On a GPU whose memory holds the clips they stay there, as uint8, and a batch is picked out on
    the device; otherwise batches go through two pinned buffers, and no step waits for its copy.

    Args:
        dataset: drawn from, with replacement.
        batch_size: clips drawn for each batch.
        rng: of the draws; moved on by `take` only.
        rows: which of those drawn are this process's; all when None.
        device: of the batches.
        resident: whether the clips are kept on the device; where they fit when None.
        on_card: processes that work on this GPU, each of which keeps its own copy.
    """

    def __init__(
        self,
        dataset: ClipDataset,
        batch_size: int,
        rng: np.random.Generator,
        rows: slice | None = None,
        device: torch.device | None = None,
        resident: bool | None = None,
        on_card: int = 1,
    ) -> None:
        self.dataset, self.batch_size, self.rng, self.rows = dataset, batch_size, rng, rows
        self.device = device or torch.device("cpu")
        self.resident: Tensor | None = None
        if resident:
            self.resident = _copied(dataset.clips, self.device)
        elif resident is None and fits(on_card * dataset.clips.nbytes, self.device):
            self.resident = _copied_if_possible(dataset.clips, self.device)
        self._pool = ThreadPoolExecutor(min(_COPIERS, os.cpu_count() or 1) + 1)
        self._buffers: list[Tensor] = []
        self._sent: list[torch.cuda.Event | None] = [None, None]
        self._turn = 0
        self._ahead: tuple[NDArray[np.int64], Future[Tensor]] | None = None

    def __enter__(self) -> Self:
        """Return the feed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the threads go."""
        self._pool.shutdown(cancel_futures=True)

    def take(self) -> Tensor:
        """Return the next batch, uint8 (B, T, H, W, 3), on the device; good until the next call."""
        chosen = self.dataset.draw(self.batch_size, self.rng, self.rows)
        if self.resident is not None:
            return self.resident.index_select(0, self._on_device(chosen))
        batch = self._gathered(chosen)
        if self.device.type == "cuda":
            on_device = batch.to(self.device, non_blocking=True)
            self._sent[self._turn] = torch.cuda.current_stream(self.device).record_event()
            batch = on_device
        self._turn = 1 - self._turn
        following = self.dataset.draw(self.batch_size, copy.deepcopy(self.rng), self.rows)
        self._ahead = following, self._pool.submit(self._gather, following, self._turn)
        return batch

    def _on_device(self, chosen: NDArray[np.int64]) -> Tensor:
        """Return the numbers of clips on the device, without waiting for it."""
        numbers = torch.from_numpy(chosen)
        if self.device.type != "cuda":
            return numbers.to(self.device)
        # Only from pinned memory is a copy not waited for. Who allocates it notes the copy, and
        # gives the memory to nobody else before that is done, though it is free from here on.
        return numbers.pin_memory().to(self.device, non_blocking=True)

    def _gathered(self, chosen: NDArray[np.int64]) -> Tensor:
        """Return the clips chosen, from what was gathered ahead where that is them."""
        if self._ahead is not None:
            expected, gathering = self._ahead
            batch = gathering.result()
            if np.array_equal(expected, chosen):
                return batch
        return self._gather(chosen, self._turn)

    def _gather(self, chosen: NDArray[np.int64], turn: int) -> Tensor:
        """Copy clips into one of the two buffers, when the device has read what was in it."""
        if not self._buffers:
            shape = (len(chosen), *self.dataset.clips.shape[1:])
            pinned = self.device.type == "cuda"
            self._buffers = [
                torch.empty(shape, dtype=torch.uint8, pin_memory=pinned) for _ in self._sent
            ]
        sent = self._sent[turn]
        if sent is not None:
            sent.synchronize()
        target = self._buffers[turn].numpy()
        copiers = min(_COPIERS, os.cpu_count() or 1) if len(chosen) >= _WORTH_SHARING else 1
        parts = np.array_split(np.argsort(chosen), copiers)  # in the order of the file
        others = [self._pool.submit(self._copy, chosen, target, part) for part in parts[1:]]
        self._copy(chosen, target, parts[0])
        for other in others:
            other.result()
        return self._buffers[turn]

    def _copy(
        self, chosen: NDArray[np.int64], target: NDArray[np.uint8], part: NDArray[np.int64]
    ) -> None:
        for place in part:
            target[place] = self.dataset.clips[chosen[place]]  # outside Python's lock


def fits(size: int, device: torch.device) -> bool:
    """Whether so many bytes of clips may stay on a device; on a CPU they are mapped already."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return size <= _SHARE_OF_MEMORY * free


def _copied_if_possible(clips: NDArray[np.uint8], device: torch.device) -> Tensor | None:
    """Copy clips to a device; None where others have taken its memory in the meantime."""
    try:
        return _copied(clips, device)
    except torch.OutOfMemoryError:
        logger.info("the clips are sent to the GPU batch by batch: its memory is taken")
        return None


def _copied(clips: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Copy clips to a device a few at a time: they need not fit into the machine's memory."""
    copied = torch.empty(clips.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(clips), 256):
        copied[start : start + 256] = torch.from_numpy(np.array(clips[start : start + 256]))
    return copied
