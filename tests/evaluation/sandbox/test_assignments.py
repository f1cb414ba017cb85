"""Assignments: judged once, reversible for a while, approved by themselves; bonuses."""

from datetime import timedelta

import pytest


@pytest.fixture
def hit(make_hit):
    return make_hit()


@pytest.fixture
def of(mturk):
    return lambda assignment: mturk.get_assignment(AssignmentId=assignment)["Assignment"]


def test_submitted_assignment_shows_times_worker_and_answers(mturk, hit, hand, sandbox, of):
    start = sandbox.now()
    assignment = hand.accept("A1", hit["HITId"])
    sandbox.move_clock(timedelta(minutes=5))
    hand.submit(assignment, choice="left", note="<b>&\x0bü")

    shown = of(assignment)

    assert (shown["WorkerId"], shown["HITId"]) == ("A1", hit["HITId"])
    assert shown["AssignmentStatus"] == "Submitted"
    assert shown["AcceptTime"] == start
    assert shown["Deadline"] == start + timedelta(minutes=10)
    assert shown["SubmitTime"] == start + timedelta(minutes=5)
    assert shown["AutoApprovalTime"] == start + timedelta(minutes=5, days=3)
    assert shown["Answer"].endswith(
        "<Answer><QuestionIdentifier>choice</QuestionIdentifier><FreeText>left</FreeText></Answer>"
        "<Answer><QuestionIdentifier>note</QuestionIdentifier>"
        "<FreeText>&lt;b&gt;&amp;\ufffdü</FreeText></Answer></QuestionFormAnswers>"
    )


def test_assignment_being_worked_on_cannot_be_seen_or_judged(mturk, hit, hand, error_of):
    assignment = hand.accept("A1", hit["HITId"])

    assert error_of(mturk.get_assignment, AssignmentId=assignment)[0] == "InvalidAssignmentState"
    assert error_of(mturk.approve_assignment, AssignmentId=assignment)[0] == (
        "InvalidAssignmentState"
    )
    assert mturk.list_assignments_for_hit(HITId=hit["HITId"])["Assignments"] == []


def test_second_judgment_is_refused(mturk, hit, hand, error_of):
    assignment = hand.do("A1", hit["HITId"])
    mturk.approve_assignment(AssignmentId=assignment, RequesterFeedback="Thanks")

    code, message = error_of(mturk.approve_assignment, AssignmentId=assignment)
    assert code == "InvalidAssignmentState"
    assert "status of: Submitted" in message
    override = {"AssignmentId": assignment, "OverrideRejection": True}
    assert error_of(mturk.approve_assignment, **override)[0] == "InvalidAssignmentState"
    reject = {"AssignmentId": assignment, "RequesterFeedback": "No"}
    assert error_of(mturk.reject_assignment, **reject)[0] == "InvalidAssignmentState"


def test_list_is_filtered_by_status_in_order_of_submission(mturk, hit, hand):
    first, second, third = (hand.accept(w, hit["HITId"]) for w in ("A1", "A2", "A3"))
    for assignment in (third, first, second):
        hand.submit(assignment, choice="left")
    mturk.approve_assignment(AssignmentId=first)
    mturk.reject_assignment(AssignmentId=second, RequesterFeedback="No")

    def ids(**params):
        reply = mturk.list_assignments_for_hit(HITId=hit["HITId"], **params)
        return [a["AssignmentId"] for a in reply["Assignments"]]

    assert ids() == [third, first, second]
    assert ids(AssignmentStatuses=["Submitted"]) == [third]
    assert ids(AssignmentStatuses=["Approved", "Rejected"]) == [first, second]


def test_rejection_can_be_reversed_within_thirty_days(mturk, hit, hand, sandbox, of):
    assignment = hand.do("A1", hit["HITId"])
    mturk.reject_assignment(AssignmentId=assignment, RequesterFeedback="Blank")
    assert of(assignment)["RequesterFeedback"] == "Blank"
    sandbox.move_clock(timedelta(days=30))

    mturk.approve_assignment(AssignmentId=assignment, OverrideRejection=True)

    shown = of(assignment)
    assert shown["AssignmentStatus"] == "Approved"
    assert shown["ApprovalTime"] == sandbox.now()
    assert "RejectionTime" not in shown


def test_rejection_needs_the_override_to_be_reversed(mturk, hit, hand, error_of):
    assignment = hand.do("A1", hit["HITId"])
    mturk.reject_assignment(AssignmentId=assignment, RequesterFeedback="No")

    assert error_of(mturk.approve_assignment, AssignmentId=assignment)[0] == (
        "InvalidAssignmentState"
    )


def test_rejection_stands_after_thirty_days(mturk, hit, hand, sandbox, error_of):
    assignment = hand.do("A1", hit["HITId"])
    mturk.reject_assignment(AssignmentId=assignment, RequesterFeedback="No")
    sandbox.move_clock(timedelta(days=30, seconds=1))

    code, message = error_of(
        mturk.approve_assignment, AssignmentId=assignment, OverrideRejection=True
    )

    assert code == "InvalidAssignmentState"
    assert "30 days" in message


def test_rejection_stands_once_the_hit_is_deleted(mturk, make_hit, hand, error_of):
    hit = make_hit(MaxAssignments=1)
    assignment = hand.do("A1", hit["HITId"])
    mturk.reject_assignment(AssignmentId=assignment, RequesterFeedback="No")
    mturk.delete_hit(HITId=hit["HITId"])

    code, _ = error_of(mturk.approve_assignment, AssignmentId=assignment, OverrideRejection=True)

    assert code == "InvalidHITState"
    assert error_of(mturk.get_assignment, AssignmentId=assignment)[0] == "AssignmentDoesNotExist"


def test_rejection_without_a_reason_is_refused_by_boto3_itself(mturk):
    from botocore.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        mturk.reject_assignment(AssignmentId="3A")


def test_assignment_is_approved_when_its_delay_is_over(hit, hand, sandbox, of):
    assignment = hand.do("A1", hit["HITId"])
    due = of(assignment)["AutoApprovalTime"]
    sandbox.move_clock(timedelta(days=3) - timedelta(seconds=1))
    assert of(assignment)["AssignmentStatus"] == "Submitted"

    sandbox.move_clock(timedelta(days=9))

    assert of(assignment)["AssignmentStatus"] == "Approved"
    assert of(assignment)["ApprovalTime"] == due


def test_delay_of_zero_approves_at_once(mturk, make_hit, hand, of):
    hit = make_hit(AutoApprovalDelayInSeconds=0)

    assert of(hand.do("A1", hit["HITId"]))["AssignmentStatus"] == "Approved"


def test_bonuses_are_listed_by_hit_and_by_assignment(mturk, hit, hand, sandbox, error_of):
    done = [hand.do(worker, hit["HITId"]) for worker in ("A1", "A2")]
    for worker, assignment, amount in (("A1", done[0], "0.25"), ("A2", done[1], "1")):
        mturk.send_bonus(
            WorkerId=worker, AssignmentId=assignment, BonusAmount=amount, Reason="Great"
        )

    by_hit = mturk.list_bonus_payments(HITId=hit["HITId"])
    by_assignment = mturk.list_bonus_payments(AssignmentId=done[1])

    assert [b["BonusAmount"] for b in by_hit["BonusPayments"]] == ["0.25", "1.00"]
    assert by_assignment["BonusPayments"] == [
        {
            "WorkerId": "A2",
            "BonusAmount": "1.00",
            "AssignmentId": done[1],
            "Reason": "Great",
            "GrantTime": sandbox.now(),
        }
    ]
    assert error_of(mturk.list_bonus_payments)[0] == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"WorkerId": "A2"}, "WorkerDidNotWorkOnAssignment"),
        ({"BonusAmount": "0.00"}, "InvalidParameterValue"),
        ({"BonusAmount": "0.001"}, "ValidationException"),
        ({"AssignmentId": "3NONE"}, "AssignmentDoesNotExist"),
    ],
)
def test_bonus_that_does_not_fit_is_refused(mturk, hit, hand, error_of, changes, code):
    bonus = {
        "WorkerId": "A1",
        "AssignmentId": hand.do("A1", hit["HITId"]),
        "BonusAmount": "0.10",
        "Reason": "Thanks",
    }

    assert error_of(mturk.send_bonus, **{**bonus, **changes})[0] == code


def test_bonus_before_submission_is_refused(mturk, hit, hand, error_of):
    bonus = {"WorkerId": "A1", "AssignmentId": hand.accept("A1", hit["HITId"])}

    assert error_of(mturk.send_bonus, BonusAmount="1", Reason="x", **bonus)[0] == (
        "InvalidAssignmentState"
    )
