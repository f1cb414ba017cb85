"""Running the application on waitress, with its address known before it answers.

Waitress, because it keeps answering when browsers hold silent or slow connections open; a server
with one connection per worker process does not.
"""

import logging
import resource
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
# A browser keeps up to six connections open. Waitress stops accepting at 100 by default, where the
# 17th rater would wait for somebody to leave.
_MOST_CONNECTIONS = 10_000
_OTHER_FILES = 256  # that the process may have open beside its connections
# Idle connections cost every turn of its loop, and a browser opens a new one unasked.
_IDLE_S = 30


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


def _connection_limit() -> int:
    """Return how many connections fit beside the other files that this process may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(100, min(_MOST_CONNECTIONS, files - _OTHER_FILES))


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

    # It would warn of every request that waits for a thread, which a room of raters makes normal.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    try:
        server = waitress.create_server(
            app,
            host=host,
            port=port,
            threads=threads,
            connection_limit=_connection_limit(),
            channel_timeout=_IDLE_S,
            # A little too much is refused by the application in its own words, more at the door.
            max_request_body_size=2 * app.config["MAX_CONTENT_LENGTH"],
            asyncore_use_poll=True,  # select() ends at 1024 connections
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
