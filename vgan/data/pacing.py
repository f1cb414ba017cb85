"""Not asking more often than allowed."""

import time
from collections.abc import Callable

_HOUR_S = 3600.0


class TokenBucket:
    """Lets calls through at a steady rate, after a short burst.

    In any hour there are at most `per_hour` calls, the burst counted.

    Args:
        per_hour: calls allowed.
        burst: of these, so many at once; less than `per_hour`.
        clock: seconds that never fall.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        per_hour: int,
        burst: int = 10,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = (per_hour - burst) / _HOUR_S
        self._burst, self._tokens = float(burst), float(burst)
        self._clock, self._sleep = clock, sleep
        self._then = clock()

    def take(self) -> None:
        """Wait until a call is allowed, and count it."""
        self._refill()
        if self._tokens < 1:
            self._sleep((1 - self._tokens) / self._rate)
            self._refill()
        # A sleep may end a breath early; the debt is paid by the next call.
        self._tokens -= 1

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self._rate)
        self._then = now
