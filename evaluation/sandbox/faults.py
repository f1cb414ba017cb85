"""Faults on demand, so that a client's retries and its books can be tested.

`throttle` and `fault` answer before any work is done; `lost` does the work, commits, and breaks
the reply off; `slow` does the work, commits, and waits. A fault is used up by one call.
"""

from sqlalchemy import or_, select

from evaluation.sandbox.errors import PREFIX, ApiError
from evaluation.sandbox.store import Fault, FaultKind, Store, Unit
from evaluation.sandbox.wire import operation_names

ANY = "*"
MAX_SECONDS = 120.0
MAX_QUEUED = 10_000


def inject(
    unit: Unit, kind: FaultKind, operation: str = ANY, times: int = 1, seconds: float = 0.0
) -> None:
    """Queue a fault for the next `times` calls of an operation, or of any.

    Args:
        unit: the transaction.
        kind: what shall happen.
        operation: a name of the API, or `*`.
        times: 1 to 10,000.
        seconds: how long a slow reply waits, 0 to 120.

    Raises:
        ValueError: an unknown operation or a number out of range.
    """
    if operation != ANY and operation not in operation_names():
        raise ValueError(f"no such operation: {operation}")
    if not 1 <= times <= MAX_QUEUED:
        raise ValueError(f"times must be 1 to {MAX_QUEUED}, not {times}")
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"seconds must be 0 to {MAX_SECONDS:g}, not {seconds}")
    for _ in range(times):
        unit.session.add(Fault(operation=operation, kind=kind, seconds=seconds))


def take(store: Store, operation: str) -> Fault | None:
    """Remove and return the fault that waits for a call of this operation."""
    with store.transaction() as unit:
        fault = unit.session.scalar(
            select(Fault)
            .where(or_(Fault.operation == operation, Fault.operation == ANY))
            .order_by(Fault.id)
            .limit(1)
        )
        if fault is not None:
            unit.session.delete(fault)
        return fault


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
