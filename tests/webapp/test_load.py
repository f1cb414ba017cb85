"""Twenty raters at once on the real server: every acknowledged answer is stored, once."""

import json
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select, text

from evaluation import schema
from evaluation.storage import LocalStore
from webapp import create_app

RATERS = 20
SESSIONS, TRIALS = 8, 2  # the plan has fewer places than there are raters


@pytest.fixture
def server(database, rating_study, tmp_path):
    """The address of `vgan-eval rate`, in a process of its own."""
    rating_study.build_study(
        database, tmp_path, rating_study.Recipe(trials=TRIALS, raters=SESSIONS, frames=2)
    )
    command = [
        sys.executable, "-u", "-m", "evaluation.cli", "rate", "--no-browser", "--port", "0",
        "--db", database.url, "--files", str(tmp_path),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        page = urlsplit(process.stdout.readline().split()[-1])
        yield f"{page.scheme}://{page.netloc}"
        process.terminate()


def post(url, body, token=""):
    """Return status and JSON of a POST, also of a refusal."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        reply: HTTPResponse = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as refused:
        reply = refused
    with reply:
        return reply.status, json.load(reply)


def rate(server, number, together):
    """Be one rater, who sends every answer twice; returns what was acknowledged."""
    with urllib.request.urlopen(f"{server}/local?rater=r{number}", timeout=30) as page:
        ticket = parse_qs(urlsplit(page.url).query)["ticket"][0]
    together.wait(timeout=30)
    status, state = post(f"{server}/api/start", {"ticket": ticket, "device": {}})
    if status != 200:
        assert (status, state) == (409, {"error": "nothing_left"})
        return []
    acknowledged, token = [], state["token"]
    while state["stage"] == "trials":
        answer = {
            "position": state["showing"]["position"], "question": "realism",
            "choice": "left" if number % 2 else "right", "rt_ms": number, "clip_ms": 1.0,
            "details": {},
        }  # fmt: skip
        for _ in range(2):
            status, reply = post(f"{server}/api/judgment", answer, token)
            assert status == 200
        acknowledged.append((f"r{number}", answer["position"], answer["choice"], float(number)))
        state = reply["state"]
    assert post(f"{server}/api/finish", {}, token)[0] == 200
    return acknowledged


def test_twenty_raters_at_once_fill_the_plan_exactly(server, database):
    together = threading.Barrier(RATERS)
    with ThreadPoolExecutor(RATERS) as pool:
        replies = pool.map(lambda number: rate(server, number, together), range(RATERS))
        acknowledged = sorted(answer for answers in replies for answer in answers)

    with database.read() as session:
        stored = session.execute(
            select(
                schema.Worker.external_id, schema.Showing.position, schema.Judgment.choice,
                schema.Judgment.rt_ms, schema.Judgment.trial_id, schema.Judgment.status,
            )
            .join(schema.Showing, schema.Judgment.showing_id == schema.Showing.id)
            .join(schema.Worker, schema.Showing.worker_id == schema.Worker.id)
        ).all()  # fmt: skip
    assert sorted((w, p, c.value, rt) for w, p, c, rt, _, _ in stored) == acknowledged
    assert {row.status for row in stored} == {schema.JudgmentStatus.COUNTED}
    assert len({row.trial_id for row in stored}) == len(stored) == SESSIONS * TRIALS


def test_idle_connections_lock_nobody_out(server):
    host, port = urlsplit(server).hostname, urlsplit(server).port
    idle = [socket.create_connection((host, port), timeout=10) for _ in range(150)]

    with urllib.request.urlopen(f"{server}/local", timeout=10) as page:
        assert page.status == 200
    for connection in idle:
        connection.close()


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_restart_of_postgresql_between_two_answers_loses_nothing(
    database, rating_study, tmp_path
):
    rating_study.build_study(database, tmp_path, rating_study.Recipe(trials=3, frames=2))
    app = create_app(database.url, LocalStore(tmp_path / "media"))
    client = app.test_client()
    page = client.get("/local?rater=ann").headers["Location"]
    ticket = parse_qs(urlsplit(page).query)["ticket"][0]
    state = client.post("/api/start", json={"ticket": ticket, "device": {}}).json
    headers = {"Authorization": f"Bearer {state['token']}"}

    for position in (1, 2, 3):
        with database.read() as session:  # a server that restarts ends every connection
            ended = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            others = "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            assert all(session.scalars(text(ended + others)).all())
        answer = {
            "position": position, "question": "realism", "choice": "left", "rt_ms": 9, "clip_ms": 9,
            "details": {},
        }  # fmt: skip
        reply = client.post("/api/judgment", json=answer, headers=headers)
        assert (reply.status_code, client.get(page).status_code) == (200, 200)

    assert reply.json["state"] == {"stage": "finish"}
    app.extensions["vgan_eval"].database.close()
