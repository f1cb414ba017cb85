"""Write files so that a reader, or a second run, never meets half of one."""

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from vgan.data.manifest import MANIFEST_NAME
from vgan.errors import DataError, UsageError

_STALE_S = 3600  # what a run at work writes to is younger


class WriteError(DataError):
    """A file cannot be written: the disk is full, or the folder is not ours."""


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, then rename it; its folder is made if it is missing.

    The temporary name is drawn, so that two processes that write the same file do not meet; the
    last one to finish wins, whole.

    Raises:
        WriteError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        with contextlib.suppress(OSError):  # the reason is the first error, not the tidying up
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def written_whole(path: Path, needs: str = "") -> Iterator[BinaryIO]:
    """Open a file of gigabytes under a temporary name, and rename it when all is written.

    Args:
        path: of the file; its folder is made if it is missing, and rid of stale parts.
        needs: how much room it takes, said where it cannot be written.

    Raises:
        WriteError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale_parts(path.parent)
        with temporary.open("wb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        why = error.strerror or error
        raise WriteError(f"{path}: cannot be written ({why}){needs}") from None
    finally:
        with contextlib.suppress(OSError):  # the reason is the first error, not the tidying up
            temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, indented, as `write_atomic` does."""
    write_atomic(path, (json.dumps(value, indent=2) + "\n").encode())


def write_json_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write an object a line, as `write_atomic` does; names that are not UTF-8 as JSON has them."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomic(path, text.encode(errors="backslashreplace"))


def remove_stale_parts(folder: Path) -> None:
    """Remove what runs that were killed have left half made below a folder, if an hour old."""
    for part in folder.rglob(".*.part"):
        with contextlib.suppress(OSError):  # it stays, or another run has removed it
            if part.stat().st_mtime < time.time() - _STALE_S:
                part.unlink()


def claim_folder(out: Path, name: str, settings: dict[str, Any]) -> None:
    """Write down what a clip folder is made with, or check that it is the same as before.

    Args:
        out: the clip folder, made if it is missing.
        name: of the file inside it that holds the settings.
        settings: JSON values.

    Raises:
        UsageError: the folder was made with other settings, or holds clips from elsewhere.
        DataError: the settings file is damaged.
        WriteError: the folder cannot be written.
    """
    path = out / name
    if not path.exists():
        if (out / MANIFEST_NAME).exists():
            raise UsageError(f"{out}: holds clips that were not made here; use another folder")
        write_json(path, settings)
        return
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise DataError(f"{path}: is not JSON; delete it or use another folder") from None
    if earlier != settings:
        other = {k: earlier.get(k) for k in settings if earlier.get(k) != settings[k]}
        was = ", ".join(f"no {k}" if v is None else f"{k} {v}" for k, v in other.items())
        raise UsageError(f"{out}: was made with {was}; use another folder or delete this one")
