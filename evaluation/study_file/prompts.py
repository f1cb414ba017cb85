"""Reads a file of prompts: a CSV that the study file names for a source."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from evaluation.errors import UsageError
from evaluation.files import composed

_HEADERS = (["clip", "prompt"], ["item", "prompt"])


class Prompt(NamedTuple):
    """One row of the file: where it begins, whose prompt it is, and the prompt."""

    line: int
    name: str
    text: str


def read_prompts(path: Path) -> tuple[str, list[Prompt]]:
    """Read a file of prompts, UTF-8 with or without a byte order mark.

    Args:
        path: a CSV whose header is `clip,prompt` or `item,prompt`.

    Returns:
        What its rows name, `clip` or `item`, and the rows, names with composed accents (NFC), in
        which file systems differ; no name stands twice.

    Raises:
        UsageError: it is missing or no such CSV, or a row is short, long, empty or there twice.
            The message names the file and the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; correct `prompts` in the study file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: prompts that cannot be read as UTF-8 ({error})") from None
    rows = _numbered(path, text)
    line, header = next(rows, (1, []))
    if header not in _HEADERS:
        raise UsageError(
            f"{path}:{line}: prompts must have the header clip,prompt or item,prompt, got "
            f"{','.join(header) or 'none'}"
        )
    found: dict[str, Prompt] = {}
    for line, row in rows:
        if complaint := _complaint(row, header[0], found):
            raise UsageError(f"{path}:{line}: {complaint}")
        found[row[0]] = Prompt(line, *row)
    return header[0], list(found.values())


def _numbered(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that have anything, each with the line that it begins on."""
    reader = csv.reader(io.StringIO(text), strict=True, skipinitialspace=True)
    line = 1
    try:
        for row in reader:
            if row:
                name, *rest = [field.strip() for field in row]
                yield line, [composed(name), *rest]
            line = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"{path}:{line}: not a row of a CSV ({error})") from None


def _complaint(row: list[str], key: str, found: Mapping[str, Prompt]) -> str | None:
    if len(row) != 2:
        return f"has {len(row)} fields, not 2; put a prompt that has a comma into double quotes"
    if "\0" in "".join(row):
        return r"has the character \u0000, which databases do not take"
    if not all(row):
        return f"the {'prompt' if row[0] else key} is empty; write one, or leave the row out"
    if row[0] in found:
        return f"{key} {row[0]!r} has a prompt already, on line {found[row[0]].line}"
    return None
