"""The fake as a Flask application, and how it is served: `vgan-eval sandbox --crowd prolific`."""

from flask import Flask

from evaluation.clock import Clock, utc_now
from evaluation.prolific_sandbox import admin, api, site, study_calls, submission_calls
from evaluation.prolific_sandbox.state import Sandbox
from evaluation.services.running import serve

MAX_REQUEST_BYTES = 4 * 2**20
CALLS = (study_calls, submission_calls)  # imported, they add their calls to the API's blueprint


def create_service(database_url: str, *, clock: Clock = utc_now) -> Flask:
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
        serve(app, host, port, "Fake of Prolific")
    finally:
        app.extensions["prolific_sandbox"].close()
