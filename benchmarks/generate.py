"""Clips per second of `vgan generate`, with one process and with one per core.

On a CPU each makes clips and encodes them; beside a GPU they encode what it makes. An untrained run
is written to a temporary folder; its clips are noisier than a trained one's, so encoding takes
longer than it will. The two take turns; then the network, on all cores, and the encoder, on one,
are timed alone.

    python benchmarks/generate.py                   # small width, 2,048 clips a turn
    python benchmarks/generate.py --width 64 --clips 10000 --turns 1
"""

import argparse
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch

from vgan.data.dataset import to_uint8
from vgan.data.scenes import draw_scenes
from vgan.data.videos import encode_clip
from vgan.generated_folder import order_clips
from vgan.sampling import CHUNK, generate, latents, open_run
from vgan.training.config import resolve_config
from vgan.training.folder import find_run
from vgan.training.loop import train


def make_run(folder: Path, width: int, device: torch.device) -> Path:
    """Train one step on a few drawn clips: a run folder with a whole network."""
    draw_scenes(folder / "clips", clips=4, seed=0, categories=["beach"])
    config = resolve_config(
        "two-stream", "small", "paper",
        category="beach", width=width, batch=2, steps=1, dtype="float32",
    )  # fmt: skip
    return train(config, folder / "clips", folder / "run", device=device)


def seconds_of(run: Path, clips: int, workers: int, device: torch.device) -> float:
    """Return how long it takes to fill a folder, from the command's start to the manifest."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        generate(order_clips(run, Path(out), clips, 0), workers=workers, device=device)
        return time.perf_counter() - start


def parts(run: Path, device: torch.device) -> tuple[float, float]:
    """Return seconds per clip of the network, to frames in memory, and of the encoder."""
    loaded = open_run(find_run(run), device)
    given = latents(loaded, 0, range(CHUNK), device)
    network: list[float] = []
    with torch.no_grad():
        for _ in range(5):
            start = time.perf_counter()
            frames = to_uint8(loaded.network.streams(given).clip)
            network.append((time.perf_counter() - start) / CHUNK)
    start = time.perf_counter()
    for clip in frames:
        encode_clip(clip, 25.0)
    return statistics.median(network), (time.perf_counter() - start) / CHUNK


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Clips per second of generation.")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--clips", type=int, default=2048, help="each turn; 128 or more")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, default=max(2, os.cpu_count() or 1))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    device = torch.device(args.device)
    counts = (1, args.workers)
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder), args.width, device)
        taken: dict[int, list[float]] = {count: [] for count in counts}
        for _ in range(args.turns):
            for count in counts:
                taken[count].append(seconds_of(run, args.clips, count, device))
        network, encoder = parts(run, device)
    for count in counts:
        rate = args.clips / statistics.median(taken[count])
        print(f"processes {count}: {rate:.1f} clips/s")
    ratios = [one / many for one, many in zip(*taken.values(), strict=True)]
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"alone, per clip: network {1000 * network:.1f} ms, encoder {1000 * encoder:.1f} ms")


if __name__ == "__main__":
    main()
