"""Every clip that is shown, encoded once in one way, under a name that says nothing.

The format is decided once per study from all its clips: a lossless sprite sheet while the largest
stays within 1 MB, else video. Both files of a pair are padded to one step of a geometric ladder of
sizes, so neither a file's name nor its length tells the sides apart.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, replace
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from evaluation import schema
from evaluation.errors import ClipError
from evaluation.files import part_of, write_atomic
from evaluation.media import encoding
from evaluation.media.formats import (
    SPRITE_LIMIT,
    Format,
    as_video,
    common_format,
    resampled_length,
)
from evaluation.media.frames import Frames
from evaluation.plan import Plan
from evaluation.planning.sizes import padded_sizes, pair_size
from evaluation.secret import media_key
from evaluation.storage import MediaStore
from evaluation.study import Display
from evaluation.threads import Progress, in_threads, silent
from vgan.data.manifest import sha256_of

_ENCODING_VERSION = 2  # part of the names of half-made files: raise it when the bytes change


def _scratch_file(clip: schema.Clip, target: Format, scratch: Path) -> Path:
    spec = repr((_ENCODING_VERSION, astuple(target), clip.sha256)).encode()
    return scratch / hashlib.sha256(spec).hexdigest()


def _shown_frames(clip: schema.Clip, target: Format) -> Frames:
    """Decode a clip in the study's format, but only from the very file that was imported."""
    path = Path(clip.path)
    try:
        digest = sha256_of(path)
    except OSError as error:
        mend = "restore it or, where folders moved, run `vgan-eval init` with their new paths"
        raise ClipError(f"{path}: cannot be read ({error.strerror}); {mend}") from None
    if digest != clip.sha256:
        raise ClipError(
            f"{path}: changed since it was imported (checksum differs); restore it, or make a new "
            "study with `vgan-eval init`"
        )
    frames, sizes = encoding.read_fitted(path, clip.frames, clip.fps, target)
    if len(frames) != clip.frames or sizes != {(clip.height, clip.width)}:
        height, width = sorted(sizes)[-1]
        raise ClipError(
            f"{path}: the same file, but this version reads it as {len(frames)} frames of "
            f"{width}x{height}, not {clip.frames} of {clip.width}x{clip.height}; make a new study "
            "with `vgan-eval init`"
        )
    return encoding.normalise(frames, clip.fps, target)


def _encode(clip: schema.Clip, target: Format, scratch: Path) -> bytes:
    """Encode one clip to a scratch file, unless an interrupted run already did.

    Another run may take the file away as soon as its own clips are stored, so the bytes count.
    """
    path = _scratch_file(clip, target, scratch)
    with suppress(FileNotFoundError):
        return path.read_bytes()
    frames = _shown_frames(clip, target)
    if target.kind == "video":
        scratch.mkdir(parents=True, exist_ok=True)
        data = encoding.video(frames, target.fps, part_of(path, ".mp4"))
    else:
        data = encoding.sprite_sheet(frames, target.columns)
    write_atomic(path, data)
    return data


def encode_clips(
    clips: Sequence[schema.Clip],
    target: Format,
    display: Display,
    scratch: Path,
    progress: Progress = silent,
    *,
    limit: int | None = SPRITE_LIMIT,
) -> tuple[Format, list[int]]:
    """Encode clips to files in a scratch folder; what an interrupted run made is kept.

    Needs no database, so that nobody waits for a lock meanwhile.

    Args:
        clips: their `path`, `sha256`, size and length are read.
        target: from `common_format`.
        display: the study file's [display].
        scratch: see `MediaStore.scratch`.
        progress: called with the stage, how many are done, and of how many.
        limit: bytes of a sheet above which all clips become video; None keeps the sheets.

    Returns:
        The format in force (video when a sheet exceeded 1 MB) and the bytes of every clip's file,
        in order.

    Raises:
        ClipError: a clip cannot be decoded or has changed since it was imported.
    """

    def encode(clip: schema.Clip) -> int:
        return len(_encode(clip, target, scratch))

    sizes = in_threads(encode, clips, "Encoding clips", progress)
    if target.kind == "sprite" and limit is not None and max(sizes, default=0) > limit:
        return encode_clips(clips, as_video(target, display), display, scratch, progress)
    return target, sizes


def layout_of(clip: schema.Clip, target: Format) -> dict[str, str | int | float]:
    """Return what the page needs to play a clip; equal on both sides of every pair.

    (Unless `duration = "loop-each"` lets clips keep their own lengths.)
    """
    frames = target.frames
    if frames is None:
        frames = resampled_length(clip.frames, clip.fps, target.fps)
    return {
        "kind": target.kind,
        "frames": frames,
        "fps": target.fps,
        "width": target.width,
        "height": target.height,
        "columns": target.columns,
        "scale": target.scale,
    }


def _study_clips(session: Session, study: schema.Study) -> list[schema.Clip]:
    chosen = select(schema.Clip).where(schema.Clip.study_id == study.id).order_by(schema.Clip.id)
    return list(session.scalars(chosen))


def _unprepared_pairs(session: Session, study: schema.Study) -> list[schema.Pair]:
    chosen = (
        select(schema.Pair)
        .where(schema.Pair.study_id == study.id, schema.Pair.padded_bytes == 0)
        .options(joinedload(schema.Pair.clip_a), joinedload(schema.Pair.clip_b))
        .order_by(schema.Pair.id)
    )
    return list(session.scalars(chosen))


def study_format(
    session: Session, study: schema.Study, display: Display
) -> tuple[Format, int | None]:
    """Return what the clips of a study are made into: what they were, where some are already.

    Args:
        session: of any unit.
        study: holds its clips already.
        display: the study file's [display].

    Returns:
        The format, and the bytes of a sheet above which it may still change.

    Raises:
        UsageError: see `common_format`.
    """
    target = common_format(_study_clips(session, study), display)
    made = session.scalar(
        select(schema.Stimulus.layout)
        .join(schema.Stimulus.clip)
        .where(schema.Clip.study_id == study.id)
        .limit(1)
    )
    if made is None:
        return target, SPRITE_LIMIT
    kept = ("kind", "width", "height", "columns", "scale")
    return replace(target, **{key: made[key] for key in kept}), None


class _File(NamedTuple):
    """A clip's file in the store: its name, its padded size, and whose it is."""

    key: str
    padded_bytes: int
    clip: schema.Clip


def _files_of(study: schema.Study, pair: Sequence[schema.Clip], step: int) -> list[_File]:
    """Return the files of both clips of a pair, padded to one step."""
    return [_File(media_key(study.secret, clip.name, step), step, clip) for clip in pair]


def _store(files: Iterable[_File], target: Format, store: MediaStore, progress: Progress) -> None:
    scratch = store.scratch()

    def put(file: _File) -> None:
        if not store.exists(file.key):
            data = encoding.pad(_encode(file.clip, target, scratch), file.padded_bytes)
            store.put(file.key, data, target.mime)

    # By key, which is as good as by chance: a bucket tells everybody when a file was put, and these
    # come by kind of trial and by side.
    ordered = sorted(files, key=lambda file: file.key)
    in_threads(put, ordered, "Storing clips", progress)


def store_ahead(
    session: Session,
    study: schema.Study,
    plan: Plan,
    display: Display,
    store: MediaStore,
    progress: Progress = silent,
) -> frozenset[str]:
    """Encode and store the clips of a plan that a frozen study is to have; only reads the database.

    `prepare_stimuli` leaves them as they are, so that nobody waits for its write unit meanwhile.
    What is stored and never used is under a name that nobody learns.

    Args:
        session: of any unit.
        study: the study.
        plan: its pairs are of test trials.
        display: the study file's [display].
        store: where the files go.
        progress: called with the stage, how many are done, and of how many.

    Returns:
        The keys of the files.

    Raises:
        ClipError: a clip cannot be decoded or has changed since it was imported.
        EvaluationError: the store cannot be written.
    """
    names = {name for pair in plan.pairs for name in (pair.clip_a, pair.clip_b)}
    clips = {clip.name: clip for clip in _study_clips(session, study) if clip.name in names}
    target, limit = study_format(session, study, display)
    wanted = list(clips.values())
    target, encoded = encode_clips(wanted, target, display, store.scratch(), progress, limit=limit)
    sizes = {clip.name: size for clip, size in zip(wanted, encoded, strict=True)}
    files = {}
    for pair in plan.pairs:
        size = pair_size(sizes[pair.clip_a], sizes[pair.clip_b])
        for file in _files_of(study, (clips[pair.clip_a], clips[pair.clip_b]), size):
            files[file.key] = file
    _store(files.values(), target, store, progress)
    return frozenset(files)


def prepare_stimuli(
    session: Session,
    study: schema.Study,
    display: Display,
    store: MediaStore,
    progress: Progress = silent,
    *,
    stored: Collection[str] = frozenset(),
) -> None:
    """Encode, pad and store both clips of every pair that has no stimuli yet.

    Adds Stimulus rows and sets `Pair.padded_bytes`. Files that `encode_clips` made before, and keys
    that are already stored, are not made again.

    Args:
        session: inside a write unit; holds the study's clips and pairs.
        study: whose secret names the files.
        display: the study file's [display].
        store: where the files go.
        progress: called with the stage, how many are done, and of how many.
        stored: keys that are known to be in the store, of `store_ahead`.

    Raises:
        UsageError: see `common_format`.
        ClipError: a clip cannot be decoded or has changed since it was imported.
        EvaluationError: the store cannot be written.
    """
    session.flush()
    pairs = _unprepared_pairs(session, study)
    if not pairs:
        return
    target, limit = study_format(session, study, display)
    clips = {clip.id: clip for pair in pairs for clip in (pair.clip_a, pair.clip_b)}
    wanted = [clips[key] for key in sorted(clips)]
    scratch = store.scratch()
    target, encoded = encode_clips(wanted, target, display, scratch, progress, limit=limit)
    sizes = {clip.id: size for clip, size in zip(wanted, encoded, strict=True)}
    files = _add_rows(session, study, pairs, sizes, target)
    _store((file for file in files if file.key not in stored), target, store, progress)
    for clip in wanted:  # the store has them now, padded; two clips of equal bytes share one
        _scratch_file(clip, target, scratch).unlink(missing_ok=True)


def _add_rows(
    session: Session,
    study: schema.Study,
    pairs: Sequence[schema.Pair],
    sizes: Mapping[int, int],
    target: Format,
) -> list[_File]:
    """Set each pair's size step and add its stimuli; return what must be stored."""
    known, steps = stimulus_keys(session, study), padded_sizes(session, study, pairs, sizes)
    new = []
    for pair in pairs:
        for file in _files_of(study, (pair.clip_a, pair.clip_b), steps[pair.id]):
            key, pair.padded_bytes, clip = file
            if key in known:
                continue
            known.add(key)
            row = {"clip_id": clip.id, "key": key, "padded_bytes": file.padded_bytes}
            session.add(schema.Stimulus(**row, mime=target.mime, layout=layout_of(clip, target)))
            new.append(file)
    session.flush()
    return new


def stimulus_keys(session: Session, study: schema.Study) -> set[str]:
    """Return the names of a study's files in its store."""
    of_study = schema.Clip.study_id == study.id
    chosen = select(schema.Stimulus.key).join(schema.Stimulus.clip).where(of_study)
    return set(session.scalars(chosen))
