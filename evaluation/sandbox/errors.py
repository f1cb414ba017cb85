"""The errors of the requester API and of the worker site.

The API knows two modelled errors: `RequestError` (400, with a `TurkErrorCode`) and `ServiceFault`
(500). `ValidationException`, `ThrottlingException` and the signature errors are not in the model
but were met in the field, as HTTP 400.
"""

from typing import Any

PREFIX = "AWS.MechanicalTurk."


class ApiError(Exception):
    """An error reply of the requester API.

    Args:
        message: what the caller did wrong, one line.
        code: the `TurkErrorCode`, or None where the field reports show none.
        kind: the `__type` of the reply.
        status: the HTTP status.
    """

    def __init__(
        self,
        message: str,
        code: str | None = None,
        *,
        kind: str = "RequestError",
        status: int = 400,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.kind = kind
        self.status = status

    def body(self, epoch_ms: int) -> dict[str, Any]:
        """The JSON body; messages end in the time in ms, as Amazon's did."""
        message = f"{self.message} ({epoch_ms})"
        if self.kind not in {"RequestError", "ServiceFault"}:
            return {"__type": self.kind, "message": self.message}
        body = {"__type": self.kind, "Message": message}
        if self.code is not None:
            body["TurkErrorCode"] = self.code
        return body


def request_error(name: str, message: str) -> ApiError:
    """A `RequestError` whose code is `AWS.MechanicalTurk.` and `name`."""
    return ApiError(message, PREFIX + name)


def invalid(parameter: str, why: str) -> ApiError:
    """A parameter that the model lets through and the rules do not."""
    return request_error("InvalidParameterValue", f"{parameter}: {why}")


def missing(noun: str, key: str) -> ApiError:
    """Something that does not exist, or is not the caller's; the two are told alike."""
    return request_error(f"{noun}DoesNotExist", f"{noun} {key} does not exist.")


def wrong_assignment_state(status: str, allowed: str) -> ApiError:
    """An assignment in a status that the operation cannot be called with."""
    return request_error(
        "InvalidAssignmentState",
        f"This operation can be called with a status of: {allowed}. The status is {status}.",
    )


def wrong_hit_state(status: str, why: str) -> ApiError:
    """A HIT in a status that the operation cannot be called with."""
    return request_error("InvalidHITState", f"The HIT is {status}: {why}")


def insufficient_funds(needed_cents: int, available_cents: int) -> ApiError:
    """The account cannot cover what was asked."""
    return request_error(
        "InsufficientFunds",
        f"This needs {needed_cents / 100:.2f} USD, fees included; "
        f"{available_cents / 100:.2f} USD are available.",
    )


def not_authorized(what: str) -> ApiError:
    """Something that exists and belongs to another requester."""
    return ApiError(f"You do not own {what}.", "AWS.NotAuthorized")


def not_supported(operation: str, why: str) -> ApiError:
    """An operation that this service does not do; it never pretends to."""
    return request_error("OperationNotSupported", f"{operation} is not supported here: {why}")
