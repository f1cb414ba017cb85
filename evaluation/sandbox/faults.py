"""Faults on demand, so that a client's retries and its books can be tested.

`throttle` and `fault` answer before any work is done; `lost` does the work, commits, and breaks
the reply off; `slow` does the work, commits, and waits. A fault is used up by one call.
"""

from evaluation.sandbox.errors import PREFIX, ApiError
from evaluation.sandbox.store import Fault, FaultKind
from evaluation.sandbox.wire import operation_names
from evaluation.services.running import ANY

MAX_SECONDS = 120.0


def check(operation: str, seconds: float) -> None:
    """Refuse what no fault can be.

    Raises:
        ValueError: an unknown operation or a number out of range.
    """
    if operation != ANY and operation not in operation_names():
        raise ValueError(f"no such operation: {operation}")
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"seconds must be 0 to {MAX_SECONDS:g}, not {seconds}")


def refuse(fault: Fault | None) -> None:
    """Raise what a fault answers before any work is done.

    Raises:
        ApiError: ThrottlingException or ServiceFault.
    """
    if fault is None:
        return
    if fault.kind is FaultKind.THROTTLE:
        raise ApiError("Rate exceeded", kind="ThrottlingException")
    if fault.kind is FaultKind.FAULT:
        raise ApiError(
            "The service is temporarily unable to process your request. Try your call again.",
            PREFIX + "ServiceFault",
            kind="ServiceFault",
            status=500,
        )
