"""How people come in by a published link: with an id of the site that sent them, or their own link.

An id in the address is not proof of who somebody is; what it opens is that id's session and no
other, and a link made for one person cannot be guessed. Nothing is written before Start.
"""

import hmac

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation import frozen
from evaluation.errors import NothingLeft
from evaluation.links import CROWD, read_participant, session_for
from evaluation.publishing.invitations import find_invitation
from evaluation.schema import Hit, Study
from webapp.local import closed
from webapp.refusals import refusal
from webapp.services import now, services
from webapp.settings import current_study, page_wording
from webapp.tickets import Ticket, to_page

blueprint = Blueprint("link", __name__)


@blueprint.get("/link/<key>")
def by_participant(key: str) -> ResponseReturnValue:
    """Let somebody in under the id that the site which sent them put into the address."""
    with services().database.read() as session:
        study = current_study(session)
        hit = _published(session, study, key)
        if hit is None:
            return closed(study)
        settings = frozen.recruit(study).link
        participant = read_participant(settings, request.args.get(settings.participant, ""))
        if participant is None:
            return _notice(study, "link.parameters", 400)
        return _enter(session, study, hit, participant)


@blueprint.get("/link/<key>/<token>")
def by_invitation(key: str, token: str) -> ResponseReturnValue:
    """Let the one person in whom a link was made for."""
    with services().database.read() as session:
        study = current_study(session)
        hit = _published(session, study, key)
        invitation = find_invitation(session, hit, token) if hit else None
        if hit is None or invitation is None:
            return closed(study)
        return _enter(session, study, hit, token)


def _published(session: Session, study: Study, key: str) -> Hit | None:
    for hit in session.scalars(select(Hit).where(Hit.study_id == study.id, Hit.crowd == CROWD)):
        if hmac.compare_digest(key.encode(), str(hit.external_id).encode()):
            return hit
    return None


def _enter(session: Session, study: Study, hit: Hit, participant: str) -> ResponseReturnValue:
    """Send somebody on to their session, or tell them before any work why there is none."""
    try:
        theirs = session_for(session, study, hit, participant, now())
    except NothingLeft as error:
        word, status = refusal(error)
        return _notice(study, f"notice.{word}", status)
    environment = hit.environment.value
    ticket = Ticket(CROWD, participant, theirs, str(hit.external_id), environment=environment)
    return to_page(study, ticket)


def _notice(study: Study, key: str, status: int) -> ResponseReturnValue:
    return render_template("rating/notice.html", wording=page_wording(study), key=key), status
