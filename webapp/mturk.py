"""How workers of an MTurk-compatible service come in: preview, accept, return, come back.

The service shows `/mturk/KEY` in a frame and adds `assignmentId`, `hitId`, and, once the HIT is
accepted, `workerId` and `turkSubmitTo`. Anybody can write such a URL, so nothing in it is trusted:
the HIT must be one that the study published, the site to submit to one that the operator named.
"""

import hmac
import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from evaluation.errors import NothingLeft
from evaluation.schema import Study
from evaluation.secret import page_key
from evaluation.sessions.arrivals import (
    being_published,
    check_arrival,
    check_may_start,
    published_hit,
)
from webapp.local import closed
from webapp.refusals import refusal
from webapp.services import now, services
from webapp.settings import current_study, page_wording, rating_settings
from webapp.showings import sample_pair
from webapp.tickets import Ticket, to_page

blueprint = Blueprint("mturk", __name__)

CROWD = "mturk"
PREVIEW = "ASSIGNMENT_ID_NOT_AVAILABLE"
SUBMIT_PATH = "/mturk/externalSubmit"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
# Nothing else: browsers end a host at a backslash, and read other signs in ways of their own.
_SITE = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d+)?", re.ASCII)
_LONGEST_URL = 500


@dataclass(frozen=True)
class Arrival:
    """What the platform's frame asks for.

    Args:
        assignment: empty in a preview.
        hit: the platform's id.
        worker: empty in most previews.
        submit_to: URL that takes the finished assignment; empty in a preview.
    """

    assignment: str
    hit: str
    worker: str
    submit_to: str


def read_arrival(arguments: MultiDict[str, str]) -> Arrival | None:
    """Read the frame's parameters; None when one is missing, malformed or too long."""
    assignment = arguments.get("assignmentId", "")
    preview = assignment == PREVIEW
    ids = {name: arguments.get(name, "") for name in ("assignmentId", "hitId", "workerId")}
    optional = {"hitId", "workerId"} if preview else set()
    for name, value in ids.items():
        if not _ID.fullmatch(value) and (value or name not in optional):
            return None
    if preview:
        return Arrival("", ids["hitId"], ids["workerId"], "")
    submit_to = _submit_url(arguments.get("turkSubmitTo", ""))
    if submit_to is None:
        return None
    return Arrival(assignment, ids["hitId"], ids["workerId"], submit_to)


def _submit_url(given: str) -> str | None:
    """Return where the form goes: the platform gives the site with or without a slash."""
    try:
        parts = urlsplit(given)
    except ValueError:
        return None
    if len(given) > _LONGEST_URL or parts.scheme not in ("http", "https"):
        return None
    if not _SITE.fullmatch(parts.netloc):
        return None
    return urljoin(given, SUBMIT_PATH)


def may_submit_to(url: str, hosts: tuple[str, ...]) -> bool:
    """Tell whether a URL is on one of the sites, written as in a Content-Security-Policy.

    >>> may_submit_to("https://www.mturk.com/mturk/externalSubmit", ("https://*.mturk.com",))
    True
    >>> may_submit_to("https://mturk.com.evil.org/", ("https://*.mturk.com",))
    False
    """
    parts = urlsplit(url)
    for host in hosts:
        allowed = urlsplit(host)
        if parts.scheme != allowed.scheme:
            continue
        if parts.netloc == allowed.netloc:
            return True
        if allowed.netloc.startswith("*.") and parts.netloc.endswith(allowed.netloc[1:]):
            return True
    return False


@blueprint.get("/mturk/<key>")
def entry(key: str) -> ResponseReturnValue:
    """Show the preview, or send a worker who accepted on to the rating page; writes nothing."""
    arrival = read_arrival(request.args)
    if arrival is None:
        with services().database.read() as session:
            return _notice(current_study(session), "parameters", 400)
    with services().database.read() as session:
        study = current_study(session)
        if not hmac.compare_digest(key.encode(), page_key(study.secret).encode()):
            return closed(study)
        if not arrival.assignment:
            return _preview(session, study, arrival)
        hit = published_hit(session, study, CROWD, arrival.hit)
        if hit is None:
            return _unknown_hit(session, study)
        if not may_submit_to(arrival.submit_to, services().form_hosts):
            return _notice(study, "site", 403, arrival.submit_to.removesuffix(SUBMIT_PATH))
        try:
            check_arrival(session, study, hit, arrival.worker, arrival.assignment, now())
        except NothingLeft as error:
            return _notice(study, *refusal(error))
        ticket = Ticket(
            CROWD,
            arrival.worker,
            arrival.assignment,
            arrival.hit,
            arrival.submit_to,
            hit.environment.value,
            now().isoformat(),
        )
        return to_page(study, ticket)


def _notice(study: Study, word: str, status: int, site: str = "") -> ResponseReturnValue:
    wording = page_wording(study)
    return render_template("mturk/notice.html", wording=wording, word=word, site=site), status


def _unknown_hit(session: Session, study: Study) -> ResponseReturnValue:
    """Refuse a HIT that we do not know; ask for patience while one is being written down."""
    if being_published(session, study, CROWD):
        return _notice(study, "not_ready", 503)
    return _notice(study, "unknown_hit", 404)


def _preview(session: Session, study: Study, arrival: Arrival) -> ResponseReturnValue:
    """Show what the work is, before it is accepted; say so if there is none for this worker."""
    settings = rating_settings(session, study)
    hit = published_hit(session, study, CROWD, arrival.hit) if arrival.hit else None
    reason = None
    try:
        if hit is not None and arrival.worker:
            check_arrival(session, study, hit, arrival.worker, arrival.assignment, now())
        else:
            check_may_start(session, study, None, 0, now())
    except NothingLeft as error:
        reason = refusal(error)[0]
    config = {
        "layout": settings.layout,
        "devices": settings.devices,
        "text": settings.wording.texts,
    }
    return render_template(
        "mturk/preview.html",
        settings=settings,
        wording=settings.wording,
        config=config,
        reason=reason,
        sample=None if reason else sample_pair(session, study, services().store, root="../"),
    )
