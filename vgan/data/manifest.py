"""The manifest beside a folder of clips: one JSON object per clip in `manifest.jsonl`.

Standard library only: a study reads manifests without torch, OpenCV or numpy. This is the one
module of `vgan` that `evaluation` imports.
"""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

MANIFEST_NAME = "manifest.jsonl"
# What a `vgan` command writes into a clip folder when it begins, and which command; the manifest
# comes last.
BEGUN = {
    "generate.json": "generate",
    "ingest.json": "ingest",
    "predict.json": "predict",
    "scenes.json": "scenes` or `vgan filter-scenes",
    "static.json": "static",
}
SLUG = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")


class ManifestError(ValueError):
    """A manifest cannot be read; the message names the file, the line and the key."""


@dataclass(frozen=True)
class Origin:
    """Where a clip was cut from.

    Args:
        video: id of the source video; clips of one video never straddle train and test.
        start_frame: index of the clip's first frame in that video, from 0.
    """

    video: str
    start_frame: int = 0


@dataclass(frozen=True)
class ClipRecord:
    """One clip of a folder.

    Args:
        clip: path relative to the manifest's folder, with forward slashes.
        sha256: of the clip file's bytes, 64 hexadecimal digits.
        source: `real`, `static`, or a generator's name; a slug.
        category: what the clip shows; a slug.
        frames: number of frames, at least 1 (1 is a still image).
        fps: frames per second.
        width: in pixels.
        height: in pixels.
        seed: of the generator, where the clip was generated.
        item: what is the same across sources (a prompt, an input frame), for pairing by item.
        prompt: text shown with the pair where the study asks for it.
        origin: the source video and start frame, where the clip was cut from one.
        split: `train` or `test`.
        extra: keys this version does not know, kept as they are.
    """

    clip: str
    sha256: str
    source: str
    category: str
    frames: int
    fps: float
    width: int
    height: int
    seed: int | None = None
    item: str | None = None
    prompt: str | None = None
    origin: Origin | None = None
    split: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def video(self) -> str:
        """The id of the source video; the clip's own path where that is not known."""
        return self.origin.video if self.origin else self.clip


_REQUIRED: dict[str, tuple[type, ...]] = {
    "clip": (str,), "sha256": (str,), "source": (str,), "category": (str,),
    "frames": (int,), "fps": (int, float), "width": (int,), "height": (int,),
}  # fmt: skip
_OPTIONAL: dict[str, tuple[type, ...]] = {
    "seed": (int,), "item": (str,), "prompt": (str,), "split": (str,),
}  # fmt: skip


_KNOWN = {f.name for f in fields(ClipRecord)} - {"extra"}
_FASTEST = 1e6  # frames per second, beyond any camera: arithmetic and databases hold no infinity
_LAST_FRAME = 2**31 - 1  # which the whole numbers of a database can hold
# In JSON: NUL, and half a character, which Python stands for a byte of a name that is not UTF-8.
_NOT_STORABLE = re.compile(r"\\u0000|[\ud800-\udfff]")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def to_dict(record: ClipRecord) -> dict[str, Any]:
    """Return the record as its JSON object, absent keys left out."""
    known = {name: value for name, value in vars(record).items() if value is not None}
    del known["extra"]
    if record.origin is not None:
        known["origin"] = dict(vars(record.origin))
    return known | record.extra


def from_dict(raw: dict[str, Any], where: str) -> ClipRecord:
    """Check a clip's JSON object and return its record.

    Raises:
        ManifestError: a key is missing or has the wrong type; the message begins with `where`.
    """
    _check_values(raw, where)
    for key in ("source", "category"):
        if not SLUG.fullmatch(raw[key]):
            raise ManifestError(
                f"{where}: {key} {raw[key]!r} is not a slug (lower-case letters, digits, - and .)"
            )
    path = Path(raw["clip"])
    if path.is_absolute() or ".." in path.parts:
        raise ManifestError(f"{where}: clip {raw['clip']!r} must be a path inside the folder")
    if raw["frames"] < 1 or raw["width"] < 1 or raw["height"] < 1:
        raise ManifestError(f"{where}: frames, width and height must be positive")
    if not 0 < raw["fps"] <= _FASTEST:  # nor is NaN, which Python writes into JSON and reads there
        raise ManifestError(
            f"{where}: fps must be above 0, at most {_FASTEST:g}, got {raw['fps']!r}"
        )
    known = {k: v for k, v in raw.items() if k in _KNOWN}
    extra = {k: v for k, v in raw.items() if k not in _KNOWN}
    return ClipRecord(**known | {"origin": _origin(raw.get("origin"), where)}, extra=extra)


def _check_values(raw: dict[str, Any], where: str) -> None:
    """Refuse a clip's JSON object in which a key is missing or has the wrong type."""
    for key, types in {**_REQUIRED, **_OPTIONAL}.items():
        value = raw.get(key)
        if value is None and key in _OPTIONAL:
            continue
        if value is None:
            raise ManifestError(f"{where}: key `{key}` is missing")
        if not isinstance(value, types) or isinstance(value, bool):
            raise ManifestError(f"{where}: key `{key}` must be {types[-1].__name__}, got {value!r}")


def _check_storable(raw: dict[str, Any], where: str) -> None:
    """Refuse a clip's JSON object with text that files and databases do not take."""
    if _is_storable(raw):
        return
    key, value = next(item for item in raw.items() if not _is_storable(item))
    raise ManifestError(
        f"{where}: key `{key}` has \\u0000, or a byte of a name that is not UTF-8, which no "
        f"database takes: {value!r}"
    )


def _is_storable(value: Any) -> bool:
    # A backslash of the text is two in JSON, and may stand before a "u0000" of the text.
    text = json.dumps(value, ensure_ascii=False).replace(r"\\", "")
    return not _NOT_STORABLE.search(text)


def _origin(raw: Any, where: str) -> Origin | None:
    if raw is None:
        return None
    if not isinstance(raw, dict) or not isinstance(raw.get("video"), str):
        raise ManifestError(f"{where}: key `origin` must be an object with a `video`")
    start = raw.get("start_frame", 0)
    if type(start) is not int or not 0 <= start <= _LAST_FRAME:
        raise ManifestError(
            f"{where}: key `origin.start_frame` must be a whole number from 0 to {_LAST_FRAME}"
        )
    return Origin(raw["video"], start)


def read_manifest(folder: Path) -> list[ClipRecord]:
    """Read `manifest.jsonl` of a folder of clips.

    Raises:
        ManifestError: the file is missing, a line is not JSON, a key is missing or has the wrong
            type, or a clip is listed twice. The message names the file and the line.
    """
    path = folder / MANIFEST_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ManifestError(f"{path}: no manifest here") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read ({error})") from None
    records: list[ClipRecord] = []
    seen: set[str] = set()
    # Not `splitlines`: JSON leaves U+2028 and the like, which end a line to Python, as they are.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            raw = json.loads(line)
        except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets, too
            raise ManifestError(f"{where}: not JSON ({error})") from None
        if not isinstance(raw, dict):
            raise ManifestError(f"{where}: not a JSON object")
        if "\\u" in line:  # as an escape, or such text were no JSON or no UTF-8
            _check_storable(raw, where)
        record = from_dict(raw, where)
        if record.clip in seen:
            raise ManifestError(f"{where}: clip {record.clip!r} is listed twice")
        seen.add(record.clip)
        records.append(record)
    return records


def unfinished(folder: Path) -> str | None:
    """Say what is wrong with a folder of clips that was begun and has no manifest yet.

    Its clips may be of any split and of any number: it must not pass as one without a manifest.

    Returns:
        One line that names the folder and the command that ends it; None of any other folder.
    """
    if (folder / MANIFEST_NAME).exists():
        return None
    for name, command in BEGUN.items():
        if (folder / name).exists():
            return (
                f"{folder}: `vgan {command}` was interrupted there (it has {name}, but no "
                f"{MANIFEST_NAME}); run the same command with --out {folder} again"
            )
    return None


def write_manifest(folder: Path, records: Iterable[ClipRecord]) -> Path:
    """Write the folder's manifest, sorted by clip; the old one stays until the new one is whole."""
    path = folder / MANIFEST_NAME
    lines = [
        json.dumps(to_dict(r), ensure_ascii=False, sort_keys=True)
        for r in sorted(records, key=lambda r: r.clip)
    ]
    # Drawn, so that two processes that write the manifest at once do not meet; with a dot, so that
    # `remove_stale_parts` finds what a killed one leaves.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
