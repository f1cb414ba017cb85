"""The running service as its pages and its Python users see it: state, clock and faults."""

import time
from collections.abc import Callable
from datetime import datetime

from flask import current_app, request
from sqlalchemy.orm import Session

from evaluation.clock import Clock
from evaluation.sandbox import faults, lifecycle
from evaluation.sandbox.qualification_types import add_system_types
from evaluation.sandbox.store import VERSION, DuplicateError, Fault, FaultKind, Service, Unit
from evaluation.services.running import ANY, RunningService
from evaluation.services.store import open_store

MAX_BALANCE_CENTS = 10**9


class Sandbox(RunningService[Service, Fault]):
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
        clock: Clock,
        public_url: str | None = None,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        super().__init__(open_store(database_url, clock, Service, VERSION, _first_rows), Fault)
        self.public_url = public_url.rstrip("/") if public_url else None
        self.wait = wait

    def settle(self, unit: Unit) -> None:
        """Do what the passing of time brings about."""
        lifecycle.settle(unit)

    def inject(
        self, kind: FaultKind | str, operation: str = ANY, times: int = 1, seconds: float = 0
    ) -> None:
        """Queue a fault for the next `times` calls of an operation, or of any.

        Args:
            kind: what shall happen.
            operation: a name of the API, or `*`.
            times: 1 to 10,000.
            seconds: how long a slow reply waits, 0 to 120.

        Raises:
            ValueError: an unknown kind or operation, or a number out of range.
        """
        kind = FaultKind(kind)
        faults.check(operation, seconds)
        self.queue(lambda: Fault(operation=operation, kind=kind, seconds=seconds), times)

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


def _first_rows(session: Session, now: datetime) -> None:
    session.add(Service(id=1, version=VERSION))
    add_system_types(session, now)


def current_sandbox() -> Sandbox:
    """Return the state of the running application."""
    sandbox = current_app.extensions["sandbox"]
    assert isinstance(sandbox, Sandbox)
    return sandbox
