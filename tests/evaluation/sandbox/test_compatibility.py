"""Every operation of botocore's model is called, and stands in the documentation as it is."""

from pathlib import Path

import pytest

from evaluation.sandbox.operations import all_operations, compatibility_table
from evaluation.sandbox.registry import Support
from evaluation.sandbox.wire import operation_names

PAGE = Path(__file__).parents[3] / "docs" / "mturk-compatibility.md"


@pytest.fixture
def sandbox_url(empty_database_url):
    return empty_database_url


@pytest.fixture
def called(mturk):
    """The operations that the client calls and the service answers without an error."""
    answered = set()
    events = mturk.meta.events

    def note(http_response, parsed, model, **rest):
        if http_response.status_code == 200:
            answered.add(model.name)

    events.register("after-call.mturk", note)
    yield answered
    events.unregister("after-call.mturk", note)


def _qualifications(mturk, site):
    kind = {
        "QualificationTypeId": mturk.create_qualification_type(
            Name="Eyes",
            Description="Sees",
            QualificationTypeStatus="Active",
            RetryDelayInSeconds=0,
        )["QualificationType"]["QualificationTypeId"]
    }
    mturk.get_qualification_type(**kind)
    mturk.update_qualification_type(Description="Sees well", **kind)
    mturk.list_qualification_types(MustBeRequestable=True)
    ask = f"/worker/A1/qualifications/{kind['QualificationTypeId']}/request"
    for answer in (mturk.reject_qualification_request, mturk.accept_qualification_request):
        assert site.post(ask).status_code == 303
        (request,) = mturk.list_qualification_requests(**kind)["QualificationRequests"]
        answer(QualificationRequestId=request["QualificationRequestId"])
    mturk.associate_qualification_with_worker(WorkerId="A1", IntegerValue=3, **kind)
    assert (
        mturk.get_qualification_score(WorkerId="A1", **kind)["Qualification"]["IntegerValue"] == 3
    )
    assert mturk.list_workers_with_qualification_type(**kind)["NumResults"] == 1
    mturk.list_hits_for_qualification_type(**kind)
    mturk.disassociate_qualification_from_worker(WorkerId="A1", **kind)
    mturk.delete_qualification_type(**kind)


def _work(mturk, make_hit, hand, hit_properties):
    hit = make_hit(MaxAssignments=1)
    key = {"HITId": hit["HITId"]}
    shared = ("Title", "Description", "Reward", "AssignmentDurationInSeconds")
    kind = mturk.create_hit_type(**{name: hit_properties[name] for name in shared})
    mturk.create_hit_with_hit_type(
        LifetimeInSeconds=60, Question=hit_properties["Question"], **kind_of(kind)
    )
    mturk.update_hit_type_of_hit(**key, **kind_of(kind))
    mturk.create_additional_assignments_for_hit(NumberOfAdditionalAssignments=1, **key)
    done = [hand.do(worker, hit["HITId"]) for worker in ("A1", "A2")]
    assert mturk.list_reviewable_hits()["NumResults"] == 1
    mturk.get_assignment(AssignmentId=done[0])
    mturk.approve_assignment(AssignmentId=done[0])
    mturk.reject_assignment(AssignmentId=done[1], RequesterFeedback="No")
    mturk.send_bonus(WorkerId="A1", AssignmentId=done[0], BonusAmount="0.01", Reason="x")
    assert mturk.list_bonus_payments(**key)["NumResults"] == 1
    assert mturk.list_assignments_for_hit(**key)["NumResults"] == 2
    mturk.update_hit_review_status(**key)
    mturk.update_hit_review_status(Revert=True, **key)
    mturk.update_expiration_for_hit(ExpireAt=0, **key)
    mturk.delete_hit(**key)
    assert mturk.get_hit(**key)["HIT"]["HITStatus"] == "Disposed"
    assert mturk.list_hits()["NumResults"] == 1
    return hit, done[0]


def kind_of(reply):
    return {"HITTypeId": reply["HITTypeId"]}


def _people(mturk, hit):
    mturk.create_worker_block(WorkerId="A9", Reason="Robot")
    assert mturk.list_worker_blocks()["NumResults"] == 1
    mturk.delete_worker_block(WorkerId="A9")
    mturk.notify_workers(Subject="Hello", MessageText="Text", WorkerIds=["A1"])
    spec = {
        "Destination": "a@example.org",
        "Transport": "Email",
        "Version": "2006-05-05",
        "EventTypes": ["HITExpired"],
    }
    mturk.update_notification_settings(Notification=spec, **kind_of(hit))
    mturk.send_test_event_notification(Notification=spec, TestEventType="HITExpired")


def test_every_operation_answers_boto3_or_says_it_is_not_supported(
    called, mturk, make_hit, hand, hit_properties, error_of
):
    mturk.get_account_balance()
    _qualifications(mturk, hand.site)
    hit, assignment = _work(mturk, make_hit, hand, hit_properties)
    _people(mturk, hit)
    upload = {"AssignmentId": assignment, "QuestionIdentifier": "q"}
    refused = {
        "GetFileUploadURL": error_of(mturk.get_file_upload_url, **upload),
        "ListReviewPolicyResultsForHIT": error_of(
            mturk.list_review_policy_results_for_hit, HITId=hit["HITId"]
        ),
    }

    assert all(code == "OperationNotSupported" for code, _ in refused.values())
    assert called | refused.keys() == set(operation_names())
    assert not called & refused.keys()
    assert refused.keys() == {op.name for op in all_operations() if op.support is Support.REFUSED}


def test_there_are_thirty_nine_operations():
    assert len(all_operations()) == 39


def test_documentation_holds_the_table_of_the_code():
    assert compatibility_table() in PAGE.read_text(encoding="utf-8"), (
        "regenerate: python -c 'from evaluation.sandbox.operations import compatibility_table;"
        " print(compatibility_table())'"
    )


def test_refused_operations_check_their_ids_first(mturk, error_of):
    upload = {"AssignmentId": "3NO", "QuestionIdentifier": "q"}

    assert error_of(mturk.get_file_upload_url, **upload)[0] == "AssignmentDoesNotExist"
    assert error_of(mturk.list_review_policy_results_for_hit, HITId="3NO")[0] == "HITDoesNotExist"
