"""A bundled service while it runs: where it listens, its clock, and faults on demand.

What a fault does is the service's own affair; here it waits for its call and is used up by it.
"""

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from flask import Flask
from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, mapped_column
from waitress.server import create_server

from evaluation.errors import EvaluationError
from evaluation.services.store import Row, Store, Unit

ANY = "*"
MAX_STEP = timedelta(days=36_500)
MAX_QUEUED = 10_000


class FaultRow:
    """What a waiting fault of every service has, a mix-in of its mapped class.

    It waits for the next call of `operation` (`*`: of any), and faults are used up in order.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(String(64))


Fault = TypeVar("Fault", bound=FaultRow)


class RunningService(ABC, Generic[Row, Fault]):
    """A service's state. Its clock can be moved forward, and faults can be asked for.

    Args:
        store: its database.
        fault: the class of its faults.
    """

    def __init__(self, store: Store[Row], fault: type[Fault]) -> None:
        self.store = store
        self._fault = fault

    @abstractmethod
    def settle(self, unit: Unit[Row]) -> None:
        """Do what the passing of time brings about."""

    @contextmanager
    def begin(self) -> Iterator[Unit[Row]]:
        """Run one unit of work after what the passing of time has brought about."""
        with self.store.transaction() as unit:
            self.settle(unit)
            yield unit

    def now(self) -> datetime:
        """Return the service's time."""
        with self.store.transaction() as unit:
            return unit.now

    def move_clock(self, step: timedelta) -> datetime:
        """Move the clock forward and let happen what then happens; return the new time.

        Raises:
            ValueError: a step back; what happened cannot be undone.
        """
        if not timedelta(0) <= step <= MAX_STEP:
            raise ValueError(f"the clock moves forward only, and at most {MAX_STEP.days} days")
        with self.store.transaction() as unit:
            unit.service.clock_offset_s += step.total_seconds()
        with self.begin() as unit:
            return unit.now

    def queue(self, make: Callable[[], Fault], times: int) -> None:
        """Let faults wait for the next calls of their operation.

        Args:
            make: returns a new fault.
            times: 1 to 10,000.

        Raises:
            ValueError: a number out of range.
        """
        if not 1 <= times <= MAX_QUEUED:
            raise ValueError(f"times must be 1 to {MAX_QUEUED}, not {times}")
        with self.store.transaction() as unit:
            unit.session.add_all(make() for _ in range(times))

    def take_fault(self, operation: str) -> Fault | None:
        """Remove and return the fault that waits for a call of this operation."""
        fault = self._fault
        with self.store.transaction() as unit:
            found = unit.session.scalar(
                select(fault)
                .where(fault.operation.in_([operation, ANY]))
                .order_by(fault.id)
                .limit(1)
            )
            if found is not None:
                unit.session.delete(found)
            return found

    def close(self) -> None:
        """Close the database."""
        self.store.close()


def serve(app: Flask, host: str, port: int, title: str) -> None:
    """Serve an application until it is interrupted.

    Args:
        app: of a bundled service, with its MAX_CONTENT_LENGTH.
        host: address to listen on.
        port: TCP port; 0 takes a free one.
        title: printed with the address.

    Raises:
        EvaluationError: the address cannot be listened on.
    """
    with _listen(host, port) as listening:
        # A little too much is refused by the service in its own words, more at the door.
        most = 2 * app.config["MAX_CONTENT_LENGTH"]
        server = create_server(
            app, sockets=[listening], threads=8, ident=None, max_request_body_size=most
        )
        server.print_listen(f"{title} on http://{{}}:{{}}")
        server.run()


def _listen(host: str, port: int) -> socket.socket:
    """Listen on an address; waitress would leave its socket open where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise EvaluationError(f"cannot listen on {host}:{port}: {error.strerror}") from error
