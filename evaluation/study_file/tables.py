"""Reading a TOML file into frozen dataclasses, with errors that name the line and the key.

Nothing here knows what a study is: `read_table` follows the annotations of the dataclass it is
given. `tomllib` gives no line numbers, so `TomlFile` finds the line of a key in the text itself.
"""

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from evaluation.errors import StudyFileError
from vgan.data.manifest import SLUG

T = TypeVar("T")


@dataclass(frozen=True)
class Range:
    """A number's inclusive bounds; `high` None means none."""

    low: float
    high: float | None = None

    def complaint(self, value: Any) -> str | None:
        """Return what is wrong with the value, or None."""
        if value < self.low or (self.high is not None and value > self.high):
            upper = f"from {self.low:.10g} to {self.high:.10g}" if self.high is not None else ""
            return f"must be {upper or f'at least {self.low:.10g}'}, got {value:.10g}"
        return None


@dataclass(frozen=True)
class OneOf:
    """The words a text, or every text of a list, may be."""

    words: tuple[str, ...]

    def complaint(self, value: Any) -> str | None:
        """Return what is wrong with the value, or None."""
        for word in (value,) if isinstance(value, str) else value:
            if word not in self.words:
                return f"{word!r} is not known{did_you_mean(word, self.words)}"
        return None


@dataclass(frozen=True)
class Matches:
    """A pattern a text, or every text of a list, must match as a whole; `what` says it in words."""

    pattern: str
    what: str

    def complaint(self, value: Any) -> str | None:
        """Return what is wrong with the value, or None."""
        for word in (value,) if isinstance(value, str) else value:
            if not re.fullmatch(self.pattern, word):
                return f"{word!r} is not {self.what}"
        return None


@dataclass(frozen=True)
class Length:
    """How many characters a text may have, at least one unless `empty`."""

    high: int
    empty: bool = False

    def complaint(self, value: Any) -> str | None:
        """Return what is wrong with the value, or None."""
        text = value if isinstance(value, str) else ",".join(value)
        if len(text) > self.high:
            return f"is {len(text)} characters long; at most {self.high} fit"
        if not text.strip() and not self.empty:
            return "is empty; write some text"
        return None


# A table's header, which ends its line: a row of a list of lists ends with a comma, or has one.
_HEADER = re.compile(r"\s*(\[{1,2})\s*([^\[\],]+?)\s*\]{1,2}\s*(?:#.*)?$")

SLUG_RULE = Matches(SLUG.pattern, "a slug (lower-case letters and digits, joined by - or .)")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint such as `; did you mean "seed"?`, or the list of what is known, if anything."""
    known = list(known)
    if not known:
        return ""
    close = difflib.get_close_matches(word, known, n=1)
    return f'; did you mean "{close[0]}"?' if close else f"; known: {', '.join(known)}"


class TomlFile:
    """A TOML file and its text, to say where a key stands.

    A table is named as in the file: `design`, `text.en`; `questions[1]` is the second of
    `[[questions]]`; the empty name is the top of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8-sig")  # some editors begin with a mark
            self.data: dict[str, Any] = tomllib.loads(self.text)
        except FileNotFoundError:
            raise StudyFileError(f"{path}: no study file here") from None
        except (OSError, UnicodeDecodeError) as error:
            raise StudyFileError(f"{path}: cannot be read ({error})") from None
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"at line (\d+)", str(error))
            where = f"{path}:{line[1]}" if line else str(path)
            raise StudyFileError(f"{where}: not TOML: {error}") from None
        except ValueError:  # Python reads whole numbers of some thousand digits at most
            number = re.search(r"[\d_]{1000}", self.text)
            line_of = self.text.count("\n", 0, number.start() if number else 0) + 1
            raise StudyFileError(f"{path}:{line_of}: a number has too many digits") from None
        for table, key, value in self._values():
            if complaint := _unusable(value):
                raise self.error(table, key, complaint)

    def _values(self) -> Iterable[tuple[str, str, Any]]:
        """Yield table, key and value of all there is; what is nested deeper is one value."""
        for name, held in self.data.items():
            if isinstance(held, dict):
                tables = {name: held}
            elif isinstance(held, list) and all(isinstance(v, dict) for v in held):
                tables = {f"{name}[{i}]": v for i, v in enumerate(held)}
            else:
                tables = {"": {name: held}}
            for table, raw in tables.items():
                yield from ((table, key, value) for key, value in raw.items())

    def line(self, table: str, key: str | None = None) -> int:
        """Return the 1-based line of a key, else of its table, else 1."""
        wanted = f"{table}.{key}" if table and key else table or key or ""
        header_line = 1
        for number, name in self._names():
            if name == table:  # a header, or a key whose value is the table: key = { ... }
                header_line = number
            if key is not None and f"{name}.".startswith(f"{wanted}."):
                return number
        return header_line

    def _names(self) -> Iterable[tuple[int, str]]:
        """Yield line and full name of every header and key."""
        current, seen = "", dict[str, int]()
        for number, line in _code_lines(self.text):
            if header := _HEADER.match(line):
                current = _bare(header[2])
                if header[1] == "[[":
                    seen[current] = seen.get(current, -1) + 1
                    current = f"{current}[{seen[current]}]"
                yield number, current
            elif key := re.match(r"\s*([\w\-.\"' ]+?)\s*=", line):
                yield number, f"{current}.{_bare(key[1])}" if current else _bare(key[1])

    def error(self, table: str, key: str | None, message: str) -> StudyFileError:
        """Return the error to raise: `file:line: [table] key: message`."""
        where = f"{self.path}:{self.line(table, key)}:"
        shown = re.sub(r"(.*)\[\d+\]$", r"[\1]", table)  # questions[1] is written [[questions]]
        parts = [where, f"[{shown}]" if table else "", f"{key}:" if key else ""]
        return StudyFileError(" ".join([p for p in parts if p] + [message]))

    def table(self, name: str) -> dict[str, Any] | None:
        """Return a top-level table, or None where the file has none."""
        value = self.data.get(name)
        if value is not None and not isinstance(value, dict):
            raise self.error("", name, f"must be a table; write [{name}] on a line of its own")
        return value

    def tables(self, name: str) -> list[dict[str, Any]]:
        """Return the tables written as `[[name]]`, in order."""
        value = self.data.get(name, [])
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise self.error("", name, f"must be a list of tables; write [[{name}]] above each")
        return value

    def check_keys(self, table: str, raw: Mapping[str, Any], known: Iterable[str]) -> None:
        """Refuse a key that is not known, most likely a slip of the pen."""
        known = list(known)
        for key in raw:
            if key not in known:
                raise self.error(table, key, f"unknown key{did_you_mean(key, known)}")


def _unusable(value: Any) -> str | None:
    """Say what of a value no key can take, at any depth; None of a usable one."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        return next((found for v in value if (found := _unusable(v))), None)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "is too large a number; TOML's have 64 bits"
    if isinstance(value, str) and "\0" in value:
        return r"has the character \u0000, which neither files nor databases take"
    return None


def _code_lines(text: str) -> Iterable[tuple[int, str]]:
    """Yield the numbered lines that do not begin inside a multi-line string."""
    inside: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if inside is None:
            yield number, line
        for quotes in re.findall(r'"""|\'\'\'', line):
            inside = quotes if inside is None else (None if quotes == inside else inside)


def _bare(name: str) -> str:
    """A name without the spaces and quotes that TOML allows in it."""
    return re.sub(r"[\s\"']", "", name)


class _Mismatch(Exception):
    """A value has another type than its key asks for."""


def _as_text(value: Any, folder: Path) -> str:
    if not isinstance(value, str):
        raise _Mismatch("text in quotes")
    return value


def _as_path(value: Any, folder: Path) -> Path:
    if not isinstance(value, str) or not value:
        raise _Mismatch("a path in quotes")
    try:
        return (folder / Path(value).expanduser()).resolve()
    except RuntimeError:  # ~name without such a user, or links in a circle
        raise _Mismatch("a path that leads somewhere") from None


def _as_bool(value: Any, folder: Path) -> bool:
    if not isinstance(value, bool):
        raise _Mismatch("true or false")
    return value


def _as_int(value: Any, folder: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Mismatch("a whole number")
    return value


def _as_float(value: Any, folder: Path) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise _Mismatch("a number")
    return float(value)


_SIMPLE = {str: _as_text, Path: _as_path, bool: _as_bool, int: _as_int, float: _as_float}


def convert(value: Any, hint: Any, folder: Path) -> Any:
    """Return the value as its annotation has it; lists become tuples."""
    if hint in _SIMPLE:
        return _SIMPLE[hint](value, folder)
    if get_origin(hint) is tuple:
        return _as_tuple(value, get_args(hint), folder)
    raise TypeError(f"a study file cannot hold {hint!r}")


def _as_tuple(value: Any, parts: tuple[Any, ...], folder: Path) -> tuple[Any, ...]:
    is_list = isinstance(value, list | tuple)
    if parts[-1] is not Ellipsis:
        if not is_list or len(value) != len(parts):
            raise _Mismatch('a pair of names such as ["a", "b"]')
        return tuple(convert(v, part, folder) for v, part in zip(value, parts, strict=True))
    nested = get_origin(parts[0]) is tuple
    if not is_list:
        raise _Mismatch('a list of pairs such as [["a", "b"]]' if nested else "a list of texts")
    return tuple(convert(v, parts[0], folder) for v in value)


def _unwrapped(hint: Any) -> tuple[Any, list[Any]]:
    """Split `Annotated[X | None, rule]` into X and its rules."""
    rules: list[Any] = []
    if get_origin(hint) is Annotated:
        hint, *rules = get_args(hint)
    if isinstance(hint, UnionType):
        (hint,) = (part for part in get_args(hint) if part is not NoneType)
    return hint, rules


def read_table(
    file: TomlFile,
    table: str,
    raw: Mapping[str, Any],
    cls: type[T],
    *,
    given: Mapping[str, Any] | None = None,
) -> T:
    """Make the dataclass of a table of the file.

    Args:
        file: where the table stands.
        table: its name, as `TomlFile` names tables.
        raw: its keys and values.
        cls: a frozen dataclass whose annotations say the type of every key, and its rules.
        given: fields that the caller has read itself, because they are written in their own way.

    Raises:
        StudyFileError: an unknown or missing key, a wrong type, or a value that breaks a rule.
    """
    hints = get_type_hints(cls, include_extras=True)
    file.check_keys(table, raw, hints)
    values: dict[str, Any] = dict(given or {})
    for f in fields(cls):  # type: ignore[arg-type] # T is a dataclass
        if f.name in values:
            continue
        if f.name not in raw:
            if f.default is MISSING and f.default_factory is MISSING:
                raise file.error(table, f.name, "is missing; the study file must have it")
            continue
        hint, rules = _unwrapped(hints[f.name])
        try:
            values[f.name] = convert(raw[f.name], hint, file.path.parent)
        except _Mismatch as expected:
            got = f"got {raw[f.name]!r}"
            raise file.error(table, f.name, f"must be {expected}, {got}") from None
        for rule in rules:
            if complaint := rule.complaint(values[f.name]):
                raise file.error(table, f.name, complaint)
    return cls(**values)
