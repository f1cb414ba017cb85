"""How raters without a crowd platform come in: on this machine, or a room of them by one link."""

import hashlib
import hmac
import re
import secrets

from flask import Blueprint, Flask, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation import schema
from evaluation.database import find_study
from webapp import services
from webapp.settings import page_wording
from webapp.tickets import Ticket, sign_ticket

blueprint = Blueprint("local", __name__)

CROWD = "local"
_NAME = re.compile(r"[\w.@+-]{1,64}")


def join_path(study: schema.Study) -> str:
    """Return the path of the link that lets a room of raters in; it cannot be guessed."""
    digest = hmac.new(study.secret.encode(), b"join", hashlib.sha256).hexdigest()
    return f"/join/{digest[:20]}"


def join_address(app: Flask) -> str:
    """Return the path of an application's join link."""
    with app.app_context(), services().database.read() as session:
        return join_path(find_study(session, services().study))


def closed(study: schema.Study) -> tuple[str, int]:
    """Answer an address that lets nobody in."""
    return render_template("rating/closed.html", wording=page_wording(study)), 404


def _open_session(session: Session, rater: str) -> str | None:
    """Return the id of the session that a rater left open, so that opening again resumes it."""
    return session.scalar(
        select(schema.Assignment.external_id)
        .join(schema.Assignment.worker)
        .join(schema.Study, schema.Study.id == schema.Assignment.study_id)
        .where(
            schema.Study.name == services().study,
            schema.Worker.crowd == CROWD,
            schema.Worker.environment == services().environment,
            schema.Worker.external_id == rater,
            schema.Assignment.status == schema.AssignmentStatus.ACCEPTED,
        )
        .order_by(schema.Assignment.id.desc())
        .limit(1)
    )


def _to_page(session: Session, rater: str) -> ResponseReturnValue:
    """Redirect to the rating page with a ticket for this rater.

    Nothing is written: the trials are leased when the rater presses Start, so that a link preview
    or a prefetch takes none.
    """
    study = find_study(session, services().study)
    ticket = Ticket(CROWD, rater, _open_session(session, rater) or secrets.token_hex(16))
    signed = sign_ticket(study.secret, ticket)
    return redirect(url_for("rating.page", ticket=signed, lang=request.args.get("lang")))


@blueprint.get("/")
@blueprint.get("/local")
def local() -> ResponseReturnValue:
    """Let a rater of this machine in, under `?rater=NAME` or a new id."""
    if not services().open_door:
        with services().database.read() as session:
            return closed(find_study(session, services().study))
    rater = request.args.get("rater") or f"rater-{secrets.token_hex(6)}"
    if not _NAME.fullmatch(rater):
        abort(400, "a rater's name has 1 to 64 letters, digits or . _ @ + -")
    with services().database.read() as session:
        return _to_page(session, rater)


@blueprint.get("/join/<code>")
def join(code: str) -> ResponseReturnValue:
    """Let one more rater of the room in; every opening is a new rater."""
    with services().database.read() as session:
        study = find_study(session, services().study)
        if not hmac.compare_digest(f"/join/{code}".encode(), join_path(study).encode()):
            return closed(study)
        return _to_page(session, f"rater-{secrets.token_hex(6)}")
