"""The bundled MTurk-compatible service as a Flask application, and how it is served.

`vgan-eval sandbox` runs it. Any boto3 client talks to it with `AWS_ENDPOINT_URL_MTURK`; people
work at its front page.
"""

import time
from collections.abc import Callable

from flask import Flask

from evaluation.clock import Clock, utc_now
from evaluation.sandbox import admin, api, frames, qualification_pages, worker_site
from evaluation.sandbox.state import Sandbox
from evaluation.services.running import serve

MAX_REQUEST_BYTES = 4 * 2**20
MAX_FIELDS = 10_000


def create_service(
    database_url: str,
    *,
    clock: Clock = utc_now,
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
    app.config["MAX_FORM_PARTS"] = MAX_FIELDS
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
        serve(app, host, port, "MTurk-compatible service")
    finally:
        app.extensions["sandbox"].close()
