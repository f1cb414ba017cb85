"""The files that say which action video is for training and which for testing.

Two forms: UCF101's own (`classInd.txt`, `trainlist01.txt`, `testlist01.txt` and so on) and a
`split.csv` with the columns `file,label,group,split`. Names are found whatever their case and
suffix: UCF101's class `HandstandPushups` holds files called `v_HandStandPushups_*`, copies of the
set spell the folder either way, and a copy is often converted to MP4.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vgan.errors import DataError

CLASSES_NAME = "classInd.txt"
TABLE_NAME = "split.csv"
_TRAIN_LIST = re.compile(r"trainlist0*(\d+)\.txt")
_COLUMNS = ("file", "label", "group", "split")


@dataclass(frozen=True)
class Listed:
    """A line of a list.

    Args:
        where: file and line, for errors.
        file: of the video, as written.
        label: as written; None where the list gives none.
        group: as written; None where the list gives none.
        split: `train` or `test`.
    """

    where: str
    file: str
    label: str | None
    group: str | None
    split: str


class VideoIndex:
    """The videos of a folder, found by name whatever its case and suffix.

    Args:
        folder: of all of them.
        paths: the files.
    """

    def __init__(self, folder: Path, paths: Iterable[Path]) -> None:
        self.folder = folder
        self.notes: list[str] = []
        self._exact: dict[str, Path] = {}
        self._folded: dict[str, list[Path]] = {}
        for path in paths:
            name = path.relative_to(folder).as_posix()
            self._exact[name] = path
            self._folded.setdefault(_folded(name), []).append(path)

    def find_all(self, lines: Sequence[Listed]) -> list[Path]:
        """Return the files of some lines, in their order; note how many are spelt otherwise.

        Raises:
            DataError: a file is missing, two fit, or one is listed twice; names file and line.
        """
        found = [self._find(line) for line in lines]
        missing = [line for line, path in zip(lines, found, strict=True) if path is None]
        if missing:
            more = f" (nor are {len(missing) - 1} others)" if len(missing) > 1 else ""
            raise DataError(
                f"{missing[0].where}: {missing[0].file} is not in {self.folder}{more}; add it, or "
                "take the line out"
            )
        first: dict[Path, str] = {}
        respelt = []
        for line, path in zip(lines, found, strict=True):
            assert path is not None
            earlier = first.setdefault(path, line.where)
            if earlier != line.where:
                raise DataError(f"{line.where}: {line.file} is listed already ({earlier})")
            if _stem(path.relative_to(self.folder).as_posix()) != _stem(line.file):
                respelt.append((line, path))
        if respelt:
            line, path = respelt[0]
            self.notes.append(
                f"{len(respelt)} files are spelt in another case than listed; the first, "
                f"{line.where}: {line.file} is {path.relative_to(self.folder).as_posix()}"
            )
        return [path for path in found if path is not None]

    def _find(self, line: Listed) -> Path | None:
        exact = self._exact.get(line.file)
        fits = self._folded.get(_folded(line.file), [])
        if exact is not None or not fits:
            return exact
        if len(fits) > 1:
            names = " and ".join(sorted(p.relative_to(self.folder).as_posix() for p in fits))
            raise DataError(f"{line.where}: {line.file} may be {names}; keep one of them")
        return fits[0]


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _folded(name: str) -> str:
    return _stem(name).casefold()


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (file and line, text) of every line that is not blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield f"{path}:{number}", line.strip()


def read_classes(path: Path) -> dict[str, int]:
    """Read UCF101's `classInd.txt`: class names and their numbers from 1, in the file's order.

    Raises:
        DataError: a line is not a number and a name, or a class stands twice.
    """
    classes: dict[str, int] = {}
    for where, line in _lines(path):
        number, _, name = line.partition(" ")
        if not number.isdecimal() or not name.strip():
            raise DataError(f"{where}: {line!r} is not a number and a class")
        if name.strip().casefold() in {known.casefold() for known in classes}:
            raise DataError(f"{where}: class {name.strip()} stands twice")
        classes[name.strip()] = int(number)
    return classes


def read_list(path: Path, split: str, classes: dict[str, int]) -> list[Listed]:
    """Read one of UCF101's lists: `CLASS/VIDEO` in a line, in training lists also a number.

    Args:
        path: of the list.
        split: what its lines are, `train` or `test`.
        classes: from `classInd.txt`, which the numbers must agree with; empty to not check them.

    Raises:
        DataError: a line has no class, or the number of another one.
    """
    listed = []
    numbers = {name.casefold(): number for name, number in classes.items()}
    for where, line in _lines(path):
        file, *rest = line.split()
        label, slash, _ = file.partition("/")
        if not slash or len(rest) > 1:
            raise DataError(f"{where}: {line!r} is not CLASS/VIDEO, nor that and a number")
        if numbers and label.casefold() not in numbers:
            raise DataError(f"{where}: class {label} is not in {CLASSES_NAME}")
        if numbers and rest and rest[0] != str(numbers[label.casefold()]):
            raise DataError(
                f"{where}: gives {label} the number {rest[0]}, {CLASSES_NAME} "
                f"{numbers[label.casefold()]}"
            )
        listed.append(Listed(where, file, label, None, split))
    return listed


def read_table(path: Path) -> list[Listed]:
    """Read a `split.csv`.

    Raises:
        DataError: a column or a value is missing, or a split is neither `train` nor `test`.
    """
    lines = list(_lines(path))
    header = [name.strip() for name in next(csv.reader([lines[0][1]]), [])] if lines else []
    absent = [name for name in _COLUMNS if name not in header]
    if absent:
        raise DataError(f"{path}:1: no column {', '.join(absent)}; it needs {','.join(_COLUMNS)}")
    listed = []
    for where, line in lines[1:]:
        row = dict(zip(header, (v.strip() for v in next(csv.reader([line]))), strict=False))
        empty = [name for name in _COLUMNS if not row.get(name)]
        if empty:
            raise DataError(f"{where}: no value for {', '.join(empty)}")
        if row["split"] not in {"train", "test"}:
            raise DataError(f"{where}: split {row['split']!r} is neither train nor test")
        listed.append(Listed(where, row["file"], row["label"], row["group"], row["split"]))
    return listed


def find_lists(folder: Path) -> list[tuple[str, Path, Path]]:
    """Find UCF101's pairs of lists: (number, training list, test list), by number.

    Raises:
        DataError: a training list has no test list.
    """
    found = []
    for path in sorted(folder.glob("trainlist*.txt")):
        if matched := _TRAIN_LIST.fullmatch(path.name):
            test = path.with_name(path.name.replace("train", "test"))
            if not test.is_file():
                raise DataError(f"{test}: is missing, and {path.name} is there")
            found.append((matched[1], path, test))
    return sorted(found, key=lambda one: int(one[0]))
