"""The source `static`: the first frame of another clip, held for as long as a clip is.

The paper's control for "any video that does not move": a picture from the compared source itself,
so that only the motion is missing. Every clip of a folder gets one, under its own name, from
another clip of the same category and split; paired by item, a static clip therefore never shows
the clip that it is compared with.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vgan.data.files import claim_folder
from vgan.data.joining import join_manifest
from vgan.data.manifest import ClipRecord, read_manifest, sha256_of
from vgan.data.pictures import clip_origin
from vgan.data.videos import Frames, iter_frames, write_clip
from vgan.errors import DataError, UsageError

SOURCE = "static"
PARAMETERS_NAME = "static.json"
HELD_CLIP = "held_clip"  # the manifest's name for the clip whose first frame is shown


def make_statics(
    clips: Path,
    out: Path,
    seed: int,
    *,
    split: str | None = None,
    category: str | None = None,
    progress: bool = True,
) -> list[ClipRecord]:
    """Write a static clip for every clip of a folder.

    Args:
        clips: a clip folder with a manifest.
        out: the folder to make; run again, it is made again to the same bytes.
        seed: of which clip holds for which.
        split: only clips of this split; all by default.
        category: only clips of this category; all by default.
        progress: show a bar.

    Returns:
        The new manifest's records, sorted by clip: name, category, split, size, rate and number of
        frames of the clip each stands beside; `origin` and `held_clip` of the clip it shows.

    Raises:
        UsageError: a category and split has fewer than two clips, or `out` holds other clips.
        ManifestError: the folder has no manifest that can be read.
        DataError: a clip cannot be read or written, or is not the file the manifest lists.
    """
    if seed < 0:
        raise UsageError(f"the seed must be at least 0, not {seed}")
    records = _chosen(clips, split, category)
    held = choose_held(records, seed)
    if out.resolve() == clips.resolve():
        raise UsageError(f"{out}: holds the clips themselves; give another --out")
    claim_folder(out, PARAMETERS_NAME, {"source": SOURCE, "seed": seed, "of": _sources(records)})
    made = []
    pairs = list(zip(records, held, strict=True))
    for record, other in tqdm(pairs, desc="static clips", unit="clip", disable=not progress):
        picture = _first_frame(clips / other.clip, other)
        frames = np.repeat(picture[None], record.frames, axis=0)
        made.append(
            replace(
                record,
                sha256=write_clip(out / record.clip, frames, record.fps),
                source=SOURCE,
                width=picture.shape[1],
                height=picture.shape[0],
                seed=seed,
                origin=clip_origin(other),
                extra={HELD_CLIP: f"{other.source}/{other.clip}"},
            )
        )
    return join_manifest(out, made)


def choose_held(records: Sequence[ClipRecord], seed: int) -> list[ClipRecord]:
    """Choose for every clip the one whose first frame stands beside it.

    Within a category and split every clip is chosen once and none for itself, nor, where it can
    be avoided, for one cut from the same video, which shows the same place.

    Args:
        records: of the clips, sorted by clip.
        seed: the same seed chooses the same.

    Raises:
        UsageError: a category and split has fewer than two clips; the message names it.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for index, record in enumerate(records):
        groups.setdefault((record.category, record.split or ""), []).append(index)
    chosen = [0] * len(records)
    for (category, split), members in sorted(groups.items()):
        if len(members) < 2:
            where = f"category {category!r}" + (f", split {split!r}" if split else "")
            raise UsageError(f"{where} has one clip, and a static clip is of a different one")
        rng = np.random.default_rng([seed, *category.encode(), *split.encode()])
        for index, other in zip(members, _apart(members, records, rng), strict=True):
            chosen[index] = other
    return [records[index] for index in chosen]


def _apart(
    members: list[int], records: Sequence[ClipRecord], rng: np.random.Generator
) -> list[int]:
    """Shift the clips, those of one video together, by at least the largest video's number."""
    videos: dict[str, list[int]] = {}
    for index in rng.permutation(members).tolist():
        videos.setdefault(clip_origin(records[index]).video, []).append(index)
    line = [index for group in videos.values() for index in group]
    most = max(len(group) for group in videos.values())
    # With no video in more than half of the clips, no shift from `most` to `len - most` can land
    # in the same one.
    low, high = most, max(len(line) - most, most)
    shift = int(rng.integers(low, high + 1)) % len(line) or 1
    other = {index: line[(at + shift) % len(line)] for at, index in enumerate(line)}
    return [other[index] for index in members]


def _chosen(clips: Path, split: str | None, category: str | None) -> list[ClipRecord]:
    records = [
        record
        for record in read_manifest(clips)
        if split in (None, record.split or "train") and category in (None, record.category)
    ]
    if not records:
        raise DataError(f"{clips}: no clips of that split and category")
    return sorted(records, key=lambda r: r.clip)


def _sources(records: Sequence[ClipRecord]) -> str:
    return ", ".join(sorted({record.source for record in records}))


def _first_frame(path: Path, record: ClipRecord) -> Frames:
    if not path.is_file():
        raise DataError(f"{path}: listed in the manifest, but not there")
    if sha256_of(path) != record.sha256:
        raise DataError(f"{path}: is not the file the manifest lists (its checksum differs)")
    return next(iter_frames(path))
