"""The health check."""

import pytest
from sqlalchemy.exc import ProgrammingError

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
