"""The table of operations: what does the work of each, and what differs from Amazon's."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evaluation.sandbox.store import Account, Unit


@dataclass(frozen=True)
class Call:
    """One authenticated, validated call of an operation."""

    operation: str
    unit: Unit
    account: Account
    params: dict[str, Any]
    request_id: str


Handler = Callable[[Call], dict[str, Any]]


class Support(enum.StrEnum):
    """How far an operation does what Amazon's did."""

    FULL = "works"
    PARTIAL = "works in part"
    REFUSED = "answers with an error"


@dataclass(frozen=True)
class Operation:
    """One of the API's operations as this service has it; `note` says what differs."""

    name: str
    handler: Handler
    support: Support
    note: str


OPERATIONS: dict[str, Operation] = {}


def operation(
    name: str, support: Support = Support.FULL, note: str = ""
) -> Callable[[Handler], Handler]:
    """Register the function below as the handler of an operation.

    Raises:
        ValueError: the operation has a handler already.
    """

    def register(handler: Handler) -> Handler:
        if name in OPERATIONS:
            raise ValueError(f"{name} has two handlers")
        OPERATIONS[name] = Operation(name, handler, support, note)
        return handler

    return register
