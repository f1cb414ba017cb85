"""Numbers in the bodies of requests."""

from typing import Any

from evaluation.prolific_sandbox.errors import ApiError


def whole_number(body: dict[str, Any], name: str) -> int:
    """Return a field that must be a whole number; the API's schema has them as 10.0 too.

    Raises:
        ApiError: 400; missing, a text, or a fraction.
    """
    value = body.get(name)
    # What is left over of inf and nan is nan, which is true.
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
        raise ApiError({name: ["A valid integer is required."]})
    return int(value)
