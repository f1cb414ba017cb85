"""The rating page and the JSON that it speaks: open, start, state, judgment, finish.

Every request can be repeated: a reload, a lost reply or a double click changes nothing. The page
brings back the signed token it was given, instead of a cookie.
"""

from datetime import timedelta
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from evaluation import frozen
from evaluation.allocation import (
    finish_session,
    get_worker,
    local_hit,
    start_session,
)
from evaluation.crowd.terms import terms_of
from evaluation.errors import DatabaseError, EvaluationError, NothingLeft, TokenError
from evaluation.judgments import record_judgment_at
from evaluation.links import LinkOver, check_place, claim_place, completion_url
from evaluation.publishing.environments import is_for_a_crowd
from evaluation.schema import Assignment, Hit, Study
from evaluation.sessions.arrivals import (
    check_may_start,
    lock_worker,
    published_hit,
    seen_before,
    sessions_started,
    superseded_sessions,
)
from evaluation.sessions.closing import return_session
from evaluation.sessions.consents import note_consent
from evaluation.sessions.tokens import PageToken, check_page, read_token, sign_token
from webapp.receipts import receipt
from webapp.refusals import refusal, refuse, unavailable
from webapp.requests import read_body, read_judgment, read_started, read_survey, text_field
from webapp.services import now, services
from webapp.settings import (
    consent_of,
    current_study,
    page_wording,
    rating_settings,
)
from webapp.showings import session_state
from webapp.tickets import Ticket, read_ticket

blueprint = Blueprint("rating", __name__)

# A late worker may always finish, so a token outlives its lease by far.
_TOKEN_LIFE = timedelta(days=14)

blueprint.register_error_handler(EvaluationError, refuse)
blueprint.register_error_handler(DatabaseError, unavailable)  # else the line above takes it


@blueprint.get("/rate")
def page() -> ResponseReturnValue:
    """Show the rating page for a ticket; nothing is written."""
    with services().database.read() as session:
        study = current_study(session)
        settings = rating_settings(session, study)
        try:
            ticket = read_ticket(study.secret, request.args.get("ticket", ""))
        except TokenError:
            return render_template("rating/closed.html", wording=page_wording(study)), 404
    config = {
        "ticket": request.args["ticket"],
        "layout": settings.layout,
        "devices": settings.devices,
        "allowTie": settings.allow_tie,
        "consentVersion": settings.consent.version if settings.consent else None,
        "submitTo": ticket.submit_to or None,
        "crowd": ticket.crowd,
        "questions": settings.questions,
        "text": settings.wording.texts,
        "thanks": "thanks" in settings.wording.own,
    }
    return render_template("rating/page.html", settings=settings, config=config)


@blueprint.post("/api/open")
def open_session() -> ResponseReturnValue:
    """Tell the page where its session stands; `new` when it has not been started."""
    body = read_body()
    with services().database.read() as session:
        study = current_study(session)
        ticket = read_ticket(study.secret, text_field(body, "ticket", 2000))
        worker_id, assignment = seen_before(
            session, ticket.crowd, ticket.place(), ticket.worker, ticket.session
        )
        if assignment is not None:
            return _with_token(session, study, assignment)
        try:
            _check_may_start(session, study, ticket, worker_id)
        except NothingLeft as error:
            return {"stage": refusal(error)[0]}
        return {"stage": "new"}


def _check_may_start(session: Session, study: Study, ticket: Ticket, worker_id: int | None) -> None:
    """Refuse a worker for whom there is nothing to do, so that they learn it before they agree.

    Raises:
        NothingLeft: no trial, no place or no session is left for them.
    """
    _check_room(session, study, ticket)
    hit = published_hit(session, study, ticket.crowd, ticket.hit) if ticket.hit else None
    if hit is not None and terms_of(hit.crowd).by_link:
        check_place(session, hit, ticket.worker, now())
    given_back = _given_back(session, hit, ticket) if hit and worker_id else []
    had = sessions_started(session, study, worker_id) - len(given_back)
    check_may_start(session, study, worker_id, had, now())


def _check_room(session: Session, study: Study, ticket: Ticket) -> None:
    """Refuse to begin by a room's link, opened long ago, once the study is for a crowd's workers.

    Raises:
        LinkOver: it is, and there is no such session yet.
    """
    if ticket.hit or services().open_door or not is_for_a_crowd(session, study):
        return
    _, theirs = seen_before(session, ticket.crowd, ticket.place(), ticket.worker, ticket.session)
    if theirs is None:
        raise LinkOver("the study has a crowd, so its room lets nobody in")


@blueprint.post("/api/start")
def start() -> ResponseReturnValue:
    """Lease the session's trials, note the consent and the device; again returns what exists."""
    started = read_started(read_body())
    with services().database.write() as session:
        study = current_study(session)
        consent = consent_of(study, page_wording(study, started.language))
        ticket = read_ticket(study.secret, started.ticket)
        if consent and started.consent != consent.version:
            raise EvaluationError("the consent was not given")
        hit = _hit(session, study, ticket)
        worker = get_worker(session, ticket.crowd, hit.environment, ticket.worker, now())
        assignment = start_session(
            session,
            study,
            hit=hit,
            worker=worker,
            external_id=ticket.session,
            now=now(),
            device={**started.device, "user_agent": request.headers.get("User-Agent", "")[:400]},
        )
        if consent:
            note_consent(session, assignment, consent.version, consent.text, now())
        session.flush()
        return _with_token(session, study, assignment)


def _hit(session: Session, study: Study, ticket: Ticket) -> Hit:
    """Return the HIT that a rater comes under; what they gave back on its platform is returned."""
    if not ticket.hit:
        _check_room(session, study, ticket)
        return local_hit(session, study, ticket.crowd, ticket.place(), now())
    hit = published_hit(session, study, ticket.crowd, ticket.hit)
    if hit is None:
        raise TokenError("the HIT is not of this study")
    if terms_of(hit.crowd).by_link:
        claim_place(session, hit, ticket.worker, ticket.session, now())
        return hit
    earlier = _given_back(session, hit, ticket)
    if earlier:
        lock_worker(session, earlier[0].worker_id)  # in this order, as who withdraws them does
    for one in earlier:
        return_session(session, one)
    return hit


def _given_back(session: Session, hit: Hit, ticket: Ticket) -> list[Assignment]:
    """Return the worker's sessions that they gave back before they came with this ticket."""
    return superseded_sessions(
        session, hit, ticket.worker, ticket.session, arrived=ticket.made_at()
    )


@blueprint.get("/api/state")
def state() -> ResponseReturnValue:
    """Return where the session stands."""
    study, token = _frozen_and_token()
    with services().database.read() as session:
        return _stands(session, study, token)


@blueprint.post("/api/judgment")
def judge() -> ResponseReturnValue:
    """Record one answer and return where the session stands after it."""
    position, answer = read_judgment(read_body(), now())
    study, token = _frozen_and_token()
    with services().database.write() as session:
        recorded = record_judgment_at(
            session, study, token.assignment, position, answer, nonce=token.nonce
        )
        following = _stands(session, study, token)
    return {"correct": recorded.correct, "state": following}


@blueprint.post("/api/finish")
def finish() -> ResponseReturnValue:
    """Store the survey, close the session and return its completion code."""
    body = read_body()
    with services().database.write() as session:
        study = current_study(session)
        token = _token(study)
        assignment = session.get(Assignment, token.assignment)
        if assignment is None:
            raise TokenError("the page's session does not exist")
        check_page(token.nonce, assignment.nonce, assignment.status)
        code = finish_session(session, assignment, now(), read_survey(body, frozen.survey(study)))
        return {"stage": "done", "code": code, **_ending(session, study, assignment)}


def _token(study: Study) -> PageToken:
    """Return what the token in the request's Authorization header allows."""
    header = request.headers.get("Authorization", "")
    token = read_token(study.secret, header.removeprefix("Bearer "), now())
    if token.study != study.id:
        raise TokenError("the token is of another study")
    return token


def _frozen_and_token() -> tuple[Study, PageToken]:
    """Return the study without asking the database, and what the request's token allows.

    A study that nobody has started can be frozen again while the application runs, and then has
    another secret: where the token does not fit, the study is read anew.
    """
    study = services().frozen
    try:
        return study, _token(study)
    except TokenError:
        with services().database.read() as session:
            study = current_study(session)
        token = _token(study)
        services().frozen = study
        return study, token


def _with_token(session: Session, study: Study, assignment: Assignment) -> dict[str, Any]:
    token = PageToken(
        study.id, assignment.id, assignment.worker_id, now() + _TOKEN_LIFE, assignment.nonce
    )
    return {**_stands(session, study, token), "token": sign_token(study.secret, token)}


def _stands(session: Session, study: Study, token: PageToken) -> dict[str, Any]:
    """Return where a session stands, with all that a finished one ends with."""
    state = session_state(session, study, token.assignment, services().store, nonce=token.nonce)
    if state["stage"] == "done":
        state |= _ending(session, study, session.get_one(Assignment, token.assignment))
    return state


def _ending(session: Session, study: Study, assignment: Assignment) -> dict[str, Any]:
    """Return what a finished session hands in, and where its worker goes to be paid, if anywhere.

    Only here, and only now: who knew a platform's completion address before could use it at once.
    """
    ending: dict[str, Any] = {"receipt": receipt(session, study, assignment)}
    url = assignment.hit.details.get("completion_url") or completion_url(study, assignment)
    if url:
        ending["redirect"] = url
    return ending
