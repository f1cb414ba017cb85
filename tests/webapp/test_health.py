"""The health check."""

import sqlite3

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from evaluation import outages
from evaluation.errors import DatabaseError


def test_health_names_the_schema_revision(make_client):
    reply = make_client().get("/healthz")

    assert reply.json["status"] == "ok"
    assert reply.json["revision"]


@pytest.mark.parametrize(
    "failure",
    [
        DatabaseError("host db.internal password hunter2"),
        ProgrammingError("SELECT 1", {}, Exception("no table")),
    ],
)
def test_health_says_that_the_database_is_away_and_nothing_else(make_client, monkeypatch, failure):
    client = make_client()
    database = client.application.extensions["vgan_eval"].database

    def away():
        raise failure

    monkeypatch.setattr(database, "read", away)

    reply = client.get("/healthz")

    assert (reply.status_code, reply.json) == (503, {"status": "database unreachable"})


def fill(database):
    with database.write() as session:
        session.execute(text("PRAGMA max_page_count = 1"))  # of the connection: it cannot grow
        session.execute(text("CREATE TABLE more AS SELECT zeroblob(1000000)"))


def rewrite(database):
    with database.write() as session:
        session.execute(text("UPDATE study SET paused = paused"))


def test_health_says_that_nothing_can_be_written_until_something_is(make_client):
    client = make_client()
    database = client.application.extensions["vgan_eval"].database

    with pytest.raises(DatabaseError, match="full"):
        fill(database)
    full = client.get("/healthz")
    rewrite(database)

    assert (full.status_code, full.json) == (503, {"status": "database cannot be written"})
    assert client.get("/healthz").json["status"] == "ok"


def test_health_forgets_a_failed_write_after_five_minutes(make_client, monkeypatch):
    client = make_client()
    database = client.application.extensions["vgan_eval"].database
    with pytest.raises(DatabaseError, match="full"):
        fill(database)
    failed = outages.monotonic()

    for seconds, status in ((290, 503), (301, 200)):
        monkeypatch.setattr(outages, "monotonic", lambda at=failed + seconds: at)
        assert client.get("/healthz").status_code == status


def test_health_does_not_mind_who_waits_for_a_lock_or_is_refused(make_client, tmp_path):
    client = make_client()
    database = client.application.extensions["vgan_eval"].database
    with database.write() as session:
        session.execute(text("PRAGMA busy_timeout = 0"))  # of the connection, which is kept
    other = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(DatabaseError, match="locked"):
        rewrite(database)
    other.close()
    client.post("/api/finish", json={})

    assert client.get("/healthz").json["status"] == "ok"
