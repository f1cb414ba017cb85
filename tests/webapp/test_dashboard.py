"""The dashboard: who may see it, what it says of a study made by hand, pausing, and the export."""

import io
import re
import zipfile

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from evaluation import schema
from evaluation.cli import cli
from evaluation.database import find_study, open_database
from evaluation.errors import UsageError
from evaluation.planning.progress import study_progress
from evaluation.privacy.pseudonyms import installation_key, pseudonym
from webapp import create_app
from webapp.dashboard import TOKEN_VARIABLE, dashboard_token
from webapp.dashboard_child import JOBS
from webapp.dashboard_commands import study_words

TOKEN = "a-token-of-some-length"
HOME = f"/dashboard/{TOKEN}/"
PEOPLE = ("A1ANN", "A1BOB")


@pytest.fixture(autouse=True)
def _jobs_without_a_process(monkeypatch):
    """The jobs run in the test's process: starting Python for each would take seconds."""
    monkeypatch.setattr("webapp.dashboard.run_child", lambda job, **asked: JOBS[job](**asked))


@pytest.fixture
def board(filled):
    """A client of its application, with a dashboard."""
    app = create_app(filled.url, filled.store, dashboard_token=TOKEN)
    app.testing = True
    yield app.test_client()
    app.extensions["vgan_eval"].database.close()


def test_a_wrong_token_is_a_page_that_does_not_exist(board):
    wrong, none = board.get("/dashboard/b-token-of-some-length/"), board.get("/nothing/here")

    assert board.get(HOME).status_code == 200
    assert (wrong.status_code, wrong.data) == (none.status_code, none.data) == (404, none.data)
    assert dict(wrong.headers) == dict(none.headers)
    assert board.get("/dashboard/").status_code == 404
    assert board.get("/dashboard/b-token-of-some-length").status_code == 404
    assert board.get(HOME.rstrip("/")).status_code == 200
    assert board.get("/dashboard/é/workers").status_code == 404
    assert board.post("/dashboard/wrong/pause", data={"token": TOKEN}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "wrong/pause"), ("HEAD", "wrong/resume"), ("POST", "wrong/"), ("PUT", "wrong/live"),
        ("OPTIONS", "wrong/pause"), ("GET", "/wrong/live"), ("GET", "wrong//workers"),
    ],
)  # fmt: skip
def test_a_wrong_token_is_no_page_by_any_method(board, method, path):
    wrong = board.open(f"/dashboard/{path}", method=method)
    none = board.open(f"/nothing/{path}", method=method)

    assert (wrong.status_code, wrong.data, dict(wrong.headers)) == (
        404, none.data, dict(none.headers)
    )  # fmt: skip
    assert board.get(f"/dashboard//{TOKEN}/live").status_code == 308


def test_commands_to_copy_name_the_database_and_the_study(board, filled):
    page = board.get(HOME).text

    assert f"<code>vgan-eval status --db {filled.url} --study secret-study-name</code>" in page
    assert study_words("sqlite:///vgan-eval.db", "golf") == "--study golf"
    address = "postgresql+psycopg://ann:secret@host/studies?password=secret"
    assert study_words(address, "golf") == "--db postgresql://ann@host/studies --study golf"


@pytest.mark.parametrize(
    ("crowd", "details"),
    [
        ("mturk", {"offer": {"url": "https://rate.example.org/mturk/0123"}}),
        ("link", {"url": "https://rate.example.org"}),
    ],
)
def test_commands_to_copy_are_for_production_where_the_study_is(board, filled, crowd, details):
    with open_database(filled.url) as database, database.write() as session:
        hit = session.scalars(select(schema.Hit)).one()
        hit.environment, hit.crowd = schema.Environment.PRODUCTION, crowd
        hit.details, hit.state = details, schema.CallState.INTENDED
    page = board.get(HOME).text

    study = f"--db {filled.url} --study secret-study-name"
    address = "--production --url https://rate.example.org"
    assert f"<code>vgan-eval publish {study} {address}</code>" in page
    assert f"<code>vgan-eval top-up {study} {address}</code>" in page
    assert f"<code>vgan-eval status {study}</code>" in page


def test_categories_have_the_names_that_the_study_file_gives_them(board, filled):
    with open_database(filled.url) as database, database.write() as session:
        study = find_study(session, None)
        slug = study_progress(session, study)[0].category
        study.settings = {**study.settings, "categories": {slug: "Links golf"}}
    page = board.get(HOME).text

    assert '<span class="name">Links golf</span>' in page
    assert f'<span class="name">{slug}</span>' not in page


def test_an_error_is_logged_without_the_token(board, monkeypatch, caplog):
    def fail():
        raise RuntimeError("no template")

    monkeypatch.setattr("webapp.dashboard._shown", fail)
    board.application.testing = False
    reply = board.get(HOME)

    assert reply.status_code == 500
    assert "Exception on /dashboard/TOKEN/ [GET]" in caplog.text
    assert "no template" in caplog.text
    assert TOKEN not in caplog.text


def test_without_a_token_there_is_no_dashboard(make_client):
    assert make_client().get(HOME).status_code == 404


def test_a_token_that_can_be_guessed_is_refused(filled):
    assert dashboard_token({TOKEN_VARIABLE: TOKEN}) == TOKEN
    assert dashboard_token({}) != dashboard_token({})
    with pytest.raises(UsageError, match=f"{TOKEN_VARIABLE}: write 16 to 128"):
        dashboard_token({TOKEN_VARIABLE: "short"})
    with pytest.raises(UsageError, match="16 to 128 letters"):
        create_app(filled.url, filled.store, dashboard_token="with a/slash in it")


def test_the_page_is_private_and_needs_no_cookie_and_no_inline_script(board):
    reply = board.get(HOME)

    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"]
    assert "script-src 'self'; style-src 'self';" in reply.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in reply.headers
    assert not re.search(r"<style|\sstyle=|<script>|\son\w+=", reply.text)


def test_no_page_for_workers_knows_of_the_dashboard(board):
    entry = board.get("/local?rater=ann")
    pages = [board.get(entry.headers["Location"]), board.get("/healthz"), board.get("/mturk/none")]

    assert pages[0].status_code == 200
    for page in pages:
        assert "dashboard" not in page.text
        assert TOKEN not in page.text
        assert "dashboard" not in str(page.headers)


def test_no_page_of_the_dashboard_names_a_platforms_ids_or_the_studys_secret(board):
    texts = [board.get(HOME + path).text for path in ("", "live", "workers")]

    for text in texts:
        assert not re.search("A1ANN|A1BOB|3HIT", text)
        assert "5" * 64 not in text
    assert "VGAN" not in texts[0]
    assert "real over vgan-two-stream" in texts[0]


def test_pausing_lets_nobody_new_in_and_who_has_started_finishes(board, stored):
    opened = board.get("/local?rater=carl").headers["Location"]
    ticket = opened.split("ticket=")[1].split("&")[0]

    assert board.post(HOME + "pause", data={"token": TOKEN}).status_code == 303
    assert "PAUSED" in board.get(HOME).text
    assert board.post("/api/open", json={"ticket": ticket}).json == {"stage": "paused"}
    refused = board.post("/api/start", json={"ticket": ticket, "device": {}})
    assert (refused.status_code, refused.json) == (409, {"error": "paused"})
    assert stored(select(schema.Event.kind))[-1] == "paused"

    board.post(HOME + "resume", data={"token": TOKEN})
    assert board.post("/api/open", json={"ticket": ticket}).json == {"stage": "nothing_left"}
    assert "RUNNING" in board.get(HOME).text


def test_a_rater_in_the_middle_of_a_session_finishes_while_the_study_is_paused(make_client):
    client = make_client(dashboard_token=TOKEN)
    ticket = client.get("/local?rater=ann").headers["Location"].split("ticket=")[1].split("&")[0]
    state = client.post("/api/start", json={"ticket": ticket, "device": {}}).json
    key = {"Authorization": f"Bearer {state['token']}"}

    client.post(HOME + "pause", data={"token": TOKEN})
    while state["stage"] == "trials":
        answer = {
            "position": state["showing"]["position"], "question": "realism", "choice": "left",
            "rt_ms": 900, "clip_ms": 500, "details": {},
        }  # fmt: skip
        state = client.post("/api/judgment", json=answer, headers=key).json["state"]

    assert client.post("/api/finish", json={}, headers=key).json["stage"] == "done"


def test_a_form_without_the_token_pauses_nothing(board, stored):
    assert board.post(HOME + "pause").status_code == 403
    assert board.post(HOME + "pause", data={"token": "another"}).status_code == 403
    assert board.get(HOME + "pause").status_code == 405
    assert stored(select(schema.Study.paused)) == [False]


def test_the_export_is_one_zip_under_pseudonyms(board, filled):
    with board.get(HOME + "export.zip") as reply:
        packed = zipfile.ZipFile(io.BytesIO(reply.data))
    texts = {name: packed.read(name).decode() for name in packed.namelist()}

    assert sorted(name.split("/")[1] for name in texts) == [
        "clips.csv", "data-dictionary.md", "judgments.csv", "sessions.csv", "study.toml"
    ]  # fmt: skip
    assert not any(name in text for name in PEOPLE for text in texts.values())
    ann = pseudonym(installation_key(filled.url), "worker", "mturk", "sandbox", "A1ANN")
    assert ann in texts["secret-study-name/sessions.csv"]
    assert ann in board.get(HOME + "workers").text


def test_one_export_at_a_time(board):
    lock = board.application.extensions["vgan_eval_dashboard"].exporting

    with lock:
        assert board.get(HOME + "export.zip").status_code == 503
    with board.get(HOME + "export.zip") as reply:
        assert reply.status_code == 200


def test_the_live_part_is_sent_again_only_when_it_has_changed(board):
    first = board.get(HOME + "live")
    while "being computed" in first.text:  # Table 1, in its own thread
        first = board.get(HOME + "live")
    tag = {"If-None-Match": first.headers["ETag"]}

    assert board.get(HOME + "live", headers=tag).status_code == 304
    board.post(HOME + "pause", data={"token": TOKEN})
    assert board.get(HOME + "live", headers=tag).status_code == 200


def test_a_study_of_simulated_raters_has_a_dashboard_and_no_rating_page(
    make_study, moment, rate_pairs
):
    built = make_study()
    database = open_database(built.url)
    with database.write() as session:
        study = find_study(session, None)
        hit = schema.Hit(
            study_id=study.id, crowd="simulated", environment=schema.Environment.SIMULATED,
            token="s", state=schema.CallState.DONE, created_at=moment,
        )  # fmt: skip
        session.add(hit)
        session.flush()
        rate_pairs(session, study, hit, "simulated-0001", moment, 1, "left", 900.0)
    database.close()

    app = create_app(built.url, built.store, dashboard_token=TOKEN)
    client = app.test_client()
    shown = client.get(HOME).text

    assert "SIMULATED RATERS" in shown
    assert "NOBODY IS LET IN" in shown
    assert client.get("/").status_code == client.get("/local?rater=ann").status_code == 404
    app.extensions["vgan_eval"].database.close()


def test_an_empty_study_shows_its_plan_and_no_number_that_is_not_there(make_client):
    client = make_client(dashboard_token=TOKEN)
    text = client.get(HOME).text

    assert re.search(r"0 <small>of 6</small>", text)
    assert "none came in the last day" in text
    assert text.count("No judgments yet.") == 5
    assert "nan" not in text.lower().replace("tenant", "")
    assert client.get(HOME + "workers").status_code == 200


def test_serve_prints_the_address_of_the_dashboard_beside_the_raters_link(filled, monkeypatch):
    apps = []

    def kept(*arguments, **options):
        apps.append(create_app(*arguments, **options))
        return apps[-1]

    monkeypatch.setattr("webapp.create_app", kept)
    monkeypatch.setattr("webapp.server.Server.run", lambda self: None)
    media = str(filled.store.folder)
    asked = ["serve", "--db", filled.url, "--media", media, "--host", "127.0.0.1", "--port", "0"]

    plain = CliRunner().invoke(cli, asked)
    shown = CliRunner().invoke(cli, [*asked, "--dashboard"], env={TOKEN_VARIABLE: TOKEN})
    short = CliRunner().invoke(cli, [*asked, "--dashboard"], env={TOKEN_VARIABLE: "short"})

    assert "Serving a crowd's workers at http://127.0.0.1" in plain.output
    assert "Nothing is published" not in plain.output
    assert "/join/" not in plain.output
    assert "ashboard" not in plain.output
    assert re.search(rf"http://127\.0\.0\.1:\d+/dashboard/{TOKEN}/\n", shown.output)
    assert isinstance(short.exception, UsageError)
    for app in apps:
        app.extensions["vgan_eval"].database.close()


def test_numbers_that_cannot_be_read_are_said_to_be_old(board, monkeypatch):
    counts = board.application.extensions["vgan_eval_dashboard"].counts
    board.get(HOME)
    monkeypatch.setattr(counts, "_make", lambda: (_ for _ in ()).throw(OSError(28, "disk full")))
    monkeypatch.setattr(counts, "_next", 0.0)
    while "These numbers are old" not in (text := board.get(HOME).text):
        pass

    assert "it could not be run (disk full)" in text
    assert re.search(r"<small>of 6</small>", text)
