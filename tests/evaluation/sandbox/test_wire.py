"""The protocol, as unmodified boto3 and a hand-made client meet it."""

import json
import urllib.request
from datetime import UTC, datetime
from urllib.error import HTTPError

import pytest

from evaluation.sandbox import wire

SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIDRAW/20300101/us-east-1/mturk-requester/aws4_request, "
    "SignedHeaders=host, Signature=00"
)


def post(url, operation="GetAccountBalance", body=b"{}", authorization=SIGNED):
    target = f"MTurkRequesterServiceV20170117.{operation}"
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    if authorization:
        headers["Authorization"] = authorization
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.load(reply)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_reply_is_json_of_the_output_shape(live):
    expected = {"AvailableBalance": "10000.00", "OnHoldBalance": "0.00"}

    assert post(live) == (200, expected)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"operation": "DrinkCoffee"}, "UnknownOperationException"),
        ({"authorization": None}, "MissingAuthenticationTokenException"),
        ({"authorization": "Basic abc"}, "IncompleteSignatureException"),
        ({"authorization": SIGNED.replace("us-east-1", "eu-west-1")}, "InvalidSignatureException"),
        ({"body": b"{"}, "SerializationException"),
        ({"body": b"[]"}, "SerializationException"),
        ({"body": b"[" * 100_000}, "SerializationException"),
        ({"operation": "GetHIT"}, "ValidationException"),
        ({"operation": "ListHITs", "body": b'{"MaxResults": null}'}, "ValidationException"),
        ({"operation": "ListHITs", "body": b'{"Colour": "red"}'}, "ValidationException"),
    ],
)
def test_malformed_call_is_refused_with_its_kind(live, change, kind):
    status, body = post(live, **change)

    assert (status, body["__type"]) == (400, kind)
    assert body["message"]


def test_request_error_has_code_and_message_where_boto3_looks(mturk):
    with pytest.raises(mturk.exceptions.RequestError) as caught:
        mturk.get_hit(HITId="3NONE")

    response = caught.value.response
    assert response["Error"]["Code"] == "RequestError"
    assert response["TurkErrorCode"] == "AWS.MechanicalTurk.HITDoesNotExist"
    assert response["Message"] == "HIT 3NONE does not exist. (1893499200000)"


@pytest.mark.parametrize(
    ("operation", "params", "part"),
    [
        ("list_hits", {"MaxResults": 101}, "'101' at 'MaxResults'"),
        ("get_hit", {"HITId": "abc"}, "regular expression pattern: ^[A-Z0-9]+$"),
        ("get_hit", {"HITId": "A" * 65}, "less than or equal to 64"),
        ("get_hit", {"HITId": "3A'\n; DROP"}, "regular expression"),
        ("list_reviewable_hits", {"Status": "Bogus"}, "[Reviewable, Reviewing]"),
        ("create_worker_block", {"WorkerId": "W1", "Reason": "x"}, "^A[A-Z0-9]+$"),
    ],
)
def test_what_boto3_leaves_unchecked_is_checked_here(mturk, error_of, operation, params, part):
    code, message = error_of(getattr(mturk, operation), **params)

    assert code == "ValidationException"
    assert part in message


@pytest.mark.parametrize("reward", ["0.015", "$1", "1,00", "-1", ""])
def test_reward_that_is_no_amount_is_refused(make_hit, error_of, reward):
    code, message = error_of(make_hit, Reward=reward)

    assert code == "ValidationException"
    assert "'Reward'" in message


def test_times_are_read_as_seconds_and_as_text():
    params = {"HITId": "3A", "ExpireAt": 1893499200}
    expected = datetime(2030, 1, 1, 12, tzinfo=UTC)

    assert wire.read_request("UpdateExpirationForHIT", params)["ExpireAt"] == expected
    params["ExpireAt"] = "2030-01-01T12:00:00Z"
    assert wire.read_request("UpdateExpirationForHIT", params)["ExpireAt"] == expected


def test_reply_with_a_key_outside_the_model_is_a_bug():
    with pytest.raises(ValueError, match="GetAccountBalance: the model has no"):
        wire.write_reply("GetAccountBalance", {"Balance": "1"})


def test_wrong_region_is_told_so(live, connect, error_of, monkeypatch):
    import boto3  # noqa: TID251 (a client with another region)

    monkeypatch.setenv("AWS_ENDPOINT_URL_MTURK", live)
    client = boto3.session.Session("AKID", "s", region_name="eu-west-1").client("mturk")

    code, message = error_of(client.get_account_balance)

    client.close()
    assert code == "InvalidSignatureException"
    assert "'us-east-1'" in message


def test_failure_of_the_service_is_a_service_fault(mturk, monkeypatch, caplog):
    def fail(unit):
        raise RuntimeError("disk gone")

    monkeypatch.setattr("evaluation.sandbox.lifecycle.settle", fail)

    with pytest.raises(mturk.exceptions.ServiceFault) as caught:
        mturk.get_account_balance()

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert "disk gone" in caplog.text
