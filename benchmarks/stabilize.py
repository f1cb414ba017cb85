"""Frames per second of stabilising, per core, against the authors' procedure as written.

As written (cvondrick/videogan at 88c0c4d, extra/stabilize_videos_many.py): SIFT on the full-size
colour frame, FLANN with their parameters, Lowe's ratio 0.7, homographies from frame to frame, frame
and mask warped at full size, then scaled to 128. Both sides start from decoded frames in memory,
run on one thread, take turns clip by clip, and end in 64x64 clips. The time is processor time, so a
busy machine slows neither; the ratio is the median over clips.

    python benchmarks/stabilize.py VIDEO...                # shaky ones, or none: a drawn wall
    python benchmarks/stabilize.py --model similarity VIDEO...

Residual motion is measured alike on both results: how far tracked corners of the background lie,
typically, from their places in the first frame, in pixels of the 64x64 clip.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from vgan.data.framing import area_average
from vgan.data.opencv import cv2
from vgan.data.paper_stabilizer import stabilize_as_paper
from vgan.data.registration import Features, Points
from vgan.data.residual import square_motion
from vgan.data.stabilize import MODELS, UnstableError, centre_squares, stabilize_clip
from vgan.data.videos import Frames, iter_frames

SIZE, LENGTH = 64, 32


def flann(source: Features, target: Features, ratio: float) -> tuple[Points, Points]:
    """Match as the authors' script does, index type 0 and all."""
    if len(source.points) < 2 or len(target.points) < 2:
        return source.points[:0], target.points[:0]
    matcher = cv2.FlannBasedMatcher({"algorithm": 0, "trees": 5}, {"checks": 50})
    pairs = matcher.knnMatch(source.descriptors, target.descriptors, k=2)
    good = [m for m, second in pairs if m.distance < ratio * second.distance]
    return source.points[[m.queryIdx for m in good]], target.points[[m.trainIdx for m in good]]


def ours(model: str) -> Callable[[list[Frames]], list[Frames]]:
    """Return our way: frames are made small first, as `vgan ingest` does when it decodes them."""

    def stabilize(frames: list[Frames]) -> list[Frames]:
        height, width = frames[0].shape[:2]
        scale = min(1.0, 4 * SIZE / min(height, width))
        small = (round(width * scale), round(height * scale))
        return stabilize_clip(
            [cv2.resize(f, small, interpolation=cv2.INTER_AREA) for f in frames], model
        )

    return stabilize


@dataclass
class Turn:
    """One side's work on one clip.

    Args:
        seconds: of processor time.
        motion: left in the background, in pixels of the clip; None where it cannot be measured.
    """

    seconds: float
    motion: float | None


def take_turn(stabilize: Callable[[list[Frames]], list[Frames]], clip: list[Frames]) -> Turn | None:
    """Stabilise a clip; None where it is rejected."""
    start = time.process_time()
    try:
        squares = stabilize(clip)
    except UnstableError:
        return None
    np.stack([area_average(square, SIZE) for square in squares])
    seconds = time.process_time() - start
    return Turn(seconds, square_motion(squares, SIZE))


def drawn_frames() -> Iterator[Frames]:
    """Film a drawn wall with an unsteady hand, 1280x720."""
    rng = np.random.default_rng(0)
    wall = np.full((1000, 1600, 3), 128, np.uint8)
    for _ in range(3000):
        at, axes = rng.integers(0, [1600, 1000]), rng.integers(4, 50, 2)
        shape = (at.tolist(), axes.tolist(), float(rng.uniform(0, 180)))
        cv2.ellipse(wall, shape, rng.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA)
    for k in range(4 * LENGTH):
        sway = 40 * np.sin(np.array([0.31, 0.43]) * k)
        turned = cv2.getRotationMatrix2D((800, 500), 2 * np.sin(0.2 * k), 1.0)
        turned[:, 2] -= [160 + sway[0], 140 + sway[1]]
        yield cv2.warpAffine(wall, turned, (1280, 720))


def clips_of(frames: Iterator[Frames], most: int) -> Iterator[list[Frames]]:
    """Cut frames into clips."""
    for _ in range(most):
        clip = list(islice(frames, LENGTH))
        if len(clip) < LENGTH:
            return
        yield clip


def compare(name: str, frames: Iterator[Frames], model: str, most: int) -> list[float]:
    """Print one line for a video; return the ratio of each clip's times."""
    as_written = partial(stabilize_as_paper, side=2 * SIZE, match=flann)
    pairs, before, rejected, shape = [], [], [0, 0], ""
    for clip in clips_of(frames, most):
        shape = f"{clip[0].shape[1]}x{clip[0].shape[0]}"
        turns = [take_turn(as_written, clip), take_turn(ours(model), clip)]
        rejected = [n + (turn is None) for n, turn in zip(rejected, turns, strict=True)]
        if turns[0] is not None and turns[1] is not None:
            pairs.append((turns[0], turns[1]))
            before.append(square_motion(centre_squares(clip), SIZE))
    columns = [f"{name[:28]:28}", f"{shape:>10}", f"{len(pairs):6d}"]
    columns += [f"{f'{rejected[0]}/{rejected[1]}':>9}"]
    for side in (0, 1):
        taken = [LENGTH / pair[side].seconds for pair in pairs]
        columns.append(f"{statistics.median(taken):9.1f}" if taken else f"{'-':>9}")
    motions = [before, [p[0].motion for p in pairs], [p[1].motion for p in pairs]]
    for found in motions:
        known = [m for m in found if m is not None]
        columns.append(f"{statistics.median(known):8.2f}" if known else f"{'-':>8}")
    print(" ".join(columns), flush=True)
    return [a.seconds / b.seconds for a, b in pairs]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Frames per second of stabilising, per core.")
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--model", choices=MODELS, default="homography")
    parser.add_argument("--clips", type=int, default=3, help="of each video")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"OpenCV {cv2.__version__}, one thread, {args.model}; motion in pixels of {SIZE}")
    print(f"{'':28} {'':>10} {'':>6} {'rejected':>9} {'frames/s':>19} {'motion':>26}")
    print(
        f"{'video':28} {'size':>10} {'clips':>6} {'paper/us':>9} {'paper':>9} {'ours':>9} "
        f"{'before':>8} {'paper':>8} {'ours':>8}"
    )
    ratios = []
    for path in args.videos:
        ratios += compare(path.name, iter_frames(path), args.model, args.clips)
    if not args.videos:
        ratios = compare("drawn wall", drawn_frames(), args.model, args.clips)
    if ratios:
        print(
            f"ours / paper: {statistics.median(ratios):.1f} times the frames per second (median of "
            f"{len(ratios)} clips, {min(ratios):.1f} to {max(ratios):.1f})"
        )


if __name__ == "__main__":
    main()
