"""The protocol: requests validated and replies serialised from botocore's own service model.

botocore's validator checks required members, unknown names, types and minima, as it does in every
client; a walker adds what clients leave to the server: maxima, patterns and enums.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.utils import parse_timestamp
from botocore.validate import ParamValidator

from evaluation.sandbox.errors import ApiError

CONTENT_TYPE = "application/x-amz-json-1.1"
REGION = "us-east-1"
_BITS = {"integer": 32, "long": 64}
_CREDENTIAL = re.compile(r"Credential=([^/,\s]{1,128})/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")


@cache
def service_model() -> ServiceModel:
    """The MTurk service as botocore describes it."""
    return ServiceModel(Loader().load_service_model("mturk", "service-2"), "mturk")


def operation_names() -> tuple[str, ...]:
    """All operations of the API, sorted."""
    return tuple(sorted(service_model().operation_names))


def operation_of(target: str | None) -> str:
    """Return the operation that an `X-Amz-Target` header names.

    Raises:
        ApiError: missing, or not an operation of this API.
    """
    prefix, _, name = (target or "").partition(".")
    if prefix != service_model().metadata["targetPrefix"] or name not in operation_names():
        raise ApiError(f"no such operation: {target!r}", kind="UnknownOperationException")
    return name


def access_key_of(authorization: str | None) -> str:
    """Return the access key id of a Signature Version 4 header. The signature is not verified.

    Raises:
        ApiError: no such header, or one scoped to another region or service.
    """
    if not authorization:
        raise ApiError("Missing Authentication Token", kind="MissingAuthenticationTokenException")
    match = _CREDENTIAL.search(authorization)
    if match is None:
        raise ApiError(
            "Authorization header has no AWS4 credential scope",
            kind="IncompleteSignatureException",
        )
    key, region, service = match.groups()
    if (region, service) != (REGION, "mturk-requester"):
        raise ApiError(
            f"Credential should be scoped to region '{REGION}' and service 'mturk-requester', "
            f"not '{region}' and '{service}'",
            kind="InvalidSignatureException",
        )
    return key


def read_request(operation: str, params: object) -> dict[str, Any]:
    """Validate the JSON input of an operation; timestamps become aware datetimes.

    Raises:
        ApiError: a `ValidationException` that lists every problem.
    """
    shape = service_model().operation_model(operation).input_shape
    if not isinstance(params, dict):
        raise ApiError("the body must be a JSON object", kind="SerializationException")
    try:
        report = ParamValidator().validate(params, shape)
    except RuntimeError as error:  # a time that no calendar has
        raise _validation([str(error)]) from error
    if report.has_errors():
        raise _validation([report.generate_report().replace("\n", "; ")])
    problems = list(_problems(shape, params, ""))
    if problems:
        raise _validation(problems)
    parsed: dict[str, Any] = _parse(shape, params)
    return parsed


def write_reply(operation: str, reply: dict[str, Any]) -> dict[str, Any]:
    """Return a reply as JSON values: no None, times as epoch seconds.

    Raises:
        ValueError: the reply holds a key that the operation's output does not have.
    """
    shape = service_model().operation_model(operation).output_shape
    written: dict[str, Any] = _write(shape, reply, operation)
    return written


def _validation(problems: list[str]) -> ApiError:
    """A `ValidationException` in AWS's form."""
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
    return ApiError(f"{count}: {'; '.join(problems)}", kind="ValidationException")


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """The maxima, patterns and enums that a value breaks."""
    if shape.type_name == "structure":
        for name, item in value.items():
            yield from _problems(shape.members[name], item, f"{path}.{name}".lstrip("."))
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield from _problems(shape.member, item, f"{path}[{index}]")
    else:
        why = _scalar_problem(shape, value)
        if why:
            shown = value if len(str(value)) <= 80 else f"{str(value)[:80]}…"
            yield f"Value '{shown}' at '{path}' failed to satisfy constraint: {why}"


def _scalar_problem(shape: Shape, value: Any) -> str | None:
    """Why a single value is refused, if it is."""
    rules = shape.metadata
    if isinstance(value, str) and not _is_text(value):
        return "Member must be text without NUL"
    size = len(value) if isinstance(value, str) else value
    if "max" in rules and size > rules["max"]:
        return f"Member must have length or value less than or equal to {rules['max']}"
    if "pattern" in rules and not re.fullmatch(rules["pattern"].strip("^$"), value):
        return f"Member must satisfy regular expression pattern: {rules['pattern']}"
    if "enum" in rules and value not in rules["enum"]:
        return f"Member must satisfy enum value set: [{', '.join(rules['enum'])}]"
    bits = _BITS.get(shape.type_name)
    if bits and not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        return f"Member must be a {bits}-bit integer"
    if shape.type_name == "timestamp":
        return _timestamp_problem(value)
    return None


def _is_text(value: str) -> bool:
    """Whether a database can hold a string: JSON may carry NUL and half a surrogate pair."""
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _timestamp_problem(value: Any) -> str | None:
    """Why a time is refused, if it is."""
    try:
        parse_timestamp(value)
    except (ValueError, OverflowError, RuntimeError):  # botocore raises all three
        return "Member must be a time"
    return None


def _parse(shape: Shape, value: Any) -> Any:
    """The value with its times parsed."""
    if shape.type_name == "structure":
        return {name: _parse(shape.members[name], item) for name, item in value.items()}
    if shape.type_name == "list":
        return [_parse(shape.member, item) for item in value]
    if shape.type_name == "timestamp":
        time: datetime = parse_timestamp(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return value


def _write(shape: Shape, value: Any, path: str) -> Any:
    """The value as JSON, checked against the model."""
    if shape.type_name == "structure":
        unknown = value.keys() - shape.members.keys()
        if unknown:
            raise ValueError(f"{path}: the model has no {sorted(unknown)}")
        return {
            name: _write(shape.members[name], item, f"{path}.{name}")
            for name, item in value.items()
            if item is not None
        }
    if shape.type_name == "list":
        return [_write(shape.member, item, path) for item in value]
    if shape.type_name == "timestamp":
        return value.timestamp()
    return value
