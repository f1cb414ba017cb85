"""The whole loop: publish, find the HIT, accept, rate in the frame, hand in, approve, pay, table.

The service is at 127.0.0.1 and the rating page at localhost, which browsers hold to be two sites,
so the page lives in a cross-site frame without cookies or storage. Everything that a researcher
does goes through the commands.
"""

import csv
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from analysis import table1
from evaluation import schema
from evaluation.cli import main
from evaluation.database import open_database
from evaluation.sandbox import create_service
from evaluation.storage import LocalStore
from evaluation.study import Consent, Display, Pay, Recruit
from freezing import freeze_tables
from webapp import create_app

pytestmark = pytest.mark.browser


@dataclass
class Loop:
    """A running service, a running web app, and the study's database.

    Args:
        db: URL of the study's database.
        site: of the workers.
        pages: of the study, as workers' browsers reach it.
        cookies: what browsers sent to the web app; must stay empty.
    """

    db: str
    site: str
    pages: str
    cookies: list[str]

    def command(self, *arguments: str) -> None:
        assert main([*arguments, "--db", self.db]) == 0

    def rows(self, table):
        with open_database(self.db) as database, database.read() as session:
            return session.scalars(select(table).order_by(table.id)).all()


def _can_be_published(database) -> None:
    with database.write() as session:
        study = session.scalars(select(schema.Study)).one()
        freeze_tables(
            study, pay=Pay(reward_cents=25, bonus_cents=5, expected_minutes=2),
            recruit=Recruit(crowd="mturk", hit_title="Which clip looks real?"),
        )  # fmt: skip


@pytest.fixture
def start_loop(running, rating_study, study_template, tmp_path, monkeypatch):
    """Start both servers for a study of two workers with two pairs each: `start_loop(url)`."""
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(
            _looping(url, running, rating_study, study_template, tmp_path, monkeypatch)
        )


@contextmanager
def _looping(database_url, running, rating_study, study_template, tmp_path, monkeypatch):
    consent = Consent(text="You may stop at any time.")
    # Small clips: in a frame of another site, headless Chromium's screen has 800 x 600 pixels.
    recipe = rating_study.Recipe(
        frames=4, trials=2, practice=1, raters=2, sessions=1, consent=consent,
        display=Display(box=192),
    )  # fmt: skip
    if database_url.startswith("sqlite"):
        made, _ = study_template(recipe)
        shutil.copy(made / "study.db", tmp_path / "study.db")
        shutil.copytree(made / "media", tmp_path / "media")
        database = open_database(database_url)
    else:
        database = open_database(database_url)
        rating_study.build_study(database, tmp_path, recipe)
    _can_be_published(database)
    database.close()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    service = create_service(f"sqlite:///{tmp_path / 'service.db'}")
    cookies: list[str] = []
    with running(service) as port:
        site = f"http://127.0.0.1:{port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_MTURK", site)
        app = create_app(
            database_url, LocalStore(tmp_path / "media"), frame_ancestors=[site], form_hosts=[site]
        )
        inner = app.wsgi_app

        def listening(environ, start_response):
            cookies.append(environ.get("HTTP_COOKIE", ""))
            return inner(environ, start_response)

        app.wsgi_app = listening
        with running(app) as pages:
            yield Loop(database_url, site, f"http://localhost:{pages}", cookies)
        app.extensions["vgan_eval"].database.close()
    service.extensions["sandbox"].close()


@pytest.fixture
def loop(start_loop, database_url) -> Loop:
    """The whole, on the database of the test."""
    return start_loop(database_url)


@pytest.fixture
def published(start_loop, tmp_path) -> Loop:
    """The whole on SQLite, with its HIT published."""
    found = start_loop(f"sqlite:///{tmp_path / 'study.db'}")
    found.command("publish-hits", "--url", found.pages, "--yes")
    return found


@pytest.fixture
def errors(page: Page):
    found: list[str] = []

    def note(message) -> None:
        expected = ("Failed to load resource", "willReadFrequently")
        if message.type == "error" and not any(words in message.text for words in expected):
            found.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def _sign_in(page: Page, loop: Loop, worker: str) -> None:
    page.goto(loop.site)
    page.get_by_label("Worker id").fill(worker)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="HITs", exact=True)).to_be_visible()


def _begin(task) -> None:
    task.get_by_role("button", name="I agree").click()
    task.get_by_role("button", name="Start").click()


def _answer(task, name: str) -> None:
    """Wait until the answers are open, then give one."""
    expect(task.locator("#trial.ready")).to_be_visible()
    before = task.locator("#count").inner_text()
    task.locator(f"button.answer[data-choice={name}]").dblclick()
    expect(task.locator("#count")).not_to_have_text(before)


def _last_answer(task, name: str) -> None:
    expect(task.locator("#trial.ready")).to_be_visible()
    task.locator(f"button.answer[data-choice={name}]").click()


# On SQLite, browsers do the sessions below, and the commands have tests of their own.
@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_from_publishing_to_table_1(page: Page, loop: Loop, errors, tmp_path: Path, capsys) -> None:
    loop.command("publish-hits", "--url", loop.pages, "--yes")
    assert "In all 0.60 USD" in capsys.readouterr().out  # two sessions of 25 cents and a fee of 5

    _sign_in(page, loop, "A1FIRST")
    page.get_by_role("link", name="Preview").click()
    task = page.frame_locator("iframe.task")
    expect(task.get_by_text("This is a preview.")).to_be_visible()
    expect(task.get_by_role("img", name="Left clip")).to_be_visible()
    assert loop.rows(schema.Assignment) == []

    page.get_by_role("button", name="Accept").click()
    _begin(task)
    expect(task.locator("#count")).to_have_text("Practice 1 of 1")
    _last_answer(task, "left")
    task.get_by_role("button", name="Continue").click()
    _answer(task, "right")
    page.reload()  # in the middle of the session
    _last_answer(task, "left")
    expect(page.get_by_role("status")).to_contain_text("Submitted. Thank you!")

    _sign_in(page, loop, "A2SECOND")
    page.get_by_role("button", name="Accept & work").click()
    _begin(task)
    _last_answer(task, "left")
    task.get_by_role("button", name="Continue").click()
    _answer(task, "left")
    _last_answer(task, "left")
    expect(page.get_by_role("status")).to_contain_text("Submitted. Thank you!")

    loop.command("review")
    loop.command("review")
    loop.command("pay", "--yes")
    loop.command("status")
    shown = capsys.readouterr().out
    assert "4 of 4 judgments" in shown
    assert "reward done: 0.50 USD in 2 payments" in shown
    assert "bonus done: 0.10 USD in 2 payments" in shown
    page.get_by_role("link", name="History and earnings").click()
    expect(page.locator("dl").first).to_contain_text("$0.30")

    loop.command("export", "--out", str(tmp_path / "out"))
    with (tmp_path / "out" / "judgments.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["trial_kind"] == "test"]
    assert {(row["crowd"], row["environment"]) for row in rows} == {("mturk", "sandbox")}
    assert len({row["worker"] for row in rows}) == 2
    assert not {"A1FIRST", "A2SECOND"} & {row["worker"] for row in rows}
    judgments = str(tmp_path / "out" / "judgments.csv")
    capsys.readouterr()
    table1.main(["--judgments", judgments, "--format", "csv"], standalone_mode=False)
    table = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    beach = next(row for row in table if row["category"] == "beach")
    assert beach["n"] == "4"
    real = [row["label"].startswith("real/") for row in rows]
    assert float(beach["percent"]) == 100 * sum(real) / 4
    assert set(loop.cookies) == {""}
    assert errors == []


def test_a_returned_assignment_is_done_by_another_worker_under_the_same_id(
    page: Page, published: Loop, errors
) -> None:
    task = page.frame_locator("iframe.task")
    page.request.post(f"{published.site}/_sandbox/settings", data={"reuse_returned_ids": True})
    _sign_in(page, published, "A1FIRST")
    page.get_by_role("button", name="Accept & work").click()
    _begin(task)
    expect(task.locator("#count")).to_have_text("Practice 1 of 1")
    page.get_by_role("button", name="Return").click()

    _sign_in(page, published, "A2SECOND")
    page.get_by_role("button", name="Accept & work").click()
    _begin(task)
    expect(task.locator("#count")).to_have_text("Practice 1 of 1")

    first, second = published.rows(schema.Assignment)
    assert first.external_id == second.external_id
    assert first.worker_id != second.worker_id
    assert errors == []


def test_a_worker_who_took_part_is_told_to_return_the_next_hit(
    page: Page, published: Loop, errors
) -> None:
    # Another HIT, whose worker had a session before
    with open_database(published.db) as database, database.write() as session:
        hit = session.scalars(select(schema.Hit)).one()
        worker = schema.Worker(
            crowd="mturk", environment=hit.environment, external_id="A1AGAIN",
            created_at=hit.created_at,
        )  # fmt: skip
        session.add(worker)
        session.flush()
        session.add(
            schema.Assignment(
                study_id=hit.study_id, hit_id=hit.id, worker_id=worker.id, crowd="mturk",
                environment=hit.environment, external_id="3EARLIER",
                status=schema.AssignmentStatus.SUBMITTED, accepted_at=hit.created_at,
                lease_until=hit.created_at,
            )
        )  # fmt: skip
    _sign_in(page, published, "A1AGAIN")
    page.get_by_role("button", name="Accept & work").click()

    task = page.frame_locator("iframe.task")
    expect(task.get_by_role("heading")).to_have_text("You have already taken part")
    expect(task.get_by_text("Please return this HIT")).to_be_visible()
    assert errors == []


def test_submission_that_got_lost_is_sent_again_by_the_button(
    page: Page, published: Loop, errors
) -> None:
    task = page.frame_locator("iframe.task")
    page.route("**/mturk/externalSubmit", lambda route: route.abort())
    _sign_in(page, published, "A1LOST")
    page.get_by_role("button", name="Accept & work").click()
    _begin(task)
    _last_answer(task, "left")
    task.get_by_role("button", name="Continue").click()
    _answer(task, "right")
    with page.expect_event("requestfailed", lambda r: "externalSubmit" in r.url):
        _last_answer(task, "left")
    page.unroute("**/mturk/externalSubmit")
    page.reload()

    task.get_by_role("button", name="Submit the HIT").click()

    expect(page.get_by_role("status")).to_contain_text("Submitted. Thank you!")
