"""The time, as a function that tests and rehearsals replace."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds from one time to another; None: one is missing, or the clock was set back.

    >>> seconds_between(datetime(2026, 5, 1, 9), datetime(2026, 5, 1, 8)) is None
    True
    """
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()
