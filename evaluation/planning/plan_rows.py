"""A planned study as rows of the database."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from evaluation import schema
from evaluation.plan import Plan, PlannedPair
from evaluation.planning.batches import PLAN_RULE, POOL_RULE, add_batch
from evaluation.planning.materials import ClipFiles
from evaluation.schema import Pair, PlanBatch, Side, Trial, TrialKind
from evaluation.study import HIDDEN_SOURCES, Study
from evaluation.threads import Progress

_CHUNK = 10_000  # rows sent to the database at a time


class StudyRows:
    """Everything about a study's clips, pairs and trials that is written at init.

    Args:
        study: the study file.
        files: from `clip_files`, with the gold pairs in use; clips of theirs that no source has
            belong to hidden ones.
        plan: the test trials.
        pool: pairs for session trials with their kind.
    """

    def __init__(
        self,
        study: Study,
        files: ClipFiles,
        plan: Plan,
        pool: Sequence[tuple[TrialKind, PlannedPair]],
    ) -> None:
        self.study = study
        self.plan = plan
        self.pool = pool
        self._files = files

    @property
    def n_trials(self) -> int:
        """How many test trials there are."""
        return len(self.plan.trials)

    def _pairs(self) -> Iterator[PlannedPair]:
        """Every pair; a pool may hold one that the plan has too."""
        yield from self.plan.pairs
        yield from (pair for _, pair in self.pool)

    def _clip_row(self, name: str) -> dict[str, Any]:
        record, path = self._files[name]
        origin = record.origin
        return {
            "name": name,
            "category": record.category,
            "sha256": record.sha256,
            "path": str(path),
            "frames": record.frames,
            "fps": record.fps,
            "width": record.width,
            "height": record.height,
            "item": record.item or "",
            "prompt": record.prompt or "",
            "origin_video": origin.video if origin else "",
            "origin_frame": origin.start_frame if origin else 0,
        }

    def encode(self, scratch: Path, progress: Progress) -> None:
        """Encode the clips of all pairs into the scratch folder, before any lock is taken.

        Raises:
            UsageError: the clips differ and [display] does not say what to do.
            ClipError: a clip cannot be decoded.
        """
        from evaluation.media.formats import common_format
        from evaluation.stimuli import encode_clips

        clips = {name: schema.Clip(**self._clip_row(name)) for name in self._files}
        target = common_format(list(clips.values()), self.study.display)
        used = sorted({name for pair in self._pairs() for name in (pair.clip_a, pair.clip_b)})
        encode_clips([clips[n] for n in used], target, self.study.display, scratch, progress)

    def add(self, session: Session, row: schema.Study, now: datetime) -> None:
        """Add all rows in an open write unit; the study row itself exists already."""
        session.add_all(
            schema.Question(study_id=row.id, position=i, name=q.id, text=q.text)
            for i, q in enumerate(self.study.questions)
        )
        sources = self._add_sources(session, row)
        insert_rows(
            session,
            schema.Clip,
            (
                self._clip_row(n)
                | {"study_id": row.id, "source_id": sources[self._files[n][0].source]}
                for n in self._files
            ),
        )
        self._add_trials(session, row, add_pairs(session, row, self._pairs()), now)
        session.expire_all()

    def _add_sources(self, session: Session, row: schema.Study) -> dict[str, int]:
        used = {record.source for record, _ in self._files.values()}
        named = [(s.name, s.display_name, False) for s in self.study.sources]
        named += [(name, name, True) for name in HIDDEN_SOURCES]
        rows = [
            schema.Source(study_id=row.id, position=i, name=n, display_name=shown, hidden=hidden)
            for i, (n, shown, hidden) in enumerate(entry for entry in named if entry[0] in used)
        ]
        session.add_all(rows)
        session.flush()
        return {source.name: source.id for source in rows}

    def _add_trials(
        self, session: Session, row: schema.Study, pairs: dict[tuple[str, str], int], now: datetime
    ) -> None:
        why = "pairs that sessions draw gold, practice and identical from"
        pool_batch = add_batch(session, row, POOL_RULE, why, now)
        templates = (
            {
                "study_id": row.id,
                "batch_id": pool_batch.id,
                "number": number,
                "pair_id": pairs[pair.clip_a, pair.clip_b],
                "kind": kind,
                "a_is_left": True,
                "correct": None if kind is TrialKind.IDENTICAL else Side.LEFT,
                "free": False,  # a template is never shown itself
            }
            for number, (kind, pair) in enumerate(self.pool)
        )
        insert_rows(session, Trial, templates)
        why = "the judgments that the study file asks for"
        batch = add_batch(session, row, PLAN_RULE, why, now)
        add_trials(session, batch, self.plan, pairs)


def add_pairs(
    session: Session, study: schema.Study, pairs: Iterable[PlannedPair]
) -> dict[tuple[str, str], int]:
    """Add the pairs that a study lacks, in an open write unit.

    Returns:
        The ids of all its pairs, by the names of their clips.
    """
    clips = select(schema.Clip.name, schema.Clip.id).where(schema.Clip.study_id == study.id)
    ids = {row.name: row.id for row in session.execute(clips)}
    query = select(Pair.clip_a_id, Pair.clip_b_id, Pair.id).where(Pair.study_id == study.id)
    known = {(a, b) for a, b, _ in session.execute(query)}
    new: dict[tuple[int, int], PlannedPair] = {}
    for pair in pairs:
        key = ids[pair.clip_a], ids[pair.clip_b]
        if key not in known:
            new.setdefault(key, pair)
    rows = (
        {
            "study_id": study.id,
            "clip_a_id": clip_a,
            "clip_b_id": clip_b,
            "source_a": pair.source_a,
            "source_b": pair.source_b,
            "category": pair.category,
            "item": pair.item,
        }
        for (clip_a, clip_b), pair in new.items()
    )
    insert_rows(session, Pair, rows)
    names = {key: name for name, key in ids.items()}
    return {(names[a], names[b]): key for a, b, key in session.execute(query)}


def add_trials(
    session: Session, batch: PlanBatch, plan: Plan, pairs: Mapping[tuple[str, str], int]
) -> None:
    """Add the test trials of a plan to its batch in an open write unit, with ids of `add_pairs`."""
    ids = [pairs[pair.clip_a, pair.clip_b] for pair in plan.pairs]
    rows = (
        {
            "study_id": batch.study_id,
            "batch_id": batch.id,
            "number": number,
            "pair_id": ids[trial.pair],
            "kind": TrialKind.TEST,
            "a_is_left": trial.a_is_left,
        }
        for number, trial in enumerate(plan.trials)
    )
    insert_rows(session, Trial, rows)


def insert_rows(session: Session, table: type[schema.Base], rows: Iterator[dict[str, Any]]) -> None:
    """Add rows to a table in an open write unit, a chunk at a time."""
    while chunk := list(islice(rows, _CHUNK)):
        session.execute(insert(table), chunk)
