"""The fake's own endpoints under `/_sandbox/`: clock, faults, settings.

They take and give JSON and ask for no credentials: whoever reaches the service may use them. A
body must be sent as `application/json`, which a form on another site cannot do.
"""

from datetime import timedelta

from flask import Blueprint, Response, jsonify

from evaluation.prolific_sandbox.state import current_sandbox
from evaluation.services.web import json_object

blueprint = Blueprint("prolific_admin", __name__, url_prefix="/_sandbox")


@blueprint.errorhandler(ValueError)
@blueprint.errorhandler(TypeError)
def refuse(error: Exception) -> tuple[Response, int]:
    """Say what is wrong with a request."""
    return jsonify(error=str(error)), 400


@blueprint.post("/clock")
def move_clock() -> Response:
    """Move the clock: `{"advance_seconds": 86400}`."""
    step = timedelta(seconds=float(json_object().get("advance_seconds", 0)))
    return jsonify(now=current_sandbox().move_clock(step).isoformat())


@blueprint.post("/faults")
def add_faults() -> Response:
    """Queue faults: `{"kind": "lost", "operation": "pay_bonuses", "times": 1}`."""
    current_sandbox().inject(**json_object())
    return jsonify(queued=True)


@blueprint.post("/settings")
def change_settings() -> Response:
    """Change settings: `{"balance_cents": 5000}`; an empty object tells them."""
    return jsonify(current_sandbox().configure(**json_object()))
