"""Clips for training: decoded once into a memory-mapped file, sampled as uint8.

A clip folder is decoded at its first use into `FOLDER/.shards/`; the shard is thrown away when the
clips it was made from change. Scaling to the networks' range happens in `to_model_range`, on
whatever device the batch is on, and nowhere else. Unlike the paper's loader, which trained on
mid-grey wherever a file could not be read, unreadable and blank clips are left out and named.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from vgan.data.executors import map_in_threads
from vgan.data.files import write_atomic, written_whole
from vgan.data.listing import FRAMES, SHARDS_NAME, SIZE, Shape, check_shape, list_clips
from vgan.data.manifest import ClipRecord, sha256_of, to_dict
from vgan.data.stacked import STACK_SUFFIXES, read_stack
from vgan.data.videos import Frames, Video, read_video
from vgan.errors import DataError

_SHARD_VERSION = 1
# Levels of 255: a clip whose every channel varies less than this, over all pixels and frames, shows
# nothing but one flat colour.
_BLANK_SPREAD = 1.0
_DECODED_AT_ONCE = 64


def to_model_range(clips: Tensor) -> Tensor:
    """Turn uint8 clips (B, T, H, W, 3) into float32 (B, C, T, H, W), RGB in [-1, 1]."""
    # The bytes are transposed, not the floats, and the rest is in place: a quarter of the traffic.
    planar = clips.permute(0, 4, 1, 2, 3).contiguous()
    return planar.to(torch.float32).div_(127.5).sub_(1)


def model_batches(
    clips: Frames, at_once: int, device: torch.device, *, title: str, leave: bool = False
) -> Iterator[Tensor]:
    """Yield clips (N, T, H, W, 3) on a device as networks take them, (B, C, T, H, W), under a bar.

    Args:
        clips: uint8 RGB, perhaps memory-mapped.
        at_once: clips in a batch.
        device: of the batches.
        title: of the progress bar.
        leave: keep the bar on the screen.
    """
    for start in tqdm(range(0, len(clips), at_once), desc=title, unit="batch", leave=leave):
        # A copy: the clips may be mapped from a file that may only be read.
        batch = torch.from_numpy(clips[start : start + at_once].copy())
        yield to_model_range(batch.to(device))


def to_uint8(clips: Tensor) -> Frames:
    """Turn model output (B, C, T, H, W), RGB in [-1, 1], into uint8 frames (B, T, H, W, 3).

    Values outside the range are clipped; `to_uint8(to_model_range(x))` gives back x.
    """
    levels = ((clips.detach().to(torch.float32).clamp(-1, 1) + 1) * 127.5).round()
    # Bytes are put in order where they are: a GPU does it in no time, and sends one piece.
    return levels.to(torch.uint8).permute(0, 2, 3, 4, 1).contiguous().cpu().numpy()


@dataclass(frozen=True)
class ClipDataset:
    """The clips of one category and split, ready to sample.

    Args:
        clips: (N, T, H, W, 3), uint8 RGB, memory-mapped.
        records: the N clips' records, in the same order.
        skipped: (clip, why) of every clip that was left out.
    """

    clips: NDArray[np.uint8]
    records: list[ClipRecord]
    skipped: list[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.records)

    def draw(
        self, batch_size: int, rng: np.random.Generator, rows: slice | None = None
    ) -> NDArray[np.int64]:
        """Draw the numbers of a batch's clips, with replacement, as the paper's loader does.

        Args:
            batch_size: clips drawn.
            rng: of the draw.
            rows: which of those drawn are returned; all when None.
        """
        return rng.integers(len(self.records), size=batch_size)[rows or slice(None)]

    def batch(self, batch_size: int, rng: np.random.Generator, rows: slice | None = None) -> Tensor:
        """Return the clips that `draw` draws, uint8 (B, T, H, W, 3)."""
        return torch.from_numpy(np.asarray(self.clips[self.draw(batch_size, rng, rows)]))

    def mean_frame(self) -> Tensor:
        """Mean picture over all frames of (at most 2048 evenly spaced) clips, (3, H, W)."""
        step = -(-len(self.records) // 2048)
        total = np.zeros(self.clips.shape[2:], np.float64)
        used = range(0, len(self.records), step)
        for index in used:
            total += self.clips[index].mean(axis=0, dtype=np.float64)
        mean = torch.from_numpy(total / len(used) / 127.5 - 1)
        return mean.permute(2, 0, 1).to(torch.float32).contiguous()


def _load(path: Path, record: ClipRecord, shape: Shape) -> Video | str:
    """Return a clip, or why it is not used."""
    try:
        if record.sha256 and sha256_of(path) != record.sha256:
            return "is not the file the manifest lists (its checksum differs)"
        stacked = path.suffix.lower() in STACK_SUFFIXES
        video = read_stack(path, shape[0], shape[1]) if stacked else read_video(path)
    except (DataError, OSError) as error:
        return str(error).removeprefix(f"{path}: ")
    count, height, width, _ = video.frames.shape
    check_shape(str(path), (count, height, width), shape)
    if video.frames[::4, ::4, ::4].std(axis=(0, 1, 2)).max() < _BLANK_SPREAD:
        return "is blank: one flat colour throughout"
    return video


def _build(folder: Path, records: Sequence[ClipRecord], stem: Path, shape: Shape,
           progress: bool) -> dict[str, Any]:  # fmt: skip
    """Write `STEM.u8` (the frames) and then `STEM.json` (what they are); return the latter."""
    index: dict[str, Any] = {"fps": {}, "skipped": []}
    data = stem.with_name(stem.name + ".u8")
    mebibytes = len(records) * int(np.prod(shape)) * 3 / 2**20
    needs = f"; decoding {len(records)} clips takes {mebibytes:.0f} MiB"
    if stem.parent == folder / SHARDS_NAME:
        links = f"mkdir DIR && ln -s {folder.resolve()}/* DIR"
        needs += f", which a folder of links puts elsewhere: {links}, then --data DIR"
    with written_whole(data, needs) as file:
        loads = map_in_threads(
            lambda r: _load(folder / r.clip, r, shape), records, _DECODED_AT_ONCE
        )
        pairs = zip(records, loads, strict=True)
        bar = tqdm(pairs, "decoding clips", len(records), unit="clip", disable=not progress)
        for record, loaded in bar:
            if isinstance(loaded, str):
                index["skipped"].append([record.clip, loaded])
            else:
                file.write(loaded.frames.tobytes())
                index["fps"][record.clip] = loaded.fps
    write_atomic(stem.with_name(stem.name + ".json"), json.dumps(index).encode())
    return index


def _fingerprint(folder: Path, records: Sequence[ClipRecord], shape: Shape) -> str:
    """What the shard depends on: the manifest's lines, or sizes and times where there is none."""
    digest = hashlib.sha256(f"{_SHARD_VERSION} {shape}\n".encode())
    for record in records:
        line = json.dumps(to_dict(record), sort_keys=True)
        if not record.sha256:
            line += _state(folder / record.clip)
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()[:16]


def _state(path: Path) -> str:
    try:
        state = path.stat()
    except FileNotFoundError:
        return " missing"
    return f" {state.st_size} {state.st_mtime_ns}"


def _stored(stem: Path, shape: Shape) -> dict[str, Any] | None:
    """Return the index of a whole shard, or None where it has to be built."""
    try:
        index: dict[str, Any] = json.loads(stem.with_name(stem.name + ".json").read_text())
        size = stem.with_name(stem.name + ".u8").stat().st_size
        whole = size == len(index["fps"]) * int(np.prod(shape)) * 3
    except (OSError, ValueError, KeyError):
        return None
    return index if whole else None


def _drop_older(stem: Path, name: str) -> None:
    for path in stem.parent.glob(f"{name}-*"):
        if path.name.removesuffix(path.suffix) != stem.name and path.suffix in {".u8", ".json"}:
            path.unlink(missing_ok=True)


def open_dataset(
    folder: Path,
    category: str,
    split: str = "train",
    *,
    root: Path | None = None,
    frames: int = FRAMES,
    size: int = SIZE,
    progress: bool = True,
) -> ClipDataset:
    """Open the clips of one category and split, decoding them at the first use.

    Args:
        folder: a clip folder with a manifest, or one of CATEGORY/*.mp4. Clips without a split
            count as `train`. Or a text list of stacked clips; see `vgan.data.stacked`.
        category: which clips; of a list's clips, which have none, the name.
        split: `train` or `test`; a list has no test clips.
        root: of a list's paths; see `read_stacked_list`.
        frames: that every clip must have.
        size: of every clip's side, in pixels.
        progress: show a bar while decoding.

    Raises:
        DataError: no such folder or category (the message names those there are), clips of
            another shape, no usable clip, or no room for the decoded frames.
    """
    shape = (frames, size, size)
    listed = list_clips(folder, category, split, shape, root)
    stem = listed.shards / f"{listed.name}-{_fingerprint(listed.folder, listed.records, shape)}"
    index = _stored(stem, shape)
    if index is None:
        index = _build(listed.folder, listed.records, stem, shape, progress)
        _drop_older(stem, listed.name)
    skipped = [(clip, why) for clip, why in index["skipped"]]
    if not index["fps"]:
        clip, why = skipped[0]
        raise DataError(
            f"{folder}: none of the {len(skipped)} {split} clips of {category!r} can be used; "
            f"the first, {clip}, {why}"
        )
    rates = index["fps"]
    used = [replace(r, fps=rates[r.clip]) for r in listed.records if r.clip in rates]
    data = stem.with_name(stem.name + ".u8")
    clips = np.memmap(data, np.uint8, mode="r", shape=(len(used), *shape, 3))
    return ClipDataset(clips, used, skipped)
