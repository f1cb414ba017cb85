"""People who come by a link: let in, sent back, told in time, and each once."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from evaluation import schema
from evaluation.database import open_database
from evaluation.links import publish_link
from evaluation.publishing.invitations import make_invitations, revoke
from evaluation.sessions.consents import text_digest
from evaluation.study import Consent, Link, Recruit
from evaluation.withdrawing import withdraw
from freezing import freeze_tables

SANDBOX = schema.Environment.SANDBOX
URL = "http://localhost:8000"


@pytest.fixture
def change(tmp_path):
    """Work on this test's database: `change(lambda database: ...)`."""

    def run(what):
        with open_database(f"sqlite:///{tmp_path / 'study.db'}") as database:
            return what(database)

    return run


@pytest.fixture
def linked(make_client, rating_study, change):
    """A client and the path of its study's link; one session each, places for three."""

    def make(link=None, text=None, **recipe):
        client = make_client(rating_study.Recipe(sessions=1, raters=3, **recipe), open_door=False)

        def publish(database):
            with database.write() as unit:
                study = unit.scalars(select(schema.Study)).one()
                chosen = link or Link(participant="participantId", pattern="[A-Za-z0-9]{1,64}")
                recruit = Recruit(crowd="link", link=chosen)
                freeze_tables(study, recruit=recruit, text=text or {})
            return publish_link(database, None, SANDBOX, URL)

        plan = change(publish)
        return client, urlsplit(plan.address).path

    return make


def ticket_of(reply):
    assert reply.status_code == 302, reply.text
    return parse_qs(urlsplit(reply.location).query)["ticket"][0]


def post(client, path, body, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.post(f"/api/{path}", json=body, headers=headers)


def come(client, path, who="P1"):
    """Open the link and ask where the session stands; returns the ticket and the reply's body."""
    ticket = ticket_of(client.get(f"{path}?participantId={who}&assignmentId=x&projectId=y"))
    return ticket, post(client, "open", {"ticket": ticket}).json


def start(client, ticket, **body):
    return post(client, "start", {"ticket": ticket, "device": {}, **body})


def rate(client, state):
    token = state["token"]
    while state["stage"] == "trials":
        body = {
            "position": state["showing"]["position"], "question": "realism", "choice": "left",
            "rt_ms": 900, "clip_ms": 1000, "details": {},
        }  # fmt: skip
        state = post(client, "judgment", body, token).json["state"]
    return post(client, "finish", {}, token).json


def heading(reply):
    return unescape(re.search(r"<h1[^>]*>([^<]*)<", reply.text)[1])


def test_a_participant_rates_once_and_sees_the_code_again(linked, stored):
    client, path = linked(trials=2)
    ticket, opened = come(client, path)

    done = rate(client, start(client, ticket).json)

    assert opened == {"stage": "new"}
    assert re.fullmatch("[A-Z2-7]{10}", done["code"])
    again = come(client, path)[1]
    assert (again["stage"], again["code"]) == ("done", done["code"])
    worker = stored(select(schema.Worker))[0]
    assert (worker.crowd, worker.external_id, worker.environment) == ("link", "P1", "sandbox")


def test_opening_again_resumes_from_any_tab(linked):
    client, path = linked(trials=2)
    first = start(client, come(client, path)[0]).json

    assert come(client, path)[1]["showing"] == first["showing"]
    assert start(client, come(client, path)[0]).json["showing"] == first["showing"]


def test_opening_the_link_writes_nothing(linked, stored):
    client, path = linked()

    client.get(f"{path}?participantId=P1", follow_redirects=True)

    assert stored(select(schema.Worker)) == stored(select(schema.Showing)) == []


@pytest.mark.parametrize("query", ["", "?participantId=", "?participantId=a%20b", "?pid=P1"])
def test_without_an_id_nobody_comes_in(linked, query):
    client, path = linked()

    reply = client.get(path + query)

    assert reply.status_code == 400
    assert heading(reply) == "This page was opened without what it needs"


def test_an_unknown_link_is_closed(linked):
    client, path = linked()

    assert client.get("/link/0123456789?participantId=P1").status_code == 404
    assert client.get("/link/é?participantId=P1").status_code == 404
    assert client.get(f"{path}/nonsense").status_code == 404


def test_a_full_link_says_so_at_every_door_before_any_work(linked, stored):
    client, path = linked(Link(participant="participantId", quota=1))
    early, _ = come(client, path, "LATE")
    inside = start(client, come(client, path, "P1")[0]).json

    reply = client.get(f"{path}?participantId=P2")

    assert (reply.status_code, heading(reply)) == (409, "All places are taken")
    assert post(client, "open", {"ticket": early}).json == {"stage": "full"}
    assert start(client, early).json == {"error": "full"}
    assert [worker.external_id for worker in stored(select(schema.Worker))] == ["P1"]
    assert rate(client, inside)["stage"] == "done"


def test_a_link_that_is_over_says_so(linked, change):
    client, path = linked()
    early, _ = come(client, path)

    def end(database):
        with database.write() as unit:
            hit = unit.scalars(select(schema.Hit)).one()
            hit.expires_at = datetime.now(UTC) - timedelta(seconds=1)

    change(end)

    assert heading(client.get(f"{path}?participantId=P1")) == "This study is over"
    assert start(client, early).json == {"error": "over"}


def test_the_completion_address_is_told_at_the_end_and_not_before(linked):
    completion = "https://panel.example/done?cc={code}&p={participant}"
    client, path = linked(Link(participant="participantId", completion=completion), trials=2)
    ticket, opened = come(client, path)
    page = client.get(f"/rate?ticket={ticket}").text
    started = start(client, ticket)

    done = rate(client, started.json)

    assert "panel.example" not in page + json.dumps(opened) + started.text
    assert done["redirect"] == f"https://panel.example/done?cc={done['code']}&p=P1"


def test_a_session_limit_is_told_before_consent_to_local_raters_too(make_client, rating_study):
    client = make_client(rating_study.Recipe(trials=2, sessions=1))

    def opened():
        ticket = ticket_of(client.get("/local?rater=ann"))
        return ticket, post(client, "open", {"ticket": ticket}).json

    ticket, first = opened()
    rate(client, start(client, ticket).json)

    assert first == {"stage": "new"}
    assert opened()[1] == {"stage": "limit"}


def test_a_link_of_ones_own_opens_one_session_and_can_be_taken_back(linked, change, tmp_path):
    client, path = linked(Link(), trials=2)
    out = tmp_path / "links.csv"
    change(lambda database: make_invitations(database, None, SANDBOX, 2, out, datetime.now(UTC)))
    mine, other = (urlsplit(line.split(",")[1]).path for line in out.read_text().split()[1:])
    first = ticket_of(client.get(mine))
    state = start(client, first).json

    change(lambda db: revoke(db, None, SANDBOX, [mine, other], datetime.now(UTC)))

    assert (client.get(other).status_code, heading(client.get(other))) == (
        410, "This link has been taken back",
    )  # fmt: skip
    assert ticket_of(client.get(mine)) == first
    assert rate(client, state)["stage"] == "done"
    assert client.get(f"{path}?participantId=P1").status_code == 400


def test_who_opened_a_link_before_it_was_taken_back_cannot_start_after(
    linked, change, tmp_path, stored
):
    client, _ = linked(Link(), trials=2)
    out = tmp_path / "links.csv"
    change(lambda database: make_invitations(database, None, SANDBOX, 1, out, datetime.now(UTC)))
    mine = urlsplit(out.read_text().split(",")[-1].strip()).path
    ticket = ticket_of(client.get(mine))

    change(lambda db: revoke(db, None, SANDBOX, [], datetime.now(UTC), unused=True))

    assert post(client, "open", {"ticket": ticket}).json["stage"] == "revoked"
    assert (start(client, ticket).status_code, start(client, ticket).json) == (
        410, {"error": "revoked"},
    )  # fmt: skip
    assert stored(select(schema.Assignment)) == []


def test_who_finished_by_a_link_that_was_taken_back_sees_the_code_and_starts_nothing(
    linked, change, tmp_path
):
    client, _ = linked(Link(), trials=1)
    out = tmp_path / "links.csv"
    change(lambda database: make_invitations(database, None, SANDBOX, 1, out, datetime.now(UTC)))
    mine = urlsplit(out.read_text().split(",")[-1].strip()).path
    ticket = ticket_of(client.get(mine))
    done = rate(client, start(client, ticket).json)

    def allow_two(database):
        with database.write() as unit:
            study = unit.scalars(select(schema.Study)).one()
            workers = {**study.design["workers"], "sessions_per_worker": 2}
            study.design = {**study.design, "workers": workers}

    change(allow_two)
    change(lambda db: revoke(db, None, SANDBOX, [mine], datetime.now(UTC)))

    assert ticket_of(client.get(mine)) == ticket
    assert post(client, "open", {"ticket": ticket}).json["code"] == done["code"]


def test_consent_is_stored_with_the_first_pair_and_refusing_stores_nothing(linked, stored):
    client, path = linked(consent=Consent("I am of age.", version="7"))
    ticket, _ = come(client, path)

    assert start(client, ticket).status_code == 400
    assert stored(select(schema.Worker)) == stored(select(schema.Consent)) == []
    assert start(client, ticket, consent="7").json["stage"] == "trials"
    assert [one.version for one in stored(select(schema.Consent))] == ["7"]


def test_the_checksum_is_of_the_text_in_the_language_that_was_read(linked, stored):
    text = {"en": {}, "de": {"consent": "Ich bin volljährig."}}
    client, path = linked(consent=Consent("I am of age."), text=text)
    ticket, _ = come(client, path)

    page = client.get(f"/rate?ticket={ticket}", headers={"Accept-Language": "de-AT, en;q=0.5"})
    start(client, ticket, consent="1", language="de")

    assert '<html lang="de" dir="ltr">' in page.text
    assert "Ich bin volljährig." in page.text
    [consent] = stored(select(schema.Consent))
    assert consent.text_sha256 == text_digest("Ich bin volljährig.")


def test_someone_who_withdraws_while_rating_is_told_that_it_is_closed(linked, change, stored):
    client, path = linked(trials=2)
    state = start(client, come(client, path)[0]).json

    change(lambda database: withdraw(database, "P1", key=b"k" * 32))

    body = {"position": 1, "question": "realism", "choice": "left", "rt_ms": 1, "clip_ms": 1}
    assert post(client, "judgment", body, state["token"]).json == {"error": "closed"}
    assert post(client, "finish", {}, state["token"]).json == {"error": "closed"}
    assert stored(select(schema.Judgment)) == []
    assert come(client, path)[1] == {"stage": "new"}


def test_notices_are_in_the_language_asked_for(linked):
    client, path = linked()

    assert heading(client.get(f"{path}?lang=de")) == "Beim Öffnen dieser Seite fehlt etwas"
    assert heading(client.get("/link/nothing?lang=de")) == "Dieser Link öffnet keine Sitzung"
    reply = client.get(f"{path}?participantId=P1&lang=de")
    assert parse_qs(urlsplit(reply.location).query)["lang"] == ["de"]
