"""A Flickr that runs on this machine and has the real one's limits."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

KEY = "k3y-of-the-test"
FIRST = 1_262_304_000  # 2010-01-01T00:00:00Z
CAP = 4000


def _photo(number: int, uploaded: int, **more) -> dict:
    return {
        "id": str(4_000_000_000 + number), "owner": f"{number % 7}@N00", "ownername": "Ada",
        "title": f"clip {number}", "license": "4", "tags": "beach sea", "media": "video",
        "dateupload": str(uploaded), "datetaken": "2009-12-31 23:59:58", **more,
    }  # fmt: skip


class FakeFlickr:
    """Answers flickr.photos.search; `faults` are answered first, one per call."""

    def __init__(self) -> None:
        self.photos: list[dict] = []
        self.calls: list[dict] = []
        self.paths: list[str] = []
        self.faults: list = []
        self.url = ""

    def fill(self, count: int, every_s: int = 60, **more) -> None:
        """Upload videos at a steady pace from the first second of 2010."""
        start = len(self.photos)
        self.photos += [_photo(start + n, FIRST + n * every_s, **more) for n in range(count)]

    def upload(self, uploaded: int, **more) -> str:
        """Upload one, and return its id."""
        self.photos.append(_photo(len(self.photos), uploaded, **more))
        return self.photos[-1]["id"]

    def answer(self, form: dict) -> dict:
        if form["api_key"] != KEY:
            said = f"Invalid API Key {form['api_key']} (Key has invalid format)"
            return {"stat": "fail", "code": 100, "message": said}
        if form["method"] != "flickr.photos.search":
            return {"stat": "fail", "code": 112, "message": f"Method {form['method']} not found"}
        matching = [photo for photo in self.photos if self._matches(photo, form)]
        per_page, page = min(int(form["per_page"]), 500), int(form["page"])
        # The real one repeats its last results when asked for more than it gives.
        start = min((page - 1) * per_page, CAP - per_page)
        found = {"page": page, "pages": -(-len(matching) // per_page), "perpage": per_page,
                 "total": len(matching), "photo": matching[start : start + per_page]}  # fmt: skip
        return {"stat": "ok", "photos": found}

    @staticmethod
    def _matches(photo: dict, form: dict) -> bool:
        if (
            not int(form["min_upload_date"])
            <= int(photo["dateupload"])
            <= int(form["max_upload_date"])
        ):
            return False
        if "license" in form and photo["license"] not in form["license"].split(","):
            return False
        if form["media"] == "videos" and photo["media"] == "photo" and not photo.get("slips"):
            return False
        found = [tag in photo["tags"].split() for tag in form["tags"].split(",")]
        return all(found) if form["tag_mode"] == "all" else any(found)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                fake.paths.append(self.path)
                fake.calls.append(form)
                fault = fake.faults.pop(0) if fake.faults else None
                if isinstance(fault, tuple):
                    self._send(fault[0], b"busy", fault[1])
                elif isinstance(fault, bytes):
                    self._send(200, fault, {})
                else:
                    self._send(200, json.dumps(fault or fake.answer(form)).encode(), {})

            def _send(self, status: int, data: bytes, headers: dict) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def flickr(monkeypatch):
    """The fake, running; its key is in the environment."""
    fake = FakeFlickr()
    server = ThreadingHTTPServer(("127.0.0.1", 0), fake.handler())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}/services/rest/"
    monkeypatch.setenv("FLICKR_API_KEY", KEY)
    monkeypatch.setenv("FLICKR_API_URL", fake.url)
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    """A clock that only its own `sleep` moves."""
    return _Clock()


@pytest.fixture
def api(flickr, clock):
    """A client of the fake that waits on the test's clock; `api(key)` opens another one."""
    from vgan.data.flickr import FlickrApi
    from vgan.data.pacing import TokenBucket

    def opened(key: str = KEY) -> FlickrApi:
        bucket = TokenBucket(3_600_000, clock=clock, sleep=clock.sleep)
        return FlickrApi(key, flickr.url, bucket, clock.sleep)

    return opened
