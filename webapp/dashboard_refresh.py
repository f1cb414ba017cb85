"""A value that takes a while: computed in a thread of its own, when somebody asks and it is old.

Nobody who rates ever waits for it, and nobody looking means that nothing is computed. A value that
took long is made less often, so that it never takes more than a fifth of one core.
"""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from evaluation.errors import DatabaseError, EvaluationError

T = TypeVar("T")
_REST = 4  # times as long as it took


@dataclass(frozen=True)
class Made(Generic[T]):
    """A value and how it came about.

    Args:
        value: None until the first one is there.
        at: when its making began, aware.
        seconds: how long it took.
        failure: why the last attempt failed; empty when it did not. `value` is then an older one.
        busy: whether a newer one is being made.
    """

    value: T | None = None
    at: datetime | None = None
    seconds: float = 0.0
    failure: str = ""
    busy: bool = False


class Refreshed(Generic[T]):
    """Keeps the last value of a slow function.

    Args:
        make: the function; it may fail with EvaluationError, SQLAlchemyError or OSError.
        least_s: how old a value becomes before it is made again.
        version: of what `make` reads; equal versions are not made again. None: always made again.
        clock: seconds, for the age.
    """

    def __init__(
        self,
        make: Callable[[], T],
        least_s: float,
        version: Callable[[], Hashable] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make, self._least_s, self._version, self._clock = make, least_s, version, clock
        self._changed = threading.Condition()
        self._made: Made[T] = Made()
        self._known: Hashable = None
        self._next = clock()

    def latest(self, wait_s: float = 0.0) -> Made[T]:
        """Return the last value, and start making the next one where it is time.

        Args:
            wait_s: how long to wait where there is no value yet.
        """
        with self._changed:
            if not self._made.busy and self._clock() >= self._next and self._is_new():
                self._made = replace(self._made, busy=True)
                threading.Thread(target=self._run, name="dashboard", daemon=True).start()
            if self._made.value is None:
                self._changed.wait_for(lambda: not self._made.busy, wait_s)
            return self._made

    def _is_new(self) -> bool:
        if self._version is None or self._made.value is None or self._made.failure:
            return True
        return self._version() != self._known

    def _run(self) -> None:
        at, start = datetime.now(UTC), self._clock()
        known = self._version() if self._version else None
        made, failure = self._made.value, "it stopped unexpectedly; see the server's log"
        try:
            made, failure = self._make(), ""
        except (DatabaseError, SQLAlchemyError):
            failure = "the database did not answer"  # the driver's words may hold a password
        except EvaluationError as error:
            failure = str(error)
        except OSError as error:
            failure = f"it could not be run ({error.strerror})"
        finally:
            took = self._clock() - start
            with self._changed:
                if failure:
                    at = self._made.at or at
                self._made = Made(made, at, took, failure)
                self._known = known
                self._next = self._clock() + max(self._least_s, _REST * took)
                self._changed.notify_all()
