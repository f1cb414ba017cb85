"""How Prolific's participants come in: with true ids, without, with somebody else's, too late."""

import base64
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from evaluation import schema
from evaluation.database import open_database
from evaluation.schema import AssignmentStatus, CallState, Environment
from evaluation.secret import page_key
from evaluation.sessions.closing import return_session

STUDY, ANN, BEN, SESSION = "5" * 24, "a" * 24, "b" * 24, "c" * 24
COMPLETE = "https://app.prolific.com/submissions/complete?cc=DONE2345"


@pytest.fixture
def opened(make_client, rating_study):
    """A client whose study is published on Prolific, and the study's database."""
    opened = []

    def start(*, details=None, state=CallState.DONE, **recipe):
        recipe = {"trials": 1, "raters": 2, "sessions": 1, **recipe}
        client = make_client(rating_study.Recipe(**recipe))
        client.database = open_database(client.built.url)
        opened.append(client.database)
        with client.database.write() as session:
            study = session.scalars(select(schema.Study)).one()
            client.path = f"/prolific/{page_key(study.secret)}"
            session.add(
                schema.Hit(
                    study_id=study.id, crowd="prolific", environment=Environment.PRODUCTION,
                    token="t", external_id=STUDY, state=state, max_assignments=2,
                    reward_cents=80, created_at=study.created_at,
                    expires_at=study.created_at + timedelta(days=3650),
                    details={"completion_url": COMPLETE, **(details or {})},
                )
            )  # fmt: skip
        return client

    yield start
    for database in opened:
        database.close()


def come(client, participant=ANN, submission=SESSION, study=STUDY):
    query = {"PROLIFIC_PID": participant, "STUDY_ID": study, "SESSION_ID": submission}
    return client.get(client.path, query_string=query)


def begin(client, *who):
    reply = come(client, *who)
    assert reply.status_code == 302, reply.text
    ticket = reply.location.partition("ticket=")[2].partition("&")[0]
    started = client.post("/api/start", json={"ticket": ticket, "consent": None, "device": {}})
    assert started.status_code == 200, started.text
    return started.json


def finish(client, state):
    headers = {"Authorization": f"Bearer {state['token']}"}
    while state["stage"] == "trials":
        showing = state["showing"]
        answer = {"position": showing["position"], "question": "realism", "choice": "left",
                  "rt_ms": 900, "clip_ms": 900}  # fmt: skip
        state = client.post("/api/judgment", json=answer, headers=headers).json["state"]
    return client.post("/api/finish", json={}, headers=headers).json


def test_participant_rates_and_is_sent_back_with_the_code(opened, stored):
    client = opened()

    ended = finish(client, begin(client))

    assert ended["redirect"] == COMPLETE
    (assignment,) = stored(select(schema.Assignment))
    assert (assignment.crowd, assignment.environment) == ("prolific", "production")
    assert assignment.external_id == SESSION


@pytest.mark.parametrize("page", ["entry", "rate", "api"])
def test_while_the_database_fails_people_are_asked_to_wait_and_the_log_has_no_id(
    opened, caplog, page
):
    client = opened()
    ticket = come(client).location.partition("ticket=")[2].partition("&")[0]
    with client.database.write() as session:
        session.execute(text("DROP TABLE worker" if page == "entry" else "DROP TABLE question"))

    reply = {
        "entry": lambda: come(client),
        "rate": lambda: client.get("/rate", query_string={"ticket": ticket}),
        "api": lambda: client.post("/api/open", json={"ticket": ticket}),
    }[page]()

    assert reply.status_code == 503
    if page == "api":
        assert reply.json == {"error": "busy"}
    else:
        assert "<h1>One moment, please</h1>" in reply.text
    (record,) = caplog.records
    assert "no such table" in record.getMessage()
    assert record.exc_info is None
    assert not any(told in caplog.text for told in (ANN, SESSION, client.path, ticket, "\n  "))


def test_code_is_nowhere_before_the_session_is_finished(opened):
    client = opened()
    reply = come(client)
    page = client.get(reply.location)
    ticket = reply.location.partition("ticket=")[2].partition("&")[0]
    before = client.post("/api/open", json={"ticket": ticket})
    started = client.post("/api/start", json={"ticket": ticket, "consent": None, "device": {}})

    for answer in (reply, page, before, started):
        assert "DONE2345" not in answer.text + str(answer.headers)
    assert b"DONE2345" not in base64.urlsafe_b64decode(ticket.split(".")[0] + "===")


def test_opening_twice_or_in_two_tabs_is_one_session(opened, stored):
    client = opened()

    first, second = begin(client), begin(client)

    assert first["showing"] == second["showing"]
    assert len(stored(select(schema.Assignment))) == 1


def test_opening_writes_nothing(opened, stored):
    client = opened()

    assert come(client).status_code == 302

    assert stored(select(schema.Worker)) == []


@pytest.mark.parametrize(
    ("participant", "submission", "study"),
    [("", SESSION, STUDY), (ANN, "", STUDY), (ANN, SESSION, ""), ("A" * 24, SESSION, STUDY),
     (ANN, "c" * 25, STUDY), ("٣" * 24, SESSION, STUDY)],
)  # fmt: skip
def test_parameters_that_are_missing_or_unlike_prolifics_are_refused(
    opened, stored, participant, submission, study
):
    reply = come(opened(), participant, submission, study)

    assert reply.status_code == 400
    assert "without what it needs" in reply.text
    assert stored(select(schema.Worker)) == []


def test_preview_with_placeholders_records_nothing(opened, stored):
    reply = come(opened(), "{{%PROLIFIC_PID%}}", "{{%SESSION_ID%}}", "{{%STUDY_ID%}}")

    assert reply.status_code == 200
    assert "This is a preview" in reply.text
    assert stored(select(schema.Worker)) == []


def test_study_that_was_not_published_here_lets_nobody_in(opened):
    assert come(opened(), study="6" * 24).status_code == 404


def test_study_that_is_being_published_asks_for_patience(opened):
    client = opened()
    with client.database.write() as session:
        hit = session.scalars(select(schema.Hit)).one()
        hit.state, hit.external_id = CallState.INTENDED, None

    assert come(client).status_code == 503


def test_another_studys_key_lets_nobody_in(opened):
    client = opened()
    client.path = "/prolific/" + "0" * 24

    assert come(client).status_code == 404


def test_somebody_elses_submission_stays_theirs(opened, stored):
    client = opened()
    begin(client)

    reply = come(client, BEN, SESSION)

    assert reply.status_code == 409
    assert "somebody else" in reply.text
    assert len(stored(select(schema.Assignment))) == 1


def test_who_comes_again_with_a_new_submission_has_had_their_session_and_its_pay(opened):
    url = "https://app.prolific.com/submissions/complete?cc=LEFT2345"
    client = opened(details={"screen_out_url": url})
    finish(client, begin(client))

    reply = come(client, ANN, "d" * 24)

    assert reply.status_code == 409
    assert "already taken part" in reply.text
    assert url not in reply.text


def test_new_submission_takes_the_place_of_one_that_was_left(opened, stored):
    client = opened()
    begin(client)

    begin(client, ANN, "d" * 24)

    statuses = [a.status for a in stored(select(schema.Assignment).order_by(schema.Assignment.id))]
    assert statuses == [AssignmentStatus.RETURNED, AssignmentStatus.ACCEPTED]


def test_who_returned_a_submission_may_come_with_another_and_sees_no_pair_twice(opened, stored):
    client = opened(trials=2)
    begin(client)
    with client.database.write() as session:  # as `vgan-eval review` does
        return_session(session, session.scalars(select(schema.Assignment)).one())

    begin(client, ANN, "d" * 24)

    statuses = [one.status for one in stored(select(schema.Assignment))]
    assert statuses == [AssignmentStatus.RETURNED, AssignmentStatus.ACCEPTED]
    pairs = [one.pair_id for one in stored(select(schema.Showing))]
    assert len(pairs) == len(set(pairs)) == 4


def test_page_of_a_submission_that_was_left_does_not_end_the_one_under_way(opened, stored):
    client = opened()
    left = come(client).location.partition("ticket=")[2].partition("&")[0]
    begin(client, ANN, "d" * 24)

    reply = client.post("/api/start", json={"ticket": left, "consent": None, "device": {}})

    assert reply.status_code == 409
    assert reply.json == {"error": "limit"}
    assert [a.status for a in stored(select(schema.Assignment))] == [AssignmentStatus.ACCEPTED]


def test_second_tab_of_a_finished_session_is_sent_back_with_the_code_too(opened):
    client = opened()
    first, second = begin(client), begin(client)
    ended = finish(client, first)

    headers = {"Authorization": f"Bearer {second['token']}"}
    state = client.get("/api/state", headers=headers).json

    assert state["redirect"] == ended["redirect"] == COMPLETE
    assert state["receipt"] == ended["receipt"]
    answer = {
        "position": 1, "question": "realism", "choice": "left", "rt_ms": 1, "clip_ms": 1,
        "details": {},
    }  # fmt: skip
    again = client.post("/api/judgment", json=answer, headers=headers).json["state"]
    assert again == state


def test_after_the_deadline_the_page_says_that_the_session_is_closed(opened):
    client = opened()
    begin(client)
    with client.database.write() as session:  # as `review` does when the submission timed out
        ours = session.scalars(select(schema.Assignment)).one()
        return_session(session, ours)

    reply = come(client)
    ticket = reply.location.partition("ticket=")[2].partition("&")[0]

    assert client.post("/api/open", json={"ticket": ticket}).json["stage"] == "closed"


@pytest.mark.parametrize("paid", [True, False])
def test_who_finds_nothing_left_is_told_so_and_paid_where_the_study_pays(opened, paid):
    url = "https://app.prolific.com/submissions/complete?cc=LEFT2345"
    client = opened(raters=1, details={"screen_out_url": url} if paid else {})
    finish(client, begin(client))

    reply = come(client, BEN, "d" * 24)

    assert reply.status_code == 409
    assert "Nothing is left to rate" in reply.text
    assert (url in reply.text) == paid
    assert ("return your submission" in reply.text) != paid
