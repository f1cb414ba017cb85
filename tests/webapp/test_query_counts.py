"""How many statements each request sends: small, fixed numbers, whatever the study's size."""

from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import event

EXPECTED = {
    "join": 2,
    "page": 2,
    "open": 3,
    "start": 13,  # BEGIN among them, as in all that write
    "reload": 3,
    "state": 1,
    "media": 1,
    "media again": 0,
    "judgment": 6,
    "finish": 8,
}


@pytest.fixture
def counting():
    """Count the statements that an application sends to its database."""

    @contextmanager
    def count(client):
        engine = client.application.extensions["vgan_eval"].database._engine
        sent = []

        def note(_connection, _cursor, statement, *_):
            sent.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            yield sent
        finally:
            event.remove(engine, "before_cursor_execute", note)

    return count


def ticket_for(client, rater):
    location = client.get(f"/local?rater={rater}").headers["Location"]
    return location, parse_qs(urlsplit(location).query)["ticket"][0]


def run_session(client, rater, note):
    """Rate a whole session; `note` is called with what each request is for and how to send it."""
    page, ticket = note("join", lambda: ticket_for(client, rater))
    note("page", lambda: client.get(page))
    note("open", lambda: client.post("/api/open", json={"ticket": ticket}))
    started = note(
        "start", lambda: client.post("/api/start", json={"ticket": ticket, "device": {}})
    )
    note("reload", lambda: client.post("/api/open", json={"ticket": ticket}))
    state = started.json
    headers = {"Authorization": f"Bearer {state['token']}"}
    note("state", lambda: client.get("/api/state", headers=headers))
    for what in ("media", "media again"):
        note(what, lambda: client.get(f"/{state['showing']['left']['url']}"))
    while state["stage"] == "trials":
        answer = {
            "position": state["showing"]["position"], "question": "realism", "choice": "left",
            "rt_ms": 900, "clip_ms": 500, "details": {},
        }  # fmt: skip
        what = "judgment" if state["after"] else "last judgment"
        state = note(
            what, lambda a=answer: client.post("/api/judgment", json=a, headers=headers)
        ).json["state"]
    return note("finish", lambda: client.post("/api/finish", json={}, headers=headers))


def counts_of(client, counting, rater):
    """Return the statements of each kind of request of one session; a kind always sends as many."""
    counts = {}

    def note(what, send):
        with counting(client) as sent:
            answered = send()
        assert counts.setdefault(what, len(sent)) == len(sent)
        return answered

    done = run_session(client, rater, note)

    assert done.json["stage"] == "done"
    return counts


def test_every_request_sends_a_fixed_small_number_of_statements(
    make_client, counting, rating_study
):
    client = make_client(rating_study.Recipe(trials=4, raters=3))
    counts_of(client, counting, "first")  # puts the plan in order, once

    counts = counts_of(client, counting, "second")

    assert {what: counts[what] for what in EXPECTED} == EXPECTED


def test_a_longer_session_of_a_larger_study_sends_as_many(make_client, counting, rating_study):
    client = make_client(rating_study.Recipe(trials=9, raters=4))
    counts_of(client, counting, "first")

    counts = counts_of(client, counting, "second")

    assert {what: counts[what] for what in EXPECTED} == EXPECTED
