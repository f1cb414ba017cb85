"""Workers of an MTurk-compatible service: preview, accept, return, come back, hand in."""

import hashlib
import html
import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from sqlalchemy import select, update
from werkzeug.datastructures import MultiDict

from evaluation import schema
from evaluation.database import open_database
from evaluation.secret import page_key
from evaluation.study import Consent
from webapp.mturk import may_submit_to, read_arrival

SITE = "http://127.0.0.1:8900"
HIT = "3HIT0000000000000000000000000A"
SECRETS = re.compile(r"secret-study-name|\breal\b|two-stream|beach|clip-|\.mp4|\bgold\b")


@pytest.fixture
def change(tmp_path):
    """Change this test's study: `change(lambda session: ...)`."""
    url = f"sqlite:///{tmp_path / 'study.db'}"

    def run(what):
        with open_database(url) as database, database.write() as session:
            return what(session)

    return run


@pytest.fixture
def publish(change):
    """Write a published HIT down; `external_id=None` is one that is being made."""

    def add(external_id=HIT, environment=schema.Environment.SANDBOX):
        def row(session):
            study = session.scalars(select(schema.Study)).one()
            made = external_id is not None
            session.add(
                schema.Hit(
                    study_id=study.id, crowd="mturk", environment=environment,
                    token=f"token {external_id}", external_id=external_id,
                    state=schema.CallState.DONE if made else schema.CallState.INTENDED,
                    max_assignments=9, reward_cents=10, currency="USD",
                    expires_at=datetime.now(UTC) + timedelta(days=1), created_at=datetime.now(UTC),
                )
            )  # fmt: skip
            return page_key(study.secret)

        return change(row)

    return add


@pytest.fixture
def client(make_client, rating_study):
    """An application that hands in to one site, and a study for three workers, one session each."""

    def make(**recipe):
        settings = {"trials": 2, "practice": 1, "sessions": 1, "raters": 3} | recipe
        return make_client(
            rating_study.Recipe(**settings), frame_ancestors=[SITE], form_hosts=[SITE]
        )

    return make


def frame(key, assignment="3ASSIGN", worker="A1WORKER", hit=HIT, submit_to=SITE, **changes):
    given = {
        "assignmentId": assignment, "hitId": hit, "workerId": worker, "turkSubmitTo": submit_to
    }  # fmt: skip
    given = {name: value for name, value in (given | changes).items() if value is not None}
    return f"/mturk/{key}?{urlencode(given)}"


def preview(key, **changes):
    return frame(key, "ASSIGNMENT_ID_NOT_AVAILABLE", None, submit_to=None, **changes)


def ticket_of(reply):
    assert reply.status_code == 302, reply.text
    return parse_qs(urlsplit(reply.location).query)["ticket"][0]


def post(client, path, body, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.post(f"/api/{path}", json=body, headers=headers)


def accept(client, key, **ids):
    """Accept and press Start; return the reply to it."""
    ticket = ticket_of(client.get(frame(key, **ids)))
    return post(client, "start", {"ticket": ticket, "consent": None, "device": {}})


def answer(client, state, token, choice="left"):
    body = {
        "position": state["showing"]["position"], "question": "realism", "choice": choice,
        "rt_ms": 900, "clip_ms": 1000, "details": {},
    }  # fmt: skip
    return post(client, "judgment", body, token).get_json()["state"]


def config_of(reply):
    found = re.search(r'data-config="([^"]*)"', reply.text)
    return json.loads(html.unescape(found.group(1)))


def heading(reply):
    return re.search(r"<h1[^>]*>([^<]*)<", reply.text).group(1)


def test_preview_shows_the_work_and_an_example_and_writes_nothing(client, publish, stored):
    app = client()
    key = publish()

    reply = app.get(preview(key))

    assert reply.status_code == 200
    assert "This is a preview." in reply.text
    assert "Which video is more realistic?" in reply.text
    sample = json.loads(html.unescape(re.search(r'data-sample="([^"]*)"', reply.text).group(1)))
    clip = app.get(f"/mturk/{sample['left']['url']}".replace("mturk/../", ""))
    assert clip.status_code == 200
    assert clip.content_length == sample["left"]["bytes"] == sample["right"]["bytes"]
    assert stored(select(schema.Worker)) == []
    assert stored(select(schema.Assignment)) == []
    assert not SECRETS.search(reply.text)


def test_preview_names_every_question_in_the_language_of_the_page(client, publish):
    questions = (("realism", "Which video is more realistic?"), ("motion", "Which moves better?"))
    app = client(questions=questions, text={"en": {}, "de": {"questions.motion": "Und besser?"}})

    shown = app.get(preview(publish()), headers={"Accept-Language": "de"}).text

    asked = re.findall(r'<li dir="auto"><strong>(.*?)</strong></li>', shown)
    assert asked == ["Welches Video ist realistischer?", "Und besser?"]


def test_preview_of_a_study_without_practice_has_no_example(client, publish):
    app = client(practice=0)

    reply = app.get(preview(publish()))

    assert "This is a preview." in reply.text
    assert "data-sample" not in reply.text


def test_preview_says_that_nothing_is_left_before_anybody_accepts(client, publish, change):
    app = client()
    key = publish()
    change(lambda session: session.execute(update(schema.Trial).values(free=False)))

    reply = app.get(preview(key))

    assert heading(reply) == "Nothing is left to rate"
    assert "do not accept this HIT" in reply.text


def test_preview_tells_a_worker_who_took_part(client, publish, change):
    app = client()
    key = publish()
    accept(app, key)
    change(lambda session: session.execute(update(schema.Assignment).values(status="submitted")))

    reply = app.get(preview(key, workerId="A1WORKER"))

    assert heading(reply) == "You have already taken part"


@pytest.mark.parametrize("environment", ["sandbox", "production"])
def test_session_is_of_the_published_hit_and_its_environment(client, publish, stored, environment):
    app = client()
    key = publish(environment=schema.Environment(environment))

    started = accept(app, key)

    assert started.get_json()["stage"] == "trials"
    (assignment,) = stored(select(schema.Assignment))
    (worker,) = stored(select(schema.Worker))
    (hit,) = stored(select(schema.Hit))
    assert assignment.hit_id == hit.id
    assert (assignment.crowd, assignment.environment) == ("mturk", environment)
    assert (worker.external_id, worker.environment) == ("A1WORKER", environment)
    assert assignment.external_id == "3ASSIGN"


def test_accepting_writes_nothing_before_start_is_pressed(client, publish, stored):
    app = client()

    ticket = ticket_of(app.get(frame(publish())))

    assert post(app, "open", {"ticket": ticket}).get_json() == {"stage": "new"}
    assert stored(select(schema.Assignment)) == []


def test_reload_resumes_the_session_at_its_first_open_pair(client, publish):
    app = client()
    key = publish()
    started = accept(app, key).get_json()
    second = answer(app, started, started["token"])

    again = post(app, "open", {"ticket": ticket_of(app.get(frame(key)))}).get_json()

    assert again["showing"] == second["showing"]


def test_starting_twice_is_one_session(client, publish, stored):
    app = client()
    key = publish()

    first, second = accept(app, key).get_json(), accept(app, key).get_json()

    assert first["showing"] == second["showing"]
    assert len(stored(select(schema.Assignment))) == 1


def test_another_worker_under_the_same_assignment_id_has_a_session_of_their_own(
    client, publish, stored
):
    app = client()
    key = publish()
    accept(app, key, worker="A1FIRST")

    accept(app, key, worker="A2SECOND")

    first, second = stored(select(schema.Assignment).order_by(schema.Assignment.id))
    assert first.external_id == second.external_id
    assert first.worker_id != second.worker_id


def test_worker_who_returned_the_hit_and_took_it_again_starts_anew(client, publish, stored):
    app = client()
    key = publish()
    started = accept(app, key, assignment="3ONE").get_json()
    answer(app, started, started["token"])

    again = accept(app, key, assignment="3TWO")

    assert again.get_json()["stage"] == "trials"
    first, second = stored(select(schema.Assignment).order_by(schema.Assignment.id))
    assert (first.status, second.status) == ("returned", "accepted")
    (judgment,) = stored(select(schema.Judgment))
    assert judgment.status == "returned"


def test_taking_a_hit_ends_neither_others_sessions_nor_those_of_other_hits(client, publish, stored):
    app = client(sessions=2)
    key = publish()
    publish("3HITB")
    accept(app, key, assignment="3ONE")
    accept(app, key, assignment="3TWO", worker="A2WORKER")

    accept(app, key, assignment="3THREE", hit="3HITB")

    sessions = stored(select(schema.Assignment))
    assert [one.status for one in sessions] == ["accepted"] * 3


def test_worker_over_the_limit_is_told_to_return_the_hit(client, publish, stored):
    app = client()
    key = publish()
    publish("3HITB")
    accept(app, key)

    reply = app.get(frame(key, "3OTHER", hit="3HITB"))

    assert reply.status_code == 409
    assert heading(reply) == "You have already taken part"
    assert "Please return this HIT" in reply.text
    assert len(stored(select(schema.Assignment))) == 1


def test_worker_over_the_limit_cannot_start_with_an_older_ticket_either(client, publish, stored):
    app = client()
    key = publish()
    publish("3HITB")
    ticket = ticket_of(app.get(frame(key, "3OTHER", hit="3HITB")))
    accept(app, key)

    reply = post(app, "start", {"ticket": ticket, "consent": None, "device": {}})

    assert (reply.status_code, reply.get_json()) == (409, {"error": "limit"})
    assert len(stored(select(schema.Assignment))) == 1


def test_worker_for_whom_nothing_is_left_is_told_to_return_the_hit(client, publish, change):
    app = client()
    key = publish()
    change(lambda session: session.execute(update(schema.Trial).values(free=False)))

    reply = app.get(frame(key))

    assert reply.status_code == 409
    assert heading(reply) == "Nothing is left to rate"
    assert "Please return this HIT" in reply.text


def test_paused_study_lets_nobody_begin_and_everybody_finish(client, publish, change):
    app = client()
    key = publish()
    accept(app, key)
    change(lambda session: session.execute(update(schema.Study).values(paused=True)))

    assert app.get(frame(key)).status_code == 302
    refused = app.get(frame(key, "3OTHER", "A2"))
    assert (refused.status_code, heading(refused)) == (409, "This study is taking a break")
    assert "come back later, or return this HIT" in refused.text
    preview = app.get(frame(key, "ASSIGNMENT_ID_NOT_AVAILABLE", None))
    assert heading(preview) == "This study is taking a break"
    assert "do not accept this HIT now" in preview.text


def test_unknown_hit_is_refused(client, publish):
    app = client()

    reply = app.get(frame(publish(), hit="3GUESSED"))

    assert (reply.status_code, heading(reply)) == (404, "This HIT is not known here")


def test_hit_that_is_just_being_published_asks_for_patience(client, publish):
    app = client()

    reply = app.get(frame(publish(external_id=None), hit="3JUSTMADE"))

    assert (reply.status_code, heading(reply)) == (503, "This HIT is being set up")


def test_wrong_page_key_is_refused(client, publish):
    app = client()
    publish()

    assert app.get(frame("0" * 24)).status_code == 404
    assert app.get(preview("é" * 9)).status_code == 404


@pytest.mark.parametrize("field", ["assignmentId", "hitId", "workerId"])
@pytest.mark.parametrize(
    "value", [None, "", "a'b", 'a"b', "a\nb", "a\n", "<b>", "a b", "é", "٣", "x" * 65, "x" * 10_000]
)
def test_ids_that_no_platform_gives_are_refused(client, publish, stored, field, value):
    app = client()

    reply = app.get(frame(publish(), **{field: value}))

    assert reply.status_code == 400
    assert heading(reply) == "This page was opened without what it needs"
    assert stored(select(schema.Worker)) == []


@pytest.mark.parametrize(
    ("site", "status"),
    [
        (None, 400), ("", 400), ("javascript:alert(1)", 400), ("http://[", 400), ("//x.org", 400),
        ("http://" + "x" * 600, 400), ("https://evil.example", 403),
        ("http://127.0.0.1:8900@evil.example", 400), ("http://user@127.0.0.1:8900", 400),
        ("https://127.0.0.1:8900", 403), ("http://127.0.0.1:89001", 403),
    ],
)  # fmt: skip
def test_work_is_handed_in_to_known_sites_only(client, publish, site, status):
    assert client().get(frame(publish(), submit_to=site)).status_code == status


def test_wildcard_stands_for_subdomains_only():
    hosts = ("https://*.mturk.com",)

    assert may_submit_to("https://workersandbox.mturk.com/mturk/externalSubmit", hosts)
    assert not may_submit_to("https://mturk.com/mturk/externalSubmit", hosts)
    for host in ("evil.example\\.mturk.com", "evil.example%23.mturk.com", "a b.mturk.com", ""):
        query = {
            "assignmentId": "A", "hitId": "H", "workerId": "W", "turkSubmitTo": f"https://{host}"
        }  # fmt: skip
        assert read_arrival(MultiDict(query)) is None
    assert not may_submit_to("https://evilmturk.com/mturk/externalSubmit", hosts)
    assert not may_submit_to("http://www.mturk.com/mturk/externalSubmit", hosts)


@pytest.mark.parametrize("site", [SITE, f"{SITE}/"])
def test_page_hands_in_at_the_same_address_with_and_without_a_slash(client, publish, site):
    app = client()

    page = app.get(app.get(frame(publish(), submit_to=site)).location)

    assert config_of(page)["submitTo"] == f"{SITE}/mturk/externalSubmit"
    assert "Submit the HIT" in page.text


def test_pages_may_be_framed_and_hand_in_at_the_named_site_without_cookies(client, publish):
    app = client()
    key = publish()

    for path in (preview(key), frame(key), app.get(frame(key)).location):
        reply = app.get(path)
        rules = dict(
            rule.strip().split(" ", 1)
            for rule in reply.headers["Content-Security-Policy"].split(";")
        )
        assert rules["frame-ancestors"] == f"'self' {SITE}"
        assert rules["form-action"] == f"'self' {SITE}"
        assert "X-Frame-Options" not in reply.headers
        assert "Set-Cookie" not in reply.headers


def test_receipt_counts_and_sums_the_judgments(client, publish, stored):
    app = client()
    state = accept(app, publish()).get_json()
    token = state["token"]
    early = post(app, "finish", {}, token)
    for choice in ("left", "right", "left"):
        state = answer(app, state, token, choice)

    done = post(app, "finish", {}, token).get_json()

    assert (early.status_code, early.get_json()) == (409, {"error": "incomplete"})
    text = "1 realism left\n2 realism right\n3 realism left"
    assert done["receipt"] == {
        "assignmentId": "3ASSIGN",
        "design": stored(select(schema.Study.design_hash))[0][:16],
        "judgments": "3",
        "checksum": hashlib.sha256(text.encode()).hexdigest()[:16],
    }


def test_reload_after_the_end_has_the_receipt_again(client, publish):
    app = client()
    key = publish()
    state = accept(app, key).get_json()
    token = state["token"]
    for _ in range(3):
        state = answer(app, state, token)
    done = post(app, "finish", {}, token).get_json()

    again = post(app, "open", {"ticket": ticket_of(app.get(frame(key)))}).get_json()

    assert again["stage"] == "done"
    assert again["receipt"] == done["receipt"]


def test_consent_is_needed_here_too(client, publish, stored):
    app = client(consent=Consent(text="You may stop."))
    ticket = ticket_of(app.get(frame(publish())))

    reply = post(app, "start", {"ticket": ticket, "consent": None, "device": {}})

    assert reply.status_code == 400
    assert stored(select(schema.Assignment)) == []


def test_nothing_that_a_worker_receives_names_a_source(client, publish):
    app = client()
    key = publish()
    seen = [app.get(preview(key)).text, app.get(app.get(frame(key)).location).text]
    state = accept(app, key).get_json()
    seen.append(json.dumps(state))
    for _ in range(3):
        state = answer(app, state, state.get("token") or json.loads(seen[2])["token"])
        seen.append(json.dumps(state))

    assert [text for text in seen if SECRETS.search(text)] == []
