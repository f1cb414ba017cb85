"""Failures of the database itself, and whether it takes what is written at the moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

_READ_ONLY = "25006"  # of PostgreSQL, where it stands by for another or was set so
_REMEMBERED_S = 300.0


def is_outage(error: DBAPIError) -> bool:
    """Tell whether the database failed, and not the statement."""
    read_only = getattr(error.orig, "sqlstate", None) == _READ_ONLY
    return read_only or isinstance(error, OperationalError | InterfaceError)


def is_locked(error: DBAPIError, dialect: str) -> bool:
    """Tell whether another program kept a SQLite file locked; it will let go of it."""
    return dialect == "sqlite" and "locked" in str(error.orig)


class Writes:
    """How the newest write unit of this process went; threads may share it."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._failed_at: float | None = None

    @property
    def fail(self) -> bool:
        """Whether the newest one failed, unless that is long ago and nobody has tried since."""
        failed_at = self._failed_at
        return failed_at is not None and monotonic() - failed_at < _REMEMBERED_S

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note how a unit ends. One that is refused, or waits for a lock in vain, says nothing.

        A lock is let go of, and a monitor that took it for a failure would take raters away.
        """
        try:
            yield
        except DBAPIError as error:
            if is_outage(error) and not is_locked(error, self._dialect):
                self._failed_at = monotonic()
            raise
        self._failed_at = None
