"""Files written whole or not at all: a crash or a full disk leaves the old one; and their names."""

import contextlib
import glob
import os
import secrets
import shutil
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from evaluation.errors import EvaluationError

_STALE_S = 3600  # what a run at work writes to is younger


def part_of(path: Path, suffix: str = "") -> Path:
    """Return a hidden name beside a file, drawn so that two that write the same do not meet."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part{suffix}")


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside it that takes its place when the block ends well.

    The folder is made if needed. The temporary name is that of `part_of`.

    Raises:
        EvaluationError: the disk is full, or the file or its folder cannot be written.
    """
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise EvaluationError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose another "
            "folder, then run the command again"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # the first failure is the one to tell
            part.unlink(missing_ok=True)


def make_private(path: Path) -> None:
    """Make an empty file that only its owner may read, for what identifies people to be put into.

    One that is there keeps its mode. Where none can be made, whoever opens it next says why.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; folder and errors are those of `written_whole`."""
    with written_whole(path) as part:
        part.write_bytes(data)


@contextlib.contextmanager
def taken_back(folder: Path, is_used: Callable[[], bool]) -> Iterator[None]:
    """Remove a folder that the block has made, and its new parents, where the block fails.

    What was there before stays, and so does a parent that something else lies in.

    Args:
        folder: that the block may make.
        is_used: says whether somebody else has come to use the folder meanwhile.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        yield
    except BaseException:
        if folder in made and not is_used():
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                for parent in made[1:]:
                    parent.rmdir()
        raise


def remove_parts(path: Path) -> None:
    """Remove what runs that were killed have left of writing a file whole, if it is an hour old."""
    _remove_stale(path.parent.glob(f".{glob.escape(path.name)}.*.part"))


def remove_stale_parts(folder: Path) -> None:
    """Remove what runs that were killed have left anywhere below a folder, if it is an hour old."""
    _remove_stale(folder.rglob(".*.part*"))


def _remove_stale(parts: Iterable[Path]) -> None:
    for part in parts:
        with contextlib.suppress(OSError):  # it stays, or another run has removed it
            if part.stat().st_mtime < time.time() - _STALE_S:
                part.unlink()


def composed(name: str) -> str:
    """Return a file's name with composed accents (NFC), which macOS keeps apart: for comparing."""
    return unicodedata.normalize("NFC", name)
