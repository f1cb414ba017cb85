"""What each refusal is called on the pages; our own messages name the study, so they stay here."""

from flask import Response, current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from evaluation.errors import (
    DatabaseError,
    EvaluationError,
    NothingLeft,
    SessionClosed,
    SessionIncomplete,
    SessionLimit,
    StudyPaused,
    TokenError,
)
from evaluation.links import LinkFull, LinkOver, LinkRevoked
from webapp.services import services
from webapp.settings import page_wording

# The first that fits: special kinds stand before the general one.
_REFUSALS: tuple[tuple[type[EvaluationError], str, int], ...] = (
    (SessionLimit, "limit", 409),
    (LinkFull, "full", 409),
    (LinkRevoked, "revoked", 410),
    (LinkOver, "over", 409),
    (StudyPaused, "paused", 409),
    (NothingLeft, "nothing_left", 409),
    (SessionClosed, "closed", 409),
    (SessionIncomplete, "incomplete", 409),
    (TokenError, "token", 401),
    (DatabaseError, "busy", 503),
)


def refusal(error: EvaluationError) -> tuple[str, int]:
    """Return what a refusal is called, as the keys of the texts have it, and its status."""
    found = ((word, status) for kind, word, status in _REFUSALS if isinstance(error, kind))
    return next(found, ("invalid", 400))


def refuse(error: EvaluationError) -> tuple[Response, int]:
    """Answer a script with the word for a refusal."""
    word, status = refusal(error)
    return jsonify(error=word), status


def unavailable(error: DatabaseError) -> tuple[Response | str, int]:
    """Ask for a little patience, a script by the word and a person on a page.

    The log says where it happened by the endpoint: addresses hold tickets and ids.
    """
    current_app.logger.error("%s: %s", request.endpoint, error)
    word, status = refusal(error)
    if request.path.startswith("/api/"):
        return jsonify(error=word), status
    wording = page_wording(services().frozen)
    return render_template("rating/notice.html", wording=wording, key=f"notice.{word}"), status


def not_found(error: NotFound) -> ResponseReturnValue:
    """Show a person at an address of no page where to look; scripts get the bare answer."""
    if request.path.startswith(("/api/", "/media/", "/static/")):
        return error
    wording = page_wording(services().frozen)
    return render_template("rating/closed.html", wording=wording), 404
