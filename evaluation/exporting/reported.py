"""What a rater's page measured, as an export and the dashboard give it.

The page is not to be trusted, and what was stored before a check was made is there still: a value
that is not of its kind is given as nothing, and no text gets through but a word of ours.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from evaluation.exporting.columns import Value
from evaluation.schema import Judgment
from evaluation.study import DEVICES

LARGEST = 2**53  # whole numbers up to it are exact in a browser, and wherever a table is read

# As text, because databases refuse different things as numbers.
reported_loops = Judgment.details["loops"].as_string()


def loops_of(reported: Any) -> float | None:
    """Return a value of `reported_loops` as a number; None where it is none."""
    try:
        loops = float(reported)
    except (TypeError, ValueError):
        return None
    return loops if 0 <= loops < math.inf else None


def number_of(value: Any) -> int | float | None:
    """Return a number that a page may have measured; None where it is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and abs(value) <= LARGEST else None


def device_columns(device: Mapping[str, Any]) -> dict[str, Value]:
    """Return what is exported of a session's device, by the columns of `sessions.csv`."""
    return {name: kind(device.get(name)) for name, kind in _DEVICE.items()}


def _form_factor(value: Any) -> str | None:
    return value if value in DEVICES else None


def _size(value: Any) -> str | None:
    """Return a size as WIDTHxHEIGHT."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    sides = [side for side in map(number_of, value) if side is not None and side >= 0]
    return "x".join(f"{side:g}" for side in sides) if len(sides) == 2 else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


_DEVICE: dict[str, Callable[[Any], Value]] = {
    "device": _form_factor,
    "screen": _size,
    "viewport": _size,
    "device_pixel_ratio": number_of,
    "refresh_hz": number_of,
    "reduced_motion": _flag,
}
