"""The bundled MTurk-compatible service as a Flask application, and how it is served.

`vgan-eval sandbox` runs it. Any boto3 client talks to it with `AWS_ENDPOINT_URL_MTURK`; people
work at its front page.
"""

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Flask
from waitress.server import create_server

from evaluation.errors import EvaluationError
from evaluation.sandbox import admin, api, frames, qualification_pages, worker_site
from evaluation.sandbox.state import Sandbox

MAX_REQUEST_BYTES = 4 * 2**20


def _utc_now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)


def create_service(
    database_url: str,
    *,
    clock: Callable[[], datetime] = _utc_now,
    public_url: str | None = None,
    wait: Callable[[float], object] = time.sleep,
) -> Flask:
    """Build the service. `app.extensions["sandbox"]` is its `Sandbox`.

    Args:
        database_url: SQLite file or PostgreSQL; its own database, made on first use.
        clock: gives the aware time that the stored offset is added to.
        public_url: where workers' browsers reach the service, for `turkSubmitTo`; None: the
            address of each request.
        wait: waits some seconds, for slow replies.

    Raises:
        DatabaseError: the database is unreachable, not the service's, or of another version.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_REQUEST_BYTES
    app.extensions["sandbox"] = Sandbox(database_url, clock=clock, public_url=public_url, wait=wait)
    for module in (api, worker_site, qualification_pages, frames, admin):
        app.register_blueprint(module.blueprint)
    return app


def serve_sandbox(host: str, port: int, db: str, *, public_url: str | None = None) -> None:
    """Serve the bundled service until it is interrupted.

    Args:
        host: address to listen on; the service asks for no credentials, so a public one opens it.
        port: TCP port.
        db: SQLAlchemy URL of the service's own database.
        public_url: where workers' browsers reach it, if not where it listens.

    Raises:
        DatabaseError: the database cannot be used.
        EvaluationError: the address cannot be listened on.
    """
    app = create_service(db, public_url=public_url)
    try:
        with _listen(host, port) as listening:
            server = create_server(app, sockets=[listening], threads=8, ident=None)
            server.print_listen("MTurk-compatible service on http://{}:{}")
            server.run()
    finally:
        app.extensions["sandbox"].close()


def _listen(host: str, port: int) -> socket.socket:
    """Listen on an address; waitress would leave its socket open where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise EvaluationError(f"cannot listen on {host}:{port}: {error.strerror}") from error
