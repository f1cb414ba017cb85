"""What was measured, one line of `results.jsonl` for each task, added as soon as it is done."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vgan.data.journal import Journal
from vgan.errors import DataError, UsageError

NAME = "results.jsonl"


@dataclass(frozen=True)
class Record:
    """One method on one task.

    Args:
        method: its name.
        split: of the task.
        fraction: share of the labelled training videos.
        seed: of the task.
        accuracy: of test videos, 0..1.
        single_window_accuracy: from one window of each, 0..1.
        per_class: accuracy by class; None where it has no test video.
        confusion: [right][answered], counts of videos, in the order of `classes`.
        classes: their names.
        groups: [right, videos] of each test group.
        train_videos: labelled videos learnt from.
        test_videos: videos classified.
        parameters: numbers learnt.
        seconds: of learning and answering, pre-training and features included where made here.
        settings: of the method.
        data: fingerprint of videos, their files, labels, groups and splits.
    """

    method: str
    split: str
    fraction: float
    seed: int
    accuracy: float
    single_window_accuracy: float
    per_class: dict[str, float | None]
    confusion: list[list[int]]
    classes: list[str]
    groups: dict[str, list[int]]
    train_videos: int
    test_videos: int
    parameters: int
    seconds: float
    settings: dict[str, Any]
    data: str

    @property
    def key(self) -> tuple[str, str, float, int]:
        """What a record stands for; a results file has each once."""
        return (self.method, self.split, self.fraction, self.seed)


class Results:
    """The results of a folder.

    Args:
        folder: made if it is missing.
        data: fingerprint of the action set that results are for.

    Raises:
        DataError: the file is damaged.
        WriteError: half a line, which a killed run left, cannot be cut off.
        UsageError: it holds results of other videos, labels or splits.
    """

    def __init__(self, folder: Path, data: str) -> None:
        self.path = folder / NAME
        self.data = data
        self._journal = Journal(self.path)
        self.records = {record.key: record for record in read_records(self._journal)}
        other = next((r for r in self.records.values() if r.data != data), None)
        if other is not None:
            raise UsageError(
                f"{self.path}: holds results of other videos, labels or splits; take another --out"
            )

    def done(
        self, method: str, split: str, fraction: float, seed: int, settings: Mapping[str, Any]
    ) -> Record | None:
        """Return the record of a task that was done before.

        Raises:
            UsageError: it was done with other settings.
        """
        record = self.records.get((method, split, fraction, seed))
        if record is None:
            return None
        wanted = json.loads(json.dumps(dict(settings)))
        if record.settings != wanted:
            changed = ", ".join(
                f"{k} {record.settings.get(k)}"
                for k in {*wanted, *record.settings}
                if record.settings.get(k) != wanted.get(k)
            )
            raise UsageError(
                f"{self.path}: {method} was measured with {changed}; take another --out"
            )
        return record

    def add(self, record: Record) -> None:
        """Write a record at the end, whole, and onto the disk.

        Raises:
            WriteError: the disk is full or the folder cannot be written.
        """
        self._journal.add([asdict(record)])
        self.records[record.key] = record


def read_records(journal: Journal) -> list[Record]:
    """Return the records that a results file held when it was opened.

    Raises:
        DataError: a line is not a record; the message names it.
    """
    names = {field.name for field in fields(Record)}
    records = []
    for number, line in enumerate(journal.lines, 1):
        try:
            records.append(Record(**{name: line[name] for name in names}))
        except KeyError as error:
            raise DataError(f"{journal.path}:{number}: not a result ({error})") from None
    return records
