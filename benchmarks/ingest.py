"""Clips per second of `vgan ingest` with one worker and with two, and how flat its memory stays.

    python benchmarks/ingest.py VIDEO...              # files or folders; none: drawn videos
    python benchmarks/ingest.py --stabilize similarity VIDEO...
    python benchmarks/ingest.py --memory              # a drawn video and one ten times as long

Runs with one worker and with two take turns, which of them begins too; the ratio is the median
over the pairs. The time is what a user waits, starting the processes included; one worker is this
process. Processor time, of all processes together, says how much of a ratio under 2 is work that
two workers do twice or slow each other down by, whatever else the machine does. Peak memory is that
of a process of its own, which cuts one video.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from vgan.data.clips import ingest

_CUT = (
    "import sys; from pathlib import Path; from vgan.data.clips import ingest; "
    "ingest([Path(sys.argv[1])], Path(sys.argv[2]), stabilize=sys.argv[3], workers=1, "
    "progress=False)"
)


def draw(path: Path, seconds: int, seed: int) -> Path:
    """Write a drawn 640x360 video, 25 frames per second, whose picture slides and is never still.

    Args:
        path: to write.
        seconds: of video.
        seed: of the picture.
    """
    coarse = np.random.default_rng(seed).integers(0, 256, (52, 96, 3), np.uint8)
    wall = coarse.repeat(8, 0).repeat(8, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for k in range(25 * seconds):
            x, y = 60 + 50 * np.sin(0.11 * k), 24 + 20 * np.sin(0.17 * k)
            frame = np.ascontiguousarray(wall[int(y) :, int(x) :][:360, :640])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@dataclass(frozen=True)
class Turn:
    """A run over all videos.

    Args:
        seconds: that it took.
        work: seconds of processor time, of all its processes.
        clips: that it made.
    """

    seconds: float
    work: float
    clips: int


def processor_seconds() -> float:
    """Return the processor time so far of this process and of all that have ended below it."""
    used = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def take_turn(videos: list[Path], stabilize: str, workers: int) -> Turn:
    """Cut videos into a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        start, work = time.perf_counter(), processor_seconds()
        report = ingest(
            videos, Path(folder) / "clips", stabilize=stabilize, workers=workers, progress=False
        )
        return Turn(time.perf_counter() - start, processor_seconds() - work, report.clips)


def compare_workers(videos: list[Path], stabilize: str, pairs: int) -> None:
    """Print clips per second with one worker and with two, and the ratio of their times."""
    turns: dict[int, list[Turn]] = {1: [], 2: []}
    for pair in range(pairs):
        for workers in (1, 2) if pair % 2 == 0 else (2, 1):
            turns[workers].append(take_turn(videos, stabilize, workers))
    print(f"--stabilize {stabilize}, {turns[1][0].clips} clips, {pairs} pairs")
    for workers, taken in turns.items():
        rate = statistics.median(t.clips / t.seconds for t in taken)
        work = statistics.median(t.work / t.clips for t in taken)
        print(f"{workers} worker(s): {rate:.2f} clips/s, {work:.3f} s of processor time a clip")
    both = list(zip(turns[1], turns[2], strict=True))
    for what, ratios in (
        ("1 / 2 workers, seconds", [one.seconds / two.seconds for one, two in both]),
        ("1 / 2 workers, processor time", [one.work / two.work for one, two in both]),
    ):
        middle = statistics.median(ratios)
        print(f"{what}: {middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)


def peak_memory(video: Path, stabilize: str, out: Path) -> float:
    """Return the peak resident memory, in MiB, of a process that cuts a video."""
    process = subprocess.Popen([sys.executable, "-c", _CUT, str(video), str(out), stabilize])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{video}: cutting it failed")
    return usage.ru_maxrss / 1024  # Linux counts in KiB


def compare_memory(stabilize: str, seconds: int) -> None:
    """Print the peak memory for a drawn video and for one ten times as long."""
    with tempfile.TemporaryDirectory() as folder:
        for length in (seconds, 10 * seconds):
            video = draw(Path(folder) / f"{length}/{length}.mp4", length, seed=0)
            peak = peak_memory(video, stabilize, Path(folder) / f"clips-{length}")
            print(f"--stabilize {stabilize}: {length} s of 640x360, peak {peak:.0f} MiB")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Clips per second, and memory, of vgan ingest.")
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--stabilize", default="none")
    parser.add_argument("--pairs", type=int, default=3, help="of runs with one worker and two")
    parser.add_argument("--drawn", type=int, default=8, help="videos, where none are given")
    parser.add_argument("--memory", action="store_true", help="compare memory instead")
    parser.add_argument("--seconds", type=int, default=20, help="of a drawn video")
    args = parser.parse_args()
    if args.memory:
        compare_memory(args.stabilize, args.seconds)
        return
    with tempfile.TemporaryDirectory() as folder:
        drawn = [Path(folder) / f"drawn/{n}.mp4" for n in range(0 if args.videos else args.drawn)]
        videos = args.videos or [draw(path, args.seconds, seed) for seed, path in enumerate(drawn)]
        compare_workers(videos, args.stabilize, args.pairs)


if __name__ == "__main__":
    main()
