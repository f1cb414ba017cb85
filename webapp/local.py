"""How raters without a crowd platform come in: on this machine, or a room of them by one link."""

import hmac
import re
import secrets

from flask import Blueprint, Flask, abort, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from evaluation.publishing.environments import crowds_of, is_for_a_crowd
from evaluation.schema import Assignment, AssignmentStatus, Study, Worker
from evaluation.secret import join_key
from webapp.services import services
from webapp.settings import current_study, page_wording
from webapp.tickets import LOCAL_ENVIRONMENT, Ticket, to_page

blueprint = Blueprint("local", __name__)

CROWD = "local"
_NAME = re.compile(r"[\w.@+-]{1,64}")
# Made once: making a statement takes longer than sending it.
_OPEN_SESSION = (
    select(Assignment.external_id)
    .join(Worker, Assignment.worker_id == Worker.id)
    .where(
        Assignment.study_id == bindparam("study"),
        Assignment.status == AssignmentStatus.ACCEPTED,
        Worker.crowd == CROWD,
        Worker.environment == bindparam("environment"),
        Worker.external_id == bindparam("rater"),
    )
    .order_by(Assignment.id.desc())
    .limit(1)
)


def join_path(study: Study) -> str:
    """Return the path of the link that lets a room of raters in; it cannot be guessed."""
    return f"/join/{join_key(study.secret)}"


def join_address(app: Flask) -> str | None:
    """Return the path of an application's join link, None where it lets nobody in."""
    with app.app_context(), services().database.read() as session:
        study = current_study(session)
        return None if is_for_a_crowd(session, study) else join_path(study)


def is_anything_published(app: Flask) -> bool:
    """Tell whether an application's study is published on a crowd, so that workers may come."""
    with app.app_context(), services().database.read() as session:
        return bool(crowds_of(session, current_study(session)))


def closed(study: Study) -> tuple[str, int]:
    """Answer an address that lets nobody in."""
    return render_template("rating/closed.html", wording=page_wording(study)), 404


def _open_session(session: Session, study: Study, rater: str) -> str | None:
    """Return the id of the session that a rater left open, so that opening again resumes it."""
    of = {"study": study.id, "environment": LOCAL_ENVIRONMENT, "rater": rater}
    return session.scalar(_OPEN_SESSION, of)


@blueprint.get("/")
@blueprint.get("/local")
def local() -> ResponseReturnValue:
    """Let a rater of this machine in, under `?rater=NAME` or a new id."""
    if not services().open_door:
        with services().database.read() as session:
            return closed(current_study(session))
    rater = request.args.get("rater") or f"rater-{secrets.token_hex(6)}"
    if not _NAME.fullmatch(rater):
        abort(400, "a rater's name has 1 to 64 letters, digits or . _ @ + -")
    with services().database.read() as session:
        study = current_study(session)
        theirs = _open_session(session, study, rater) or secrets.token_hex(16)
        return to_page(study, Ticket(CROWD, rater, theirs))


@blueprint.get("/join/<code>")
def join(code: str) -> ResponseReturnValue:
    """Let one more rater of the room in; every opening is a new rater.

    Nobody where the study has a crowd: they would take planned trials unpaid, and after `expire`.
    """
    with services().database.read() as session:
        study = current_study(session)
        known = hmac.compare_digest(f"/join/{code}".encode(), join_path(study).encode())
        if not known or is_for_a_crowd(session, study):
            return closed(study)
        ticket = Ticket(CROWD, f"rater-{secrets.token_hex(6)}", secrets.token_hex(16))
        return to_page(study, ticket)
