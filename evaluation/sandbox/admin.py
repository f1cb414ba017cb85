"""The sandbox's own endpoints under `/_sandbox/`: clock, faults, settings, workers, outbox.

They take and give JSON and ask for no credentials: whoever reaches the service may use them. A
body must be sent as `application/json`, which a form on another site cannot do.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import delete, select

from evaluation.sandbox.state import current_sandbox
from evaluation.sandbox.store import Fault, Notification, Service
from evaluation.sandbox.workers import get_worker, set_known
from evaluation.services.web import Refusal, json_object

blueprint = Blueprint("admin", __name__, url_prefix="/_sandbox")

_WORKER_FIELDS: dict[str, type] = {
    "country": str,
    "subdivision": str,
    "adult": bool,
    "masters": bool,
    "approved_before": int,
    "rejected_before": int,
}


def _json(**kinds: type | tuple[type, ...]) -> dict[str, Any]:
    """The request's JSON object, its keys and types checked.

    Raises:
        ValueError: another key or type.
    """
    body = json_object()
    for key, value in body.items():
        if key not in kinds:
            raise ValueError(f"unknown key {key}; known: {', '.join(sorted(kinds))}")
        wrong_bool = isinstance(value, bool) and kinds[key] is not bool
        if wrong_bool or not isinstance(value, kinds[key]):
            raise ValueError(f"{key} has the wrong type: {value!r}")
    return body


@blueprint.errorhandler(ValueError)
@blueprint.errorhandler(OverflowError)
@blueprint.errorhandler(RecursionError)
@blueprint.errorhandler(Refusal)
def _bad_request(error: Exception) -> tuple[Response, int]:
    """Say what is wrong with a request."""
    return jsonify(error=str(error)), 400


@blueprint.get("/clock")
def get_clock() -> Response:
    """Tell the service's time."""
    return jsonify(now=current_sandbox().now().isoformat())


@blueprint.post("/clock")
def move_clock() -> Response:
    """Move the clock: `{"advance_seconds": 86400}` or `{"set_to": "2030-01-01T00:00:00Z"}`."""
    body = _json(advance_seconds=(int, float), set_to=str)
    if len(body) != 1:
        raise ValueError("give advance_seconds or set_to")
    sandbox = current_sandbox()
    if "set_to" in body:
        wanted = datetime.fromisoformat(body["set_to"])
        step = (wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC)) - sandbox.now()
    else:
        step = timedelta(seconds=body["advance_seconds"])
    return jsonify(now=sandbox.move_clock(step).isoformat())


@blueprint.get("/faults")
def list_faults() -> Response:
    """List the faults that wait, in their order."""
    with current_sandbox().store.transaction() as unit:
        rows = unit.session.scalars(select(Fault).order_by(Fault.id)).all()
        return jsonify(
            faults=[{"operation": f.operation, "kind": f.kind, "seconds": f.seconds} for f in rows]
        )


@blueprint.post("/faults")
def add_faults() -> Response:
    """Queue faults: `{"kind": "lost", "operation": "CreateHIT", "times": 1}`."""
    body = _json(kind=str, operation=str, times=int, seconds=(int, float))
    if "kind" not in body:
        raise ValueError("give kind: throttle, fault, lost or slow")
    current_sandbox().inject(**body)
    return list_faults()


@blueprint.delete("/faults")
def clear_faults() -> Response:
    """Forget all faults."""
    with current_sandbox().store.transaction() as unit:
        unit.session.execute(delete(Fault))
    return list_faults()


def _settings(service: Service) -> dict[str, Any]:
    """The settings as JSON."""
    return {
        "duplicate_error": service.duplicate_error,
        "reuse_returned_ids": service.reuse_returned_ids,
        "submit_to_slash": service.submit_to_slash,
        "opening_balance_cents": service.opening_balance_cents,
    }


@blueprint.get("/settings")
def get_settings() -> Response:
    """Tell the settings."""
    with current_sandbox().store.transaction() as unit:
        return jsonify(_settings(unit.service))


@blueprint.post("/settings")
def set_settings() -> Response:
    """Change some settings."""
    body = _json(
        duplicate_error=str,
        reuse_returned_ids=bool,
        submit_to_slash=bool,
        opening_balance_cents=int,
    )
    current_sandbox().configure(**body)
    return get_settings()


@blueprint.post("/workers/<worker_id>")
def set_worker(worker_id: str) -> Response:
    """Make a worker or change what is known of one."""
    body = _json(**_WORKER_FIELDS)
    with current_sandbox().begin() as unit:
        worker = get_worker(unit, worker_id)
        set_known(worker, body)
        shown = {key: getattr(worker, key) for key in _WORKER_FIELDS}
    return jsonify(worker=worker_id, **shown)


@blueprint.get("/notifications")
def list_notifications() -> Response:
    """List the notification messages that would have been sent, oldest first."""
    with current_sandbox().begin() as unit:
        rows = unit.session.scalars(select(Notification).order_by(Notification.id)).all()
        return jsonify(
            notifications=[
                {"transport": n.transport, "destination": n.destination, "message": n.message}
                for n in rows
            ]
        )
