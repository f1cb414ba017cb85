"""Small videos to read, cut and break."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vgan.data.videos import write_clip

Frames = NDArray[np.uint8]


def _moving(frames: int, height: int, width: int, seed: int) -> Frames:
    rng = np.random.default_rng(seed)
    still = rng.integers(0, 200, (height, width, 3))
    light = rng.integers(0, 50, (frames, 1, 1, 3))
    return (still + light).astype(np.uint8)


@pytest.fixture
def moving() -> Callable[..., Frames]:
    """Make frames whose every one differs from the others: moving(frames, height, width, seed)."""
    return _moving


@pytest.fixture
def video(tmp_path: Path) -> Callable[..., Path]:
    """Write such a video: video(name, frames=40, size=64, fps=25, seed=0)."""

    def write(
        name: str, frames: int = 40, size: int = 64, fps: float = 25.0, seed: int = 0
    ) -> Path:
        path = tmp_path / "videos" / name
        write_clip(path, _moving(frames, size, size, seed), fps)
        return path

    return write
