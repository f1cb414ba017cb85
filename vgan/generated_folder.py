"""A folder of generated clips: what it is to hold, what of that is missing, and its manifest.

A clip depends on the run's weights, the seed and the clip's number and on nothing else: it is the
same, byte for byte, whether ten clips are asked for or a thousand, at once or with a break.

This module imports no torch: a folder that is complete is found so at once.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vgan.data.files import write_atomic
from vgan.data.joining import LOCK_NAME, join_manifest, listed_clips
from vgan.data.listing import FRAMES, SIZE
from vgan.data.locking import locked
from vgan.data.manifest import SLUG, ClipRecord, sha256_of
from vgan.errors import DataError, UsageError
from vgan.training.config import TrainConfig
from vgan.training.folder import SavedRun, find_run

logger = logging.getLogger(__name__)

PARAMETERS_NAME = "generate.json"
_OF_ONE_FILE = {".avi", ".gif", ".mkv", ".mov", ".mp4", ".png", ".webm", ".webp"}
STREAMS = ("foreground", "mask", "background")


@dataclass(frozen=True)
class Order:
    """What is to be generated.

    Args:
        run: whose clips they are.
        out: the clip folder.
        category: the folder of the clips, and their category in the manifest.
        n: how many.
        seed: of the latents.
        streams: whether foreground, mask and background are written too.
    """

    run: SavedRun
    out: Path
    category: str
    n: int
    seed: int
    streams: bool

    def clip(self, index: int) -> str:
        """Return the name of a clip in the manifest."""
        return f"{self.category}/{index:05d}.mp4"

    def files(self, index: int) -> list[Path]:
        """Return every file of a clip, the clip itself first."""
        parts = [f"streams/{name}/" for name in STREAMS] if self.streams else []
        return [self.out / (part + self.clip(index)) for part in ["", *parts]]


def order_clips(
    run: Path,
    out: Path,
    n: int,
    seed: int,
    *,
    streams: bool = False,
    category: str | None = None,
) -> Order:
    """Say which clips of a trained run a folder is to hold.

    Args:
        run: the run folder.
        out: the clip folder; a folder may hold several categories of one source.
        n: number of clips, at least 1; those a folder holds already may become more, not fewer.
        seed: of the latents; clip i of a seed is always the same.
        streams: also write foreground, mask and background as clips, in folders of the same
            layout under `out/streams` and outside the manifest.
        category: of the clips in the manifest; by default what the run was trained on.

    Raises:
        UsageError: n or seed out of range, a future run, streams of a one-stream run, or `out` is
            named like a file or holds clips of other parameters.
        CheckpointError: not a run folder, or no checkpoint yet.
        DataError: what `out` says of its clips cannot be read.
    """
    if n < 1 or seed < 0:
        raise UsageError(f"n must be at least 1 and the seed at least 0, not {n} and {seed}")
    if out.suffix.lower() in _OF_ONE_FILE:
        raise UsageError(f"{out}: --out is a folder of clips, not one file; name it without ending")
    saved = find_run(run)
    refuse_future(saved.config)
    if streams and saved.config.model == "one-stream":
        raise UsageError(f"{run}: a one-stream run has no foreground, mask and background")
    category = category or saved.config.category
    if not SLUG.fullmatch(category):
        raise UsageError(f"category {category!r} is not a slug (lower-case letters, digits, - .)")
    order = Order(saved, out, category, n, seed, streams)
    _parameters(order)
    return order


def refuse_future(config: TrainConfig) -> None:
    """Raise UsageError where a run predicts from pictures and has no latents."""
    if config.model == "future":
        raise UsageError(
            "a future run makes clips of pictures, not of a seed: "
            "use `vgan predict RUN PICTURES --out DIR`"
        )


def nothing_to_do(order: Order) -> bool:
    """Whether every clip is there and listed; says so, if it is."""
    listed = {record.clip for record in listed_clips(order.out)}
    if missing_clips(order) or any(order.clip(index) not in listed for index in range(order.n)):
        return False
    logger.info("%s: the %d clips are there already; nothing to do", order.out, order.n)
    return True


def missing_clips(order: Order) -> list[int]:
    """Return the numbers of the clips that have a file missing."""
    return [i for i in range(order.n) if not all(file.is_file() for file in order.files(i))]


def write_parameters(order: Order) -> None:
    """Write down what the folder is to hold, besides what it holds already.

    Raises:
        UsageError: it holds something else by now.
        DataError: it cannot be written.
    """
    with locked(order.out / LOCK_NAME):  # another run may have added its category in the meantime
        write_atomic(order.out / PARAMETERS_NAME, _parameters(order).encode())


def write_manifest(order: Order, checksums: dict[Path, str]) -> None:
    """List the clips, with the checksums of those just written; other categories' clips stay."""
    records = [
        ClipRecord(
            clip=order.clip(index),
            sha256=checksums.get(path) or sha256_of(path),
            source=order.run.config.source,
            category=order.category,
            frames=FRAMES,
            fps=order.run.data.fps,
            width=SIZE,
            height=SIZE,
            seed=order.seed,
        )
        for index in range(order.n)
        for path in order.files(index)[:1]
    ]
    join_manifest(order.out, records)


def _parameters(order: Order) -> str:
    """Return what the folder is to say of what it holds, now with these clips.

    Raises:
        UsageError: it holds something else.
    """
    path = order.out / PARAMETERS_NAME
    source = order.run.config.source
    asked: dict[str, Any] = {
        "source": source,
        "checkpoint_sha256": order.run.checkpoint_sha256,
        "n": order.n,
        "seed": order.seed,
        "streams": order.streams,
    }
    # Listed before it is read, should another run be making it; hidden files are nobody's clips.
    used = order.out.is_dir() and any(not p.name.startswith(".") for p in order.out.iterdir())
    known = _read_parameters(path)
    if known is None:
        if used:
            raise UsageError(
                f"{order.out} is not empty and was not made by `vgan generate`; give another --out"
            )
        known = {}
    held = known.get(order.category, asked)
    different = [key for key in asked if held.get(key) != asked[key]]
    grows = different == ["n"] and held.get("n", 0) < order.n  # those there are the first of more
    if different and not grows:
        key = different[0]
        those = f"clips with {key} {held.get(key)}, not {asked[key]}"
        if key == "checkpoint_sha256":
            those = "clips of another run, or made before this one was trained further"
        raise UsageError(f"{order.out} already holds {order.category} {those}; give another --out")
    others = {entry["source"] for entry in known.values()} - {source}
    if others:
        raise UsageError(
            f"{order.out} holds clips of {others.pop()}; one folder is for one source: "
            "give another --out"
        )
    return json.dumps(known | {order.category: asked}, indent=2, sort_keys=True) + "\n"


def _read_parameters(path: Path) -> dict[str, dict[str, Any]] | None:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    if not isinstance(known, dict):
        raise DataError(f"{path}: not a JSON object")
    return known
