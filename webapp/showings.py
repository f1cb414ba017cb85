"""What the page is told about a session: the pair to show, the next one to fetch, how far it is.

Nothing here names a source, a study, a file or a kind of trial. Showings go by their position: a
showing's id could tell a gold trial from a test trial, because they are made at different times.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, Select, bindparam, case, func, select, true
from sqlalchemy.orm import Session, aliased

from evaluation import frozen
from evaluation.errors import TokenError
from evaluation.planning.batches import POOL_RULE
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    Clip,
    Judgment,
    Pair,
    PlanBatch,
    Showing,
    ShowingStatus,
    Stimulus,
    Study,
    Trial,
    TrialKind,
)
from evaluation.sessions.tokens import check_page
from evaluation.storage import MediaStore

_OPEN = (ShowingStatus.LEASED, ShowingStatus.EXPIRED)
_DONE = (AssignmentStatus.SUBMITTED, AssignmentStatus.APPROVED, AssignmentStatus.REJECTED)

_LEFT, _RIGHT = aliased(Stimulus), aliased(Stimulus)


def _with_clips(query: Select[*tuple[Any, ...]], shown: Any) -> Select[*tuple[Any, ...]]:
    """Add the clips of what is shown, which has a `pair_id` and says whether `a_is_left`."""
    left = case((shown.a_is_left, Pair.clip_a_id), else_=Pair.clip_b_id)
    right = case((shown.a_is_left, Pair.clip_b_id), else_=Pair.clip_a_id)
    return (
        query.add_columns(
            Pair.padded_bytes,
            Clip.prompt,
            _LEFT.key.label("left_key"),
            _LEFT.layout.label("left_layout"),
            _RIGHT.key.label("right_key"),
            _RIGHT.layout.label("right_layout"),
        )
        .outerjoin(Pair, Pair.id == shown.pair_id)
        .outerjoin(Clip, Clip.id == Pair.clip_a_id)
        .outerjoin(_LEFT, (_LEFT.clip_id == left) & (_LEFT.padded_bytes == Pair.padded_bytes))
        .outerjoin(_RIGHT, (_RIGHT.clip_id == right) & (_RIGHT.padded_bytes == Pair.padded_bytes))
    )


def _following() -> Select[*tuple[Any, ...]]:
    """Return the query for a session, its next two showings, and their place in their part.

    There are two parts, practice and the trials proper. Gold, repeats and identical pairs count as
    trials: nobody can tell them apart.
    """
    practice = Trial.kind == TrialKind.PRACTICE
    place = func.row_number().over(partition_by=practice, order_by=Showing.position)
    all_ = (
        select(
            Showing.id,
            Showing.position,
            Showing.status,
            Trial.pair_id,
            Trial.a_is_left,
            practice.label("practice"),
            place.label("number"),
            func.count().over(partition_by=practice).label("total"),
        )
        .join(Trial, Showing.trial_id == Trial.id)
        .where(Showing.assignment_id == bindparam("assignment"))
        .subquery()
    )
    open_ = select(all_).where(all_.c.status.in_(_OPEN)).order_by(all_.c.position).limit(2)
    two = open_.subquery()
    shown = two.c
    query = (
        select(
            Assignment.status.label("session"),
            Assignment.completion_code,
            Assignment.nonce,
            shown.id,
            shown.position,
            shown.practice,
            shown.number,
            shown.total,
        )
        .select_from(Assignment)
        .outerjoin(two, true())
        .where(Assignment.id == bindparam("assignment"))
        .order_by(shown.position)
    )
    return _with_clips(query, shown)


# Made once: making a statement takes longer than sending it, and every rater asks all the time.
_FOLLOWING = _following()


def session_state(
    session: Session, study: Study, assignment_id: int, store: MediaStore, *, nonce: str | None
) -> dict[str, Any]:
    """Return where a session stands; as much work for a session of ten pairs as of a thousand.

    Args:
        session: of any unit; what it has not flushed is not seen.
        study: of the assignment, with its questions; may be one that no session holds.
        assignment_id: of the session.
        store: of the study's clips.
        nonce: of the session, as who asks has it.

    Returns:
        `stage` (`trials`, `survey`, `finish`, `done` or `closed`), and for `trials` the `progress`,
        the `showing` to answer and the one `after` it, whose clips can be fetched meanwhile.

    Raises:
        TokenError: there is no such session.
    """
    rows = session.connection().execute(_FOLLOWING, {"assignment": assignment_id}).all()
    if not rows:
        raise TokenError("the page's session does not exist")
    current = rows[0]
    check_page(nonce, current.nonce, current.session)
    if current.session in _DONE:
        return {"stage": "done", "code": current.completion_code}
    if current.session is not AssignmentStatus.ACCEPTED:
        return {"stage": "closed"}
    if current.id is None:
        # A survey may be changed while the application runs, so the row is asked and not `study`.
        has_survey = frozen.survey(session.get_one(Study, study.id))
        return {"stage": "survey" if has_survey else "finish"}
    answered = _answered(session, study, rows)
    prompts = frozen.design(study).show_prompt
    described = [_described(showing, study, store, answered, prompts) for showing in rows]
    return {
        "stage": "trials",
        "progress": {name: getattr(current, name) for name in ("practice", "number", "total")},
        "showing": described[0],
        "after": described[1] if len(described) > 1 else None,
    }


def _answered(
    session: Session, study: Study, showings: Sequence[Row[*tuple[Any, ...]]]
) -> set[tuple[int, int]]:
    """Return showing and question of the answers that open showings have already."""
    if len(study.questions) == 1:
        return set()  # with an answer to it they would not be open
    given = select(Judgment.showing_id, Judgment.question_id).where(
        Judgment.showing_id.in_([showing.id for showing in showings])
    )
    return {(row.showing_id, row.question_id) for row in session.execute(given)}


def _described(
    showing: Row[*tuple[Any, ...]],
    study: Study,
    store: MediaStore,
    answered: Collection[tuple[int, int]],
    show_prompt: bool,
) -> dict[str, Any]:
    return {
        "position": showing.position,
        "practice": showing.practice,
        "prompt": showing.prompt if show_prompt else "",
        "questions": [
            {"name": question.name, "text": question.text}
            for question in study.questions
            if (showing.id, question.id) not in answered
        ],
        **_sides(showing, store),
    }


def _sides(shown: Row[*tuple[Any, ...]], store: MediaStore, root: str = "") -> dict[str, Any]:
    """Return the clips on the left and on the right."""
    clips = {
        "left": (shown.left_key, shown.left_layout),
        "right": (shown.right_key, shown.right_layout),
    }
    return {
        side: {
            "url": store.url(key) or f"{root}media/{key}",
            "bytes": shown.padded_bytes,
            "layout": layout,
        }
        for side, (key, layout) in clips.items()
    }


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
        select(Trial.id)
        .join(PlanBatch, Trial.batch_id == PlanBatch.id)
        .where(
            Trial.study_id == study.id,
            Trial.kind == TrialKind.PRACTICE,
            PlanBatch.rule == POOL_RULE,
        )
        .order_by(Trial.number)
        .limit(1)
    )
    pair = session.execute(_with_clips(query, Trial)).first()
    return {"position": 0, **_sides(pair, store, root)} if pair else None
