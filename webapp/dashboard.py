"""The dashboard: one page that a lab leaves open while a study runs, behind a token in its address.

There are no cookies: whoever has the address has the dashboard, and a wrong one is a page that
does not exist. The forms carry the token once more, so that no other site can pause a study.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from flask.typing import ResponseReturnValue

from evaluation.database import Database
from evaluation.errors import UsageError
from evaluation.exclusion_rules import LEAST_REPEATS, THRESHOLDS
from evaluation.privacy.pseudonyms import database_key
from evaluation.publishing.pausing import set_paused
from evaluation.quantities import quantity
from webapp.dashboard_charts import share, side_plot, speed_columns, speed_place, time_columns
from webapp.dashboard_child import run_child
from webapp.dashboard_commands import next_commands, whole_command
from webapp.dashboard_refresh import Refreshed
from webapp.dashboard_snapshot import (
    Snapshot,
    recent,
    take_snapshot,
    time_left,
)
from webapp.dashboard_workers import SORTS, worker_page
from webapp.services import now, services
from webapp.settings import current_study

blueprint = Blueprint("dashboard", __name__, url_prefix="/dashboard")
blueprint.add_app_template_global(quantity)

TOKEN_VARIABLE = "VGAN_EVAL_DASHBOARD_TOKEN"  # noqa: S105 (the name of a variable)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
_COUNTS_S, _TABLES_S = 10.0, 60.0  # how old the numbers may become while somebody looks
_FIRST_WAIT_S = 2.0
_MOST_TICKETS = 100_000
# Stricter than the rating pages: nobody frames it, and it talks to nothing but this server.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@dataclass
class Traffic:
    """What this server has seen since it started; the database does not have it."""

    since: datetime
    opened: set[int] = field(default_factory=set)
    media_failed: int = 0
    errors: int = 0

    def note(self, endpoint: str | None, status: int, ticket: str | None) -> None:
        """Take one response in."""
        if endpoint == "rating.page" and status == 200 and len(self.opened) < _MOST_TICKETS:
            self.opened.add(hash(ticket))
        if endpoint == "media.clip" and status >= 400:
            self.media_failed += 1
        if status >= 500:
            self.errors += 1


@dataclass(frozen=True)
class Board:
    """What the views of the dashboard work with."""

    token: str
    counts: Refreshed[Snapshot]
    tables: Refreshed[dict[str, Any]]
    traffic: Traffic
    exporting: threading.Lock = field(default_factory=threading.Lock)


def dashboard_token(environ: Mapping[str, str] = os.environ) -> str:
    """Return the token of VGAN_EVAL_DASHBOARD_TOKEN, else a new one.

    Raises:
        UsageError: the variable holds something too short, or what no address can hold.
    """
    given = environ.get(TOKEN_VARIABLE)
    if given is None:
        return secrets.token_urlsafe(24)
    if not _TOKEN.fullmatch(given):
        raise UsageError(f"{TOKEN_VARIABLE}: write 16 to 128 letters, digits, - or _")
    return given


def install(app: Flask, database: Database, study: str, token: str) -> None:
    """Add the dashboard to an application.

    Raises:
        UsageError: the token is no token, or the pseudonyms' key is damaged.
    """
    dashboard_token({TOKEN_VARIABLE: token})
    key = database_key(database)
    counts = Refreshed(lambda: take_snapshot(database, study, key, now()), _COUNTS_S)

    def version() -> object:
        found = counts.latest().value
        return found.version if found else None

    tables = Refreshed(
        lambda: dict(run_child("tables", db=database.url, study=study)), _TABLES_S, version
    )
    app.logger.addFilter(_WithoutToken(token))
    app.extensions["vgan_eval_dashboard"] = Board(token, counts, tables, Traffic(now()))
    app.register_blueprint(blueprint)


class _WithoutToken(logging.Filter):
    """Writes a word in the token's place: who reads the log must not get the dashboard by it."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything through, without the token."""
        record.msg, record.args = record.getMessage().replace(self.token, "TOKEN"), ()
        return True


def board() -> Board:
    """Return the running application's dashboard."""
    found: Board = current_app.extensions["vgan_eval_dashboard"]
    return found


@blueprint.after_app_request
def watch(response: Response) -> Response:
    """Count what the pages for raters answer."""
    board().traffic.note(request.endpoint, response.status_code, request.args.get("ticket"))
    return response


@blueprint.after_request
def protect(response: Response) -> Response:
    """Set the dashboard's own, stricter policy; a wrong token looks like any missing page."""
    if response.status_code == 404:
        return response
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


@blueprint.url_value_preprocessor
def check_token(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Answer a wrong token as any address that does not exist."""
    if not _is_token(str((values or {}).pop("token", ""))):
        abort(404)


@blueprint.before_app_request
def check_token_where_nothing_fits() -> None:
    """Do so too where only the method, or a slash too many, keeps an address from being ours."""
    if request.routing_exception is None:
        return
    parts = [part for part in request.path.split("/") if part]
    if parts[:1] == ["dashboard"] and not _is_token("".join(parts[1:2])):
        abort(404)


def _is_token(given: str) -> bool:
    return hmac.compare_digest(given.encode(), board().token.encode())


@blueprint.url_defaults
def add_token(endpoint: str, values: dict[str, Any]) -> None:
    """Let links within the dashboard carry its token."""
    values.setdefault("token", board().token)


@blueprint.get("/<token>/", strict_slashes=False)
def page() -> ResponseReturnValue:
    """Show the dashboard."""
    return render_template("dashboard/page.html", **_shown())


@blueprint.get("/<token>/live")
def live() -> ResponseReturnValue:
    """Send the part of the page that changes, or 304 where it has not."""
    text = render_template("dashboard/live.html", **_shown())
    response = Response(text, mimetype="text/html")
    response.set_etag(hashlib.sha256(text.encode()).hexdigest()[:32])
    return response.make_conditional(request)


def _shown() -> dict[str, Any]:
    """Everything the page's template needs."""
    counts = board().counts.latest(_FIRST_WAIT_S)
    found, paused = counts.value, _is_paused()
    if found is None:
        return {"counts": counts, "found": None, "paused": paused}
    hours = recent(found.slots)
    return {
        "counts": counts,
        "found": found,
        "tables": board().tables.latest() if found.counted else None,
        "paused": paused,
        "token": board().token,
        "traffic": board().traffic,
        "rating": "rating" in current_app.blueprints,
        "share": share,
        "time_left": time_left(found.pace),
        "commands": next_commands(found, paused=paused),
        "whole": lambda command: whole_command(command, services().database.url, found),
        "times": time_columns(hours),
        "hours": hours,
        "speeds": speed_columns(found.bars),
        "speed_place": speed_place,
        "sides": side_plot(found.workers),
        "notable": worker_page(found.workers, flagged=True),
    }


def _is_paused() -> bool:
    with services().database.read() as session:
        return current_study(session).paused


@blueprint.get("/<token>/workers")
def workers() -> ResponseReturnValue:
    """Show all workers: sorted, filtered, in pages."""
    counts = board().counts.latest(_FIRST_WAIT_S)
    sort = request.args.get("sort", "judgments")
    asked = {
        "sort": sort if sort in SORTS else "judgments",
        "order": "up" if request.args.get("order") == "up" else "down",
        "search": request.args.get("search", "").strip()[:40],
        "flagged": "yes" if request.args.get("flagged") == "yes" else "",
    }
    listed = worker_page(
        counts.value.workers if counts.value else [],
        sort=asked["sort"],
        descending=asked["order"] == "down",
        search=asked["search"],
        flagged=bool(asked["flagged"]),
        number=request.args.get("page", 1, type=int),
    )
    return render_template(
        "dashboard/workers.html",
        counts=counts,
        found=counts.value,
        listed=listed,
        asked=asked,
        heads={**asked, "link": lambda key: _sorted_by(asked, key)},
        page_link=lambda number: _workers_link(asked, page=str(number)),
        thresholds=THRESHOLDS,
        least_repeats=LEAST_REPEATS,
    )


def _sorted_by(asked: Mapping[str, str], sort: str) -> str:
    """Where a column's head leads: sorted by it, downwards first, the other way when it is."""
    up = asked["sort"] == sort and asked["order"] == "down"
    return _workers_link(asked, sort=sort, order="up" if up else "down")


def _workers_link(asked: Mapping[str, str], **changed: str) -> str:
    values: dict[str, Any] = {**asked, **changed}
    return url_for("dashboard.workers", **values)


@blueprint.post("/<token>/pause")
def pause() -> ResponseReturnValue:
    """Let nobody new in; who has started may finish."""
    return _set_paused(paused=True)


@blueprint.post("/<token>/resume")
def resume() -> ResponseReturnValue:
    """Let people in again."""
    return _set_paused(paused=False)


def _set_paused(*, paused: bool) -> ResponseReturnValue:
    if not _is_token(request.form.get("token", "")):
        abort(403, "the form does not carry the dashboard's token")
    with services().database.write() as session:
        set_paused(session, current_study(session), now(), paused=paused)
    return redirect(url_for("dashboard.page"), 303)


@blueprint.get("/<token>/export.zip")
def download() -> ResponseReturnValue:
    """Send the study as a zip file of CSV files, workers under pseudonyms."""
    if not board().exporting.acquire(blocking=False):
        abort(503, "an export is being made already; try again in a minute")
    try:
        with TemporaryDirectory(prefix="vgan-eval-") as folder:
            out = Path(folder) / "export.zip"
            run_child("export", db=services().database.url, study=services().study, out=str(out))
            # Opened before the folder goes: the file stays until it has been sent.
            file = out.open("rb")
    finally:
        board().exporting.release()
    name = f"{services().study}-{now():%Y%m%d-%H%M}.zip"
    return send_file(file, "application/zip", as_attachment=True, download_name=name)
