"""The REST API under `/api/v1/`: its door, its replies, workspaces and participant groups.

The calls about studies are in `study_calls`, those about submissions in `submission_calls`.
"""

import hmac
import json
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import HTTPException

from evaluation.prolific_sandbox import groups, money, studies
from evaluation.prolific_sandbox.errors import ApiError, missing
from evaluation.prolific_sandbox.numbers import whole_number
from evaluation.prolific_sandbox.state import current_sandbox
from evaluation.prolific_sandbox.store import FaultKind, Unit
from evaluation.services.web import broken_reply, is_count

blueprint = Blueprint("prolific_api", __name__, url_prefix="/api/v1")

_log = logging.getLogger(__name__)
_BARE = frozenset({"create_study", "list_studies", "cost", "calculate", "list_submissions"})
_PAGE_SIZE = 20


def _operation() -> str:
    return (request.endpoint or "").rpartition(".")[2]


@blueprint.before_request
def admit() -> None:
    """Check the token; answer with a fault that waits; read the body."""
    sandbox = current_sandbox()
    with sandbox.store.transaction() as unit:
        wanted = f"Token {unit.service.token}"
        g.bare = unit.service.bare_errors
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise ApiError("Invalid token.", 401, "Unauthorized")
    fault = sandbox.take_fault(_operation())
    g.fault = fault.kind if fault else None
    if g.fault is FaultKind.THROTTLE:
        raise ApiError("Too many requests.", 429, "Too many requests")
    if g.fault is FaultKind.FAULT:
        raise ApiError("Something went wrong.", 500, "Server error")


@blueprint.after_request
def lose(response: Response) -> Response:
    """Break the reply off where a fault asks for it; the work is done and committed."""
    return broken_reply("application/json") if g.get("fault") is FaultKind.LOST else response


@blueprint.errorhandler(ApiError)
def refuse(error: ApiError) -> Response:
    """Write an error in the form that its endpoint has."""
    bare = g.get("bare", False) or _operation() in _BARE
    return reply(error.body(bare=bare), error.status)


@blueprint.errorhandler(Exception)
def fail(error: Exception) -> Response | HTTPException:
    """Report our own failures as the service's."""
    if isinstance(error, HTTPException):
        return error
    _log.exception("the fake of Prolific failed")
    return refuse(ApiError(f"{type(error).__name__}: {error}", 500, "Server error"))


def reply(body: object, status: int = 200) -> Response:
    """Return a JSON reply; None is an empty one."""
    text = b"" if body is None else json.dumps(body).encode()
    return Response(text, status, content_type="application/json")


def json_body() -> dict[str, Any]:
    """Return the request's JSON object. Raises ApiError."""
    try:
        body = request.get_json(silent=True)
    except RecursionError:  # nested too deeply to read
        body = None
    if not isinstance(body, dict):
        raise ApiError("The body must be a JSON object.")
    return body


def field(body: dict[str, Any], name: str, kind: type) -> Any:
    """Return a field that must be there. Raises ApiError."""
    if not isinstance(body.get(name), kind):
        raise ApiError({name: ["This field is required."]})
    return body[name]


def _number(name: str, default: int) -> int:
    text = request.args.get(name, "")
    if text and not is_count(text):
        raise ApiError({name: ["A valid integer is required."]})
    return int(text) if text else default


def page_of(rows: Sequence[Any], show: Callable[[Any], dict[str, Any]]) -> Response:
    """Answer one page of a list; a page past the end is a 404."""
    number, size = _number("page", 1), max(1, _number("page_size", _PAGE_SIZE))
    last = max(1, math.ceil(len(rows) / size))
    if not 1 <= number <= last:
        raise ApiError("Invalid page.", 404, "Not found")

    def link(page: int) -> dict[str, str | None]:
        query = request.args.to_dict() | {"page": str(page), "page_size": str(size)}
        text = "&".join(f"{key}={value}" for key, value in query.items())
        return {"href": f"{request.base_url}?{text}" if 1 <= page <= last else None, "title": ""}

    chosen = rows[(number - 1) * size : number * size]
    return reply(
        {
            "results": [show(row) for row in chosen],
            "_links": {
                "self": link(number),
                "next": link(number + 1),
                "previous": link(number - 1),
                "last": link(last),
            },
            "meta": {"count": len(rows)},
        }
    )


@blueprint.get("/users/me/")
def me() -> Response:
    """Tell who the token belongs to."""
    with current_sandbox().begin() as unit:
        return reply({"id": unit.service.workspace, "email": "researcher@sandbox.invalid"})


@blueprint.get("/workspaces/")
def workspaces() -> Response:
    """List the one workspace."""
    with current_sandbox().begin() as unit:
        row = {"id": unit.service.workspace, "title": "Sandbox"}
        return reply({"results": [row], "_links": {}, "meta": {"count": 1}})


def _own(unit: Unit, workspace: str) -> None:
    if workspace != unit.service.workspace:
        raise missing("Workspace")


@blueprint.get("/workspaces/<workspace>/projects/")
def projects(workspace: str) -> Response:
    """List the one project."""
    with current_sandbox().begin() as unit:
        _own(unit, workspace)
        row = {"id": unit.service.project, "title": "Project"}
        return reply({"results": [row], "_links": {}, "meta": {"count": 1}})


@blueprint.get("/workspaces/<workspace>/balance/")
def balance(workspace: str) -> Response:
    """Tell the wallet's state, in minor units."""
    with current_sandbox().begin() as unit:
        _own(unit, workspace)
        return reply(
            {
                "currency_code": unit.service.currency,
                "total_balance": unit.service.balance_cents,
                "available_balance": money.available(unit),
            }
        )


@blueprint.get("/reward-recommendations/")
def recommendations() -> Response:
    """Tell the least and the advised reward of an hour."""
    with current_sandbox().begin() as unit:
        currency = request.args.get("currency", unit.service.currency)
        least = studies.LEAST_PER_HOUR.get(currency)
        if least is None:
            raise ApiError({"currency": ["USD or GBP."]})
        row = {"min_reward_per_hour": least, "recommended_reward_per_hour": least * 3 // 2}
        return reply([row])


@blueprint.post("/study-cost-calculator/")
def calculate() -> Response:
    """Tell what places cost, fee and VAT included."""
    body = json_body()
    with current_sandbox().begin() as unit:
        reward, places = (whole_number(body, name) for name in ("reward", "total_available_places"))
        return reply({"total_cost": float(money.price(unit, reward, places))})


@blueprint.get("/participant-groups/")
def list_groups() -> Response:
    """List the workspace's groups."""
    with current_sandbox().begin() as unit:
        _own(unit, request.args.get("workspace_id", ""))
        rows = [groups.row(group) for group in groups.every(unit)]
        return reply({"results": rows, "_links": {}, "meta": {"count": len(rows)}})


@blueprint.post("/participant-groups/")
def create_group() -> Response:
    """Make a group."""
    body = json_body()
    with current_sandbox().begin() as unit:
        _own(unit, str(body.get("workspace_id")))
        return reply(groups.row(groups.create(unit, field(body, "name", str))), 201)


@blueprint.post("/participant-groups/<group>/participants/")
def add_members(group: str) -> Response:
    """Put participants into a group; again is harmless."""
    ids = field(json_body(), "participant_ids", list)
    with current_sandbox().begin() as unit:
        found = groups.find(unit, group)
        found.members = sorted({*found.members, *map(str, ids)})
        return reply({"results": [{"participant_id": one} for one in found.members]})
