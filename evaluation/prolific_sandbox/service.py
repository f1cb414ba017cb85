"""The fake as a Flask application, and how it is served: `vgan-eval sandbox --crowd prolific`."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Flask
from waitress.server import create_server

from evaluation.errors import EvaluationError
from evaluation.prolific_sandbox import admin, api, site, study_calls, submission_calls
from evaluation.prolific_sandbox.state import Sandbox

MAX_REQUEST_BYTES = 4 * 2**20
CALLS = (study_calls, submission_calls)  # imported, they add their calls to the API's blueprint


def _utc_now() -> datetime:
    return datetime.now(UTC)


def create_service(database_url: str, *, clock: Callable[[], datetime] = _utc_now) -> Flask:
    """Build the fake. `app.extensions["prolific_sandbox"]` is its `Sandbox`.

    Args:
        database_url: of an SQLite file; its own database, made on first use.
        clock: gives the aware time that the stored offset is added to.

    Raises:
        DatabaseError: the database cannot be used.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    app.extensions["prolific_sandbox"] = Sandbox(database_url, clock=clock)
    for module in (api, site, admin):
        app.register_blueprint(module.blueprint)
    return app


def serve_prolific_sandbox(host: str, port: int, db: str) -> None:
    """Serve the fake until it is interrupted.

    Args:
        host: address to listen on; the token is known to everybody, so a public one opens it.
        port: TCP port.
        db: SQLAlchemy URL of the fake's own database.

    Raises:
        DatabaseError: the database cannot be used.
        EvaluationError: the address cannot be listened on.
    """
    app = create_service(db)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listening = socket.create_server((host, port), family=family)
        except OSError as error:
            raise EvaluationError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        with listening:
            server = create_server(app, sockets=[listening], threads=8, ident=None)
            server.print_listen("Fake of Prolific on http://{}:{}")
            server.run()
    finally:
        app.extensions["prolific_sandbox"].close()
