"""The worker site in a real browser: the task runs in a frame from another site.

The service is at 127.0.0.1 and the task at localhost, which browsers hold to be two sites.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask, request
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from evaluation.sandbox import create_service

pytestmark = pytest.mark.browser

TASK = """<!doctype html><html lang="en"><head><title>Task</title></head><body>
<main><h1>Which looks more real?</h1><p id="ids"></p>
<form method="post" id="answers"><input type="hidden" name="assignmentId">
<label>Choice <input name="choice" value="left"></label> <button>Send</button></form></main>
<script>
const given = new URLSearchParams(location.search);
document.getElementById("ids").textContent = given.get("assignmentId") +
  " " + given.get("workerId");
const form = document.getElementById("answers");
form.assignmentId.value = given.get("assignmentId");
if (given.get("turkSubmitTo"))
  form.action = new URL("/mturk/externalSubmit", given.get("turkSubmitTo"));
else form.querySelector("button").disabled = true;
</script></body></html>"""
QUESTION = (
    '<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/'
    '2006-07-14/ExternalQuestion.xsd"><ExternalURL>{url}</ExternalURL>'
    "<FrameHeight>700</FrameHeight></ExternalQuestion>"
)
HTML_QUESTION = (
    '<HTMLQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/'
    '2011-11-11/HTMLQuestion.xsd"><HTMLContent><![CDATA[<!DOCTYPE html><html lang="en"><head>'
    '<title>T</title><script src="https://s3.amazonaws.com/mturk-public/externalHIT_v1.js">'
    "</script>"
    '</head><body><form id="mturk_form" method="post" '
    'action="https://www.mturk.com/mturk/externalSubmit"><input type="hidden" name="assignmentId" '
    'id="assignmentId"><label>Answer <input name="answer"></label><input type="submit" '
    'id="submitButton" value="Send"></form><script>turkSetAssignmentID();</script></body></html>'
    "]]></HTMLContent><FrameHeight>0</FrameHeight></HTMLQuestion>"
)


@contextmanager
def _running(app: Flask) -> Iterator[int]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def framed() -> Iterator[list[str]]:
    """A requester's page at localhost; yields its URL and then the cookies it was sent."""
    app = Flask(__name__)
    seen: list[str] = []

    @app.get("/task")
    def task() -> str:
        seen.append(request.headers.get("Cookie", ""))
        return TASK

    with _running(app) as port:
        seen.append(f"http://localhost:{port}/task")
        yield seen


@pytest.fixture
def service(tmp_path: Any) -> Iterator[str]:
    app = create_service(
        f"sqlite:///{tmp_path}/sandbox.db", clock=lambda: datetime(2030, 1, 1, 12, tzinfo=UTC)
    )
    with _running(app) as port:
        yield f"http://127.0.0.1:{port}"
    app.extensions["sandbox"].close()


@pytest.fixture
def requester(service: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import boto3  # noqa: TID251 (the requester is an unmodified client)

    monkeypatch.setenv("AWS_ENDPOINT_URL_MTURK", service)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    client = boto3.session.Session("AKIDE2E", "secret", region_name="us-east-1").client("mturk")
    yield client
    client.close()


@pytest.fixture
def publish(requester: Any) -> Any:
    def _publish(question: str, **more: Any) -> str:
        return requester.create_hit(
            **{
                "Title": "Which video looks more real?",
                "Description": "Watch two short clips and choose one.",
                "Keywords": "video, choice",
                "Reward": "0.10",
                "AssignmentDurationInSeconds": 600,
                "LifetimeInSeconds": 86_400,
                "MaxAssignments": 2,
                "Question": question,
                **more,
            }
        )["HIT"]["HITId"]

    return _publish


@pytest.fixture
def errors(page: Page) -> list[str]:
    """What the page reports on its console as errors, and uncaught exceptions."""
    found: list[str] = []
    page.on("console", lambda message: message.type == "error" and found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def _sign_in(page: Page, service: str, worker: str) -> None:
    page.goto(service)
    page.get_by_label("Worker id").fill(worker)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="HITs", exact=True)).to_be_visible()


def test_worker_previews_accepts_works_in_the_frame_and_is_paid(
    page: Page, service: str, requester: Any, publish: Any, framed: list[str], errors: list[str]
) -> None:
    hit = publish(QUESTION.format(url=framed[0]))
    _sign_in(page, service, "A1BROWSER")
    page.get_by_role("link", name="Preview").click()
    task = page.frame_locator("iframe.task")
    expect(task.locator("#ids")).to_have_text("ASSIGNMENT_ID_NOT_AVAILABLE null")
    expect(task.get_by_role("button", name="Send")).to_be_disabled()

    page.get_by_role("button", name="Accept").click()
    expect(task.locator("#ids")).to_contain_text("A1BROWSER")
    expect(page.get_by_role("timer")).to_have_text("0:10:00")
    task.get_by_label("Choice").fill("right")
    task.get_by_role("button", name="Send").click()

    expect(page.get_by_role("status")).to_contain_text("Submitted. Thank you!")
    (assignment,) = requester.list_assignments_for_hit(HITId=hit)["Assignments"]
    assert assignment["WorkerId"] == "A1BROWSER"
    assert "<FreeText>right</FreeText>" in assignment["Answer"]
    requester.approve_assignment(AssignmentId=assignment["AssignmentId"])
    page.get_by_role("link", name="History and earnings").click()
    expect(page.locator("dd").first).to_have_text("$0.10")
    assert framed[1:] == ["", ""]  # the frame was sent no cookies
    assert errors == []


def test_returned_assignment_goes_to_another_worker_under_the_same_id(
    page: Page, service: str, publish: Any, framed: list[str], errors: list[str]
) -> None:
    page.request.post(f"{service}/_sandbox/settings", data={"reuse_returned_ids": True})
    publish(QUESTION.format(url=framed[0]), MaxAssignments=1)
    _sign_in(page, service, "A1FIRST")
    page.get_by_role("button", name="Accept & work").click()
    ids = page.frame_locator("iframe.task").locator("#ids")
    expect(ids).to_contain_text("A1FIRST")
    first = ids.inner_text().split()[0]
    page.get_by_role("button", name="Return").click()

    _sign_in(page, service, "A1SECOND")
    page.get_by_role("button", name="Accept & work").click()

    expect(ids).to_have_text(f"{first} A1SECOND")
    assert errors == []


def test_html_question_written_for_amazon_submits_here(
    page: Page, service: str, requester: Any, publish: Any, errors: list[str]
) -> None:
    hit = publish(HTML_QUESTION)
    _sign_in(page, service, "A1HTML")
    page.get_by_role("link", name="Preview").click()
    task = page.frame_locator("iframe.task")
    expect(task.locator("#submitButton")).to_be_disabled()
    page.get_by_role("button", name="Accept").click()
    task.get_by_label("Answer").fill("forty-two")
    task.get_by_role("button", name="Send").click()

    expect(page.get_by_role("status")).to_contain_text("Submitted")
    (assignment,) = requester.list_assignments_for_hit(HITId=hit)["Assignments"]
    assert "<FreeText>forty-two</FreeText>" in assignment["Answer"]
    assert errors == []


def test_site_works_by_keyboard_alone(
    page: Page, service: str, publish: Any, framed: list[str]
) -> None:
    publish(QUESTION.format(url=framed[0]))
    page.goto(service)
    expect(page.get_by_label("Worker id")).to_be_focused()
    page.keyboard.type("a1keys")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="HITs", exact=True)).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Accept & work":
            break
    page.keyboard.press("Enter")

    expect(page.frame_locator("iframe.task").locator("#ids")).to_contain_text("A1KEYS")


def test_ineligible_worker_is_told_why_and_cannot_accept(
    page: Page, service: str, publish: Any, framed: list[str]
) -> None:
    requirement = {
        "QualificationTypeId": "00000000000000000071",
        "Comparator": "EqualTo",
        "LocaleValues": [{"Country": "DE"}],
    }
    publish(QUESTION.format(url=framed[0]), QualificationRequirements=[requirement])
    _sign_in(page, service, "A1US")

    expect(page.get_by_text("Location in DE")).to_contain_text("you: US; not met")
    expect(page.get_by_role("button", name="Accept & work")).to_be_disabled()

    page.get_by_role("link", name="Profile").click()
    page.get_by_label("Country").fill("DE")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="HITs").click()
    expect(page.get_by_role("button", name="Accept & work")).to_be_enabled()


def test_pages_have_no_accessibility_violations_and_fit_a_phone(
    page: Page, service: str, publish: Any, requester: Any, framed: list[str]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    name = "Took part in study 7ed64be720f520305e8b1c70"
    requester.create_qualification_type(
        Name=name, Description=name, QualificationTypeStatus="Active"
    )
    publish(QUESTION.format(url=framed[0]))
    _sign_in(page, service, "A1AXE")
    pages = ["", *(f"/worker/A1AXE/{p}" for p in ("hits", "history", "qualifications", "profile"))]
    for path in pages:
        page.set_viewport_size({"width": 360, "height": 740})
        page.goto(service + path)
        assert page.evaluate("document.documentElement.scrollWidth") == 360, path
        page.set_viewport_size({"width": 1280, "height": 720})
        assert axe.run(page).violations_count == 0, path
    page.goto(f"{service}/worker/A1AXE/hits")
    page.get_by_role("button", name="Accept & work").click()
    expect(page.frame_locator("iframe.task").locator("#ids")).to_contain_text("A1AXE")
    results = axe.run(page)
    assert results.violations_count == 0, results.generate_report()
