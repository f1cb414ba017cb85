"""A file that grows by whole lines of JSON while a long run goes on, and outlives its death.

A run that was killed may leave half a line at the end; it is cut off when the next one opens the
file. Any other line that is not JSON is damage, and named.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vgan.data.files import WriteError
from vgan.errors import DataError


def parse_line(line: bytes, where: str) -> dict[str, Any]:
    """Read one line of a JSON Lines file.

    Raises:
        DataError: it is not a JSON object; the message begins with `where`.
    """
    try:
        found = json.loads(line)
    except ValueError:
        raise DataError(f"{where}: not JSON; mend or delete that line") from None
    if not isinstance(found, dict):
        raise DataError(f"{where}: not a JSON object; mend or delete that line")
    return found


class Journal:
    """Lines that were written so far, and a way to add more.

    Args:
        path: of the file; it and its folder are made when the first line is added.

    Attributes:
        path: of the file.
        lines: those there were when the journal was opened.

    Raises:
        DataError: a whole line is not a JSON object.
        WriteError: half a line cannot be cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            self._cut(whole)
        self.lines = [
            parse_line(line, f"{path}:{number}")
            for number, line in enumerate(data[:whole].splitlines(), 1)
            if line.strip()
        ]

    def _cut(self, size: int) -> None:
        try:
            os.truncate(self.path, size)
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> WriteError:
        return WriteError(f"{self.path}: cannot be written ({error.strerror or error})")

    def add(self, lines: Iterable[dict[str, Any]]) -> None:
        """Append lines, on disk before this returns.

        Raises:
            WriteError: the disk is full; half a line may be left, for the next run to cut off.
        """
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._unwritable(error) from None
