"""Encode many clips to files: in this process, or in others while this one makes more."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vgan.data.executors import Workers, open_workers
from vgan.data.videos import Frames, write_clip

_WORTH_STARTING = 128  # files; starting processes takes seconds, encoding one file hundredths


@dataclass(frozen=True, eq=False)
class Film:
    """Frames on their way to a file.

    Args:
        path: the .mp4 to write.
        frames: (T, H, W, 3), uint8 RGB.
        fps: frames per second.
    """

    path: Path
    frames: Frames
    fps: float


def write_film(film: Film) -> tuple[Path, str]:
    """Write a film, whole or not at all; return its path and the file's SHA-256.

    Raises:
        DataError: the file cannot be written.
    """
    return film.path, write_clip(film.path, film.frames, film.fps)


@contextmanager
def open_encoders(files: int, ahead: int, workers: int) -> Iterator[Workers]:
    """Open processes that encode; threads would wait for each other at every frame.

    Args:
        files: how many will be written; a few are encoded in this process.
        ahead: films that may wait for an encoder: what is made at once, so that the encoders
            have work while the next ones are made.
        workers: processes.

    Raises:
        WorkerError: while they are open, a process died.
    """
    with open_workers(workers if files >= _WORTH_STARTING else 1) as opened:
        alone = opened.ahead == 1
        yield opened if alone else replace(opened, ahead=opened.ahead + ahead)
