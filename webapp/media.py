"""The encoded clips, where the store leaves serving them to the app.

Both files of a pair must be indistinguishable: the headers depend on nothing but the key and the
length, which is padded to be equal. No Last-Modified, no file names.
"""

import re
from functools import lru_cache

from flask import Blueprint, Flask, Response, abort, request
from sqlalchemy import select
from werkzeug.datastructures import Range

from evaluation import schema
from evaluation.database import Database
from evaluation.errors import EvaluationError
from evaluation.stimuli import stimulus_keys
from evaluation.storage import IMMUTABLE, LocalStore
from webapp.services import Services, services

blueprint = Blueprint("media", __name__)

_KEY = re.compile(r"[0-9a-f]{64}")
_REMEMBERED = 50_000  # keys, in some ten megabytes


def check_clips(app: Flask) -> None:
    """Look, before raters come, whether a local folder has every clip; a bucket is not asked.

    Raises:
        EvaluationError: some are not there.
    """
    found: Services = app.extensions["vgan_eval"]
    if blueprint.name in app.blueprints and isinstance(found.store, LocalStore):
        with found.database.read() as session:
            found.store.check_holds(stimulus_keys(session, found.frozen))


@lru_cache(_REMEMBERED)
def _mime(database: Database, key: str) -> str:
    """Return a clip's type, which never changes under a key; what is no clip is asked for again."""
    with database.read() as session:
        mime = session.scalar(select(schema.Stimulus.mime).where(schema.Stimulus.key == key))
    return mime or abort(404)


@blueprint.get("/media/<key>")
def clip(key: str) -> Response:
    """Send one encoded clip, or the part of it that a Range header asks for."""
    if not _KEY.fullmatch(key):
        abort(404)
    mime = _mime(services().database, key)
    try:
        data = services().store.get(key)
    except EvaluationError:
        abort(404)
    response = Response(data, mimetype=mime)
    response.headers["Cache-Control"] = IMMUTABLE
    response.set_etag(key)
    length = len(data) if _is_one_part(request.range) else None  # None: whole, whatever is asked
    response.make_conditional(request, accept_ranges=True, complete_length=length)
    return response


def _is_one_part(wanted: Range | None) -> bool:
    """Whether a Range header asks for one part in bytes; any other is ignored (RFC 9110, 14.2)."""
    return wanted is not None and wanted.units == "bytes" and len(wanted.ranges) == 1
