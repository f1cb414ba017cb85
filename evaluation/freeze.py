"""`init`: from a study file and folders of clips to a frozen, planned study in the database.

Everything slow (decoding, planning, encoding) happens before the one transaction that writes, so
that other studies in the same database go on meanwhile; what an interrupted run encoded is kept.
"""

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from evaluation import schema
from evaluation.budget import Cost, PairUse, check_workers, plan_cost, short_sessions
from evaluation.crowd.open import CROWDS, check_study
from evaluation.database import Database, find_study, lock_name
from evaluation.errors import DesignChanged
from evaluation.events import note_event
from evaluation.files import remove_stale_parts, taken_back
from evaluation.media.frames import ClipInfo
from evaluation.plan import plan_trials
from evaluation.planning.design import FORMAT, changed_keys, design_hash, design_of, settings_of
from evaluation.planning.exclusions import check_exclusions
from evaluation.planning.materials import (
    ClipFiles,
    Imported,
    check_display,
    clip_files,
    import_clips,
    make_pools,
    planned_clips,
)
from evaluation.planning.plan_rows import StudyRows
from evaluation.planning.progress import planned_use
from evaluation.planning.prompts import check_prompts
from evaluation.planning.warnings import clips_shown, gold_warnings, study_warnings
from evaluation.publishing.environments import crowd_left, is_published
from evaluation.schema import EventKind
from evaluation.sessions.consents import check_version
from evaluation.sessions.leases import order_trials
from evaluation.storage import MediaStore
from evaluation.study import Study
from evaluation.threads import Progress, silent
from vgan.data.manifest import sha256_of


@dataclass(frozen=True)
class InitReport:
    """What `init` did.

    Args:
        study: its name.
        action: `created`, `unchanged`, `settings changed`, or `frozen again` (no data yet).
        design_hash: 64 hexadecimal digits.
        rows: comparisons.
        categories: of the study, in order.
        clips: how many were imported.
        pairs: how many the test trials show.
        trials: planned test trials, those of later batches included.
        shown: the size and length of the clips as they are shown, and which they are due to.
        cost: of filling the plan on the crowd of [recruit]; see `Cost`.
        warnings: what the user should know, one line each.
    """

    study: str
    action: str
    design_hash: str
    rows: int
    categories: tuple[str, ...]
    clips: int
    pairs: int
    trials: int
    cost: Cost
    shown: str = ""
    warnings: tuple[str, ...] = ()


def _existing(session: Session, name: str) -> schema.Study | None:
    return session.scalar(select(schema.Study).where(schema.Study.name == name))


def _is_there(db: Database, name: str) -> bool:
    with db.read() as session:
        return _existing(session, name) is not None


def _known_clips(session: Session, name: str) -> dict[str, ClipInfo]:
    """What the clips of an earlier init are, by checksum: they were decoded once already."""
    clip = schema.Clip
    rows = session.execute(
        select(clip.sha256, clip.frames, clip.fps, clip.width, clip.height)
        .join(schema.Study, schema.Study.id == clip.study_id)
        .where(schema.Study.name == name)
    )
    return {row[0]: ClipInfo(*row[1:]) for row in rows}


def has_data(session: Session, study: schema.Study) -> bool:
    """Tell whether anybody started the study, or it was published."""
    started = exists().where(schema.Assignment.study_id == study.id)
    published = exists().where(is_published(study), schema.Hit.crowd.in_(CROWDS))
    return bool(session.scalar(select(started | published)))


def _refuse_change(session: Session, row: schema.Study, design: dict[str, Any]) -> None:
    if not has_data(session, row):
        return
    if row.design.get("format") != FORMAT:
        raise DesignChanged(
            f"study `{row.name}` has been published or rated, and another version of vgan-eval "
            f"froze it in format {row.design.get('format')} of the design, which this one, with "
            f"format {FORMAT}, cannot check. Leave it as it is: `serve`, `export` and the tables "
            "need no `init`. To change anything, give the study a new name under [study]"
        )
    keys = ", ".join(changed_keys(row.design, design))
    raise DesignChanged(
        f"study `{row.name}` has been published or rated, and its design changed ({keys}); "
        "give the changed study a new name under [study]. What was judged stays in "
        f"`{row.name}`: for one more source, plan only its comparisons and one of these again "
        '(docs/planning.md, "A model that comes later")'
    )


def _text_of(study: Study) -> str:
    return study.path.read_text(encoding="utf-8-sig")  # as `TomlFile` reads it


def _update_clips(session: Session, row: schema.Study, files: ClipFiles, assets: Path) -> bool:
    """Store where the clips of an unchanged design lie now. False when none has moved.

    Args:
        session: of a write unit.
        row: the study.
        files: from `clip_files`, whose checksums are those of the design.
        assets: the study's own; a spoilt clip is looked for there, since no folder is its source.
    """
    moved = False
    for clip in session.scalars(select(schema.Clip).where(schema.Clip.study_id == row.id)):
        _, file = files.get(clip.name, (None, None))
        if file is None:
            file = assets / clip.name
            if not file.is_file() or sha256_of(file) != clip.sha256:
                continue
        moved = moved or clip.path != str(file)
        clip.path = str(file)
    return moved


def _update(
    session: Session, study: Study, settings: dict[str, Any], files: ClipFiles, assets: Path
) -> str:
    """Store what may change; log the old and the new settings. Returns what `init` did."""
    row = find_study(session, study.name)
    text = _text_of(study)
    moved = _update_clips(session, row, files, assets)
    if row.settings == settings and row.study_file == text:
        return "settings changed" if moved else "unchanged"
    old = row.settings
    keys = changed_keys(old, settings)
    if keys:
        tops = sorted({key.split(".")[0] for key in keys})
        details = {
            "keys": keys,
            "old": {k: old.get(k) for k in tops},
            "new": {k: settings.get(k) for k in tops},
        }
        note_event(session, row.id, EventKind.SETTINGS_CHANGED, details, datetime.now(UTC))
    row.settings, row.study_file, row.title = settings, text, study.title
    names = {s.name: s.display_name for s in study.sources}
    for source in row.sources:
        source.display_name = names.get(source.name, source.display_name)
    return "settings changed"


def _drop_plan(session: Session, row: schema.Study) -> None:
    """Remove a plan that nobody has seen, before it is made anew."""
    clips = select(schema.Clip.id).where(schema.Clip.study_id == row.id)
    session.execute(delete(schema.Trial).where(schema.Trial.study_id == row.id))
    session.execute(delete(schema.PlanBatch).where(schema.PlanBatch.study_id == row.id))
    session.execute(delete(schema.Pair).where(schema.Pair.study_id == row.id))
    session.execute(delete(schema.Stimulus).where(schema.Stimulus.clip_id.in_(clips)))
    for table in (schema.Clip, schema.Source, schema.Question):
        session.execute(delete(table).where(table.study_id == row.id))
    session.expire_all()


def init_study(
    db: Database,
    study: Study,
    store: MediaStore,
    assets: Path,
    progress: Progress = silent,
) -> InitReport:
    """Import, freeze and plan a study; the same file again changes nothing.

    Args:
        db: from `create_database`.
        study: from `load_study`.
        store: where the encoded clips go.
        assets: a folder for files made for the study (spoilt gold clips); it must stay.
        progress: called with the stage, how many are done, and of how many.

    Raises:
        EvaluationError: the store cannot be used.
        ClipError: a folder or clip cannot be used.
        UsageError: the plan cannot be made or filled, nobody can be judged by an exclusion rule,
            or the crowd would refuse the pay or the conditions.
        DesignChanged: the design differs from the frozen one, and there are data already.
    """
    check_study(study, study.recruit.crowd)
    with db.read() as session:
        imported_before = _known_clips(session, study.name)
    if not imported_before:  # else there is most likely nothing to put
        store.probe()
    imported = import_clips(study, progress, imported_before)
    design = design_of(study, imported.categories, imported.records)
    settings, digest = settings_of(study), design_hash(design)
    with db.read() as session:
        row = _existing(session, study.name)
        if row is not None:
            check_version(session, row, study)
        if row is not None and row.design_hash != digest:
            _refuse_change(session, row, design)
    same = row if row is not None and row.design_hash == digest else None
    # What is frozen stays, and pay may still change.
    weak = () if same else check_exclusions(study) + gold_warnings(study)
    plan = plan_trials(
        replace(study.design, categories=imported.categories), planned_clips(imported), study.seed
    )
    warnings = study_warnings(study, imported, plan) + weak
    use = PairUse.of(Counter(t.pair for t in plan.trials).values())
    check_workers(use, study.session, study.workers)
    terms = (study.session, study.workers, study.pay, study.recruit.crowd)
    report = InitReport(
        study=study.name,
        action="created",
        design_hash=digest,
        rows=len(study.design.comparisons),
        categories=imported.categories,
        clips=len(imported.records),
        pairs=len(plan.pairs),
        trials=len(plan.trials),
        cost=plan_cost(use, *terms),
        warnings=warnings + short_sessions(use, study.session, study.workers),
    )
    # Absolute, because the database may be opened from any folder.
    assets = (assets / study.name).resolve()

    def update(session: Session) -> str:
        return _update(session, study, settings, clip_files(study, imported), assets)

    if same is not None:
        with db.write() as session:
            warnings = report.warnings + crowd_left(session, same, study.recruit.crowd)
            use, action = planned_use(session, same), update(session)
        cost = plan_cost(use, *terms)  # with the batches that were added since
        report = replace(
            report, action=action, trials=use.trials, pairs=use.pairs, cost=cost, warnings=warnings
        )
        return _with_form(db, study, imported, report)
    check_prompts(study.design, imported.clips)
    check_display(study, imported)  # here, as the pools are made of the same clips
    with taken_back(assets, lambda: _is_there(db, study.name)):
        pools = make_pools(study, imported, assets, progress)
        files = clip_files(study, replace(imported, gold=pools.gold))
        rows = StudyRows(study, files, plan, pools.pairs)
        rows.encode(store.scratch(), progress)
        action = _write(db, study, rows, (design, digest, settings), (store, progress), update)
    for folder in (assets, store.scratch()):
        remove_stale_parts(folder)
    return _with_form(db, study, imported, replace(report, action=action))


def _with_form(db: Database, study: Study, imported: Imported, report: InitReport) -> InitReport:
    """Add what the clips are shown as, which is settled once they are stored."""
    shown = clips_shown(db, study, imported)
    return replace(report, shown=shown.line(), warnings=report.warnings + shown.warnings())


def _write(
    db: Database,
    study: Study,
    rows: StudyRows,
    frozen: tuple[dict[str, Any], str, dict[str, Any]],
    media: tuple[MediaStore, Progress],
    update: Callable[[Session], str],
) -> str:
    """Write the whole study in one transaction, over an unseen plan if there is one.

    Where another program has written the same design meanwhile, `update` does what is left.
    """
    from evaluation.stimuli import prepare_stimuli

    design, digest, settings = frozen
    now = datetime.now(UTC)
    with db.write() as session:
        lock_name(session, study.name)
        row = _existing(session, study.name)
        if row is not None and row.design_hash == digest:
            return update(session)
        action = "created" if row is None else "frozen again"
        if row is None:
            row = schema.Study(name=study.name, created_at=now)
            session.add(row)
        else:
            _refuse_change(session, row, design)
            changed = {"keys": changed_keys(row.design, design)}
            note_event(session, row.id, EventKind.DESIGN_CHANGED, changed, now)
            _drop_plan(session, row)
        row.title, row.seed, row.design, row.design_hash = study.title, study.seed, design, digest
        row.settings, row.study_file = settings, _text_of(study)
        # A new secret, because media keys of an older plan may name files that have changed.
        row.secret = secrets.token_hex(32)
        session.flush()
        rows.add(session, row, now)
        session.flush()
        order_trials(session, row)  # once here, rather than in the first worker's start
        prepare_stimuli(session, row, study.display, *media)
        done = {"design_hash": digest, "trials": rows.n_trials}
        note_event(session, row.id, EventKind.INIT, done, now)
    return action
