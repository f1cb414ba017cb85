"""The rehearsal of a session that is undone, and what the app believes of a request."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from evaluation import schema
from evaluation.database import find_study
from evaluation.doctor.notes import sign_note
from evaluation.publishing.pausing import set_paused
from webapp import create_app
from webapp.wsgi import app as wsgi_app

SECRET = "5" * 64
NOTE = {"Authorization": f"Bearer {sign_note(SECRET, datetime.now(UTC))}"}
WRITTEN = (schema.Hit, schema.Worker, schema.Assignment, schema.Showing, schema.Judgment)


SETTINGS = {
    "sqlite": {"kind": "sqlite", "journal": "wal", "synchronous": "2"},
    "postgresql": {"kind": "postgresql", "isolation": "read committed", "commit": "on"},
}


def rehearse(client, answers, headers=NOTE):
    return client.post("/doctor/rehearsal", json={"answers": answers}, headers=headers)


def test_a_rehearsed_session_is_rated_to_its_end_and_leaves_nothing(initialised_study):
    database = initialised_study.database
    app = create_app(database.url, initialised_study.store)

    def content():
        with database.read() as session:
            tables = schema.Base.metadata.sorted_tables
            return [session.execute(select(table).order_by(table.c.id)).all() for table in tables]

    with database.read() as session:
        note = sign_note(find_study(session, None).secret, datetime.now(UTC))
    headers = {"Authorization": f"Bearer {note}"}
    before = content()
    started = rehearse(app.test_client(), 0, headers).json
    further = rehearse(app.test_client(), 3, headers).json
    done = rehearse(app.test_client(), 1000, headers).json
    told = app.test_client().get("/doctor/seen", headers=headers).json["database"]
    after = content()
    app.extensions["vgan_eval"].database.close()

    assert (started["stage"], started["showing"]["position"]) == ("trials", 1)
    assert further["showing"]["position"] == 4
    assert done == {"stage": "done", "code_characters": 10}
    assert after == before
    assert told == SETTINGS[database.dialect]


def test_a_rehearsal_tells_neither_a_code_nor_a_token(make_client):
    done = rehearse(make_client(), 1000)

    assert set(done.json) == {"stage", "code_characters"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Bearer {sign_note('6' * 64, datetime.now(UTC))}"},
        {
            "Authorization": f"Bearer {sign_note(SECRET, datetime.now(UTC) - timedelta(hours=2))}",
        },
    ],
    ids=["none", "nonsense", "another study's", "old"],
)
def test_without_a_note_the_app_tells_nothing(make_client, headers):
    client = make_client()

    for reply in (client.get("/doctor/seen", headers=headers), rehearse(client, 0, headers)):
        assert (reply.status_code, reply.json) == (401, {"error": "token"})


def test_a_paused_study_says_so_instead(make_client):
    client = make_client()
    database = client.application.extensions["vgan_eval"].database
    with database.write() as session:
        set_paused(session, find_study(session, None), datetime.now(UTC), paused=True)

    reply = rehearse(client, 0)

    assert (reply.status_code, reply.json) == (409, {"error": "paused"})


@pytest.mark.parametrize("answers", [None, -1, True, "3", 1001])
def test_a_malformed_rehearsal_is_refused(make_client, answers):
    reply = rehearse(make_client(), answers)

    assert (reply.status_code, reply.json) == (400, {"error": "invalid"})


def test_the_page_of_an_examination_opens_but_starts_nothing(make_client, stored):
    client = make_client()
    page = client.get("/doctor/seen", headers=NOTE).json["page"]
    ticket = page.partition("ticket=")[2]

    assert client.get(page).status_code == 200
    assert client.post("/api/open", json={"ticket": ticket}).json == {"stage": "new"}
    refused = client.post("/api/start", json={"ticket": ticket, "device": {}})
    assert (refused.status_code, refused.json) == (401, {"error": "token"})
    assert [stored(select(table)) for table in WRITTEN] == [[]] * len(WRITTEN)


def test_a_rehearsal_takes_no_trial_from_the_plan(make_client):
    client = make_client()
    database = client.application.extensions["vgan_eval"].database
    rehearse(client, 1000)

    with database.read() as session:
        free = session.scalars(select(schema.Trial.free)).all()

    assert free == [True] * 6


SPOOFED = {"X-Forwarded-For": "203.0.113.7, 198.51.100.9", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("proxies", "client_seen", "scheme"),
    [(0, "127.0.0.1", "http"), (1, "198.51.100.9", "https"), (2, "203.0.113.7", "http")],
)
def test_only_so_many_proxies_are_believed_as_there_are(make_client, proxies, client_seen, scheme):
    reply = make_client(trusted_proxies=proxies).get("/doctor/seen", headers={**NOTE, **SPOOFED})

    assert (reply.json["client"], reply.json["scheme"]) == (client_seen, scheme)


@pytest.fixture
def environment(make_study, tmp_path, monkeypatch):
    built = make_study()
    monkeypatch.setenv("VGAN_EVAL_DB", built.url)
    monkeypatch.setenv("VGAN_EVAL_MEDIA", str(tmp_path / "media"))
    return monkeypatch


def test_the_wsgi_application_is_set_by_the_environment(environment):
    environment.setenv("VGAN_EVAL_TRUSTED_PROXIES", "1")
    environment.setenv("VGAN_EVAL_FRAME_ANCESTORS", "https://a.example https://b.example")
    made = wsgi_app()
    client = made.test_client()
    seen = client.get("/doctor/seen", headers={**NOTE, **SPOOFED})
    door = client.get("/")
    made.extensions["vgan_eval"].database.close()

    assert seen.json["client"] == "198.51.100.9"
    assert (
        "frame-ancestors 'self' https://a.example https://b.example"
        in (seen.headers["Content-Security-Policy"])
    )
    assert door.status_code == 404  # only the join link lets anybody in
    assert not any("dashboard" in str(rule) for rule in made.url_map.iter_rules())


def refused(capsys) -> str:
    """Start the application; return what it says where it cannot."""
    with pytest.raises(SystemExit) as ended:
        wsgi_app()
    assert ended.value.code == 3  # gunicorn stops at that; after another it would try for ever
    return capsys.readouterr().err


def test_the_wsgi_application_of_a_folder_without_the_clips_does_not_start(
    environment, tmp_path, capsys
):
    environment.setenv("VGAN_EVAL_MEDIA", str(tmp_path / "elsewhere"))

    assert "encoded clips are not in it" in refused(capsys)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("VGAN_EVAL_DB", "", "VGAN_EVAL_DB is missing"),
        ("VGAN_EVAL_TRUSTED_PROXIES", "all", "VGAN_EVAL_TRUSTED_PROXIES=all: write how many"),
        ("VGAN_EVAL_TRUSTED_PROXIES", "9", "VGAN_EVAL_TRUSTED_PROXIES=9: write how many"),
        ("VGAN_EVAL_DASHBOARD_TOKEN", "short", "16 to 128 letters"),
        ("VGAN_EVAL_PSEUDONYM_KEY", "zz", "VGAN_EVAL_PSEUDONYM_KEY: a pseudonym key is 64 hex"),
    ],
)
def test_a_wrong_variable_is_named_in_one_line(environment, capsys, name, value, message):
    environment.setenv("VGAN_EVAL_DASHBOARD_TOKEN", "a-token-of-the-dashboard")
    environment.setenv(name, value)
    said = refused(capsys)

    assert said.startswith("vgan-eval: ")
    assert said.count("\n") == 1
    assert message in said
