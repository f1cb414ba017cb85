"""The rating pages over HTTP: blind, repeatable, and without a cookie."""

import concurrent.futures
import hashlib
import re
import sqlite3
import urllib.parse
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from evaluation import schema
from evaluation.allocation import expire_leases
from evaluation.sessions.tokens import PageToken, read_token, sign_token
from evaluation.study import Consent, SurveyQuestion
from freezing import freeze_tables

DEVICE = {"screen": [1920, 1080]}


def ticket_of(response) -> str:
    query = urllib.parse.urlsplit(response.headers["Location"]).query
    return urllib.parse.parse_qs(query)["ticket"][0]


def start(client, rater="ann", **body):
    ticket = ticket_of(client.get("/local", query_string={"rater": rater}))
    reply = client.post("/api/start", json={"ticket": ticket, "device": DEVICE, **body})
    return ticket, reply


def bearer(state) -> dict[str, str]:
    return {"Authorization": f"Bearer {state['token']}"}


def answer(state, choice="left", **changes):
    showing = state["showing"]
    return {
        "position": showing["position"],
        "question": showing["questions"][0]["name"],
        "choice": choice,
        "rt_ms": 1234.5,
        "clip_ms": 1000.0,
        "details": {"input": "key"},
        **changes,
    }


def rate_all(client, state):
    headers = bearer(state)
    while state["stage"] == "trials":
        reply = client.post("/api/judgment", json=answer(state), headers=headers)
        assert reply.status_code == 200, reply.json
        state = reply.json["state"]
    return state, headers


def test_opening_the_page_writes_nothing(make_client, stored):
    client = make_client()

    page = client.get(client.get("/local?rater=ann").headers["Location"])

    assert page.status_code == 200
    assert stored(select(schema.Worker)) == stored(select(schema.Showing)) == []


def test_a_session_runs_from_start_to_completion_code(make_client, stored):
    client = make_client()

    _, started = start(client)
    state, headers = rate_all(client, started.json)
    done = client.post("/api/finish", json={}, headers=headers)

    assert started.json["progress"] == {"practice": False, "number": 1, "total": 3}
    assert state == {"stage": "finish"}
    assert re.fullmatch("[A-Z2-7]{10}", done.json["code"])
    assert client.post("/api/finish", json={}, headers=headers).json == done.json
    assert len(stored(select(schema.Judgment))) == 3


def test_what_the_page_measured_is_stored(make_client, stored):
    client = make_client()
    _, started = start(client)

    client.post("/api/judgment", json=answer(started.json, "right"), headers=bearer(started.json))

    judgment = stored(select(schema.Judgment))[0]
    assignment = stored(select(schema.Assignment))[0]
    assert (judgment.choice, judgment.rt_ms, judgment.clip_ms) == ("right", 1234.5, 1000.0)
    assert judgment.details == {"input": "key"}
    assert assignment.environment_details["screen"] == [1920, 1080]
    assert "Werkzeug" in assignment.environment_details["user_agent"]


def test_numbers_that_no_page_can_measure_are_refused_at_any_depth(make_client, stored):
    client = make_client()
    _, started = start(client, device={"screen": [2**53, 1]})

    for number in (2**53 + 1, -(2**53) - 1, 10**400):
        _, refused = start(client, "bob", device={"screen": [{"width": number}, 1]})
        body = answer(started.json, details={"viewport": [[number]]})
        reply = client.post("/api/judgment", json=body, headers=bearer(started.json))
        assert (refused.status_code, reply.status_code) == (400, 400)
    assert started.status_code == 200
    assert stored(select(schema.Judgment)) == []


def test_a_device_of_no_known_kind_is_refused(make_client):
    client = make_client()

    for kind in ("=1+1", "television", None, ["desktop"]):
        assert start(client, device={"device": kind})[1].status_code == 400
    assert start(client, device={"device": "tablet"})[1].status_code == 200


def test_opening_again_resumes_at_the_first_unanswered_pair(make_client):
    client = make_client()
    ticket, started = start(client)
    client.post("/api/judgment", json=answer(started.json), headers=bearer(started.json))

    again = client.post("/api/open", json={"ticket": ticket}).json
    by_name = client.post(
        "/api/open", json={"ticket": ticket_of(client.get("/local?rater=ann"))}
    ).json

    assert again["showing"]["position"] == by_name["showing"]["position"] == 2
    assert again["progress"]["number"] == 2


def test_starting_twice_leases_once(make_client, stored):
    client = make_client()
    ticket, first = start(client)

    second = client.post("/api/start", json={"ticket": ticket, "device": {"screen": [1, 1]}})

    assert second.json["showing"] == first.json["showing"]
    assert len(stored(select(schema.Showing))) == 3
    (assignment,) = stored(select(schema.Assignment))
    assert assignment.environment_details["screen"] == DEVICE["screen"]


def test_twenty_equal_posts_at_once_store_one_judgment(make_client, stored):
    client = make_client()
    _, started = start(client)
    body, headers = answer(started.json), bearer(started.json)

    def post(_):
        return client.application.test_client().post("/api/judgment", json=body, headers=headers)

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(post, range(20)))

    assert {reply.status_code for reply in replies} == {200}
    assert {reply.json["state"]["showing"]["position"] for reply in replies} == {2}
    assert len(stored(select(schema.Judgment))) == 1


def test_the_first_answer_stands(make_client, stored):
    client = make_client()
    _, started = start(client)
    headers = bearer(started.json)

    client.post("/api/judgment", json=answer(started.json, "left"), headers=headers)
    client.post("/api/judgment", json=answer(started.json, "right"), headers=headers)

    assert stored(select(schema.Judgment.choice)) == ["left"]


def test_practice_gives_feedback_and_gold_gives_none(make_client, rating_study):
    client = make_client(rating_study.Recipe(trials=2, practice=1, gold=2))
    _, started = start(client)
    state, headers = started.json, bearer(started.json)
    feedback = []
    while state["stage"] == "trials":
        reply = client.post("/api/judgment", json=answer(state), headers=headers).json
        feedback.append((state["showing"]["practice"], reply["correct"] is not None))
        state = reply["state"]

    assert feedback == [(True, True)] + [(False, False)] * 4


def test_every_question_is_asked_about_a_pair_before_the_next(make_client, rating_study):
    questions = (("realism", "Which is more real?"), ("motion", "Which moves better?"))
    client = make_client(rating_study.Recipe(trials=2, questions=questions))
    _, started = start(client)
    state, headers = started.json, bearer(started.json)
    asked = []
    while state["stage"] == "trials":
        asked.append([q["name"] for q in state["showing"]["questions"]])
        state = client.post("/api/judgment", json=answer(state), headers=headers).json["state"]

    assert asked == [["realism", "motion"], ["motion"]] * 2


def test_a_tie_is_refused_unless_the_study_allows_it(make_client, rating_study):
    client = make_client(rating_study.Recipe())
    _, started = start(client)

    refused = client.post(
        "/api/judgment", json=answer(started.json, "tie"), headers=bearer(started.json)
    )

    assert (refused.status_code, refused.json) == (400, {"error": "invalid"})


def test_a_tie_is_recorded_where_it_is_allowed(make_client, rating_study):
    client = make_client(rating_study.Recipe(allow_tie=True))
    _, started = start(client)

    reply = client.post(
        "/api/judgment", json=answer(started.json, "tie"), headers=bearer(started.json)
    )

    assert reply.json["state"]["showing"]["position"] == 2


def test_the_prompt_is_shown_only_where_the_study_says_so(make_client, rating_study):
    client = make_client(rating_study.Recipe(show_prompt=True))

    _, started = start(client)

    assert started.json["showing"]["prompt"].startswith("A wave, number")


def test_consent_is_needed_and_kept_with_its_version(make_client, rating_study, stored):
    client = make_client(rating_study.Recipe(consent=Consent("I am of age.", version="7")))

    _, without = start(client)
    _, outdated = start(client, consent="6")
    _, given = start(client, consent="7")

    assert (without.status_code, outdated.status_code, given.status_code) == (400, 400, 200)
    assert len(stored(select(schema.Assignment))) == 1
    consent = stored(select(schema.Consent))[0]
    assert consent.version == "7"
    assert consent.text_sha256 == hashlib.sha256(b"I am of age.").hexdigest()


def test_the_survey_is_checked_and_stored(make_client, rating_study, stored):
    survey = (
        SurveyQuestion("screen", "Which screen?", ("laptop", "monitor"), required=True),
        SurveyQuestion("notes", "Anything else?"),
        SurveyQuestion("age", "How old are you?", required=True),
    )
    client = make_client(rating_study.Recipe(trials=1, survey=survey))
    _, started = start(client)
    state, headers = rate_all(client, started.json)

    def finish(answers):
        return client.post("/api/finish", json={"survey": answers}, headers=headers)

    assert state == {"stage": "survey"}
    assert finish({}).status_code == 400
    assert finish({"screen": "cinema", "age": "40"}).status_code == 400
    assert finish({"screen": "laptop"}).status_code == 400
    assert finish({"screen": "laptop", "notes": " ", "age": "40"}).status_code == 200
    # Again; what was said first stays.
    assert finish({"screen": "monitor", "age": "41"}).status_code == 200
    assert stored(select(schema.Assignment.survey))[0] == {"screen": "laptop", "age": "40"}


def test_a_survey_that_was_added_meanwhile_is_asked_for(make_client, rating_study):
    client = make_client(rating_study.Recipe(trials=1))
    _, started = start(client)
    with client.application.extensions["vgan_eval"].database.write() as session:
        study = session.scalars(select(schema.Study)).one()
        freeze_tables(study, survey=(SurveyQuestion("notes", "Anything else?"),))

    state, _ = rate_all(client, started.json)

    assert state == {"stage": "survey"}


def test_an_unfinished_session_cannot_be_finished(make_client):
    client = make_client()
    _, started = start(client)

    refused = client.post("/api/finish", json={}, headers=bearer(started.json))

    assert (refused.status_code, refused.json) == (409, {"error": "incomplete"})


def test_a_rater_for_whom_nothing_is_left_learns_it_before_starting(make_client, rating_study):
    client = make_client(rating_study.Recipe(raters=1))
    start(client, "ann")

    opened = client.post("/api/open", json={"ticket": ticket_of(client.get("/local?rater=bob"))})
    _, refused = start(client, "bob")

    assert opened.json == {"stage": "nothing_left"}
    assert (refused.status_code, refused.json) == (409, {"error": "nothing_left"})


def test_a_worker_with_all_sessions_done_is_told_so(make_client, rating_study):
    client = make_client(rating_study.Recipe(trials=1, sessions=1))
    _, started = start(client)
    _, headers = rate_all(client, started.json)
    client.post("/api/finish", json={}, headers=headers)

    _, again = start(client)

    assert (again.status_code, again.json) == (409, {"error": "limit"})


@pytest.mark.parametrize(
    "header",
    ["", "Bearer ", "Bearer x.y", "Bearer WzEsMSwxLDk5OTk5OTk5OTk5XQ.AAAAAAAAAAAAAAAAAAAAAAAAAAA"],
)
def test_a_forged_token_is_refused(make_client, header):
    client = make_client()
    _, started = start(client)

    reply = client.post(
        "/api/judgment", json=answer(started.json), headers={"Authorization": header}
    )

    assert (reply.status_code, reply.json) == (401, {"error": "token"})


def test_a_token_outlives_its_lease_and_is_for_the_study_that_it_names(make_client):
    client = make_client()
    _, started = start(client)
    with client.application.extensions["vgan_eval"].database.read() as session:
        one = session.scalars(select(schema.Assignment)).one()
        secret = session.scalars(select(schema.Study.secret)).one()
    token = read_token(secret, started.json["token"], one.lease_until + timedelta(days=7))
    other = sign_token(secret, replace(token, study=token.study + 1))

    assert token.assignment == one.id
    reply = client.get("/api/state", headers=bearer({"token": other}))
    assert (reply.status_code, reply.json) == (401, {"error": "token"})


def test_a_rater_whose_lease_ran_out_is_shown_the_rest_and_finishes(make_client):
    client = make_client()
    _, started = start(client)
    with client.application.extensions["vgan_eval"].database.write() as session:
        one = session.scalars(select(schema.Assignment)).one()
        study = session.scalars(select(schema.Study)).one()
        assert expire_leases(session, study, one.lease_until + timedelta(minutes=1))

    assert client.get("/api/state", headers=bearer(started.json)).json["stage"] == "trials"
    _, headers = rate_all(client, started.json)
    assert client.post("/api/finish", json={}, headers=headers).status_code == 200


@pytest.mark.parametrize("decided", ["approved", "rejected"])
def test_a_finished_session_shows_its_code_whatever_was_decided(make_client, decided):
    client = make_client()
    _, started = start(client)
    _, headers = rate_all(client, started.json)
    done = client.post("/api/finish", json={}, headers=headers)
    with client.application.extensions["vgan_eval"].database.write() as session:
        session.execute(update(schema.Assignment).values(status=decided))

    assert client.get("/api/state", headers=headers).json == done.json


def test_a_study_frozen_again_while_it_is_served_is_rated_as_it_is_now(make_client):
    client = make_client()
    with client.application.extensions["vgan_eval"].database.write() as session:
        study = session.scalars(select(schema.Study)).one()
        session.delete(study.questions[0])
        session.flush()
        question = schema.Question(study_id=study.id, position=0, name="motion", text="Moves?")
        session.add(question)
        study.secret = "6" * 64

    _, started = start(client)
    reply = client.post("/api/judgment", json=answer(started.json), headers=bearer(started.json))

    assert started.json["showing"]["questions"] == [{"name": "motion", "text": "Moves?"}]
    assert reply.status_code == 200
    assert reply.json["state"]["showing"]["questions"][0]["name"] == "motion"
    assert client.get("/api/state", headers=bearer(started.json)).status_code == 200


def test_the_page_of_a_session_that_a_restore_lost_writes_into_no_others(
    make_client, stored, tmp_path
):
    client = make_client()
    live, backup = sqlite3.connect(tmp_path / "study.db"), sqlite3.connect(":memory:")
    live.backup(backup)
    ticket, lost = start(client, "ann")
    ids = stored(select(schema.Assignment.id))
    backup.backup(live)
    live.close()
    backup.close()
    _, bob = start(client, "bob")
    assert stored(select(schema.Assignment.id)) == ids

    replies = [
        client.post("/api/judgment", json=answer(lost.json), headers=bearer(lost.json)),
        client.get("/api/state", headers=bearer(lost.json)),
        client.post("/api/finish", json={}, headers=bearer(lost.json)),
    ]

    assert [(r.status_code, r.json) for r in replies] == [(401, {"error": "token"})] * 3
    assert stored(select(schema.Judgment)) == []
    assert client.post("/api/open", json={"ticket": ticket}).json == {"stage": "new"}
    rate_all(client, bob.json)


def test_a_session_from_before_sessions_had_nonces_goes_on_to_its_code(make_client):
    client = make_client()
    ticket, _ = start(client)
    with client.application.extensions["vgan_eval"].database.write() as session:
        one = session.scalars(select(schema.Assignment)).one()
        one.nonce = None
        study = session.scalars(select(schema.Study)).one()
    until = one.accepted_at + timedelta(days=14)
    old = sign_token(study.secret, PageToken(study.id, one.id, one.worker_id, until))

    state = client.post("/api/open", json={"ticket": ticket}).json
    _, headers = rate_all(client, state | {"token": old})
    done = client.post("/api/finish", json={}, headers=headers)

    assert done.json["code"] == "6A5MYJDYRS"
    assert client.get("/api/state", headers=bearer(state)).json == done.json


def test_one_session_cannot_answer_for_another(make_client):
    client = make_client()
    start(client, "ann")
    _, bob = start(client, "bob")

    reply = client.post(
        "/api/judgment", json=answer(bob.json, position=99), headers=bearer(bob.json)
    )

    assert reply.status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"position": "1"},
        {"position": True},
        {"choice": "up"},
        {"choice": None},
        {"rt_ms": -1},
        {"rt_ms": "fast"},
        {"rt_ms": 1e12},
        {"clip_ms": None},
        {"question": "beauty"},
        {"details": [1]},
        {"details": {"unheard-of": 1}},
        {"details": {"input": "x" * 20_000}},
    ],
)
def test_a_judgment_with_a_wrong_field_is_refused_and_not_stored(make_client, changes, stored):
    client = make_client()
    _, started = start(client)

    reply = client.post(
        "/api/judgment", json=answer(started.json, **changes), headers=bearer(started.json)
    )

    assert (reply.status_code, reply.json) == (400, {"error": "invalid"})
    assert len(stored(select(schema.Judgment))) == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"'])
def test_a_body_that_is_no_object_is_refused(make_client, body):
    client = make_client()

    reply = client.post("/api/start", data=body, content_type="application/json")

    assert reply.status_code == 400


def test_no_response_names_source_study_or_file(make_client, rating_study):
    client = make_client(rating_study.Recipe(practice=1, gold=1, trials=2))
    redirected = client.get("/local?rater=ann")
    page = client.get(redirected.headers["Location"])
    ticket, started = start(client)
    headers = bearer(started.json)
    replies = [redirected, page, started, client.get("/api/state", headers=headers)]
    replies += [client.get("/join/nothing"), client.get("/healthz")]
    replies += [client.post("/api/open", json={"ticket": ticket})]
    for name in re.findall(r'(?:src|href)="([^"]+rating/[^"]+)"', page.text):
        replies.append(client.get(name, buffered=True))
    state = started.json
    while state["stage"] == "trials":
        replies += [client.get(f"/{state['showing'][s]['url']}") for s in ("left", "right")]
        replies.append(client.post("/api/judgment", json=answer(state), headers=headers))
        state = replies[-1].json["state"]
    replies.append(client.post("/api/finish", json={}, headers=headers))

    # `real` is a syllable of the question ("realistic"), so words are compared whole.
    for reply in replies:
        sent = (str(reply.headers).encode() + reply.data[:100_000]).lower()
        for secret in rating_study.SECRETS:
            pattern = rb"(?<![a-z])" + re.escape(secret.lower().encode()) + rb"(?![a-z])"
            assert not re.search(pattern, sent), (secret, reply.request.path)


def test_both_files_of_every_pair_have_equal_headers_and_lengths(make_client):
    client = make_client()
    _, started = start(client)
    state, headers = started.json, bearer(started.json)
    while state["stage"] == "trials":
        left, right = (client.get(f"/{state['showing'][s]['url']}") for s in ("left", "right"))
        keys = [state["showing"][s]["url"].removeprefix("media/") for s in ("left", "right")]

        assert left.data != right.data
        assert len(left.data) == len(right.data) == state["showing"]["left"]["bytes"]
        for reply in (left, right):
            reply.headers.remove("Date")  # a second may begin between the two
        assert str(left.headers).replace(keys[0], "") == str(right.headers).replace(keys[1], "")
        assert left.data[:24] == right.data[:24]
        assert state["showing"]["left"]["layout"] == state["showing"]["right"]["layout"]
        state = client.post("/api/judgment", json=answer(state), headers=headers).json["state"]


def test_no_page_sets_a_cookie_and_every_one_carries_the_policy(make_client):
    client = make_client(frame_ancestors=["https://*.example.org"])
    _, started = start(client)
    page = client.get(client.get("/local").headers["Location"])

    for reply in (page, started, client.get("/"), client.get("/join/x"), client.get("/healthz")):
        policy = reply.headers["Content-Security-Policy"]
        assert "Set-Cookie" not in reply.headers
        assert "X-Frame-Options" not in reply.headers
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert policy.endswith("frame-ancestors 'self' https://*.example.org")
        assert reply.headers["Referrer-Policy"] == "no-referrer"  # addresses hold tickets
    assert page.headers["Cache-Control"] == "no-store"


def test_an_untitled_study_is_not_called_by_its_name(make_client):
    client = make_client()
    with client.application.extensions["vgan_eval"].database.write() as session:
        study = session.scalars(select(schema.Study)).one()
        study.title = study.name

    page = client.get(client.get("/local").headers["Location"])

    assert "Comparing pairs of clips" in page.text
    assert "secret-study-name" not in page.text


def test_a_room_of_raters_at_once_gets_no_error_and_no_pair_twice(
    make_client, rating_study, stored
):
    client = make_client(rating_study.Recipe(trials=3, raters=12))

    def session(number):
        own = client.application.test_client()
        ticket = ticket_of(own.get("/local", query_string={"rater": f"rater-{number}"}))
        started = own.post("/api/start", json={"ticket": ticket, "device": DEVICE})
        state, headers = rate_all(own, started.json)
        return state, own.post("/api/finish", json={}, headers=headers).status_code

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        results = list(pool.map(session, range(12)))

    assert results == [({"stage": "finish"}, 200)] * 12
    judged = stored(select(schema.Judgment))
    assert len({judgment.trial_id for judgment in judged}) == len(judged) == 36
