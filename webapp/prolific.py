"""How Prolific's participants come in, and what they are told where there is nothing for them.

Prolific opens `/prolific/KEY` with three ids, which anybody can write: the study must be one that
was published, and a submission stays with the participant who began it. Who is paid is decided by
`vgan-eval review`, which starts from what Prolific itself lists. A finished session gives the
completion address, and nothing before it does.
"""

import hmac
import re
from typing import NamedTuple

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from evaluation.errors import NothingLeft
from evaluation.schema import Assignment, Hit, Study, Worker
from evaluation.secret import page_key
from evaluation.sessions.arrivals import being_published, check_arrival, published_hit
from webapp.local import closed
from webapp.refusals import refusal
from webapp.services import now, services
from webapp.settings import current_study, page_wording
from webapp.tickets import Ticket, to_page

blueprint = Blueprint("prolific", __name__)

CROWD = "prolific"
_PARAMETERS = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
_ID = re.compile(r"[0-9a-f]{24}", re.ASCII)


class Arrival(NamedTuple):
    """Who comes: the ids of participant, study and submission."""

    participant: str
    study: str
    submission: str


def read_arrival(arguments: MultiDict[str, str]) -> Arrival | None:
    """Read the three ids; None when one is missing or is not like Prolific's."""
    found = Arrival(*(arguments.get(name, "") for name in _PARAMETERS))
    return found if all(_ID.fullmatch(value) for value in found) else None


def is_preview(arguments: MultiDict[str, str]) -> bool:
    """Whether the page was opened with the placeholders themselves, as a preview may do."""
    return any("{{%" in arguments.get(name, "") for name in _PARAMETERS)


@blueprint.get("/prolific/<key>")
def entry(key: str) -> ResponseReturnValue:
    """Send a participant on to the rating page; writes nothing."""
    arrival = read_arrival(request.args)
    with services().database.read() as session:
        study = current_study(session)
        if not hmac.compare_digest(key.encode(), page_key(study.secret).encode()):
            return closed(study)
        if arrival is None:
            preview = is_preview(request.args)
            return _notice(study, "preview" if preview else "parameters", 200 if preview else 400)
        hit = published_hit(session, study, CROWD, arrival.study)
        if hit is None:
            not_yet = being_published(session, study, CROWD)
            return _notice(study, *(("not_ready", 503) if not_yet else ("preview", 404)))
        if _is_of_another(session, hit, arrival):
            return _notice(study, "not_yours", 409)
        try:
            check_arrival(session, study, hit, arrival.participant, arrival.submission, now())
        except NothingLeft as error:
            return _refuse(study, hit, *refusal(error))
        ticket = Ticket(
            CROWD,
            arrival.participant,
            arrival.submission,
            arrival.study,
            environment=hit.environment.value,
            made=now().isoformat(),
        )
        return to_page(study, ticket)


def _is_of_another(session: Session, hit: Hit, arrival: Arrival) -> bool:
    """Whether somebody else began this submission: Prolific's ids are never used twice."""
    other = (
        select(Assignment.id)
        .join(Worker)
        .where(
            Assignment.crowd == CROWD,
            Assignment.environment == hit.environment,
            Assignment.external_id == arrival.submission,
            Worker.external_id != arrival.participant,
        )
    )
    return session.scalar(other.limit(1)) is not None


def _refuse(study: Study, hit: Hit, word: str, status: int) -> ResponseReturnValue:
    """Tell who came for nothing so; where the study pays for the way, show where to."""
    url = hit.details.get("screen_out_url") if word == "nothing_left" else None
    return _notice(study, "paid" if url else word, status, url)


def _notice(study: Study, word: str, status: int, url: str | None = None) -> ResponseReturnValue:
    wording = page_wording(study)
    return render_template("prolific/notice.html", wording=wording, word=word, url=url), status
