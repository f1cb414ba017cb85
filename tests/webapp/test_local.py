"""How local raters come in."""

import urllib.parse

from click.testing import CliRunner
from sqlalchemy import select

from evaluation import schema
from evaluation.cli import cli
from evaluation.database import find_study, open_database
from evaluation.study import Recruit
from freezing import freeze_tables
from webapp.local import join_address, join_path


def ticket_of(response):
    query = urllib.parse.urlsplit(response.headers["Location"]).query
    return urllib.parse.parse_qs(query)["ticket"][0]


def join_link(stored):
    return join_path(stored(select(schema.Study))[0])


def test_every_opening_of_the_join_link_is_a_new_rater(make_client, stored):
    client = make_client(open_door=False)
    link = join_link(stored)

    tickets = {ticket_of(client.get(link)) for _ in range(3)}

    assert len(tickets) == 3


def test_a_closed_door_lets_only_the_link_in(make_client):
    client = make_client(open_door=False)

    assert client.get("/").status_code == 404
    assert client.get("/local?rater=ann").status_code == 404
    assert client.get("/join/0123456789abcdef0123").status_code == 404
    assert client.get("/join/é").status_code == 404


def test_the_join_link_of_a_study_on_a_crowd_is_not_given_and_lets_nobody_in(make_client, stored):
    client = make_client(open_door=False)
    link = join_link(stored)
    ticket = ticket_of(client.get(link))
    assert join_address(client.application) == link

    with client.application.extensions["vgan_eval"].database.write() as session:
        freeze_tables(session.scalars(select(schema.Study)).one(), recruit=Recruit(crowd="link"))

    assert join_address(client.application) is None
    assert client.get(link).status_code == 404
    assert client.get(f"/rate?ticket={ticket}").status_code == 200  # who is inside can finish


def test_who_opened_the_room_before_it_had_a_crowd_can_finish_there_but_not_begin(
    make_client, stored
):
    client = make_client(open_door=False)
    link = join_link(stored)
    begun, waiting = ({"ticket": ticket_of(client.get(link))} for _ in range(2))
    assert client.post("/api/start", json=begun).status_code == 200
    assert client.post("/api/open", json=waiting).json == {"stage": "new"}

    with client.application.extensions["vgan_eval"].database.write() as session:
        freeze_tables(session.scalars(select(schema.Study)).one(), recruit=Recruit(crowd="link"))

    assert client.post("/api/open", json=waiting).json == {"stage": "over"}
    refused = client.post("/api/start", json=waiting)
    assert (refused.status_code, refused.json) == (409, {"error": "over"})
    assert client.post("/api/open", json=begun).json["stage"] == "trials"
    assert client.post("/api/start", json=begun).status_code == 200


def test_serve_says_so_where_nothing_is_published_on_the_crowd(make_client, monkeypatch):
    built = make_client().built
    with open_database(built.url) as database, database.write() as session:
        freeze_tables(find_study(session, None), recruit=Recruit(crowd="prolific"))
    monkeypatch.setattr("webapp.server.Server.run", lambda self: None)
    media = str(built.store.folder)

    served = CliRunner().invoke(cli, ["serve", "--db", built.url, "--media", media, "--port", "0"])

    assert "Nothing is published yet: run `vgan-eval publish`.\n" in served.output


def test_an_unknown_address_says_so_in_the_language_but_to_no_script(make_client):
    client = make_client()

    page = client.get("/nothing?lang=de")

    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert 'lang="de"' in page.text
    assert "Dieser Link" in page.text
    for path in ("/api/nothing", "/media/nothing", "/static/nothing.js"):
        reply = client.get(f"{path}?lang=de")
        assert (reply.status_code, "Link" in reply.text) == (404, False)


def test_a_changed_ticket_opens_nothing(make_client):
    client = make_client()
    ticket = ticket_of(client.get("/local?rater=ann"))

    assert client.get(f"/rate?ticket={ticket}").status_code == 200
    assert client.get(f"/rate?ticket=x{ticket}").status_code == 404
    assert client.get("/rate").status_code == 404
    assert client.post("/api/start", json={"ticket": ticket[:-2]}).status_code == 401


def test_a_rater_name_with_odd_characters_is_refused(make_client):
    client = make_client()

    assert client.get("/local", query_string={"rater": "a/b"}).status_code == 400
    assert client.get("/local", query_string={"rater": "x" * 65}).status_code == 400
    assert client.get("/local", query_string={"rater": "ann@example.org"}).status_code == 302


def test_a_link_preview_takes_no_trial(make_client, stored):
    client = make_client(open_door=False)

    client.get(join_link(stored), follow_redirects=True)

    assert stored(select(schema.Showing)) == []
