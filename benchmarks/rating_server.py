"""A study of drawn clips and a server of it in a process of its own, for the web benchmarks."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from evaluation.media.frames import write_frames

TRIALS = 30  # a session's; long enough that nobody finishes within a minute
CLIPS = 60  # of each source
STUDY = """
[study]
name = "load"
title = "Which video is more realistic?"
seed = 1

[sources]
real = "real"
drawn = "drawn"

[design]
comparisons = [["drawn", "real"]]
judgments_per_cell = {judgments}

[session]
trials = {trials}
practice = 0
gold = 0
repeats = 0
"""


def build(folder: Path, database: str, judgments: int) -> None:
    """Draw clips of 64x64 and 32 frames and init a study of them."""
    chance = np.random.default_rng(0)
    for source in ("real", "drawn"):
        for number in range(CLIPS):
            coarse = chance.integers(40, 216, (9, 9, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            clip = np.stack([np.roll(coarse, 2 * t, axis=1)[:64, :64] for t in range(32)])
            clip += chance.integers(0, 8, clip.shape, np.uint8)
            (folder / source / "all").mkdir(parents=True, exist_ok=True)
            write_frames(folder / source / "all" / f"{number:03}.mp4", clip, 25.0)
    text = STUDY.format(judgments=judgments, trials=TRIALS)
    (folder / "study.toml").write_text(text)
    command("init", str(folder / "study.toml"), "--db", database, "--files", str(folder / "files"))


def command(*arguments: str) -> None:
    """Run `vgan-eval`."""
    subprocess.run([sys.executable, "-m", "evaluation.cli", *arguments], check=True)


@contextmanager
def served(folder: Path, database: str, threads: int = 8) -> Iterator[tuple[int, str]]:
    """Run `vgan-eval serve`; yield its process id and its join link."""
    line = ["serve", "--db", database, "--files", str(folder / "files"), "--threads", str(threads)]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "evaluation.cli", *line, "--host", "127.0.0.1", "--port", "0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        links = (re.search(r"http://\S+", text) for text in process.stdout)
        link = next(filter(None, links), None)
        if link is None:
            raise SystemExit("the server did not start")
        yield process.pid, link[0]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL in a folder; yield its URL."""
    import pgserver

    with pgserver.get_server(folder) as server:  # type: ignore[attr-defined]
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
