"""Small videos to read, cut and break."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
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


def _write_at(path: Path, frames: Frames, milliseconds: list[int]) -> None:
    """Write frames that are shown at the given moments."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=25, options={"qp": "0", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "rgb24"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for frame, moment in zip(frames, milliseconds, strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = moment, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


@pytest.fixture
def write_at() -> Callable[..., None]:
    """Write frames that are shown at given moments: write_at(path, frames, milliseconds)."""
    return _write_at


@pytest.fixture(scope="session")
def wall() -> Frames:
    """A large picture for a camera to look at, covered with coloured ellipses: (600, 1000, 3)."""
    import cv2

    rng = np.random.default_rng(5)
    picture = np.full((600, 1000, 3), 128, np.uint8)
    for _ in range(3000):
        centre, axes = rng.integers(0, [1000, 600]), rng.integers(3, 22, 2)
        shape = (centre.tolist(), axes.tolist(), float(rng.uniform(0, 180)))
        cv2.ellipse(picture, shape, rng.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA)
    return picture


@pytest.fixture(scope="session")
def filmed(wall: Frames) -> Callable[..., list[Frames]]:
    """Film the wall: filmed(path, ball=True) -> (192, 256, 3) frames.

    Each step of the path is the (3, 3) transform from the first frame's pixels to that frame's;
    the first is the identity. A ball flies across, moved by nothing but itself.
    """
    import cv2

    def film(path: list[NDArray[np.float64]], ball: bool = True) -> list[Frames]:
        to_first = np.array([[1.0, 0, -300], [0, 1, -180], [0, 0, 1]])
        frames = []
        for number, step in enumerate(path):
            frame = cv2.warpPerspective(wall, step @ to_first, (256, 192))
            if ball:
                x, y = step[:2] @ [60 + 9 * number, 70 + (9 * number) % 50, 1]
                cv2.circle(frame, (round(x), round(y)), 16, (250, 240, 30), -1, cv2.LINE_AA)
            frames.append(frame)
        return frames

    return film
