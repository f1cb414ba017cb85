"""What an export says of each judgment, session and clip, under pseudonyms.

No value here carries a platform's id of anybody or anything.
"""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session, aliased

from evaluation.clock import seconds_between
from evaluation.exporting.columns import Value
from evaluation.exporting.reported import device_columns, loops_of, reported_loops
from evaluation.planning.known_answers import known_answer
from evaluation.privacy.pseudonyms import pseudonym, unlinkable_pseudonym
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    Choice,
    Clip,
    Environment,
    Hit,
    Judgment,
    JudgmentStatus,
    Pair,
    PlanBatch,
    Question,
    Showing,
    Source,
    Study,
    Trial,
    TrialKind,
    Worker,
)

_CHUNK = 1000
_KEPT = (JudgmentStatus.COUNTED, JudgmentStatus.LATE, JudgmentStatus.RETURNED)


class _Names:
    """Pseudonyms under one key, each computed once, and the numbers of a study's sessions."""

    def __init__(self, session: Session, study: Study, key: bytes | str, unlinkable: bool) -> None:
        self._key = key.encode() if isinstance(key, str) else key
        self._study = study if unlinkable else None
        self._known: dict[tuple[str, ...], str] = {}
        self._numbers = self._numbered(session, study)

    def _numbered(self, session: Session, study: Study) -> dict[int, int]:
        """Number every person's sessions; who came back after `forget` is two rows of workers."""
        sessions = _session_columns(study)
        had: Counter[str] = Counter()
        numbers: dict[int, int] = {}
        in_order = select(*sessions.c).order_by(sessions.c.accepted_at, sessions.c.id)
        for row in session.execute(in_order):
            worker = self._worker(row)
            had[worker] += 1
            numbers[row.id] = had[worker]
        return numbers

    def _worker(self, row: Row[*tuple[Any, ...]]) -> str:
        return self.of("worker", row.crowd, row.environment.value, row.worker_external_id)

    def of(self, kind: str, *identity: str) -> str:
        full = (kind, *identity)
        if full not in self._known:
            self._known[full] = (
                unlinkable_pseudonym(self._key, self._study, *full)
                if self._study
                else pseudonym(self._key, *full)
            )
        return self._known[full]

    def of_session(self, row: Row[*tuple[Any, ...]]) -> dict[str, Value]:
        """Worker, assignment, hit and number of a row of `_session_columns`."""
        place = (row.crowd, row.environment.value)
        return {
            "worker": self._worker(row),
            "assignment": self.of("assignment", *place, row.external_id, row.worker_external_id),
            "hit": self.of("hit", *place, row.hit_token),
            "session": self._numbers[row.id],
        }


def _session_columns(study: Study) -> Any:
    """A subquery of the study's sessions: identities, place and beginning."""
    return (
        select(
            Assignment.id,
            Assignment.crowd,
            Assignment.environment,
            Assignment.external_id,
            Worker.external_id.label("worker_external_id"),
            Hit.token.label("hit_token"),
            Assignment.accepted_at,
        )
        .join(Worker, Assignment.worker_id == Worker.id)
        .join(Hit, Assignment.hit_id == Hit.id)
        .where(Assignment.study_id == study.id)
        .subquery()
    )


def _judgment_query(study: Study, *, all_judgments: bool) -> Select[*tuple[Any, ...]]:
    clip_a, clip_b = aliased(Clip), aliased(Clip)
    sessions = _session_columns(study)
    return (
        select(
            *sessions.c,
            Judgment.choice,
            Judgment.rt_ms,
            Judgment.clip_ms,
            reported_loops.label("loops"),
            Judgment.status,
            Judgment.answered_at,
            Question.name.label("question"),
            Showing.position,
            Trial.id.label("trial"),
            Trial.kind,
            Trial.a_is_left,
            known_answer(study).label("correct"),
            Trial.repeat_of_id,
            PlanBatch.number.label("batch"),
            Pair.source_a,
            Pair.source_b,
            Pair.category,
            Pair.item,
            clip_a.name.label("name_a"),
            clip_b.name.label("name_b"),
            clip_a.origin_video.label("origin_a"),
            clip_b.origin_video.label("origin_b"),
        )
        .join(Question, Judgment.question_id == Question.id)
        .join(Showing, Judgment.showing_id == Showing.id)
        .join(sessions, Showing.assignment_id == sessions.c.id)
        .join(Trial, Judgment.trial_id == Trial.id)
        .join(PlanBatch, Trial.batch_id == PlanBatch.id)
        .join(Pair, Trial.pair_id == Pair.id)
        .join(clip_a, Pair.clip_a_id == clip_a.id)
        .join(clip_b, Pair.clip_b_id == clip_b.id)
        .where(Judgment.status.in_(_KEPT if all_judgments else (JudgmentStatus.COUNTED,)))
        .order_by(Judgment.id)
        .execution_options(yield_per=_CHUNK)
    )


def judgment_rows(
    session: Session,
    study: Study,
    *,
    key: bytes | str,
    unlinkable: bool = False,
    all_judgments: bool = False,
) -> Iterator[dict[str, Value]]:
    """Yield the study's judgments in the columns of `judgments.csv`, in the order of recording.

    Args:
        session: may be one that can only read.
        study: whose judgments.
        key: of the pseudonyms; only the installation's knows who came back after `forget`.
        unlinkable: give pseudonyms that match no other study's.
        all_judgments: late and returned ones too, `counted` false. Withdrawn ones never.
    """
    known = _Names(session, study, key, unlinkable)
    for row in session.execute(_judgment_query(study, all_judgments=all_judgments)):
        yield _judgment_row(study, row, known)


def _judgment_row(study: Study, row: Row[*tuple[Any, ...]], known: _Names) -> dict[str, Value]:
    a = (row.source_a, row.name_a, row.origin_a)
    b = (row.source_b, row.name_b, row.origin_b)
    left, right = (a, b) if row.a_is_left else (b, a)
    chosen = {Choice.LEFT: left[1], Choice.RIGHT: right[1], Choice.TIE: None}
    return {
        "study": study.name,
        **known.of_session(row),
        "trial": row.trial,
        "trial_kind": row.kind.value,
        "category": row.category,
        "pair_type": "__".join(sorted((row.source_a, row.source_b))),
        "left_source": left[0],
        "right_source": right[0],
        "left_clip": left[1],
        "right_clip": right[1],
        "label": chosen[row.choice],
        "choice": row.choice.value,
        "rt_ms": row.rt_ms,
        "answered_at": _iso(row.answered_at),
        "crowd": row.crowd,
        "study_hash": study.design_hash,
        "batch": row.batch,
        "position": row.position,
        "question": row.question,
        "source_a": row.source_a,
        "source_b": row.source_b,
        "item": row.item or None,
        "left_origin": left[2] or None,
        "right_origin": right[2] or None,
        "correct_choice": row.correct.value if row.correct else None,
        "repeat_of": row.repeat_of_id,
        "clip_ms": row.clip_ms,
        "loops": loops_of(row.loops),
        "counted": row.status is JudgmentStatus.COUNTED,
        "simulated": row.environment is Environment.SIMULATED,
        "environment": row.environment.value,
    }


def _iso(time: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the millisecond."""
    if time is None:
        return None
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def session_rows(
    session: Session,
    study: Study,
    *,
    key: bytes | str,
    unlinkable: bool = False,
    survey: bool = False,
) -> Iterator[dict[str, Value]]:
    """Yield the study's sessions in the columns of `sessions.csv`, but withdrawn ones.

    Args:
        session: may be one that can only read.
        study: whose sessions.
        key: of the pseudonyms.
        unlinkable: give pseudonyms that match no other study's.
        survey: whether to give the survey's answers, which may identify a person.
    """
    known = _Names(session, study, key, unlinkable)
    sessions = _session_columns(study)
    counts = {what: _counts(study, what) for what in ("trials", "judgments", "answered", "counted")}
    query = (
        select(
            *sessions.c,
            Assignment.status,
            Assignment.submitted_at,
            Assignment.environment_details,
            Assignment.survey,
            *(func.coalesce(count.c.n, 0).label(what) for what, count in counts.items()),
        )
        .join(sessions, Assignment.id == sessions.c.id)
        .where(Assignment.status != AssignmentStatus.WITHDRAWN)
        .order_by(Assignment.id)
        .execution_options(yield_per=_CHUNK)
    )
    for count in counts.values():
        query = query.outerjoin(count, count.c.id == Assignment.id)
    for row in session.execute(query):
        yield _session_row(study, row, known, survey=survey)


def _counts(study: Study, what: str) -> Any:
    """A subquery: how many showings (all or answered whole) or judgments each session has."""
    query = (
        select(Showing.assignment_id.label("id"), func.count().label("n"))
        .join(Assignment, Showing.assignment_id == Assignment.id)
        .where(Assignment.study_id == study.id)
        .group_by(Showing.assignment_id)
    )
    if what == "answered":
        given = select(func.count()).where(Judgment.showing_id == Showing.id).scalar_subquery()
        asked = select(func.count()).where(Question.study_id == study.id).scalar_subquery()
        query = query.where(given >= asked)
    elif what != "trials":
        query = query.join(Judgment, Judgment.showing_id == Showing.id)
    if what == "counted":
        query = query.join(Trial, Showing.trial_id == Trial.id).where(
            Judgment.status == JudgmentStatus.COUNTED, Trial.kind == TrialKind.TEST
        )
    return query.subquery()


def _session_row(
    study: Study, row: Row[*tuple[Any, ...]], known: _Names, *, survey: bool
) -> dict[str, Value]:
    took = seconds_between(row.accepted_at, row.submitted_at)
    return {
        "study": study.name,
        **known.of_session(row),
        "crowd": row.crowd,
        "environment": row.environment.value,
        "simulated": row.environment is Environment.SIMULATED,
        "status": row.status.value,
        "accepted_at": _iso(row.accepted_at),
        "submitted_at": _iso(row.submitted_at),
        "seconds": None if took is None else round(took, 3),
        "trials": row.trials,
        "judgments": row.judgments,
        "answered": row.answered,
        "counted": row.counted,
        **device_columns(row.environment_details),
        "survey": json.dumps(row.survey, ensure_ascii=False) if survey and row.survey else None,
    }


def clip_rows(session: Session, study: Study) -> Iterator[dict[str, Value]]:
    """Yield the study's clips in the columns of `clips.csv`."""
    query = (
        select(Clip, Source.name, Source.hidden)
        .join(Source, Clip.source_id == Source.id)
        .where(Clip.study_id == study.id)
        .order_by(Clip.id)
        .execution_options(yield_per=_CHUNK)
    )
    for clip, source, hidden in session.execute(query):
        yield {
            "study": study.name,
            "clip": clip.name,
            "source": source,
            "category": clip.category,
            "sha256": clip.sha256,
            "frames": clip.frames,
            "fps": clip.fps,
            "width": clip.width,
            "height": clip.height,
            "item": clip.item or None,
            "prompt": clip.prompt or None,
            "origin_video": clip.origin_video or None,
            "origin_frame": clip.origin_frame if clip.origin_video else None,
            "hidden": hidden,
        }
