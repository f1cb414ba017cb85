"""Clips join a folder's manifest: one process at a time, so that two at once lose no entry."""

from collections.abc import Sequence
from pathlib import Path

from vgan.data.files import WriteError, remove_stale_parts
from vgan.data.locking import locked
from vgan.data.manifest import MANIFEST_NAME, ClipRecord, read_manifest, write_manifest

LOCK_NAME = ".lock"


def listed_clips(out: Path) -> list[ClipRecord]:
    """Return what a folder's manifest lists; nothing where there is none yet.

    Raises:
        ManifestError: it cannot be read.
    """
    return read_manifest(out) if (out / MANIFEST_NAME).is_file() else []


def join_manifest(out: Path, records: Sequence[ClipRecord]) -> list[ClipRecord]:
    """List clips beside those that a folder's manifest lists; equal names are replaced.

    Args:
        out: the clip folder.
        records: of the clips that join.

    Returns:
        The new manifest's records, sorted by clip.

    Raises:
        ManifestError: the manifest that is there cannot be read.
        WriteError: the new one cannot be written.
    """
    new = {record.clip for record in records}
    with locked(out / LOCK_NAME):
        whole = [record for record in listed_clips(out) if record.clip not in new] + [*records]
        try:
            write_manifest(out, whole)
        except OSError as error:
            where = f"{out / MANIFEST_NAME}: cannot be written"
            raise WriteError(f"{where} ({error.strerror or error})") from None
    remove_stale_parts(out)
    return sorted(whole, key=lambda r: r.clip)
