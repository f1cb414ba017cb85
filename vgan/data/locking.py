"""One process at a time, where two runs on one folder would undo each other."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vgan.data.files import WriteError
from vgan.errors import UsageError


@contextmanager
def locked(path: Path, in_use: str | None = None) -> Iterator[None]:
    """Wait until no other process holds the lock file, and hold it; a killed process lets go.

    Where the file system knows no locks (some network folders), nothing is waited for or refused.

    Args:
        path: of the lock file; made, with its folder, if it is missing, and left there.
        in_use: what to say instead of waiting, where another process holds it.

    Raises:
        UsageError: another process holds it, and `in_use` was given.
        WriteError: the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _opened(path)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({error.strerror or error})") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (fcntl.LOCK_NB if in_use else 0))
        except BlockingIOError:
            raise UsageError(in_use) from None
        except OSError:  # no locks here
            pass
        yield
    finally:
        os.close(handle)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY)  # another user's in a shared folder: reading will do
