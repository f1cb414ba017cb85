"""Draw the built-in scenes: a still background, a moving foreground, and its true mask.

They stand in for the paper's beach, golf, train station and hospital (baby) videos where no real
ones are at hand, and because the true mask is known, a learnt one can be scored. A clip depends
only on its category, the seed and its number: the same three give the same bytes.
"""

import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vgan.data.drawn import baby, beach, golf, train
from vgan.data.drawn.paint import Array, Scene
from vgan.data.files import claim_folder, remove_stale_parts, write_atomic
from vgan.data.manifest import (
    MANIFEST_NAME,
    ClipRecord,
    Origin,
    read_manifest,
    sha256_of,
    write_manifest,
)
from vgan.data.videos import Frames, write_clip
from vgan.errors import DataError, UsageError

Mask = NDArray[np.bool_]

FPS = 20.0  # a whole number of refreshes of a 60 Hz screen
TEST_SHARE = 0.2
_STAMP_NAME = "scenes.json"
# Raised when the drawing changes, so that an old folder is not continued with new pictures.
_DRAWING_VERSION = 1
# Fainter traces of the foreground than this are dropped: they would be mask, but not be seen.
_FAINTEST = 0.06

_DRAW: dict[str, Callable[[np.random.Generator, Array, int], Scene]] = {
    "beach": beach.draw,
    "golf": golf.draw,
    "train": train.draw,
    "baby": baby.draw,
}
CATEGORIES = tuple(_DRAW)


@dataclass(frozen=True)
class DrawnClip:
    """A drawn clip with its truth.

    Args:
        frames: (T, H, W, 3), uint8 RGB.
        mask: (T, H, W), true where the foreground was drawn over the background.
        background: (H, W, 3), uint8 RGB: what every frame shows where its mask is false.
    """

    frames: Frames
    mask: Mask
    background: Frames


def _to_bytes(picture: Array) -> Frames:
    levels: Array = np.floor(np.clip(picture, 0, 1) * 255 + 0.5)
    return levels.astype(np.uint8)


def draw_clip(
    category: str, seed: int, index: int, *, frames: int = 32, size: int = 64
) -> DrawnClip:
    """Draw clip `index` of a category, in memory.

    Args:
        category: one of `CATEGORIES`.
        seed: of the whole folder, at least 0.
        index: of the clip in its category, from 0.
        frames: number of frames.
        size: of the picture's side, in pixels.

    Raises:
        UsageError: there is no such category.
    """
    if category not in _DRAW:
        raise UsageError(f"no drawn scene is called {category!r}; there are {', '.join(_DRAW)}")
    rng = np.random.default_rng([seed, zlib.crc32(category.encode()), index])
    seconds = (np.arange(frames) / FPS).astype(np.float32)
    scene = _DRAW[category](rng, seconds, size)
    alpha: Array = scene.layer.alpha
    colour: Array = scene.layer.colour
    if scene.front is not None:
        free = 1 - scene.front[scene.layer.window]
        alpha, colour = alpha * free, colour * free
    seen = alpha > _FAINTEST
    plate = scene.plate + 0.012 * rng.standard_normal(scene.plate.shape).astype(np.float32)
    background = _to_bytes(plate)
    out = np.repeat(background[None], frames, axis=0)
    below = plate[scene.layer.window]
    blend = np.moveaxis(colour, 0, -1) + (1 - alpha)[..., None] * below
    window = (slice(None), *scene.layer.window)
    out[window] = np.where(seen[..., None], _to_bytes(blend), out[window])
    mask = np.zeros(out.shape[:3], bool)
    mask[window] = seen
    return DrawnClip(out, mask, background)


def mask_path(folder: Path, clip: str) -> Path:
    """Return where the true mask of a drawn clip lies, given its path in the manifest."""
    return folder / "masks" / Path(clip).with_suffix(".npz")


def read_mask(folder: Path, clip: str) -> Mask:
    """Read a drawn clip's true mask, (T, H, W).

    Raises:
        DataError: the clip has no mask, or it cannot be read.
    """
    path = mask_path(folder, clip)
    try:
        with np.load(path) as stored:
            frames, height, width = stored["shape"]
            bits = np.unpackbits(stored["mask"], axis=-1, count=width)
    except FileNotFoundError:
        raise DataError(f"{path}: no mask here (only drawn scenes have one)") from None
    except (OSError, ValueError, KeyError, zlib.error) as error:
        raise DataError(f"{path}: is not a mask ({error})") from None
    return bits.reshape(frames, height, width).astype(bool)


def _packed(mask: Mask) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, mask=np.packbits(mask, axis=-1), shape=np.asarray(mask.shape))
    return buffer.getvalue()


def _draw_to(out: Path, record: ClipRecord, seed: int, index: int) -> ClipRecord:
    """Draw one clip into the folder, unless it is there, and return its finished record."""
    path = out / record.clip
    mask = mask_path(out, record.clip)
    if path.exists() and mask.exists():
        sha256 = sha256_of(path)
    else:
        drawn = draw_clip(record.category, seed, index, frames=record.frames, size=record.width)
        write_atomic(mask, _packed(drawn.mask))
        sha256 = write_clip(path, drawn.frames, record.fps)
    return replace(record, sha256=sha256)


def _planned(
    category: str, seed: int, index: int, clips: int, shape: tuple[int, int]
) -> ClipRecord:
    name = f"{index:05d}"
    tests = max(round(clips * TEST_SHARE), 1) if clips > 1 else 0
    return ClipRecord(
        clip=f"{category}/{name}.mp4",
        sha256="",
        source="real",
        category=category,
        frames=shape[0],
        fps=FPS,
        width=shape[1],
        height=shape[1],
        origin=Origin(f"drawn-{seed}-{category}-{name}"),
        split="test" if index >= clips - tests else "train",
    )


def _finished(out: Path, planned: Sequence[ClipRecord]) -> list[ClipRecord] | None:
    """Return the manifest's records when every planned clip is there, else None."""
    if not (out / MANIFEST_NAME).exists():
        return None
    records = read_manifest(out)
    whole = {r.clip for r in records} == {r.clip for r in planned} and all(
        (out / r.clip).exists() and mask_path(out, r.clip).exists() for r in records
    )
    return records if whole else None


def draw_scenes(
    out: Path,
    *,
    clips: int,
    seed: int,
    categories: Sequence[str] = CATEGORIES,
    frames: int = 32,
    size: int = 64,
    progress: bool = True,
) -> list[ClipRecord]:
    """Draw a clip folder with true masks; run again, it goes on where it stopped.

    The last fifth of every category is the `test` split. Masks lie in `masks/`, read by
    `read_mask`.

    Args:
        out: the folder, made if it is missing.
        clips: number of clips in each category.
        seed: of the drawing.
        categories: which scenes.
        frames: in each clip.
        size: of the picture's side, in pixels.
        progress: show a bar.

    Returns:
        The manifest's records, sorted by clip.

    Raises:
        UsageError: an unknown category, a number out of range, or a folder that holds other clips.
        DataError: the folder cannot be written.
    """
    unknown = [c for c in categories if c not in _DRAW]
    if unknown or not categories:
        raise UsageError(f"no drawn scene is called {unknown}; there are {', '.join(_DRAW)}")
    if clips < 1 or seed < 0 or frames < 1 or size < 16:
        raise UsageError("clips and frames must be at least 1, seed at least 0, size at least 16")
    chosen = sorted(set(categories))
    settings = {"seed": seed, "clips": clips, "categories": chosen, "frames": frames, "size": size}
    claim_folder(out, _STAMP_NAME, {"drawing": _DRAWING_VERSION, **settings})
    jobs = [(_planned(c, seed, i, clips, (frames, size)), i) for c in chosen for i in range(clips)]
    records = _finished(out, [job[0] for job in jobs])
    if records is None:
        bar = tqdm(jobs, desc="drawing scenes", unit="clip", disable=not progress)
        records = [_draw_to(out, record, seed, index) for record, index in bar]
        write_manifest(out, records)
    remove_stale_parts(out)
    return sorted(records, key=lambda r: r.clip)
