"""How people come in by a published link: with an id of the site that sent them, or their own link.

An id in the address is not proof of who somebody is; what it opens is that id's session and no
other, and a link made for one person cannot be guessed. Nothing is written before Start.
"""

import hmac

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation.database import find_study
from evaluation.errors import NothingLeft, StudyPaused
from evaluation.invitations import find_invitation
from evaluation.links import (
    CROWD,
    LinkFull,
    LinkOver,
    LinkRevoked,
    link_settings,
    read_participant,
    session_for,
)
from evaluation.schema import Hit, Study
from webapp import now, services
from webapp.local import closed
from webapp.settings import page_wording
from webapp.tickets import Ticket, sign_ticket

blueprint = Blueprint("link", __name__)

_NOTICES: tuple[tuple[type[NothingLeft], str], ...] = (
    (LinkFull, "notice.full"),
    (LinkRevoked, "link.revoked"),
    (LinkOver, "notice.over"),
    (StudyPaused, "notice.paused"),
    (NothingLeft, "notice.nothing_left"),
)


@blueprint.get("/link/<key>")
def by_participant(key: str) -> ResponseReturnValue:
    """Let somebody in under the id that the site which sent them put into the address."""
    with services().database.read() as session:
        study = find_study(session, services().study)
        hit = _published(session, study, key)
        if hit is None:
            return closed(study)
        settings = link_settings(study)
        participant = read_participant(settings, request.args.get(settings.participant, ""))
        if participant is None:
            return _notice(study, "link.parameters", 400)
        return _enter(session, study, hit, participant)


@blueprint.get("/link/<key>/<token>")
def by_invitation(key: str, token: str) -> ResponseReturnValue:
    """Let the one person in whom a link was made for."""
    with services().database.read() as session:
        study = find_study(session, services().study)
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
        key = next(key for kind, key in _NOTICES if isinstance(error, kind))
        return _notice(study, key, 410 if isinstance(error, LinkRevoked) else 409)
    ticket = Ticket(
        CROWD, participant, theirs, str(hit.external_id), environment=hit.environment.value
    )
    signed = sign_ticket(study.secret, ticket)
    return redirect(url_for("rating.page", ticket=signed, lang=request.args.get("lang")))


def _notice(study: Study, key: str, status: int) -> ResponseReturnValue:
    return render_template("rating/notice.html", wording=page_wording(study), key=key), status
