"""Clips per second from a shard in the page cache to a batch, without a network.

Three ways take turns: the plain one (numpy's fancy index), the feed of `vgan train` (gathered ahead
in a thread, which here has nothing to hide behind), and the feed on to the float32 that networks
are given; on a GPU also the feed whose clips stay there, as those of `vgan train` do where they
fit. The shard is made of noise, touched once so that it is in memory. A copy of the
shard's bytes in one piece, in the same turns, says what memory allows.

    python benchmarks/input.py                  # 1,000 clips, batches of 64
    python benchmarks/input.py --clips 20000    # 8 GB of shard
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vgan.data.dataset import ClipDataset, to_model_range
from vgan.data.feed import Feed
from vgan.data.listing import FRAMES, SIZE
from vgan.data.manifest import ClipRecord
from vgan.models.measuring import drain

CLIP = (FRAMES, SIZE, SIZE, 3)


def make_dataset(folder: Path, count: int) -> ClipDataset:
    """Write a shard of noise and map it as `open_dataset` does."""
    path = folder / "noise.u8"
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for _ in range(count):
            file.write(rng.bytes(int(np.prod(CLIP))))
    clips = np.memmap(path, np.uint8, mode="r", shape=(count, *CLIP))
    clips.max()  # into the page cache, and into this process's pages
    records = [
        ClipRecord(f"noise/{i}.mp4", "", "real", "noise", FRAMES, 25.0, SIZE, SIZE)
        for i in range(count)
    ]
    return ClipDataset(clips, records, [])


def clips_per_second(
    take: Callable[[], object], batch: int, seconds: float, device: torch.device
) -> float:
    """Return how many clips come in a while, all of them there at its end."""
    drain(device)
    batches, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        take()
        batches += 1
    drain(device)
    return batches * batch / (time.perf_counter() - start)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Clips per second from shard to batch.")
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    device = torch.device(args.device)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        dataset = make_dataset(Path(folder), args.clips)
        rng = np.random.default_rng(1)
        target: NDArray[np.uint8] = np.empty((args.batch, *CLIP), np.uint8)
        feed = stack.enter_context(Feed(dataset, args.batch, rng, device=device, resident=False))
        ways: dict[str, Callable[[], object]] = {
            "plain": lambda: dataset.batch(args.batch, rng).to(device),
            "feed": feed.take,
            "feed, float32": lambda: to_model_range(feed.take()),
            "one piece": lambda: np.copyto(target, dataset.clips[: args.batch]),
        }
        if device.type == "cuda":
            kept = stack.enter_context(Feed(dataset, args.batch, rng, device=device, resident=True))
            ways["resident"] = kept.take
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(args.turns):
            for name, take in ways.items():
                found[name].append(clips_per_second(take, args.batch, args.seconds, device))
    size = int(np.prod(CLIP))
    print(f"{args.clips} clips of {size:,} bytes, batches of {args.batch}, on {device.type}")
    for name, rates in found.items():
        rate = statistics.median(rates)
        spread = f"({min(rates):,.0f} to {max(rates):,.0f})"
        print(f"{name:14}{rate:9,.0f} clips/s {spread:20}{rate * size / 1e9:6.1f} GB/s")


if __name__ == "__main__":
    main()
