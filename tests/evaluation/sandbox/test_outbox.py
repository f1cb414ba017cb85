"""Messages to workers, notifications in the outbox, and the clock over HTTP."""

from datetime import timedelta

import pytest


@pytest.fixture
def site(app):
    return app.test_client()


def test_messages_reach_workers_whose_work_was_judged(hand, make_hit, mturk, site):
    assignment = hand.do("A1", make_hit()["HITId"])
    hand.do("A2", make_hit()["HITId"])
    mturk.approve_assignment(AssignmentId=assignment)

    reply = mturk.notify_workers(
        Subject="Round two", MessageText="It is open.", WorkerIds=["A1", "A2", "A3"]
    )

    failed = reply["NotifyWorkersFailureStatuses"]
    assert [(f["WorkerId"], f["NotifyWorkersFailureCode"]) for f in failed] == [
        ("A2", "HardFailure"),
        ("A3", "HardFailure"),
    ]
    assert "Round two" in site.get("/worker/A1/messages").text
    assert "No messages" in site.get("/worker/A2/messages").text


def test_more_than_a_hundred_workers_are_not_notified(mturk, error_of):
    ids = [f"A{n}" for n in range(101)]

    code, _ = error_of(mturk.notify_workers, Subject="x", MessageText="y", WorkerIds=ids)

    assert code == "InvalidParameterValue"


def test_notifications_stand_in_the_outbox_in_order(hand, make_hit, mturk, site, error_of):
    hit = make_hit(MaxAssignments=1)
    spec = {
        "Destination": "https://sqs.us-east-1.amazonaws.com/1/q",
        "Transport": "SQS",
        "Version": "2006-05-05",
        "EventTypes": ["AssignmentAccepted", "AssignmentSubmitted", "HITReviewable"],
    }
    kind = {"HITTypeId": hit["HITTypeId"]}
    assert error_of(mturk.update_notification_settings, **kind)[0] == "InvalidParameterValue"
    mturk.update_notification_settings(Notification=spec, Active=True, **kind)
    assignment = hand.do("A1", hit["HITId"])
    mturk.update_notification_settings(Active=False, **kind)
    mturk.approve_assignment(AssignmentId=assignment)
    mturk.send_test_event_notification(Notification=spec, TestEventType="Ping")

    sent = site.get("/_sandbox/notifications").json["notifications"]

    events = [message["message"]["Events"][0] for message in sent]
    assert [event["EventType"] for event in events] == [
        "AssignmentAccepted",
        "AssignmentSubmitted",
        "HITReviewable",
        "Ping",
    ]
    assert events[1] == {
        "EventType": "AssignmentSubmitted",
        "EventTimestamp": "2030-01-01T12:00:00Z",
        "HITTypeId": hit["HITTypeId"],
        "HITId": hit["HITId"],
        "AssignmentId": assignment,
    }
    assert sent[0]["destination"] == spec["Destination"]


def test_a_leap_of_the_clock_tells_what_happened_in_order_of_time(
    hand, make_hit, mturk, sandbox, site
):
    hours = {"LifetimeInSeconds": 3600, "AssignmentDurationInSeconds": 7200}
    hit = make_hit(MaxAssignments=3, AutoApprovalDelayInSeconds=1800, **hours)
    spec = {
        "Destination": "https://sqs.us-east-1.amazonaws.com/1/q",
        "Transport": "SQS",
        "Version": "2006-05-05",
        "EventTypes": [
            "AssignmentApproved",
            "HITExpired",
            "AssignmentAbandoned",
            "HITReviewable",
            "HITDisposed",
        ],
    }
    mturk.update_notification_settings(Notification=spec, HITTypeId=hit["HITTypeId"])
    hand.do("A1", hit["HITId"])
    hand.accept("A2", hit["HITId"])

    sandbox.move_clock(timedelta(days=200))

    sent = site.get("/_sandbox/notifications").json["notifications"]
    events = [message["message"]["Events"][0] for message in sent]
    assert [(event["EventType"], event["EventTimestamp"]) for event in events] == [
        ("AssignmentApproved", "2030-01-01T12:30:00Z"),
        ("HITExpired", "2030-01-01T13:00:00Z"),
        ("AssignmentAbandoned", "2030-01-01T14:00:00Z"),
        ("HITReviewable", "2030-01-01T14:00:00Z"),
        ("HITDisposed", "2030-05-01T13:00:00Z"),
    ]


def test_clock_moves_forward_over_http_and_not_back(site, sandbox):
    start = sandbox.now()
    assert site.get("/_sandbox/clock").json == {"now": start.isoformat()}
    moved = site.post("/_sandbox/clock", json={"advance_seconds": 90}).json
    assert moved == {"now": (start + timedelta(seconds=90)).isoformat()}
    set_to = site.post("/_sandbox/clock", json={"set_to": "2031-01-01T00:00:00Z"}).json
    assert set_to == {"now": "2031-01-01T00:00:00+00:00"}

    for wrong in (
        {"advance_seconds": -1},
        {"set_to": "2030-01-01T00:00:00Z"},
        {"set_to": "soon"},
        {},
        {"advance_seconds": 1, "set_to": "2032-01-01"},
    ):
        assert site.post("/_sandbox/clock", json=wrong).status_code == 400
    assert sandbox.now().year == 2031
