"""What `vgan-eval doctor --db` asks the running app: what it sees, and a session that is undone.

Both need a note signed with the study's secret. The rehearsal really starts a session, judges and
finishes it, in one transaction that is rolled back before the answer is sent: nobody else ever
sees it, and no crash can leave a part of it behind. The answer holds no completion code and no
token: both would be of a session that nobody had.
"""

from typing import Any

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.orm import Session

from evaluation.allocation import (
    finish_session,
    get_worker,
    local_hit,
    next_showing,
    start_session,
)
from evaluation.doctor.notes import read_note
from evaluation.errors import EvaluationError
from evaluation.judgments import Answer, record_judgment
from evaluation.schema import Assignment, Choice, Study
from webapp.refusals import refuse
from webapp.requests import read_body
from webapp.services import now, services
from webapp.settings import current_study
from webapp.showings import session_state
from webapp.tickets import LOCAL_ENVIRONMENT, Ticket, sign_ticket

blueprint = Blueprint("doctor", __name__, url_prefix="/doctor")
blueprint.register_error_handler(EvaluationError, refuse)

CROWD = "doctor"
_RT_MS = 1000.0


class _Undone(Exception):
    """Not an error: it carries the answer past the rollback that it causes."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__()
        self.answer = answer


@blueprint.get("/seen")
def seen() -> ResponseReturnValue:
    """Tell what reached the app of this very request, and how the database is set."""
    with services().database.read() as session:
        study = _noted_study(session)
        # Its HIT was never published, so it shows the page and can start nothing.
        ticket = Ticket(CROWD, CROWD, CROWD, hit=CROWD)
        page = url_for("rating.page", ticket=sign_ticket(study.secret, ticket))
        return {
            "scheme": request.scheme,
            "client": request.remote_addr or "",
            "page": page,
            "database": _database(session),
        }


@blueprint.post("/rehearsal")
def rehearsal() -> ResponseReturnValue:
    """Start a session, answer so many pairs, finish it if those were all, and undo everything."""
    answers = read_body().get("answers")
    if type(answers) is not int or not 0 <= answers <= 1000:
        raise EvaluationError("answers: must be a whole number")
    try:
        with services().database.write() as session:
            raise _Undone(_rehearse(session, answers))
    except _Undone as done:
        return done.answer


def _noted_study(session: Session) -> Study:
    study = current_study(session)
    note = request.headers.get("Authorization", "").removeprefix("Bearer ")
    read_note(study.secret, note, now())
    return study


def _database(session: Session) -> dict[str, str]:
    kind = services().database.dialect
    asked = (
        {"journal": "PRAGMA journal_mode", "synchronous": "PRAGMA synchronous"}
        if kind == "sqlite"
        else {"isolation": "SHOW transaction_isolation", "commit": "SHOW synchronous_commit"}
    )
    return {"kind": kind} | {name: str(session.scalar(text(sql))) for name, sql in asked.items()}


def _rehearse(session: Session, answers: int) -> dict[str, Any]:
    study = _noted_study(session)
    hit = local_hit(session, study, CROWD, LOCAL_ENVIRONMENT, now())
    worker = get_worker(session, CROWD, hit.environment, CROWD, now())
    assignment = start_session(session, study, hit=hit, worker=worker, external_id=CROWD, now=now())
    session.flush()
    _answer(session, assignment, answers)
    following = session_state(
        session, study, assignment.id, services().store, nonce=assignment.nonce
    )
    if following["stage"] not in ("survey", "finish"):
        return following
    code = finish_session(session, assignment, now())
    return {"stage": "done", "code_characters": len(code)}


def _answer(session: Session, assignment: Assignment, answers: int) -> None:
    """Answer so many showings, every question of each."""
    for _ in range(answers):
        showing = next_showing(session, assignment)
        if showing is None:
            return
        for question in current_study(session).questions:
            answer = Answer(question.name, Choice.LEFT, _RT_MS, _RT_MS, now())
            record_judgment(session, assignment, showing.id, answer)
        session.expire_all()
