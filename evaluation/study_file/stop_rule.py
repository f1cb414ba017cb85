"""When a row is done in a study that is looked at while it runs: the rule as text, `stop_when`."""

import re
from dataclasses import dataclass
from typing import Any

from evaluation.errors import UsageError

_HALF_WIDTH = re.compile(r"half-width\s*(?:<=|:|\s)\s*(\d+(?:\.\d+)?)")
_WIDEST = 50  # points: half of all that a percentage can be


@dataclass(frozen=True)
class StopRule:
    """When a row is done: 50 % excluded, or the interval short enough, or either.

    Args:
        decided: stop a row that excludes 50 %.
        half_width: stop a row whose half-width is at most this, in points; None: no such rule.
    """

    decided: bool
    half_width: float | None

    @property
    def text(self) -> str:
        """The rule in words."""
        parts = ["decided"] if self.decided else []
        if self.half_width is not None:
            parts.append(f"half-width at most {self.half_width:g} points")
        return " or ".join(parts)


def parse_stop(text: str) -> StopRule:
    """Read `decided`, `half-width 3`, or `decided or half-width 3`.

    Raises:
        UsageError: the text is none of these.
    """
    decided, half_width = False, None
    for part in re.split(r"\s+or\s+", text.strip()):
        width = _HALF_WIDTH.fullmatch(part)
        if part == "decided" and not decided:
            decided = True
        elif width and half_width is None and 0 < float(width[1]) <= _WIDEST:
            half_width = float(width[1])
        else:
            raise UsageError(
                f"stop rule {text!r}: write `decided`, `half-width 3` (points, above 0 and at "
                f"most {_WIDEST}), or both joined by `or`"
            )
    return StopRule(decided, half_width)


class Stops:
    """A text that `parse_stop` reads."""

    def complaint(self, value: Any) -> str | None:
        """Return what is wrong with the value, or None."""
        try:
            parse_stop(value)
        except UsageError as error:
            return str(error)
        return None
