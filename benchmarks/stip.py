"""Frames per second of space-time interest points and their descriptors, on one core.

    python benchmarks/stip.py                    # drawn video at 64x64 and at 320x240
    python benchmarks/stip.py VIDEO [VIDEO ...]  # at their own size, and at 64x64

Processor time, so that other work on the machine does not count. 25 is real time for UCF101.
"""

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import scipy

from vgan.data.videos import iter_frames, write_clip
from vgan.representation.stip import describe_video


def drawn_video(path: Path, width: int, height: int) -> Path:
    """Write squares of several sizes that turn back at the borders over a textured ground."""
    chance = np.random.default_rng(0)
    ground = chance.integers(60, 120, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    ground = ground.repeat(8, 0).repeat(8, 1)[:height, :width]
    video = np.repeat(ground[None], 128, 0)
    for side in (8, 12, 20):
        place, speed = np.array([5.0, 5.0]), chance.uniform(1, 3, 2)
        for frame in video:
            place += speed
            for axis, limit in enumerate((height - side, width - side)):
                if not 0 <= place[axis] <= limit:
                    speed[axis] = -speed[axis]
                    place[axis] = np.clip(place[axis], 0, limit)
            y, x = place.astype(int)
            frame[y : y + side, x : x + side] = 10 * side
    write_clip(path, video, 25.0)
    return path


def rate(path: Path, size: str) -> tuple[float, int]:
    """Return frames a second of processor time, and how many points were found."""
    frames = sum(1 for _ in iter_frames(path))
    begun = time.process_time()
    points = len(describe_video(path, size))
    return frames / (time.process_time() - begun), points


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("videos", nargs="*", type=Path)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"one core, Python {platform.python_version()}, OpenCV {cv2.__version__}, "
          f"SciPy {scipy.__version__}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        videos = args.videos or [
            drawn_video(Path(folder) / f"{width}x{height}.mp4", width, height)
            for width, height in ((64, 64), (320, 240))
        ]
        for video in videos:
            for size in ("native", "small"):
                per_second, points = rate(video, size)
                print(f"{video.name:24} {size:7} {per_second:7.0f} frames/s {points:6} points")


if __name__ == "__main__":
    main()
