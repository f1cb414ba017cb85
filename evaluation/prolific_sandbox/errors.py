"""The errors of the API, in the two forms that its schema documents, and those of the site."""

from typing import Any


class ApiError(Exception):
    """An error reply.

    Args:
        detail: a text, a list of texts, or texts by field.
        status: the HTTP status.
        title: in a few words.
    """

    def __init__(
        self,
        detail: str | list[str] | dict[str, list[str]],
        status: int = 400,
        title: str = "Bad request",
    ) -> None:
        super().__init__(str(detail))
        self.detail, self.status, self.title = detail, status, title

    def body(self, *, bare: bool) -> dict[str, Any]:
        """Return the JSON: an object, by most endpoints wrapped in `error`."""
        error = {
            "status": self.status,
            # The true numbers are not published, so clients cannot rely on them.
            "error_code": 140_000 + self.status,
            "title": self.title,
            "detail": self.detail,
        }
        return error if bare else {"error": error}


def missing(what: str) -> ApiError:
    """Something that is not there, or not the caller's."""
    return ApiError(f"{what} not found", 404, "Not found")
