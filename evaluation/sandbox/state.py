"""The running service as its pages and its Python users see it: state, clock and faults."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from flask import current_app, request

from evaluation.sandbox import faults, lifecycle
from evaluation.sandbox.qualification_types import add_system_types
from evaluation.sandbox.store import DuplicateError, FaultKind, Store, Unit, open_store

MAX_STEP = timedelta(days=36_500)
MAX_BALANCE_CENTS = 10**9


class Sandbox:
    """The service's state. Its clock can be moved forward, and faults can be asked for.

    Args:
        database_url: SQLite file or PostgreSQL; made on first use.
        clock: gives the aware time that the stored offset is added to.
        public_url: where workers' browsers reach the service; None: as each request did.
        wait: waits some seconds, for slow replies.

    Raises:
        DatabaseError: the database cannot be used.
    """

    def __init__(
        self,
        database_url: str,
        *,
        clock: Callable[[], datetime],
        public_url: str | None = None,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self.store: Store = open_store(database_url, clock, add_system_types)
        self.public_url = public_url.rstrip("/") if public_url else None
        self.wait = wait

    @contextmanager
    def begin(self) -> Iterator[Unit]:
        """Run one unit of work after what the passing of time has brought about."""
        with self.store.transaction() as unit:
            lifecycle.settle(unit)
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
            later = Unit(unit.session, unit.service, unit.now + step)
            lifecycle.settle(later)
            return later.now

    def inject(
        self, kind: FaultKind | str, operation: str = faults.ANY, times: int = 1, seconds: float = 0
    ) -> None:
        """Queue a fault; see `faults.inject`."""
        with self.store.transaction() as unit:
            faults.inject(unit, FaultKind(kind), operation, times, seconds)

    def configure(
        self,
        *,
        duplicate_error: DuplicateError | str | None = None,
        reuse_returned_ids: bool | None = None,
        submit_to_slash: bool | None = None,
        opening_balance_cents: int | None = None,
    ) -> None:
        """Change settings, kept in the database; None leaves one as it is.

        Raises:
            ValueError: an unknown form of error, or a balance out of range.
        """
        if (
            opening_balance_cents is not None
            and not 0 <= opening_balance_cents <= MAX_BALANCE_CENTS
        ):
            raise ValueError(f"opening_balance_cents must be 0 to {MAX_BALANCE_CENTS}")
        with self.store.transaction() as unit:
            if duplicate_error is not None:
                unit.service.duplicate_error = DuplicateError(duplicate_error)
            if reuse_returned_ids is not None:
                unit.service.reuse_returned_ids = reuse_returned_ids
            if submit_to_slash is not None:
                unit.service.submit_to_slash = submit_to_slash
            if opening_balance_cents is not None:
                unit.service.opening_balance_cents = opening_balance_cents

    def site_url(self) -> str:
        """Return where workers' browsers reach the service, without a slash at the end."""
        return self.public_url or request.url_root.rstrip("/")

    def close(self) -> None:
        """Close the database."""
        self.store.close()


def current_sandbox() -> Sandbox:
    """Return the state of the running application."""
    sandbox = current_app.extensions["sandbox"]
    assert isinstance(sandbox, Sandbox)
    return sandbox
