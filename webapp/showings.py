"""What the page is told about a session: the pair to show, the next one to fetch, how far it is.

Nothing here names a source, a study, a file or a kind of trial. Showings go by their position: a
showing's id could tell a gold trial from a test trial, because they are made at different times.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from evaluation.allocation import POOL_RULE
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
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
from webapp.settings import RatingSettings

_OPEN = (ShowingStatus.LEASED, ShowingStatus.EXPIRED)
_LIVE = (AssignmentStatus.ACCEPTED, AssignmentStatus.SUBMITTED, AssignmentStatus.APPROVED)


def session_state(
    session: Session,
    study: Study,
    assignment: Assignment,
    settings: RatingSettings,
    store: MediaStore,
) -> dict[str, Any]:
    """Return where a session stands.

    Returns:
        `stage` (`trials`, `survey`, `finish`, `done` or `closed`), and for `trials` the `progress`,
        the `showing` to answer and the one `after` it, whose clips can be fetched meanwhile.
    """
    if assignment.status not in (*_LIVE, AssignmentStatus.REJECTED):
        return {"stage": "closed"}
    if assignment.status is not AssignmentStatus.ACCEPTED:
        return {"stage": "done", "code": assignment.completion_code}
    showings = _showings(session, assignment)
    left = [showing for showing in showings if showing.status in _OPEN]
    if not left:
        return {"stage": "survey" if settings.survey else "finish"}
    stimuli = _stimuli(session, [showing.trial.pair for showing in left[:2]])
    described = [_described(showing, study, settings, store, stimuli) for showing in left[:2]]
    return {
        "stage": "trials",
        "progress": _progress(showings, left[0]),
        "showing": described[0],
        "after": described[1] if len(described) > 1 else None,
    }


def _showings(session: Session, assignment: Assignment) -> list[Showing]:
    chosen = (
        select(Showing)
        .where(Showing.assignment_id == assignment.id)
        .options(
            joinedload(Showing.trial).joinedload(Trial.pair).joinedload(Pair.clip_a),
            selectinload(Showing.judgments),
        )
        .order_by(Showing.position)
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(chosen))


def _progress(showings: Sequence[Showing], current: Showing) -> dict[str, Any]:
    """Return number and total of the part that is running: practice, or the trials proper.

    Gold, repeats and identical pairs count as trials: nobody can tell them apart.
    """
    practice = current.trial.kind is TrialKind.PRACTICE
    part = [s for s in showings if (s.trial.kind is TrialKind.PRACTICE) == practice]
    return {"practice": practice, "number": part.index(current) + 1, "total": len(part)}


def _stimuli(session: Session, pairs: Sequence[Pair]) -> dict[tuple[int, int], Stimulus]:
    clips = {clip for pair in pairs for clip in (pair.clip_a_id, pair.clip_b_id)}
    rows = session.scalars(select(Stimulus).where(Stimulus.clip_id.in_(clips)))
    return {(row.clip_id, row.padded_bytes): row for row in rows}


def _described(
    showing: Showing,
    study: Study,
    settings: RatingSettings,
    store: MediaStore,
    stimuli: dict[tuple[int, int], Stimulus],
) -> dict[str, Any]:
    pair = showing.trial.pair
    left, right = _sides(showing.trial)
    answered = {judgment.question_id for judgment in showing.judgments}
    return {
        "position": showing.position,
        "practice": showing.trial.kind is TrialKind.PRACTICE,
        "prompt": pair.clip_a.prompt if settings.show_prompt else "",
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
