"""Does training in bfloat16 reach what training in float32 does? Runs of both, on drawn scenes.

    python benchmarks/precision.py --out precision                # the paper recipe, small
    python benchmarks/precision.py --out precision --seeds 5      # goes on: two seeds more

Both train from the same weights on the same clips in the same order, once per seed, with the
library's form of every layer, so that bfloat16 is what is asked for even where float32 is faster.
On a processor that does not multiply in bfloat16, convolutions round what they are given and what
they give to it, and multiply and add up in float32: what the hardware does, in a sixth of the time.
Then both are measured as `vgan measure` does. "Within seed noise" means that Welch's 95 % interval
of the difference, from the spread over the seeds, has zero inside.
"""

import argparse
import json
import math
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import ttest_ind
from tabulate import tabulate
from torch import Tensor
from torch.nn import functional

from vgan.data.dataset import open_dataset
from vgan.data.files import write_atomic, write_json
from vgan.data.scenes import draw_scenes
from vgan.metrics.report import measure_run
from vgan.training.config import TrainConfig, default_dtype, resolve_config
from vgan.training.folder import RunFolder
from vgan.training.loop import train
from vgan.training.opening import check_data
from vgan.training.presets import DTYPES, RECIPES
from vgan.training.record import versions, write_settings
from vgan.training.tuning import plain

CATEGORY = "beach"
WRITTEN = "measures.json"


@contextmanager
def rounded_convolutions() -> Iterator[None]:
    """Let convolutions under bfloat16 autocast multiply the rounded numbers in float32."""

    def rounded(convolve: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def run(
            maps: Tensor, weight: Tensor, bias: Tensor | None = None, *rest: Any, **named: Any
        ) -> Tensor:
            if not torch.is_autocast_enabled("cpu"):
                return convolve(maps, weight, bias, *rest, **named)
            # Their gradients are rounded on the same way back, as autocast's own are.
            maps, weight = maps.bfloat16().float(), weight.bfloat16().float()
            bias = None if bias is None else bias.bfloat16().float()
            with torch.autocast("cpu", enabled=False):
                return convolve(maps, weight, bias, *rest, **named).bfloat16()

        return run

    with ExitStack() as stack:
        for name in ("conv2d", "conv3d", "conv_transpose2d", "conv_transpose3d"):
            patched = rounded(getattr(functional, name))
            stack.enter_context(mock.patch.object(functional, name, patched))
        yield


def begin(folder: RunFolder, config: TrainConfig, scenes: Path, device: torch.device) -> None:
    """Begin a run whose layers are worked out by the library, in the run's own arithmetic."""
    if folder.config.is_file():
        return
    folder.path.mkdir(parents=True, exist_ok=True)
    dataset = open_dataset(scenes, CATEGORY)
    check_data(folder, config, scenes, dataset.records, dataset.skipped)
    write_atomic(folder.forms, plain(device).to_json().encode())
    write_settings(folder, config, versions(device))


def measures_of(folder: RunFolder, n: int, device: torch.device) -> dict[str, float | None]:
    """Measure a finished run, once."""
    kept = folder.path / WRITTEN
    if not kept.is_file():
        rows = measure_run(folder.path, n=n, device=device).measures
        values = {row.name: row.generated.value if row.generated else None for row in rows}
        write_json(kept, values)
    values = json.loads(kept.read_text(encoding="utf-8"))
    assert isinstance(values, dict)
    return values


def run(dtype: str, seed: int, args: argparse.Namespace) -> dict[str, float | None]:
    """Train and measure one run, or read what is there of it."""
    device = torch.device(args.device)
    config = resolve_config(
        "two-stream", "small", args.recipe, device=device.type, category=CATEGORY, seed=seed,
        dtype=dtype, width=args.width, batch=args.batch, steps=args.steps, checkpoint_every=100,
    )  # fmt: skip
    folder = RunFolder(args.out / f"{dtype}-{seed}")
    begin(folder, config, args.out / "scenes", device)
    emulated = device.type == "cpu" and default_dtype("cpu") != "bfloat16"
    with rounded_convolutions() if emulated else nullcontext():
        train(config, args.out / "scenes", folder.path, resume=True, device=device)
    return measures_of(folder, args.clips_measured, device)


def table(found: dict[str, list[dict[str, float | None]]]) -> list[list[str]]:
    """Compare the runs of the two types, a row for each measure."""
    rows = []
    for name in found["float32"][0]:
        sides = {
            dtype: np.array([np.nan if m[name] is None else m[name] for m in runs], float)
            for dtype, runs in found.items()
        }
        rows.append([name, *(spread(values) for values in sides.values()), *verdict(sides)])
    return rows


def spread(values: NDArray[np.float64]) -> str:
    """Return the mean over the seeds and the standard deviation between them."""
    if np.isnan(values).any():
        return "-"
    return f"{values.mean():.4f} ± {values.std(ddof=1):.4f}"


def verdict(sides: dict[str, NDArray[np.float64]]) -> tuple[str, str]:
    """Return the difference with its interval, and whether that is within seed noise."""
    test = ttest_ind(sides["bfloat16"], sides["float32"], equal_var=False)
    bounds = test.confidence_interval(0.95)
    if math.isnan(bounds.low):
        return "-", "-"
    difference = sides["bfloat16"].mean() - sides["float32"].mean()
    shown = f"{difference:+.4f} [{bounds.low:+.4f}, {bounds.high:+.4f}]"
    return shown, "yes" if bounds.low <= 0 <= bounds.high else "NO"


def main() -> None:
    """Train every run that is missing, measure it, and print the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs; goes on there")
    parser.add_argument("--seeds", type=int, default=3, help="how many, at least 2")
    parser.add_argument("--recipe", choices=RECIPES, default="paper")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--scenes", type=int, default=512, help="clips that are drawn")
    parser.add_argument("--clips-measured", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    if args.seeds < 2:
        parser.error("--seeds must be at least 2: noise is what differs between seeds")
    draw_scenes(args.out / "scenes", clips=args.scenes, seed=0, categories=[CATEGORY])
    found: dict[str, list[dict[str, float | None]]] = {dtype: [] for dtype in DTYPES}
    for seed in range(1, args.seeds + 1):
        for dtype, runs in found.items():
            runs.append(run(dtype, seed, args))
    print(
        f"{args.recipe} recipe, width {args.width}, batch {args.batch}, {args.steps} steps, "
        f"{args.seeds} seeds, {args.scenes} drawn clips; {args.device}, {os.cpu_count()} cores, "
        f"torch {torch.__version__}, Python {platform.python_version()}\n"
    )
    headers = ["measure", *found, "difference, 95 %", "within seed noise"]
    print(tabulate(table(found), headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
