"""Input that nobody should send, on SQLite and PostgreSQL: refused or kept, never a failure."""

import pytest

from evaluation.sandbox import wire
from evaluation.sandbox.errors import ApiError

EXTERNAL = (
    '<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/'
    'AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd">'
    "<ExternalURL>{url}</ExternalURL><FrameHeight>{height}</FrameHeight></ExternalQuestion>"
)


@pytest.fixture
def sandbox_url(empty_database_url):
    return empty_database_url


@pytest.mark.parametrize("title", ["it's; DROP TABLE x --", "\u202e🎬", "</script><b>"])
def test_strange_text_is_kept_on_every_database(mturk, make_hit, title):
    hit = make_hit(Title=title)["HITId"]

    assert mturk.get_hit(HITId=hit)["HIT"]["Title"] == title


@pytest.mark.parametrize("title", ["a\0b", "half \ud83d"])
def test_text_that_no_database_holds_is_refused(make_hit, error_of, title):
    assert error_of(make_hit, Title=title)[0] == "ValidationException"


@pytest.mark.parametrize("value", [2**31, 2**40, -(2**31) - 1])
def test_number_that_no_column_holds_is_refused(mturk, make_hit, error_of, value):
    assert error_of(make_hit, MaxAssignments=value)[0] == "ValidationException"


@pytest.mark.parametrize(
    ("url", "height"),
    [
        ("http://[::1", "400"),
        ("http://\u2100.example/", "400"),
        ("https://rate.example/", "\u00b2"),
        ("https://rate.example/", "9" * 5000),
    ],
)
def test_a_question_whose_address_or_height_cannot_be_read_is_refused(
    make_hit, error_of, url, height
):
    code, _ = error_of(make_hit, Question=EXTERNAL.format(url=url, height=height))

    assert code == "InvalidParameterValue"


@pytest.mark.parametrize("time", [10**40, -1e18, float("inf"), "1e400"])
def test_a_time_that_no_calendar_has_is_refused(time):
    with pytest.raises(ApiError, match="1 validation error detected") as caught:
        wire.read_request("UpdateExpirationForHIT", {"HITId": "3A", "ExpireAt": time})

    assert caught.value.kind == "ValidationException"


@pytest.mark.parametrize("key", ["a%00b", "%F0%9F%8E%AC", "'; --", "A" * 10_000, "%0A"])
def test_strange_ids_in_addresses_are_not_found(app, key):
    site = app.test_client()

    assert site.get(f"/worker/A1/hits/{key}").status_code == 404
    assert site.get(f"/worker/A1/assignments/{key}").status_code == 404
    assert site.post(f"/worker/A1/qualifications/{key}/request").status_code == 404
    assert site.get(f"/worker/{key}/hits").status_code in (400, 404)


def test_strange_answers_are_kept_as_text(app, mturk, make_hit, hand):
    hit = make_hit()["HITId"]
    answers = {"na\0me": "va\0lue", "long": "ä" * 10_000, "lines": "1\r\n2"}

    assignment = hand.do("A1", hit, **answers)

    shown = mturk.get_assignment(AssignmentId=assignment)["Assignment"]["Answer"]
    assert "na\ufffdme" in shown
    assert "ä" * 10_000 in shown


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clock", {"advance_seconds": 1e300}),
        ("clock", {"advance_seconds": 10**12}),
        ("settings", {"opening_balance_cents": -1}),
        ("settings", {"opening_balance_cents": 10**12}),
        ("settings", {"duplicate_error": "polite"}),
        ("workers/A1", {"country": "Germany"}),
        ("workers/A1", {"approved_before": -1}),
        ("workers/A1", {"approved_before": 10**9}),
        ("workers/B1", {}),
        ("workers/A1", {"adult": "yes"}),
        ("workers/A1", []),
    ],
)
def test_admin_values_out_of_range_are_refused(app, path, body):
    reply = app.test_client().post(f"/_sandbox/{path}", json=body)

    assert reply.status_code == 400
    assert reply.json["error"]


def test_settings_nested_too_deeply_to_read_are_refused(app):
    deep = {"data": b"[" * 100_000, "content_type": "application/json"}

    assert app.test_client().post("/_sandbox/settings", **deep).status_code == 400
