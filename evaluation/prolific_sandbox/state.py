"""The running fake as its pages and its Python users see it: state, clock and faults."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import or_, select

from evaluation.prolific_sandbox import submissions
from evaluation.prolific_sandbox.engine import Store, Unit, open_store
from evaluation.prolific_sandbox.store import Fault, FaultKind

ANY = "*"
MAX_STEP = timedelta(days=36_500)
MAX_QUEUED = 10_000
SETTINGS: dict[str, type | tuple[type, ...]] = {
    "token": str,
    "currency": str,
    "balance_cents": int,
    "vat_percent": int,
    "publish_delay_s": (int, float),
    "bonus_delay_s": (int, float),
    "bare_errors": bool,
}


class Sandbox:
    """The fake's state. Its clock can be moved forward, and faults can be asked for.

    Args:
        database_url: of an SQLite file; made on first use.
        clock: gives the aware time that the stored offset is added to.

    Raises:
        DatabaseError: the database cannot be used.
    """

    def __init__(self, database_url: str, *, clock: Callable[[], datetime]) -> None:
        self.store: Store = open_store(database_url, clock)

    @contextmanager
    def begin(self) -> Iterator[Unit]:
        """Run one unit of work after what the passing of time has brought about."""
        with self.store.transaction() as unit:
            submissions.settle(unit)
            yield unit

    def move_clock(self, step: timedelta) -> datetime:
        """Move the clock forward; return the new time.

        Raises:
            ValueError: a step back; what happened cannot be undone.
        """
        if not timedelta(0) <= step <= MAX_STEP:
            raise ValueError(f"the clock moves forward only, and at most {MAX_STEP.days} days")
        with self.store.transaction() as unit:
            unit.service.clock_offset_s += step.total_seconds()
            return unit.now + step

    def inject(self, kind: FaultKind | str, operation: str = ANY, times: int = 1) -> None:
        """Queue a fault for the next `times` calls of an operation, or of any.

        Args:
            kind: what shall happen.
            operation: a view's name in `evaluation.prolific_sandbox.api`, or `*`.
            times: 1 to 10,000.

        Raises:
            ValueError: an unknown kind or a number out of range.
        """
        if not 1 <= times <= MAX_QUEUED:
            raise ValueError(f"times must be 1 to {MAX_QUEUED}, not {times}")
        with self.store.transaction() as unit:
            for _ in range(times):
                unit.session.add(Fault(operation=operation, kind=FaultKind(kind)))

    def take_fault(self, operation: str) -> FaultKind | None:
        """Remove and return the fault that waits for a call of this operation."""
        with self.store.transaction() as unit:
            fault = unit.session.scalar(
                select(Fault)
                .where(or_(Fault.operation == operation, Fault.operation == ANY))
                .order_by(Fault.id)
                .limit(1)
            )
            if fault is None:
                return None
            unit.session.delete(fault)
            return fault.kind

    def configure(self, **settings: object) -> dict[str, object]:
        """Change settings, kept in the database; return them all.

        Raises:
            ValueError: an unknown setting or a value of the wrong type.
        """
        for name, value in settings.items():
            wrong_bool = isinstance(value, bool) and SETTINGS.get(name) is not bool
            if name not in SETTINGS or wrong_bool or not isinstance(value, SETTINGS[name]):
                raise ValueError(f"{name} = {value!r}: known settings are {', '.join(SETTINGS)}")
        if settings.get("currency", "USD") not in ("USD", "GBP"):
            raise ValueError("currency is USD or GBP")
        with self.store.transaction() as unit:
            for name, value in settings.items():
                setattr(unit.service, name, value)
            return {name: getattr(unit.service, name) for name in SETTINGS}

    def close(self) -> None:
        """Close the database."""
        self.store.close()


def current_sandbox() -> Sandbox:
    """Return the state of the running application."""
    sandbox = current_app.extensions["prolific_sandbox"]
    assert isinstance(sandbox, Sandbox)
    return sandbox
