"""Running the application on waitress, with its address known before it answers.

Waitress, because it keeps answering when browsers hold silent or slow connections open; a server
with one connection per worker process does not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask

from evaluation.errors import EvaluationError

_THREADS = 8


@dataclass(frozen=True)
class Server:
    """A bound, not yet answering server.

    Args:
        url: where it will answer, without a trailing slash.
    """

    url: str
    _server: Any

    def run(self) -> None:
        """Answer until interrupted."""
        self._server.run()


@contextmanager
def listen(app: Flask, host: str, port: int) -> Iterator[Server]:
    """Bind a server for an application; closed at the end.

    Args:
        app: from `create_app`.
        host: address to listen on; 0.0.0.0 for all.
        port: 0 takes a free one.

    Raises:
        EvaluationError: the address is taken or not ours.
    """
    import waitress

    try:
        server = waitress.create_server(app, host=host, port=port, threads=_THREADS, ident=None)
    except OSError as error:
        raise EvaluationError(
            f"{host}:{port}: cannot listen there ({error.strerror or error}); choose another --port"
        ) from None
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 (compared only)
    try:
        yield Server(f"http://{shown}:{server.effective_port}", server)
    finally:
        server.close()
