"""A running service on loopback, unmodified boto3 clients for it, and workers."""

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from evaluation.sandbox import create_service
from evaluation.sandbox.state import Sandbox
from serving import running

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
EXTERNAL = (
    '<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/'
    'AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd">'
    "<ExternalURL>{url}</ExternalURL><FrameHeight>0</FrameHeight></ExternalQuestion>"
)


class Front:
    """The WSGI application of one server that stays up: each test puts its own service behind it.

    Servers and boto3 clients then start once, not once per test.
    """

    app: Flask | None = None

    def __call__(self, environ: Any, start_response: Any) -> Any:
        assert self.app is not None
        return self.app(environ, start_response)


@pytest.fixture(scope="session")
def serve() -> Callable[[Any], Any]:
    return running


@pytest.fixture(scope="session")
def front() -> Iterator[tuple[Front, str]]:
    front = Front()
    with running(front) as url:
        yield front, url


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "sandbox.db"
    create_service(f"sqlite:///{path}").extensions["sandbox"].close()
    return path


@pytest.fixture
def sandbox_url(tmp_path: Path, _template: Path) -> str:
    """The database; a module whose tests run on PostgreSQL too overrides this."""
    shutil.copy(_template, tmp_path / "sandbox.db")
    return f"sqlite:///{tmp_path}/sandbox.db"


@pytest.fixture
def waited() -> list[float]:
    return []


@pytest.fixture
def app(sandbox_url: str, waited: list[float]) -> Iterator[Flask]:
    app = create_service(sandbox_url, clock=lambda: START, wait=waited.append)
    yield app
    app.extensions["sandbox"].close()


@pytest.fixture
def sandbox(app: Flask) -> Sandbox:
    return app.extensions["sandbox"]


@pytest.fixture
def live(app: Flask, front: tuple[Front, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of the test's own service, set where boto3 looks for it."""
    front[0].app = app
    monkeypatch.setenv("AWS_ENDPOINT_URL_MTURK", front[1])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    return front[1]


@pytest.fixture(scope="session")
def _clients() -> Iterator[dict[tuple[str, str, int], Any]]:
    clients: dict[tuple[str, str, int], Any] = {}
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture
def connect(
    monkeypatch: pytest.MonkeyPatch, _clients: dict[tuple[str, str, int], Any]
) -> Callable[..., Any]:
    """Make boto3 clients that find the service by the environment only."""
    import boto3  # noqa: TID251 (the client under test)
    from botocore.config import Config

    def _connect(url: str, key: str = "AKIDREQUESTER", attempts: int = 1) -> Any:
        monkeypatch.setenv("AWS_ENDPOINT_URL_MTURK", url)
        if (url, key, attempts) not in _clients:
            retries = {"total_max_attempts": attempts, "mode": "standard"}
            session = boto3.session.Session(key, "secret", region_name="us-east-1")
            _clients[url, key, attempts] = session.client(
                "mturk", config=Config(retries=retries, read_timeout=30)
            )
        return _clients[url, key, attempts]

    return _connect


@pytest.fixture
def mturk(live: str, connect: Callable[..., Any]) -> Any:
    return connect(live)


@pytest.fixture
def hit_properties() -> dict[str, Any]:
    return {
        "Title": "Which video looks more real?",
        "Description": "Watch two short clips and choose one.",
        "Keywords": "video, choice",
        "Reward": "0.10",
        "AssignmentDurationInSeconds": 600,
        "LifetimeInSeconds": 86_400,
        "AutoApprovalDelayInSeconds": 3 * 86_400,
        "MaxAssignments": 3,
        "Question": EXTERNAL.format(url="http://localhost:9/rate?study=a&amp;b=2"),
    }


@pytest.fixture
def make_hit(mturk: Any, hit_properties: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    def _make(client: Any = None, **changes: Any) -> dict[str, Any]:
        return (client or mturk).create_hit(**{**hit_properties, **changes})["HIT"]

    return _make


class Hand:
    """A worker's hand on the worker site."""

    def __init__(self, site: FlaskClient) -> None:
        self.site = site

    def accept(self, worker: str, hit: str) -> str:
        """Accept a HIT; return the assignment's id."""
        reply = self.site.post(f"/worker/{worker}/hits/{hit}/accept")
        assert reply.status_code == 303, reply.text
        return reply.location.rpartition("/")[2]

    def submit(self, assignment: str, **answers: Any) -> None:
        """Submit an assignment."""
        reply = self.site.post(
            "/mturk/externalSubmit", data={"assignmentId": assignment, **answers}
        )
        assert reply.status_code == 200, reply.text

    def do(self, worker: str, hit: str, **answers: Any) -> str:
        """Accept and submit; return the assignment's id."""
        assignment = self.accept(worker, hit)
        self.submit(assignment, **(answers or {"choice": "left"}))
        return assignment

    def refusal(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """The status and message of something that cannot be."""
        reply = self.site.open(path, method=method, **options)
        message = re.search(r'role="alert">([^<]*)<', reply.text)
        return reply.status_code, message.group(1) if message else ""


@pytest.fixture
def hand(app: Flask) -> Hand:
    return Hand(app.test_client())


@pytest.fixture
def error_of() -> Callable[..., tuple[str, str]]:
    """Call an operation that must fail; give its code and message."""
    from botocore.exceptions import ClientError

    def _error(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            call(**params)
        response = caught.value.response
        code = response.get("TurkErrorCode") or response["Error"]["Code"]
        return code.removeprefix("AWS.MechanicalTurk."), response["Error"]["Message"]

    return _error
