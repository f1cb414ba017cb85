"""What the web app's public address must be like, whoever is told it."""

from urllib.parse import SplitResult

from evaluation.errors import UsageError


def check_own_host(url: str, parts: SplitResult) -> None:
    """Refuse an address under a path: the pages lead to each other from the host's root.

    Args:
        url: as it was given.
        parts: of it.

    Raises:
        UsageError: it has a path, a query or a user.
    """
    if parts.path not in ("", "/") or parts.query or parts.username:
        raise UsageError(f"--url {url}: the pages need a host of their own; write https://HOST")
