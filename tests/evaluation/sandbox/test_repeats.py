"""Tokens, faults and retries: what a client may meet between asking and knowing."""

from datetime import timedelta
from types import SimpleNamespace

import pytest


@pytest.fixture
def patient(live, connect, monkeypatch):
    """A client that tries three times, as boto3 does by default, without its pauses."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))
    return connect(live, attempts=3)


def bonus(worker, assignment, token):
    return {
        "WorkerId": worker,
        "AssignmentId": assignment,
        "BonusAmount": "0.10",
        "Reason": "Thanks",
        "UniqueRequestToken": token,
    }


def test_repeated_token_names_the_hit_in_the_documented_form(mturk, make_hit, error_of):
    made = make_hit(UniqueRequestToken="study-1-batch-1")

    code, message = error_of(make_hit, UniqueRequestToken="study-1-batch-1")

    assert code == "HitAlreadyExists"
    assert made["HITId"] in message
    assert mturk.list_hits()["NumResults"] == 1


def test_repeated_token_names_only_itself_in_the_field_form(sandbox, make_hit, error_of):
    sandbox.configure(duplicate_error="field")
    made = make_hit(UniqueRequestToken="t1")

    code, message = error_of(make_hit, UniqueRequestToken="t1")

    assert code == "RequestError"  # no TurkErrorCode was seen
    assert message == 'The idempotency token "t1" has already been processed. (1893499200000)'
    assert made["HITId"] not in message


def test_token_is_forgotten_after_a_day(mturk, make_hit, sandbox, error_of):
    make_hit(UniqueRequestToken="t1", LifetimeInSeconds=30 * 86_400)
    sandbox.move_clock(timedelta(hours=24) - timedelta(seconds=1))
    assert error_of(make_hit, UniqueRequestToken="t1")[0] == "HitAlreadyExists"

    sandbox.move_clock(timedelta(seconds=1))
    make_hit(UniqueRequestToken="t1")

    assert mturk.list_hits()["NumResults"] == 2


def test_tokens_belong_to_one_requester(live, connect, make_hit):
    make_hit(UniqueRequestToken="t1")
    make_hit(connect(live, key="AKIDOTHER"), UniqueRequestToken="t1")


def test_both_ways_to_create_a_hit_share_their_tokens(mturk, make_hit, hit_properties, error_of):
    made = make_hit(UniqueRequestToken="t1")

    code, _ = error_of(
        mturk.create_hit_with_hit_type,
        HITTypeId=made["HITTypeId"],
        LifetimeInSeconds=60,
        Question=hit_properties["Question"],
        UniqueRequestToken="t1",
    )

    assert code == "HitAlreadyExists"


def test_bonus_and_extension_happen_once_per_token(mturk, make_hit, hand, error_of):
    hit = make_hit()
    paid = bonus("A1", hand.do("A1", hit["HITId"]), "bonus-1")
    more = {
        "HITId": hit["HITId"],
        "NumberOfAdditionalAssignments": 1,
        "UniqueRequestToken": "more-1",
    }
    mturk.send_bonus(**paid)
    mturk.create_additional_assignments_for_hit(**more)

    assert error_of(mturk.send_bonus, **paid)[0] == "BonusAlreadyPaid"
    assert error_of(mturk.create_additional_assignments_for_hit, **more)[0] == "HITAlreadyExtended"
    assert mturk.list_bonus_payments(HITId=hit["HITId"])["NumResults"] == 1
    assert mturk.get_hit(HITId=hit["HITId"])["HIT"]["MaxAssignments"] == 4


def test_failed_call_does_not_use_up_its_token(mturk, make_hit, sandbox, error_of):
    sandbox.configure(opening_balance_cents=20)
    assert error_of(make_hit, UniqueRequestToken="t1")[0] == "InsufficientFunds"

    make_hit(UniqueRequestToken="t1", MaxAssignments=1)


def test_same_expiry_twice_is_refused_in_the_field_form(mturk, make_hit, sandbox, error_of):
    sandbox.configure(duplicate_error="field")
    hit = make_hit()
    change = {"HITId": hit["HITId"], "ExpireAt": sandbox.now() + timedelta(hours=2)}
    mturk.update_expiration_for_hit(**change)

    code, message = error_of(mturk.update_expiration_for_hit, **change)

    assert code == "RequestError"
    assert f'"{hit["HITId"]}Tue Jan 01 14:00:00 UTC 2030" has already been processed' in message


@pytest.mark.parametrize("kind", ["throttle", "fault"])
def test_fault_is_retried_until_it_is_over(patient, sandbox, make_hit, kind):
    sandbox.inject(kind, "CreateHIT", times=2)

    made = make_hit(patient)

    assert [hit["HITId"] for hit in patient.list_hits()["HITs"]] == [made["HITId"]]


def test_fault_that_lasts_reaches_the_caller(patient, sandbox, make_hit, error_of):
    sandbox.inject("throttle", "CreateHIT", times=3)
    assert error_of(make_hit, client=patient)[0] == "ThrottlingException"

    sandbox.inject("fault", times=3)
    with pytest.raises(patient.exceptions.ServiceFault):
        patient.list_hits()

    assert patient.list_hits()["HITs"] == []


def test_lost_reply_without_a_token_makes_two_hits(patient, sandbox, make_hit):
    sandbox.inject("lost", "CreateHIT")

    make_hit(patient)

    assert patient.list_hits()["NumResults"] == 2


def test_lost_reply_with_a_token_ends_in_the_duplicate_error(patient, sandbox, make_hit, error_of):
    sandbox.inject("lost", "CreateHIT")

    code, message = error_of(make_hit, client=patient, UniqueRequestToken="t1")

    (hit,) = patient.list_hits()["HITs"]
    assert code == "HitAlreadyExists"
    assert hit["HITId"] in message


def test_lost_reply_is_a_broken_connection(mturk, sandbox):
    from botocore.exceptions import HTTPClientError

    sandbox.inject("lost", "GetAccountBalance")

    with pytest.raises(HTTPClientError):
        mturk.get_account_balance()


def test_lost_approval_was_done_and_its_retry_says_so(patient, sandbox, make_hit, hand, error_of):
    assignment = hand.do("A1", make_hit()["HITId"])
    sandbox.inject("lost", "ApproveAssignment")

    assert error_of(patient.approve_assignment, AssignmentId=assignment)[0] == (
        "InvalidAssignmentState"
    )
    shown = patient.get_assignment(AssignmentId=assignment)["Assignment"]
    assert shown["AssignmentStatus"] == "Approved"


def test_slow_reply_waits_after_the_work_is_done(mturk, sandbox, make_hit, waited):
    sandbox.inject("slow", "CreateHIT", seconds=7.5)

    make_hit()

    assert waited == [7.5]


def test_faults_are_used_up_in_order_by_their_operation(mturk, sandbox, error_of, waited):
    sandbox.inject("throttle", "GetAccountBalance")
    sandbox.inject("slow", seconds=1)

    mturk.list_hits()
    assert waited == [1]
    assert error_of(mturk.get_account_balance)[0] == "ThrottlingException"
    assert mturk.get_account_balance()["AvailableBalance"] == "10000.00"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "earthquake"},
        {"kind": "lost", "operation": "Nothing"},
        {"kind": "lost", "times": 0},
        {"kind": "slow", "seconds": 1000},
        {"kind": "lost", "colour": "red"},
        {"kind": "lost", "times": True},
        {"operation": "CreateHIT"},
    ],
)
def test_wrong_fault_is_refused(app, wrong):
    reply = app.test_client().post("/_sandbox/faults", json=wrong)

    assert reply.status_code == 400
    assert reply.json["error"]


def test_faults_can_be_asked_for_and_cleared_over_http(app):
    admin = app.test_client()
    asked = admin.post("/_sandbox/faults", json={"kind": "lost", "operation": "CreateHIT"})

    assert asked.json == {"faults": [{"operation": "CreateHIT", "kind": "lost", "seconds": 0}]}
    assert admin.delete("/_sandbox/faults").json == {"faults": []}


def test_admin_endpoints_take_no_form_posts(app):
    form = app.test_client().post("/_sandbox/clock", data={"advance_seconds": "5"})

    assert form.status_code == 415
