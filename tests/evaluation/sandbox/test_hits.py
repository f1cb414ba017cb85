"""HITs and HIT types: life, limits, lists."""

from datetime import timedelta

import pytest

FORM_SCHEMA = (
    "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2005-10-01/QuestionForm.xsd"
)


@pytest.fixture
def status(mturk):
    return lambda hit: mturk.get_hit(HITId=hit["HITId"])["HIT"]["HITStatus"]


def test_created_hit_is_given_back_whole(mturk, make_hit, hit_properties, sandbox):
    made = make_hit(RequesterAnnotation="batch 7")
    hit = mturk.get_hit(HITId=made["HITId"])["HIT"]

    assert hit == made
    for key in ("Title", "Description", "Keywords", "Reward", "Question", "MaxAssignments"):
        assert hit[key] == hit_properties[key]
    assert hit["RequesterAnnotation"] == "batch 7"
    assert hit["Expiration"] == sandbox.now() + timedelta(days=1)
    assert (hit["HITStatus"], hit["HITReviewStatus"]) == ("Assignable", "NotReviewed")
    assert hit["NumberOfAssignmentsAvailable"] == 3


def test_equal_properties_are_one_hit_type(mturk, make_hit):
    kind = {
        "Title": "T",
        "Description": "D",
        "Reward": "0.05",
        "AssignmentDurationInSeconds": 60,
    }
    first = mturk.create_hit_type(**kind)["HITTypeId"]

    assert mturk.create_hit_type(**kind)["HITTypeId"] == first
    assert mturk.create_hit_type(**{**kind, "Reward": "0.050"[:4]})["HITTypeId"] == first
    month = 30 * 86_400
    assert mturk.create_hit_type(AutoApprovalDelayInSeconds=month, **kind)["HITTypeId"] == first
    assert mturk.create_hit_type(**{**kind, "Title": "U"})["HITTypeId"] != first


def test_hit_goes_through_its_life(mturk, make_hit, hand, status):
    hit = make_hit(MaxAssignments=1)
    assert status(hit) == "Assignable"
    assignment = hand.accept("A1", hit["HITId"])
    assert status(hit) == "Unassignable"
    hand.submit(assignment, choice="left")
    assert status(hit) == "Reviewable"
    mturk.update_hit_review_status(HITId=hit["HITId"])
    assert status(hit) == "Reviewing"
    mturk.update_hit_review_status(HITId=hit["HITId"], Revert=True)
    assert status(hit) == "Reviewable"
    mturk.approve_assignment(AssignmentId=assignment)
    mturk.delete_hit(HITId=hit["HITId"])
    assert status(hit) == "Disposed"
    assert mturk.list_hits()["NumResults"] == 0


def test_counters_follow_the_assignments(mturk, make_hit, hand):
    hit = make_hit(MaxAssignments=5)
    hand.accept("A1", hit["HITId"])
    hand.do("A2", hit["HITId"])
    mturk.approve_assignment(AssignmentId=hand.do("A3", hit["HITId"]))

    shown = mturk.get_hit(HITId=hit["HITId"])["HIT"]

    assert shown["NumberOfAssignmentsPending"] == 1
    assert shown["NumberOfAssignmentsAvailable"] == 2
    assert shown["NumberOfAssignmentsCompleted"] == 1


def test_hit_expires_on_the_clock_and_can_be_extended(mturk, make_hit, hand, sandbox, status):
    hit = make_hit(LifetimeInSeconds=3600)
    sandbox.move_clock(timedelta(seconds=3599))
    assert status(hit) == "Assignable"
    sandbox.move_clock(timedelta(seconds=1))
    assert status(hit) == "Reviewable"
    assert hand.refusal("POST", f"/worker/A1/hits/{hit['HITId']}/accept")[0] == 409

    mturk.update_expiration_for_hit(HITId=hit["HITId"], ExpireAt=sandbox.now() + timedelta(hours=1))

    assert status(hit) == "Assignable"
    hand.accept("A1", hit["HITId"])


def test_expiry_in_the_past_expires_now_and_pending_work_may_finish(
    mturk, make_hit, hand, sandbox, status
):
    hit = make_hit()
    assignment = hand.accept("A1", hit["HITId"])

    mturk.update_expiration_for_hit(HITId=hit["HITId"], ExpireAt=0)

    assert mturk.get_hit(HITId=hit["HITId"])["HIT"]["Expiration"] == sandbox.now()
    assert status(hit) == "Unassignable"
    hand.submit(assignment, choice="left")
    assert status(hit) == "Reviewable"


def test_deleting_waits_for_reviewable_and_judged(mturk, make_hit, hand, error_of):
    hit = make_hit(MaxAssignments=1)
    delete = {"HITId": hit["HITId"]}
    assert error_of(mturk.delete_hit, **delete)[0] == "InvalidHITState"
    assignment = hand.do("A1", hit["HITId"])
    assert error_of(mturk.delete_hit, **delete)[0] == "InvalidHITState"

    mturk.reject_assignment(AssignmentId=assignment, RequesterFeedback="No")
    mturk.delete_hit(**delete)

    assert error_of(mturk.delete_hit, **delete)[0] == "InvalidHITState"
    assert error_of(mturk.update_expiration_for_hit, ExpireAt=0, **delete)[0] == "InvalidHITState"


def test_hit_is_disposed_of_after_120_days(make_hit, sandbox, status):
    hit = make_hit(LifetimeInSeconds=86_400)
    sandbox.move_clock(timedelta(days=120))
    assert status(hit) == "Reviewable"
    sandbox.move_clock(timedelta(days=1))
    assert status(hit) == "Disposed"


def test_hit_with_a_submission_that_waits_is_not_disposed_of(make_hit, hand, sandbox, status):
    hit = make_hit(
        MaxAssignments=1, AssignmentDurationInSeconds=125 * 86_400,
        AutoApprovalDelayInSeconds=30 * 86_400,
    )  # fmt: skip
    assignment = hand.accept("A1", hit["HITId"])
    sandbox.move_clock(timedelta(days=119))
    hand.submit(assignment, choice="left")

    sandbox.move_clock(timedelta(days=5))
    assert status(hit) == "Reviewable"

    sandbox.move_clock(timedelta(days=25))  # approved by itself
    assert status(hit) == "Disposed"


@pytest.mark.parametrize(("start", "more", "end"), [(5, 4, 9), (10, 1, 11), (12, 88, 100)])
def test_assignments_can_be_added_on_one_side_of_ten(mturk, make_hit, start, more, end):
    hit = make_hit(MaxAssignments=start)

    mturk.create_additional_assignments_for_hit(
        HITId=hit["HITId"], NumberOfAdditionalAssignments=more
    )

    assert mturk.get_hit(HITId=hit["HITId"])["HIT"]["MaxAssignments"] == end


@pytest.mark.parametrize(("start", "more"), [(9, 1), (1, 9), (5, 100)])
def test_hit_of_fewer_than_ten_cannot_reach_ten(mturk, make_hit, error_of, start, more):
    hit = make_hit(MaxAssignments=start)

    code, _ = error_of(
        mturk.create_additional_assignments_for_hit,
        HITId=hit["HITId"],
        NumberOfAdditionalAssignments=more,
    )

    assert code == "InvalidMaximumAssignmentsIncrease"
    assert mturk.get_hit(HITId=hit["HITId"])["HIT"]["MaxAssignments"] == start


def test_full_hit_is_assignable_again_when_extended(mturk, make_hit, hand, status):
    hit = make_hit(MaxAssignments=1)
    hand.do("A1", hit["HITId"])

    mturk.create_additional_assignments_for_hit(HITId=hit["HITId"], NumberOfAdditionalAssignments=1)

    assert status(hit) == "Assignable"


@pytest.mark.parametrize(
    ("changes", "code", "part"),
    [
        ({"Title": "x" * 129}, "InvalidParameterValue", "Title"),
        ({"Description": "x" * 2001}, "InvalidParameterValue", "Description"),
        ({"Keywords": "x" * 1001}, "InvalidParameterValue", "Keywords"),
        ({"RequesterAnnotation": "x" * 256}, "InvalidParameterValue", "RequesterAnnotation"),
        ({"LifetimeInSeconds": 29}, "InvalidParameterValue", "LifetimeInSeconds"),
        ({"AssignmentDurationInSeconds": 31_536_001}, "InvalidParameterValue", "Duration"),
        ({"AutoApprovalDelayInSeconds": 2_592_001}, "InvalidParameterValue", "AutoApproval"),
        ({"MaxAssignments": 0}, "InvalidParameterValue", "MaxAssignments"),
        ({"Reward": "0.00"}, "InvalidParameterValue", "Reward"),
        ({"Question": "x" * 65_536}, "InvalidParameterValue", "65535 bytes"),
        ({"Question": "<a>"}, "XMLParseError", "Question"),
        ({"Question": "<ExternalQuestion/>"}, "XMLParseError", "schema"),
        ({"Question": "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"}, "XMLParseError", "type"),
        ({"Question": f'<QuestionForm xmlns="{FORM_SCHEMA}"/>'}, "InvalidParameterValue", "needs"),
        ({"HITLayoutId": "3LAYOUT"}, "HITLayoutDoesNotExist", "3LAYOUT"),
        (
            {"HITReviewPolicy": {"PolicyName": "SimplePlurality/2011-09-01"}},
            "OperationNotSupported",
            "HITReviewPolicy",
        ),
        (
            {"QualificationRequirements": [{"QualificationTypeId": "3X", "Comparator": "Exists"}]},
            "QualificationTypeDoesNotExist",
            "3X",
        ),
    ],
)
def test_hit_outside_the_limits_is_refused(make_hit, error_of, changes, code, part):
    found, message = error_of(make_hit, **changes)

    assert found == code
    assert part in message


@pytest.mark.parametrize("url", ["ftp://a.org/", "javascript:alert(1)", "//a.org", "x", ""])
def test_external_question_needs_a_web_address(make_hit, hit_properties, error_of, url):
    question = hit_properties["Question"].replace("http://localhost:9/rate?study=a&amp;b=2", url)

    assert "ExternalURL" in error_of(make_hit, Question=question)[1]


def test_question_is_needed(mturk, hit_properties, error_of):
    del hit_properties["Question"]

    assert error_of(mturk.create_hit, **hit_properties)[0] == "InvalidParameterValue"


def test_reviewable_hits_are_listed_by_status_and_type(mturk, make_hit, hand, error_of):
    one = make_hit(MaxAssignments=1)
    two = make_hit(MaxAssignments=1, Title="Other")
    make_hit()
    for hit in (one, two):
        hand.do("A1", hit["HITId"])
    mturk.update_hit_review_status(HITId=two["HITId"])

    def ids(**params):
        return [hit["HITId"] for hit in mturk.list_reviewable_hits(**params)["HITs"]]

    assert ids() == [one["HITId"]]
    assert ids(Status="Reviewing") == [two["HITId"]]
    assert ids(HITTypeId=two["HITTypeId"]) == []
    assert error_of(mturk.list_reviewable_hits, HITTypeId="3NO")[0] == "HITTypeDoesNotExist"


def test_review_status_moves_only_between_its_two_states(mturk, make_hit, error_of):
    hit = make_hit()

    assert error_of(mturk.update_hit_review_status, HITId=hit["HITId"])[0] == "InvalidHITState"
    assert error_of(mturk.update_hit_review_status, HITId=hit["HITId"], Revert=True)[0] == (
        "InvalidHITState"
    )


def test_hits_are_found_by_the_qualification_they_require(mturk, make_hit):
    required = {
        "QualificationTypeId": "00000000000000000071",
        "Comparator": "In",
        "LocaleValues": [{"Country": "US"}, {"Country": "CA"}],
    }
    wanted = make_hit(QualificationRequirements=[required])
    make_hit()

    found = mturk.list_hits_for_qualification_type(QualificationTypeId="00000000000000000071")

    assert [hit["HITId"] for hit in found["HITs"]] == [wanted["HITId"]]
    assert found["HITs"][0]["QualificationRequirements"] == [required]
