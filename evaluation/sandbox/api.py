"""The requester API: `POST /`, as boto3 and every other AWS client speaks it."""

import json
import logging
import uuid
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from evaluation.sandbox import faults, operations, wire
from evaluation.sandbox.accounts import open_account
from evaluation.sandbox.errors import PREFIX, ApiError
from evaluation.sandbox.registry import OPERATIONS, Call
from evaluation.sandbox.state import current_sandbox
from evaluation.sandbox.store import FaultKind
from evaluation.services.web import broken_reply

blueprint = Blueprint("api", __name__)

operations.all_operations()  # a KeyError here: an operation of the model has no handler

_log = logging.getLogger(__name__)


@blueprint.post("/")
def answer() -> Response:
    """Answer one call of the API."""
    operation = wire.operation_of(request.headers.get("X-Amz-Target"))
    access_key = wire.access_key_of(request.headers.get("Authorization"))
    params = wire.read_request(operation, _body())
    sandbox = current_sandbox()
    fault = sandbox.take_fault(operation)
    faults.refuse(fault)
    with sandbox.begin() as unit:
        call = Call(operation, unit, open_account(unit, access_key), params, str(uuid.uuid4()))
        reply = wire.write_reply(operation, OPERATIONS[operation].handler(call))
    response = _reply(json.dumps(reply).encode())
    if fault is not None and fault.kind is FaultKind.LOST:
        response = broken_reply(wire.CONTENT_TYPE)
    response.headers["x-amzn-RequestId"] = call.request_id
    if fault is not None and fault.kind is FaultKind.SLOW:
        sandbox.wait(fault.seconds)
    return response


def _body() -> object:
    """The JSON body of the request."""
    try:
        return json.loads(request.get_data() or b"{}")
    except (ValueError, RecursionError) as error:  # too deep is no JSON of this API either
        raise ApiError("the body is not JSON", kind="SerializationException") from error


def _reply(body: bytes, status: int = 200) -> Response:
    """A JSON reply."""
    return Response(body, status, content_type=wire.CONTENT_TYPE)


@blueprint.errorhandler(ApiError)
def _api_error(error: ApiError) -> Response:
    """Write an error as AWS does."""
    epoch_ms = int(current_sandbox().now().timestamp() * 1000)
    return _reply(json.dumps(error.body(epoch_ms)).encode(), error.status)


@blueprint.errorhandler(Exception)
def _fault(error: Exception) -> Response | HTTPException:
    """Report our own failures as the service's, which clients retry."""
    if isinstance(error, HTTPException):
        return error
    _log.exception("the requester API failed")
    body: dict[str, Any] = {
        "__type": "ServiceFault",
        "Message": f"{type(error).__name__}: {error}",
        "TurkErrorCode": PREFIX + "ServiceFault",
    }
    return _reply(json.dumps(body).encode(), 500)
