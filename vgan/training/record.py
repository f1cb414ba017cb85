"""What a run writes down while it trains: metrics, event files, versions, warnings."""

import json
import math
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgan.data.files import write_atomic, write_json
from vgan.training.config import TrainConfig, to_json
from vgan.training.folder import RunFolder


class MetricsLog:
    """`metrics.jsonl` and the TensorBoard event files of a run, one line per step that is logged.

    Args:
        folder: of the run.
        step: the step the run continues from; later lines, of a process that was killed, are
            dropped, so that no step is there twice.
    """

    def __init__(self, folder: RunFolder, step: int) -> None:
        # Here: half a second that only the process that writes pays.
        from torch.utils.tensorboard.writer import SummaryWriter

        self.warnings: list[str] = []
        kept = _lines_until(folder.metrics, step)
        self.warnings.extend(line["warning"] for line in kept if "warning" in line)
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_atomic(folder.metrics, text.encode())
        self._file = folder.metrics.open("a", encoding="utf-8")
        self._events = SummaryWriter(str(folder.tensorboard), purge_step=step + 1 if step else None)

    def write(self, step: int, values: dict[str, float], warning: str | None = None) -> None:
        """Add a line. Values that are not finite are written as null: JSON has no NaN."""
        finite = {k: v if math.isfinite(v) else None for k, v in values.items()}
        line: dict[str, Any] = {"step": step} | finite
        if warning is not None:
            line["warning"] = warning
            self.warnings.append(warning)
        self._file.write(json.dumps(line) + "\n")
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def flush(self) -> None:
        """Hand everything written so far to the system."""
        self._file.flush()
        self._events.flush()

    def close(self) -> None:
        """Flush and close the files."""
        self._file.close()
        self._events.close()


class Window:
    """Means of the metrics since they were last read, kept on the device so that no step waits."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._first_bad: Tensor | None = None

    def add(self, step: int, metrics: dict[str, Tensor]) -> None:
        """Take in one step's metrics (scalars); remember the first step that is not finite."""
        stacked = torch.stack([value.detach().float() for value in metrics.values()])
        here = torch.where(stacked.isfinite().all(), 0, step)
        if self._first_bad is None:
            self._first_bad = here
        else:
            self._first_bad = torch.where(self._first_bad > 0, self._first_bad, here)
        for name, value in zip(metrics, stacked.unbind(), strict=True):
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count += 1

    def read(self) -> tuple[dict[str, float], int]:
        """Return the means since the last reading and the first bad step or 0; then start anew."""
        if not self._count:
            return {}, 0
        means = {name: float(value) / self._count for name, value in self._sums.items()}
        bad = int(self._first_bad) if self._first_bad is not None else 0
        self._sums, self._count, self._first_bad = {}, 0, None
        return means, bad


def write_settings(folder: RunFolder, config: TrainConfig, made_by: dict[str, Any]) -> None:
    """Write `versions.json`, which says what the run was made by, and `config.json`."""
    write_json(folder.versions, made_by)
    # Last: a folder with config.json has all the others.
    write_atomic(folder.config, to_json(config).encode())


def versions(device: torch.device) -> dict[str, Any]:
    """Return what the numbers of a run depend on besides its settings and data."""
    cuda = device.type == "cuda"
    processor = f"cpu ({platform.machine()}, {torch.backends.cpu.get_cpu_capability()})"
    cudnn = torch.backends.cudnn.version() if cuda else None  # type: ignore[no-untyped-call]
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "device": torch.cuda.get_device_name(device) if cuda else processor,
        "cuda": torch.version.cuda if cuda else None,
        "cudnn": None if cudnn is None else str(cudnn),
        "threads": str(torch.get_num_threads()),
        "platform": platform.platform(),
    }


def _lines_until(path: Path, step: int) -> list[dict[str, Any]]:
    """Return the lines of the metrics up to a step; a last line cut short by a kill is dropped."""
    if not path.is_file():
        return []
    kept = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if line["step"] <= step:
            kept.append(line)
    return kept
