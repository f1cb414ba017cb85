"""What the pages and calls of both bundled services have in common."""

from collections.abc import Iterator
from typing import Any

from flask import Response, request

_MOST_DIGITS = 9  # so a number fits wherever it goes


class Refusal(Exception):
    """Somebody who takes part asked for what cannot be; the page shows the message.

    Args:
        message: one sentence for them.
        status: the HTTP status of the page.
    """

    def __init__(self, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.message, self.status = message, status


def is_count(text: str) -> bool:
    """Whether a text is a whole number of at most nine digits; Python counts ² as a digit too."""
    return text.isdecimal() and len(text) <= _MOST_DIGITS


def json_object() -> dict[str, Any]:
    """Return the JSON object in the body of a request to a service's own endpoints.

    Raises:
        ValueError: another kind of JSON.
    """
    body = request.get_json()
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    return body


def broken_reply(content_type: str) -> Response:
    """Return a reply that breaks off in the middle of a chunked body.

    Without a Content-Length on purpose: botocore takes a body that is shorter than promised for
    the whole, and only misses the end of a chunked one.
    """

    def broken() -> Iterator[bytes]:
        yield b"{"
        raise ConnectionAbortedError("reply lost on demand")

    return Response(broken(), content_type=content_type)


def protected(response: Response, policy: str) -> Response:
    """Give a page its Content-Security-Policy, unless it has one, and let nobody keep it."""
    response.headers.setdefault("Content-Security-Policy", policy)
    response.headers["Cache-Control"] = "no-store"
    return response
