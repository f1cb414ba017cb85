"""The application for other WSGI servers, set by the environment alone.

    gunicorn --worker-class gthread --workers 2 --threads 8 'webapp.wsgi:app()'

Only threaded workers, and PostgreSQL when there are several: browsers hold silent connections
open, which block a worker that has one at a time.
"""

import os
import sys
from pathlib import Path

from flask import Flask

from evaluation.errors import EvaluationError, UsageError
from evaluation.locations import media_store
from evaluation.storage import open_store
from webapp import create_app
from webapp.dashboard import TOKEN_VARIABLE, dashboard_token
from webapp.media import check_clips
from webapp.services import closed_on_error

_MOST_PROXIES = 5
_CANNOT_START = 3  # to gunicorn: stop and say so; after any other it tries again at once, for ever


def app() -> Flask:
    """Make the application that `vgan-eval serve` runs.

    Reads VGAN_EVAL_DB, VGAN_EVAL_MEDIA (or VGAN_EVAL_FILES), VGAN_EVAL_STUDY,
    VGAN_EVAL_FRAME_ANCESTORS (origins with spaces between), VGAN_EVAL_TRUSTED_PROXIES and
    VGAN_EVAL_DASHBOARD_TOKEN (without it there is no dashboard).

    Raises:
        SystemExit: a variable is missing or wrong, the database cannot be opened, or clips of the
            study are not in the folder; which of them is said in one line, as by `serve`.
    """
    try:
        return _made()
    except EvaluationError as error:
        sys.stderr.write(f"vgan-eval: {error}\n")
        sys.exit(_CANNOT_START)


def _made() -> Flask:
    database = os.environ.get("VGAN_EVAL_DB")
    if not database:
        raise UsageError("VGAN_EVAL_DB is missing: the study database, postgresql://...")
    files = os.environ.get("VGAN_EVAL_FILES")
    media = media_store(database, Path(files) if files else None, os.environ.get("VGAN_EVAL_MEDIA"))
    token = os.environ.get(TOKEN_VARIABLE)
    sites = tuple(os.environ.get("VGAN_EVAL_FRAME_ANCESTORS", "").split())
    made = create_app(
        database,
        open_store(media),
        study=os.environ.get("VGAN_EVAL_STUDY") or None,
        open_door=False,
        frame_ancestors=sites,
        form_hosts=sites,
        dashboard_token=dashboard_token() if token else None,
        trusted_proxies=_count("VGAN_EVAL_TRUSTED_PROXIES"),
    )
    with closed_on_error(made.extensions["vgan_eval"].database):
        check_clips(made)
    return made


def _count(variable: str) -> int:
    given = os.environ.get(variable) or "0"
    if not given.isdecimal() or int(given) > _MOST_PROXIES:
        raise UsageError(
            f"{variable}={given}: write how many proxies of yours are in front, 0 to 5"
        )
    return int(given)
