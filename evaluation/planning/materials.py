"""What a study is made of: the clips of its sources, and pools of pairs for the checks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation.clips import (
    clip_name,
    import_source,
    item_of,
    list_source,
    shared_categories,
)
from evaluation.errors import ClipError
from evaluation.files import composed
from evaluation.media.folders import category_of, unread_files
from evaluation.media.formats import check_alike
from evaluation.media.frames import ClipInfo
from evaluation.plan import PlannedClip, PlannedPair, check_partners
from evaluation.planning.gold import GoldPair, folder_pairs, spoilt_pairs
from evaluation.planning.pools import identical_pairs, split_pool
from evaluation.planning.prompts import check_prompts
from evaluation.planning.unmatched import Unmatched
from evaluation.schema import Clip, TrialKind
from evaluation.study import Source, Study
from evaluation.threads import Progress, silent
from vgan.data.manifest import ClipRecord

ClipFiles = dict[str, tuple[ClipRecord, Path]]  # clips by their ids, and where each lies


@dataclass(frozen=True)
class Imported:
    """What the folders hold: clips of each source, categories, and gold of a folder."""

    clips: dict[str, list[ClipRecord]]
    categories: tuple[str, ...]
    gold: list[GoldPair]

    @property
    def records(self) -> list[ClipRecord]:
        """Every clip once, in a fixed order."""
        held = [record for records in self.clips.values() for record in records]
        return held + [r for pair in self.gold for r in (pair.good, pair.bad)]


@dataclass(frozen=True)
class Pools:
    """Pairs for session trials, and the spoilt clips made for them."""

    pairs: list[tuple[TrialKind, PlannedPair]]
    gold: list[GoldPair]


def import_clips(
    study: Study, progress: Progress = silent, known: Mapping[str, ClipInfo] | None = None
) -> Imported:
    """Read the clips of every source that is compared or spoilt, and of a gold folder.

    Args:
        study: the study file.
        progress: called with the stage, how many are done, and of how many.
        known: what files are, by SHA-256; they are not decoded again.

    Raises:
        ClipError: see `import_source`, `shared_categories`, `check_unread_items` and
            `folder_pairs`; clips that are refused are named of all sources at once.
        UsageError: see `check_folders`.
    """
    if not known:
        check_folders(study)  # else what they lack is told after minutes of reading
    compared = study.design.compared
    clips: dict[str, list[ClipRecord]] = {}
    refused = []
    for source in _read_sources(study):
        try:
            clips[source.name] = import_source(
                source,
                categories=study.design.categories,
                progress=progress,
                known=known or {},
                may_lack=study.design.leaves_out,
            )
        except ClipError as error:  # read on: else every run names those of one source more
            refused.append(str(error))
    if refused:
        raise ClipError("\n".join(refused))
    categories = shared_categories(
        {name: held for name, held in clips.items() if name in compared}, study.design.categories
    )
    if study.design.pairing == "item":
        check_unread_items(study.sources, {n: r for n, r in clips.items() if n in compared})
        clips = {n: [replace(r, item=item_of(r)) for r in held] for n, held in clips.items()}
    gold = []
    if study.gold.folder:
        gold = folder_pairs(study.gold.folder, progress, prompts=study.gold.prompts)
    return Imported(clips, categories, gold)


def _read_sources(study: Study) -> list[Source]:
    """Return the sources that are compared or spoilt; clips of others are not read."""
    wanted = study.design.compared | {study.gold.source}
    return [source for source in study.sources if source.name in wanted]


def check_folders(study: Study) -> None:
    """Refuse folders that do not fit the design, without opening any clip.

    Raises:
        ClipError: see `list_source`, `shared_categories` and `check_unread_items`.
        UsageError: see `list_source`, `check_partners` and `check_prompts`.
    """
    listed, _ = list_compared(study)
    check_prompts(study.design, listed.clips)
    for source in _read_sources(study):
        if source.name not in listed.clips:  # only spoilt
            list_source(source, may_lack=study.design.leaves_out)


def list_compared(study: Study) -> tuple[Imported, tuple[Unmatched, ...]]:
    """List the clips of every source that is compared, without opening any.

    Args:
        study: the study file.

    Returns:
        Names, items and prompts of the clips, in the study's categories, and the cells that leave
        items out.

    Raises:
        ClipError: see `list_source`, `shared_categories` and `check_unread_items`.
        UsageError: see `list_source` and `check_partners`.
    """
    design = study.design
    folders = [s for s in study.sources if s.name in design.compared]
    held = {s.name: list_source(s, may_lack=design.leaves_out)[0] for s in folders}
    categories = shared_categories(held, design.categories)
    held = {
        name: [replace(r, source=name, item=item_of(r)) for r in found if r.category in categories]
        for name, found in held.items()
    }
    if design.pairing == "item":
        check_unread_items(folders, held)
    listed = Imported(held, categories, [])
    return listed, check_partners(replace(design, categories=categories), planned_clips(listed))


def check_unread_items(sources: Iterable[Source], held: Mapping[str, Sequence[ClipRecord]]) -> None:
    """Refuse to pair by item where a file that is not read would be what a source lacks.

    Args:
        sources: of the study.
        held: the records of those that are compared.

    Raises:
        ClipError: there is such a file; the message names it.
    """

    def key(category: str, item: str) -> tuple[str, str]:
        return category, composed(item)

    items = {name: {key(r.category, item_of(r)) for r in found} for name, found in held.items()}
    for source in (s for s in sources if s.name in items):
        for path, why in unread_files(source.path).items():
            wanted = key(category_of(source.path, path), path.stem)
            if wanted not in items[source.name] and any(
                wanted in other for other in items.values()
            ):
                raise ClipError(
                    f'{path}: not read ({why}); pairing = "item" needs item {path.stem!r} of '
                    f"{source.name} too, as another source has it"
                )


def check_display(study: Study, imported: Imported) -> None:
    """Refuse clips of the sources that differ in what [display] says nothing about.

    Raises:
        UsageError: see `check_alike`.
    """
    check_alike([c for held in imported.clips.values() for c in clips_of(held)], study.display)


def clips_of(records: Iterable[ClipRecord]) -> list[Clip]:
    """Return records as clips of the database: name, size, rate and length."""
    return [
        Clip(name=clip_name(r), frames=r.frames, fps=r.fps, width=r.width, height=r.height)
        for r in records
    ]


def planned_clips(imported: Imported) -> dict[tuple[str, str], list[PlannedClip]]:
    """Return the clips of every source and category as the plan sees them."""
    cells: dict[tuple[str, str], list[PlannedClip]] = {}
    for source, records in imported.clips.items():
        for record in records:
            clip = PlannedClip(clip_name(record), record.item or "")
            cells.setdefault((source, record.category), []).append(clip)
    return cells


def clip_files(study: Study, imported: Imported) -> ClipFiles:
    """Return every imported clip by its id, and where it lies."""
    roots = {source.name: source.path for source in study.sources}
    placed = [(r, roots[source]) for source, records in imported.clips.items() for r in records]
    for pair in imported.gold:
        placed += [(pair.good, pair.good_root), (pair.bad, pair.bad_root)]
    files: ClipFiles = {}
    for record, root in placed:
        files.setdefault(clip_name(record), (record, root / record.clip))
    return files


def make_pools(study: Study, imported: Imported, assets: Path, progress: Progress) -> Pools:
    """Make the pools large enough for all sessions of one worker, or say what is missing.

    Args:
        study: the study file.
        imported: its clips.
        assets: where spoilt clips are written.
        progress: called with the stage, how many are done, and of how many.

    Raises:
        UsageError: there are too few pairs, or spoiling changes nothing.
    """
    each, sessions = study.session, study.workers.sessions_per_worker
    needs = {TrialKind.GOLD: each.gold * sessions, TrialKind.PRACTICE: each.practice * sessions}
    total = sum(needs.values())
    gold = imported.gold
    where = "[gold] folder"
    if study.gold.auto and study.gold.source and total:
        where = f"[gold] source {study.gold.source}"
        source = next(s for s in study.sources if s.name == study.gold.source)
        # Twice what one worker needs, so that two workers seldom share all of their checks.
        gold = spoilt_pairs(
            imported.clips[source.name], source.path, study.gold.auto, 2 * total, assets,
            study.seed, progress,
        )  # fmt: skip
    pairs = [
        PlannedPair(
            p.good.source, p.bad.source, p.good.category, clip_name(p.good), clip_name(p.bad),
        )
        for p in gold
    ]  # fmt: skip
    pool = split_pool(pairs, needs, study.seed, where) if total else []
    if need := each.identical * sessions:
        compared = study.design.compared
        same = identical_pairs(planned_clips(imported), compared, need, study.seed)
        pool += [(TrialKind.IDENTICAL, pair) for pair in same]
    used = {pair.clip_b for _, pair in pool}
    return Pools(pool, [p for p in gold if clip_name(p.bad) in used])
