"""The web application: the page that workers rate on, the clips it plays, and a health check.

`create_app` makes it for one study; `webapp.server` runs it. Worker pages use no cookies and no
browser storage, because in another site's frame neither works: the state is the ids in the URL, a
signed token, and the database.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from flask import Flask, Response, abort, request
from werkzeug.middleware.proxy_fix import ProxyFix

from evaluation import schema
from evaluation.database import Database, find_study, open_database
from evaluation.errors import DatabaseError, UsageError
from evaluation.planning.progress import has_simulated
from evaluation.storage import IMMUTABLE, MediaStore
from webapp import doctor, health, link, local, media, mturk, prolific, rating, refusals
from webapp.services import Services, closed_on_error

_MAX_BODY = 64 * 1024  # a judgment has about 2 kB
_STATIC = Path(__file__).with_name("static")


def create_app(
    database_url: str,
    store: MediaStore,
    *,
    study: str | None = None,
    open_door: bool = True,
    frame_ancestors: Sequence[str] = (),
    form_hosts: Sequence[str] = (),
    dashboard_token: str | None = None,
    trusted_proxies: int = 0,
) -> Flask:
    """Make the application for one study.

    A study that simulated raters have answered is not served to people: with a dashboard, the
    application is that alone.

    Args:
        database_url: as for `open_database`.
        store: where the study's clips were put.
        study: its name; None for the only one of the database.
        open_door: whether anyone who reaches `/` may rate; False leaves only the join link.
        frame_ancestors: sites that may show the pages in a frame, such as `https://*.mturk.com`.
        form_hosts: sites that a finished session may be submitted to.
        dashboard_token: shows the dashboard at `/dashboard/TOKEN/`; None: there is none.
        trusted_proxies: how many proxies of the operator's are in front, whose X-Forwarded-For and
            X-Forwarded-Proto are believed; 0 believes nobody.

    Raises:
        DatabaseError: the database cannot be opened, or holds no study.
        UsageError: no study of that name, several and no name, simulated judgments and no
            dashboard to show them, or the token is none.
    """
    database, found, simulated = _open(database_url, study, dashboard_token is not None)
    name = found.name
    app = Flask(__name__, static_url_path=f"/static/{_static_version()}")
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    app.extensions["vgan_eval"] = Services(
        database, store, name, open_door, found, tuple(form_hosts)
    )
    pages = (rating, local, link, mturk, prolific, media, health, doctor)
    for module in (health,) if simulated else pages:
        app.register_blueprint(module.blueprint)
    app.register_error_handler(DatabaseError, refusals.unavailable)
    app.register_error_handler(404, refusals.not_found)
    if dashboard_token is not None:
        from webapp.dashboard import install

        with closed_on_error(database):
            install(app, database, name, dashboard_token)
    if trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=trusted_proxies, x_proto=trusted_proxies)  # type: ignore[method-assign]
    policy = _content_policy(store.origin(), frame_ancestors, form_hosts)

    @app.before_request
    def refuse_nul() -> None:
        """Refuse what no address of ours has and PostgreSQL takes in no text."""
        if any("\x00" in text for text in (request.path, *request.args.values())):
            abort(400)

    @app.after_request
    def protect(response: Response) -> Response:
        """Send the same protective headers with every response."""
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers["X-Content-Type-Options"] = "nosniff"
        # URLs carry a rater's ticket: no other site may learn them.
        response.headers["Referrer-Policy"] = "no-referrer"
        if request.endpoint == "static" and response.status_code < 400:
            response.headers["Cache-Control"] = IMMUTABLE
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return app


def _open(url: str, study: str | None, has_dashboard: bool) -> tuple[Database, schema.Study, bool]:
    """Open the database; return it, the study with its questions, and whether it is simulated."""
    database = open_database(url)
    with closed_on_error(database):
        with database.read() as session:
            found = find_study(session, study)
            session.refresh(found, ["questions"])
            simulated = has_simulated(session, found)
        if simulated and not has_dashboard:
            raise UsageError(
                f"study `{found.name}` holds simulated judgments; people's must not mix with them: "
                "init the study in another database and serve that one"
            )
    return database, found, simulated


def _static_version() -> str:
    """Return a name for these scripts and styles; they are cached for ever under it.

    It is in the path, so that what a module imports from beside it has it too.
    """
    digest = hashlib.sha256()
    for file in sorted(_STATIC.rglob("*.*")):
        digest.update(file.relative_to(_STATIC).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _content_policy(
    media_origin: str | None, frame_ancestors: Sequence[str], form_hosts: Sequence[str]
) -> str:
    """Return the Content-Security-Policy: own scripts and styles, clips from their origin only."""
    media = f" {media_origin}" if media_origin else ""
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "media-src": "blob:",
        "connect-src": f"'self'{media}",
        "base-uri": "'none'",
        "form-action": " ".join(["'self'", *form_hosts]),
        "frame-ancestors": " ".join(["'self'", *frame_ancestors]),
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())
