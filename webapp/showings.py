"""What the page is told about a session: the pair to show, the next one to fetch, how far it is.

Nothing here names a source, a study, a file or a kind of trial. Showings go by their position: a
showing's id could tell a gold trial from a test trial, because they are made at different times.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from evaluation.allocation import POOL_RULE
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    Clip,
    Pair,
    PlanBatch,
    Showing,
    ShowingStatus,
    Stimulus,
    Study,
    Trial,
    TrialKind,
)
from evaluation.storage import MediaStore
from webapp.settings import has_survey, shows_prompt

_OPEN = (ShowingStatus.LEASED, ShowingStatus.EXPIRED)
_LIVE = (AssignmentStatus.ACCEPTED, AssignmentStatus.SUBMITTED, AssignmentStatus.APPROVED)


def session_state(
    session: Session,
    study: Study,
    assignment: Assignment,
    store: MediaStore,
) -> dict[str, Any]:
    """Return where a session stands; as much work for a session of ten pairs as of a thousand.

    Returns:
        `stage` (`trials`, `survey`, `finish`, `done` or `closed`), and for `trials` the `progress`,
        the `showing` to answer and the one `after` it, whose clips can be fetched meanwhile.
    """
    if assignment.status not in (*_LIVE, AssignmentStatus.REJECTED):
        return {"stage": "closed"}
    if assignment.status is not AssignmentStatus.ACCEPTED:
        return {"stage": "done", "code": assignment.completion_code}
    following = _following(session, study, assignment)
    if not following:
        return {"stage": "survey" if has_survey(study) else "finish"}
    stimuli = _stimuli(session, [showing.trial.pair for showing in following])
    described = [_described(showing, study, store, stimuli) for showing in following]
    return {
        "stage": "trials",
        "progress": _progress(session, following[0]),
        "showing": described[0],
        "after": described[1] if len(described) > 1 else None,
    }


def _following(session: Session, study: Study, assignment: Assignment) -> list[Showing]:
    """Return the showing to answer and the one after it, as far as there are any."""
    pair = joinedload(Showing.trial).joinedload(Trial.pair)
    # Of a single question, an open showing has no answer.
    given = [selectinload(Showing.judgments)] if len(study.questions) > 1 else []
    chosen = (
        select(Showing)
        .where(Showing.assignment_id == assignment.id, Showing.status.in_(_OPEN))
        .options(pair.joinedload(Pair.clip_a).load_only(Clip.prompt), *given)
        .order_by(Showing.position)
        .limit(2)
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(chosen))


def _progress(session: Session, current: Showing) -> dict[str, Any]:
    """Return number and total of the part that is running: practice, or the trials proper.

    Gold, repeats and identical pairs count as trials: nobody can tell them apart.
    """
    practice = current.trial.kind is TrialKind.PRACTICE
    of_part = Trial.kind == TrialKind.PRACTICE if practice else Trial.kind != TrialKind.PRACTICE
    number, total = session.execute(
        select(func.count().filter(Showing.position <= current.position), func.count())
        .join(Trial, Showing.trial_id == Trial.id)
        .where(Showing.assignment_id == current.assignment_id, of_part)
    ).one()
    return {"practice": practice, "number": number, "total": total}


def _stimuli(session: Session, pairs: Sequence[Pair]) -> dict[tuple[int, int], Stimulus]:
    clips = {clip for pair in pairs for clip in (pair.clip_a_id, pair.clip_b_id)}
    rows = session.scalars(select(Stimulus).where(Stimulus.clip_id.in_(clips)))
    return {(row.clip_id, row.padded_bytes): row for row in rows}


def _described(
    showing: Showing,
    study: Study,
    store: MediaStore,
    stimuli: dict[tuple[int, int], Stimulus],
) -> dict[str, Any]:
    pair = showing.trial.pair
    left, right = _sides(showing.trial)
    several = len(study.questions) > 1
    answered = {judgment.question_id for judgment in showing.judgments} if several else ()
    return {
        "position": showing.position,
        "practice": showing.trial.kind is TrialKind.PRACTICE,
        "prompt": pair.clip_a.prompt if shows_prompt(study) else "",
        "questions": [
            {"name": question.name, "text": question.text}
            for question in study.questions
            if question.id not in answered
        ],
        "left": _clip(stimuli[left, pair.padded_bytes], store),
        "right": _clip(stimuli[right, pair.padded_bytes], store),
    }


def _sides(trial: Trial) -> tuple[int, int]:
    """Return the ids of the clips on the left and on the right."""
    pair = trial.pair
    sides = (pair.clip_a_id, pair.clip_b_id)
    return sides if trial.a_is_left else (sides[1], sides[0])


def _clip(stimulus: Stimulus, store: MediaStore, root: str = "") -> dict[str, Any]:
    url = store.url(stimulus.key) or f"{root}media/{stimulus.key}"
    return {"url": url, "bytes": stimulus.padded_bytes, "layout": stimulus.layout}


def sample_pair(
    session: Session, study: Study, store: MediaStore, *, root: str
) -> dict[str, Any] | None:
    """Return a practice pair to show before anybody accepts; None in a study without practice.

    Args:
        session: may be one that can only read.
        study: whose pools are looked at.
        store: of its clips.
        root: from the page's address to the application's, such as `../`.
    """
    query = (
        select(Trial)
        .join(Trial.batch)
        .where(
            Trial.study_id == study.id,
            Trial.kind == TrialKind.PRACTICE,
            PlanBatch.rule == POOL_RULE,
        )
    )
    trial = session.scalar(query.order_by(Trial.number).limit(1))
    if trial is None:
        return None
    stimuli = _stimuli(session, [trial.pair])
    left, right = _sides(trial)
    return {
        "position": 0,
        "left": _clip(stimuli[left, trial.pair.padded_bytes], store, root),
        "right": _clip(stimuli[right, trial.pair.padded_bytes], store, root),
    }
