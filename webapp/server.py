"""Running the application on waitress, with its address known before it answers.

Waitress, because it keeps answering when browsers hold silent or slow connections open; a server
with one connection per worker process does not.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from flask import Flask

from evaluation.errors import EvaluationError

THREADS = 8


@dataclass(frozen=True)
class Server:
    """A bound, not yet answering server.

    Args:
        url: where it will answer, without a trailing slash.
    """

    url: str
    _server: Any

    def run(self) -> None:
        """Answer until interrupted, or until SIGTERM; requests that are being answered end well."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _stop)
        self._server.run()


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)  # waitress takes it as the sign to finish what runs and return


@contextmanager
def listen(
    app: Flask, host: str, port: int, *, threads: int = THREADS, behind_proxy: bool = False
) -> Iterator[Server]:
    """Bind a server for an application; closed at the end.

    Args:
        app: from `create_app`.
        host: address to listen on; 0.0.0.0 for all.
        port: 0 takes a free one.
        threads: that answer; each may hold a connection to the database.
        behind_proxy: keep X-Forwarded headers for the application, which decides on them.

    Raises:
        EvaluationError: the address is taken or not ours.
    """
    import waitress

    try:
        server = waitress.create_server(
            app,
            host=host,
            port=port,
            threads=threads,
            ident=None,
            clear_untrusted_proxy_headers=not behind_proxy,
        )
    except OSError as error:
        raise EvaluationError(
            f"{host}:{port}: cannot listen there ({error.strerror or error}); choose another --port"
        ) from None
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 (compared only)
    try:
        yield Server(f"http://{shown}:{server.effective_port}", server)
    finally:
        server.close()
