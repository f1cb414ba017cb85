"""Training on several devices: what the processes of one run have to agree on.

Every process draws the whole step's clips and latents from the same generators and works on its own
rows of them, so the run is the same however many processes share it, and may go on with another
number. DistributedDataParallel averages gradients while they are worked out; each network has one
of its own, since each loss moves one network. Only the first process writes.

`torchrun --nproc-per-node 8 --no-python vgan train ...` starts such a run; alone, nothing here does
anything.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from vgan.errors import UsageError

logger = logging.getLogger(__name__)

# The others wait while the first one decodes, which can take a day, or fits a mixture. Only waiting
# may take so long: a sum that a dead process never joins ends after the backend's own ten minutes
# (NCCL) or thirty (Gloo).
LONGEST_WAIT = timedelta(days=7)


@dataclass(frozen=True)
class World:
    """The processes of a run.

    Args:
        rank: of this one, from 0.
        size: how many there are.
        waiting: the group that they wait in; the one of everything else when None.
        on_card: how many of them work on this one's GPU.
    """

    rank: int = 0
    size: int = 1
    waiting: dist.ProcessGroup | None = None
    on_card: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """Return this process's rows of a batch of `count`.

        Raises:
            UsageError: the batch cannot be shared evenly.
        """
        if count % self.size:
            raise UsageError(
                f"--batch {count}: cannot be shared evenly by {self.size} processes; take a "
                f"multiple of {self.size}"
            )
        share = count // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def wait(self) -> None:
        """Wait until every process has come this far, for `LONGEST_WAIT` at most."""
        if self.size > 1:
            dist.barrier(self.waiting)

    def any_of(self, flag: bool, device: torch.device) -> bool:
        """Return whether the flag is set in any process."""
        if self.size == 1:
            return flag
        seen = torch.tensor(float(flag), device=device)
        dist.all_reduce(seen, dist.ReduceOp.MAX)
        return bool(seen)

    def means(self, values: dict[str, float], device: torch.device) -> dict[str, float]:
        """Return the means over the processes of what each of them measured."""
        if self.size == 1:
            return values
        seen = torch.tensor(list(values.values()), dtype=torch.float64).to(device, torch.float32)
        dist.all_reduce(seen)
        return dict(zip(values, (seen / self.size).tolist(), strict=True))

    def gathered(self, rows: Tensor) -> Tensor:
        """Return all processes' rows of a batch, in its order; each gives as many."""
        if self.size == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.size)]
        dist.all_gather(parts, rows)
        return torch.cat(parts)


ALONE = World()


def local_device(device: torch.device) -> torch.device:
    """Return this process's own device: with several GPUs, the one of its number on the machine.

    Raises:
        UsageError: several processes on this machine were all given one GPU.
    """
    if device.type != "cuda" or "LOCAL_RANK" not in os.environ:
        return device
    if device.index is None:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    together = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if together > 1:
        raise UsageError(
            f"--device {device}: all {together} processes would take that one GPU; "
            "with --device cuda each takes its own"
        )
    return device


class _Part(nn.Module):
    """What a network does in a step, as the forward pass that DistributedDataParallel asks for."""

    def __init__(self, network: nn.Module, run: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.network = network
        self.run = run

    def forward(self, given: Tensor) -> Any:
        return self.run(given)


def shared(
    network: nn.Module, run: Callable[[Tensor], Any], world: World, device: torch.device
) -> Callable[[Tensor], Any]:
    """Return what runs a network in a step so that all processes get the mean of its gradients.

    Args:
        network: whose gradients they are.
        run: what it does; what is returned, for a process alone.
        world: the processes.
        device: of this one's network.
    """
    if world.size == 1:
        return run
    ids = [device] if device.type == "cuda" else None
    part = _Part(network, run)
    # Sent before every pass, as they would be, running statistics change under a graph that is gone
    # back through later, which torch 2.11 refuses. No step uses them; the first process saves its.
    buffers = [name for name, _ in part.named_buffers()]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(part, buffers)  # type: ignore[no-untyped-call]
    return DistributedDataParallel(part, device_ids=ids)


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Join the other processes that `torchrun` started, if there are any; leave them at the end.

    All leave together. On an error this one just goes, so that the error is told and `torchrun`
    ends the others: these may be in the middle of a sum, for which leaving would wait.

    Args:
        device: of this process.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    on_card = _meet(device)
    waiting = dist.new_group(backend="gloo", timeout=LONGEST_WAIT)
    world = World(dist.get_rank(), dist.get_world_size(), waiting, on_card)
    yield world
    world.wait()
    dist.destroy_process_group()


def _meet(device: torch.device) -> int:
    """Begin to talk with the other processes; return how many of them work on this one's GPU.

    GPUs talk through NCCL, processors through Gloo. So do processes of which two share a GPU: NCCL
    refuses that. Which GPUs they have is known only after they have met: a launcher may show each
    of them a single one, the same or another.
    """
    if device.type != "cuda":
        dist.init_process_group("gloo")
        return 1
    torch.cuda.set_device(device)
    store, rank, size = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
    store.set(f"card-{rank}", str(torch.cuda.get_device_properties(device).uuid))
    cards = [store.get(f"card-{other}") for other in range(size)]
    crowded = len(set(cards)) < size
    if crowded and rank == 0:
        logger.warning(
            "%d processes, GPUs: %d. They talk through Gloo, which is slow: NCCL takes one process "
            "a GPU", size, len(set(cards)),
        )  # fmt: skip
    dist.init_process_group("gloo" if crowded else "nccl", store=store, rank=rank, world_size=size)
    return cards.count(cards[rank])


class _Gathered(torch.autograd.Function):
    """Every process's values, (size, ...); gradients flow back to where they came from."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, values)
        return torch.stack(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        everyones = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(everyones)
        return everyones[dist.get_rank()]


class SharedBatchNorm(_BatchNorm):
    """Batch norm whose statistics are those of all processes' batches together.

    torch's own SyncBatchNorm runs on GPUs only, and so could not be held against one process here.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Take maps of any number of dimensions."""

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise maps (B, C, ...); in evaluation as plain batch norm does."""
        if not self.training:
            return super().forward(maps)
        assert self.momentum is not None  # a plain mean over batches is for calibration alone
        axes = [axis for axis in range(maps.ndim) if axis != 1]
        wide = maps.float()
        count = wide.numel() // wide.shape[1]
        mean = wide.mean(dim=axes)
        spread = wide.var(dim=axes, unbiased=False)
        pooled = _Gathered.apply(torch.stack([mean, spread]))  # type: ignore[no-untyped-call]
        means, spreads = pooled[:, 0], pooled[:, 1]  # (size, C)
        shared = means.mean(dim=0)
        variance = (spreads + (means - shared).square()).mean(dim=0)
        self._track(shared.detach(), variance.detach(), count * len(pooled))
        shape = [1, -1] + [1] * (maps.ndim - 2)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - shared * scale
        return torch.addcmul(shift.view(shape), wide, scale.view(shape)).to(maps.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / max(count - 1, 1), self.momentum)


def share_batch_norm(network: nn.Module) -> None:
    """Let every batch norm of a network see all processes' batches; names and weights stay."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm) and not isinstance(child, SharedBatchNorm):
                shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
                shared.load_state_dict(child.state_dict())
                shared.to(child.weight.device)
                setattr(parent, name, shared)
