"""Importing folders of clips: what is there, whether it is whole, and what it belongs to.

A folder has a manifest (then every file is held to its checksum), or is laid out as
`SOURCE/CATEGORY/*.mp4`, or as `SOURCE/*.mp4` with the one category `all`. A folder whose
sub-folders have a manifest each is read as all of them together.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from evaluation.errors import ClipError, UsageError
from evaluation.files import composed
from evaluation.media.folders import (
    category_folders,
    category_of,
    is_clip,
    manifest_folders,
    unread_files,
)
from evaluation.media.frames import ClipInfo, check_name, clip_info
from evaluation.study import RESERVED, Source
from evaluation.study_file.prompts import read_prompts
from evaluation.study_file.tables import SLUG_RULE
from evaluation.threads import Progress, in_threads, silent
from vgan.data.manifest import (
    MANIFEST_NAME,
    ClipRecord,
    ManifestError,
    read_manifest,
    sha256_of,
    unfinished,
)

_LONGEST_NAME = 400  # of a clip id, in the database
_MOST_REFUSED = 10  # then the others are not read


def clip_name(record: ClipRecord) -> str:
    """Return the clip id of the contract: `source/relative-path`, unique in the study."""
    return f"{record.source}/{record.clip}"


def import_source(
    source: Source,
    *,
    categories: Sequence[str] = (),
    progress: Progress = silent,
    known: Mapping[str, ClipInfo] = MappingProxyType({}),
    may_lack: bool = False,
) -> list[ClipRecord]:
    """Read every clip of a source folder.

    Args:
        source: the folder, and the split to take where its manifest has splits.
        categories: only these; all when empty.
        progress: called with the stage, how many are done, and of how many.
        known: what files are, by SHA-256, from an earlier import; they are not decoded again.
        may_lack: see `list_source`.

    Returns:
        Records sorted by path, `source` set to the study's name for it.

    Raises:
        ClipError: the folder is missing, empty or not finished, a file is missing, damaged or not
            what the manifest says, or no clip is of the split; the message names all such files, of
            very many the first.
        UsageError: see `list_source`.
    """
    folder = source.path
    found, manifests = list_source(source, may_lack=may_lack)
    wanted = [r for r in found if not categories or r.category in categories]

    refused: dict[str, ClipError] = {}

    def check(record: ClipRecord) -> ClipRecord:
        if len(refused) < _MOST_REFUSED:
            try:
                return _checked(folder, replace(record, source=source.name), manifests, known)
            except ClipError as error:  # read on: else every run names one file more
                refused[record.clip] = error
        return record

    ordered = sorted(wanted, key=lambda r: r.clip)
    checked = in_threads(check, ordered, f"Reading clips of {source.name}", progress)
    if refused:
        raise _refusal(refused)
    return checked


def _refusal(refused: Mapping[str, ClipError]) -> ClipError:
    """Return an error that says of each clip why it is refused, a line each."""
    reasons = [str(error) for _, error in sorted(refused.items())]
    if len(refused) >= _MOST_REFUSED:
        reasons.append("the rest was not read")
    return ClipError("\n".join(reasons))


def list_source(source: Source, *, may_lack: bool = False) -> tuple[list[ClipRecord], bool]:
    """List the clips of a source folder without opening any.

    Args:
        source: the folder, and the split to take where its manifest has splits.
        may_lack: pass over prompts of items that are not there, as a study leaves those out.

    Returns:
        Records in no order, and whether they come from manifests: else only `clip`, `category`
        and `prompt` are known.

    Raises:
        ClipError: the folder is missing, empty or not finished, or no clip is of the split.
        UsageError: the file of prompts cannot be used, or names a clip or item that is not there.
    """
    folder = source.path
    if not folder.is_dir():
        raise ClipError(f"{folder}: no such folder (source {source.name}); correct its path")
    _refuse_unfinished(folder)
    manifests = manifest_folders(folder)
    if manifests:
        found = [r for sub in manifests for r in _of_manifest(folder, sub)]
    elif source.split is not None:
        raise ClipError(
            f"{folder}: split = {source.split!r} needs a {MANIFEST_NAME}, which is not there"
        )
    else:
        found = _of_layout(folder)
    if not found:
        others = "".join(
            f"; not read: {path} ({why})" for path, why in [*unread_files(folder).items()][:1]
        )
        raise ClipError(f"{folder}: no clips in it (source {source.name}){others}")
    return _of_split(_with_prompts(found, source, may_lack), source), bool(manifests)


def _refuse_unfinished(folder: Path) -> None:
    """Refuse clips whose making was interrupted: those that are there would pass as all of them."""
    if (folder / MANIFEST_NAME).is_file():
        return
    for place in (folder, *sorted(p for p in folder.iterdir() if p.is_dir())):
        if why := unfinished(place):
            raise ClipError(why)


def _of_manifest(folder: Path, sub: Path) -> list[ClipRecord]:
    try:
        records = read_manifest(sub)
    except ManifestError as error:
        raise ClipError(str(error)) from error
    prefix = "" if sub == folder else f"{sub.relative_to(folder).as_posix()}/"
    return [replace(r, clip=prefix + r.clip) for r in records]


def _with_prompts(records: list[ClipRecord], source: Source, may_lack: bool) -> list[ClipRecord]:
    """Give clips the prompts of the source's file; those without a row keep the manifest's."""
    if source.prompts is None:
        return records
    key, rows = read_prompts(source.prompts)
    names = [composed(r.clip if key == "clip" else item_of(r)) for r in records]
    known = set(names)
    unknown = [row for row in rows if row.name not in known]
    if unknown and not (may_lack and key == "item"):
        line, first = unknown[0].line, unknown[0].name
        others = f" (nor those of {len(unknown) - 1} more rows)" if len(unknown) > 1 else ""
        unread = "".join(
            f"; not read: {path} ({why})"
            for path, why in unread_files(source.path).items()
            if composed(path.stem) == first
        )
        raise UsageError(
            f"{source.prompts}:{line}: {source.path} (source {source.name}) has no {key} "
            f"{first!r}{others}; the first that it has is {min(known)!r}{unread}"
        )
    texts = {row.name: row.text for row in rows}
    return [replace(r, prompt=texts.get(n, r.prompt)) for n, r in zip(names, records, strict=True)]


def _of_split(records: list[ClipRecord], source: Source) -> list[ClipRecord]:
    """Take one split; without a word, never what a generator was trained on."""
    splits = sorted({r.split for r in records if r.split})
    if source.split is None:
        kept = [r for r in records if r.split != "train"]
        if records and not kept:
            raise ClipError(
                f"{source.path}: every clip is of the split train, which generators learn from; "
                f'write {source.name} = {{ path = ..., split = "train" }} if that is meant'
            )
        return kept
    kept = [r for r in records if r.split == source.split]
    if not kept:
        known = ", ".join(splits) or "no splits at all"
        raise ClipError(f"{source.path}: no clip of the split {source.split!r}; it has {known}")
    return kept


def _of_layout(folder: Path) -> list[ClipRecord]:
    """List the clips of a folder without a manifest; what they are is filled in by `_checked`."""
    top = [p for p in folder.iterdir() if is_clip(p)]
    by_category = {p: [c for c in p.iterdir() if is_clip(c)] for p in category_folders(folder)}
    if top and any(by_category.values()):
        raise ClipError(
            f"{folder}: clips both at its top ({top[0].name}) and in folders; move them all into "
            "one folder per category"
        )
    found = [_unread(folder, path) for path in top]
    for sub, clips in by_category.items():
        if clips and (complaint := SLUG_RULE.complaint(sub.name)):
            raise ClipError(f"{sub}: a category's folder: {complaint}; rename it")
        found += [_unread(folder, path) for path in clips]
    return found


def _unread(folder: Path, path: Path) -> ClipRecord:
    check_name(path)
    category = category_of(folder, path)
    relative = path.relative_to(folder).as_posix()
    return ClipRecord(
        clip=relative, sha256="", source="", category=category, frames=0, fps=0, width=0, height=0
    )


def _checked(
    folder: Path, record: ClipRecord, from_manifest: bool, known: Mapping[str, ClipInfo]
) -> ClipRecord:
    path = folder / record.clip
    if len(clip_name(record)) > _LONGEST_NAME:
        raise ClipError(f"{path}: the path is too long; {_LONGEST_NAME} characters fit")
    if not path.is_file():
        raise ClipError(f"{path}: listed in the manifest, but not there")
    digest = sha256_of(path)
    if from_manifest and digest != record.sha256:
        raise ClipError(
            f"{path}: not the file of the manifest (checksum differs); restore it, or make the "
            "manifest again"
        )
    info = known.get(digest) or clip_info(path)
    if from_manifest and (record.frames, record.width, record.height) != (
        info.frames, info.width, info.height
    ):  # fmt: skip
        raise ClipError(
            f"{path}: the manifest says {record.frames} frames of {record.width}x{record.height}, "
            f"the file has {info.frames} of {info.width}x{info.height}; make the manifest again"
        )
    fps = record.fps if from_manifest else info.fps
    return replace(
        record, sha256=digest, frames=info.frames, fps=fps, width=info.width, height=info.height
    )


def shared_categories(
    clips: Mapping[str, Sequence[ClipRecord]], wanted: Sequence[str]
) -> tuple[str, ...]:
    """Return the categories of the study, each of which every source must have.

    Args:
        clips: the records of every source that is compared.
        wanted: the study file's list; when empty, all categories that any source has, sorted.

    Raises:
        ClipError: a source has no clip of a category (the message names both), or a category has
            a name that tables need.
    """
    held = {source: {r.category for r in records} for source, records in clips.items()}
    chosen = tuple(wanted) or tuple(sorted(set().union(*held.values())))
    if reserved := sorted(RESERVED.intersection(chosen)):
        raise ClipError(
            f"a category is called {reserved[0]!r}, as the tables' column of Means is; rename its "
            "folder"
        )
    advice = "add some, or list the categories to compare under [design] categories"
    if not set.intersection(*held.values()):
        advice = (
            "the sources share none, so move the clips into SOURCE/CATEGORY/, folders of the same "
            "names in every source"
        )
    for source, categories in held.items():
        for category in chosen:
            if category not in categories:
                has = ", ".join(map(repr, sorted(categories))) or "none"
                raise ClipError(
                    f"source {source} has no clips of category {category!r} (it has {has}); "
                    f"{advice}"
                )
    return chosen


def equal_files(clips: Iterable[ClipRecord], pairs: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Return a warning for every file whose bytes occur more than once in the study.

    Args:
        clips: of the study.
        pairs: the clip ids of each pair that is shown; those of equal bytes are told first.
    """
    by_digest: dict[str, list[str]] = defaultdict(list)
    digests = {}
    for record in clips:
        name = clip_name(record)
        by_digest[record.sha256].append(name)
        digests[name] = record.sha256
    found = []
    if shown := [(a, b) for a, b in pairs if digests[a] == digests[b]]:
        others = f" (so are {len(shown) - 1} more pairs)" if len(shown) > 1 else ""
        found.append(
            f"{shown[0][0]} and {shown[0][1]} are the same file, and shown as a pair{others}: its "
            "answers say nothing of the sources; replace or leave out the copy"
        )
    return found + [
        f"{names[0]} and {names[1]} are the same file"
        + (f" (and {len(names) - 2} more)" if len(names) > 2 else "")
        for names in by_digest.values()
        if len(names) > 1 and set(names) not in map(set, shown)
    ]


def item_of(record: ClipRecord) -> str:
    """Return what pairs by item match on: the manifest's item, else the file's name."""
    return record.item if record.item is not None else Path(record.clip).stem
