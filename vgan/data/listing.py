"""Which clips a training takes: of a clip folder, with a manifest or without, or of a text list."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vgan.data.manifest import (
    MANIFEST_NAME,
    SLUG,
    ClipRecord,
    ManifestError,
    read_manifest,
    unfinished,
)
from vgan.data.stacked import read_stacked_list
from vgan.errors import DataError

Shape = tuple[int, int, int]  # T, H, W

FRAMES = 32  # of every clip that is trained on
SIZE = 64  # pixels of its side

MORE_TEST_CLIPS = (
    "add videos with `vgan ingest`, --test-share above 0; or measure with --data of another folder"
)
SHARDS_NAME = ".shards"
# Largest frame rate of clips over the smallest from which they are of different speeds; 23.976,
# 24 and 25 are shown as one another everywhere.
_ONE_SPEED = 1.1


@dataclass(frozen=True)
class Listing:
    """Clips of one category and split.

    Args:
        folder: that their paths are below.
        shards: folder for what is decoded from them.
        name: of that, in `shards`.
        records: the clips.
    """

    folder: Path
    shards: Path
    name: str
    records: list[ClipRecord]


def list_clips(
    source: Path, category: str, split: str, shape: Shape, root: Path | None = None
) -> Listing:
    """List the clips of one category and split.

    Args:
        source: a clip folder with a manifest, one of CATEGORY/*.mp4, or a text list of stacked
            clips.
        category: which clips; of a list's clips, which have none, the name.
        split: `train` or `test`; a list has no test clips.
        shape: that every clip must have.
        root: of a list's paths; see `read_stacked_list`.

    Raises:
        DataError: no such folder, list, category or split, a folder that was not finished, or
            clips of another shape.
    """
    name = f"{category}-{split}"
    if source.is_file():
        if split != "train":
            raise DataError(
                f"{source}: is no clip folder, and a list has no {split} clips; name a clip folder"
            )
        place, records = read_stacked_list(source, root, category, shape)
        return Listing(place, source.parent / SHARDS_NAME, f"{source.stem}-{name}", records)
    records = _selected(source, category, split, shape)
    for r in records:
        check_shape(str(source / r.clip), (r.frames, r.height, r.width), shape)
    return Listing(source, source / SHARDS_NAME, name, records)


def training_categories(folder: Path) -> list[str]:
    """Return the categories of a clip folder's training clips, at least one, in order.

    Raises:
        DataError: no such folder, a folder that was not finished, or no training clips in it.
    """
    records = _listed(folder, (0, 0, 0))  # whatever their shape
    found = {record.category for record in records if (record.split or "train") == "train"}
    if not found:
        raise DataError(f"{folder}: holds no training clips")
    return sorted(found)


def check_shape(clip: str, found: Shape, wanted: Shape) -> None:
    """Raise DataError, naming the clip, where its shape is not the wanted one."""
    if found != wanted:
        raise DataError(
            f"{clip}: has {found[0]} frames of {found[2]}x{found[1]}, training takes "
            f"{wanted[0]} of {wanted[2]}x{wanted[1]}: cut it with `vgan ingest` first"
        )


def _found_clips(folder: Path, shape: Shape) -> list[ClipRecord]:
    """Records for a folder without a manifest: CATEGORY/*.mp4, or *.mp4 as category `all`.

    They state the shape that is wanted and no rate; decoding checks the one and fills in the other.
    """
    records = []
    for path in sorted([*folder.glob("*.mp4"), *folder.glob("*/*.mp4")]):
        category = "all" if path.parent == folder else path.parent.name
        if not SLUG.fullmatch(category):
            raise DataError(
                f"{path.parent}: a category is named in lower-case letters, digits, - and .; if "
                "these are videos, cut them with `vgan ingest` first, which makes such names"
            )
        clip = path.relative_to(folder).as_posix()
        records.append(
            ClipRecord(clip, "", "real", category, shape[0], float("nan"), shape[2], shape[1])
        )
    return records


def _listed(folder: Path, shape: Shape) -> list[ClipRecord]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of clips")
    if why := unfinished(folder):
        raise DataError(why)
    if not (folder / MANIFEST_NAME).exists():
        records = _found_clips(folder, shape)
        if not records:
            raise DataError(
                f"{folder}: holds no {MANIFEST_NAME} and no CATEGORY/*.mp4; make clips with "
                "`vgan scenes` or `vgan ingest`"
            )
        return records
    try:
        return read_manifest(folder)
    except ManifestError as error:
        raise DataError(str(error)) from None


def without_test_clips(records: Iterable[ClipRecord]) -> list[str]:
    """Return the categories that have training clips only, in order."""
    found = {(record.category, record.split or "train") for record in records}
    return sorted({name for name, _ in found if (name, "test") not in found})


def lacks_test_clips(folder: Path, category: str) -> bool:
    """Whether a clip folder has training clips alone of a category.

    Raises:
        DataError: no such folder, or one that was not finished.
    """
    return category in without_test_clips(_listed(folder, (0, 0, 0)))


def _selected(folder: Path, category: str, split: str, shape: Shape) -> list[ClipRecord]:
    records = [r for r in _listed(folder, shape) if (r.split or "train") == split]
    counts = Counter(record.category for record in records)
    if category not in counts:
        there = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items())) or "none at all"
        said = f"{folder}: no {split} clips of category {category!r}; there are: {there}"
        raise DataError(said + (f" ({MORE_TEST_CLIPS})" if split == "test" else ""))
    return [record for record in records if record.category == category]


def mixed_rates(records: Iterable[ClipRecord]) -> str | None:
    """Say what frame rates clips have; None where they are about the same.

    A network has no other clock than the frames: mixed, the same motion is of several speeds.
    """
    rates = [record.fps for record in records]
    low, high = min(rates, default=1.0), max(rates, default=1.0)
    if high <= _ONE_SPEED * low:
        return None
    return f"frame rates {low:.4g} to {high:.4g}; ingest with --fps 25 puts all on one clock"
