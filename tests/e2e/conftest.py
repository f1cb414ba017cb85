"""A real Chromium, a live server, and a rater's hands.

Chromium is `CHROMIUM`, the system's, or Playwright's own download; without one these tests skip.
"""

import os
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect
from werkzeug.serving import WSGIRequestHandler, make_server

from web_fixtures import make_study as make_study
from web_fixtures import rating_study as rating_study
from web_fixtures import stored as stored
from web_fixtures import study_template as study_template
from webapp import create_app

# As long as Playwright waits for everything else; of itself it gives up after 5 s here.
expect.set_options(timeout=30_000)
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium(own: str) -> str | None:
    """Return the browser's path: `CHROMIUM`, the system's, or Playwright's own if downloaded."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named if Path(named).exists() else None
    system = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    return system or (own if Path(own).exists() else None)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args, browser_type):
    path = find_chromium(browser_type.executable_path)
    if path is None:
        pytest.skip("no Chromium: set CHROMIUM, install it, or run `playwright install chromium`")
    arguments = ["--disable-gpu", "--disable-quic", "--disable-component-update"]
    return {**browser_type_launch_args, "executable_path": path, "args": arguments}


@pytest.fixture(scope="session")
def base_url() -> None:
    """Every test has a server of its own. (The plugin's own fixture warns under pytest 9.)"""


class _Quiet(WSGIRequestHandler):
    def log(self, kind, message, *args):
        """Say nothing: the test says what went wrong."""


@contextmanager
def _running(app):
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def running():
    """Serve an application: `with running(app) as port`."""
    return _running


class Live:
    """An application on a port, whose answers a test can hold up or spoil.

    `hold` keeps media back until it is set; `faults` maps a path's beginning to what happens to the
    next requests: a status to answer instead, or `lost` (done, but the reply never arrives).
    """

    def __init__(self, app) -> None:
        self.app = app
        self.hold = threading.Event()
        self.hold.set()
        self.faults: dict[str, list] = {}
        self.seen: list[str] = []
        self._inner = app.wsgi_app
        app.wsgi_app = self._wsgi
        self._server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.port}"

    def _wsgi(self, environ, start_response):
        path = environ["PATH_INFO"]
        self.seen.append(path)
        if path.startswith("/media/"):
            self.hold.wait(20)
        fault = next((f.pop(0) for p, f in self.faults.items() if path.startswith(p) and f), None)
        if fault == "lost":
            list(self._inner(environ, lambda status, headers, error=None: None))
        if fault is not None:
            status = "503 Service Unavailable" if fault == "lost" else f"{fault} Fault"
            start_response(status, [("Content-Type", "text/plain"), ("Content-Length", "0")])
            return [b""]
        return self._inner(environ, start_response)

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.app.extensions["vgan_eval"].database.close()


@pytest.fixture
def live(make_study):
    """Start a server for a study of a recipe; returns it with `built`."""
    running = []

    def start(recipe=None, **options):
        built = make_study(recipe)
        server = Live(create_app(built.url, built.store, **options))
        server.built = built
        running.append(server)
        return server

    yield start
    for server in running:
        server.close()


class Rater:
    """A person at a page; keeps what the page was told and what the console said."""

    def __init__(self, page, server) -> None:
        self.page = page
        self.server = server
        self.state: dict = {}
        self.errors: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("response", self._on_response)

    def _on_console(self, message) -> None:
        # Chromium itself reports every failed request, and these tests' own reading of canvases.
        expected = ("Failed to load resource", "willReadFrequently")
        loud = message.type in ("error", "warning")
        if loud and not any(words in message.text for words in expected):
            self.errors.append(message.text)

    def _on_response(self, response) -> None:
        if response.ok and any(f"api/{n}" in response.url for n in ("open", "start", "judgment")):
            body = response.json()
            self.state = body.get("state", body)

    def open(self, path: str = "/local?rater=ann") -> None:
        self.page.goto(self.server.url + path)

    def press_start(self) -> None:
        self.page.get_by_role("button", name="Start").click()

    def begin(self, path: str = "/local?rater=ann") -> None:
        """Open the page and start; the first pair is on screen and running."""
        self.open(path)
        self.press_start()
        self.page.wait_for_selector("#stage [role=img]")

    def wait_ready(self) -> None:
        self.page.wait_for_selector("#trial.ready")

    def canvas(self, side: str):
        return self.page.get_by_role("img", name=f"{side.capitalize()} clip")

    def frames(self, side: str):
        """The true frames of the clip on one side."""
        return self.server.built.pixels[self.state["showing"][side]["url"].removeprefix("media/")]


@pytest.fixture
def rater(page):
    """Return a function that seats a rater before a server."""
    seated = []

    def seat(server, on=None):
        seated.append(Rater(on or page, server))
        return seated[-1]

    yield seat
    for one in seated:
        assert one.errors == []
