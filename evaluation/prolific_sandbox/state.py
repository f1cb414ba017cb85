"""The running fake as its pages and its Python users see it: state, clock and faults."""

from datetime import datetime

from flask import current_app
from sqlalchemy.orm import Session

from evaluation.clock import Clock
from evaluation.prolific_sandbox import submissions
from evaluation.prolific_sandbox.store import VERSION, Fault, FaultKind, Service, Unit, new_id
from evaluation.services.running import ANY, RunningService
from evaluation.services.store import open_store

SETTINGS: dict[str, type | tuple[type, ...]] = {
    "token": str,
    "currency": str,
    "balance_cents": int,
    "vat_percent": int,
    "publish_delay_s": (int, float),
    "bonus_delay_s": (int, float),
    "bare_errors": bool,
}


class Sandbox(RunningService[Service, Fault]):
    """The fake's state. Its clock can be moved forward, and faults can be asked for.

    Args:
        database_url: of an SQLite file; made on first use.
        clock: gives the aware time that the stored offset is added to.

    Raises:
        DatabaseError: the database cannot be used.
    """

    def __init__(self, database_url: str, *, clock: Clock) -> None:
        store = open_store(
            database_url, clock, Service, VERSION, _first_rows, backends=["SQLite"],
            synchronous="NORMAL",
        )  # fmt: skip
        super().__init__(store, Fault)

    def settle(self, unit: Unit) -> None:
        """Do what the passing of time brings about."""
        submissions.settle(unit)

    def inject(self, kind: FaultKind | str, operation: str = ANY, times: int = 1) -> None:
        """Queue a fault for the next `times` calls of an operation, or of any.

        Args:
            kind: what shall happen.
            operation: a view's name in `evaluation.prolific_sandbox.api`, or `*`.
            times: 1 to 10,000.

        Raises:
            ValueError: an unknown kind or a number out of range.
        """
        kind = FaultKind(kind)
        self.queue(lambda: Fault(operation=operation, kind=kind), times)

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


def _first_rows(session: Session, _now: datetime) -> None:
    session.add(Service(id=1, version=VERSION, workspace=new_id(), project=new_id()))


def current_sandbox() -> Sandbox:
    """Return the state of the running application."""
    sandbox = current_app.extensions["prolific_sandbox"]
    assert isinstance(sandbox, Sandbox)
    return sandbox
