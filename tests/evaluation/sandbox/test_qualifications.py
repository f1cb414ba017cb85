"""Qualification types, tests, requests, and what requirements keep workers from."""

from datetime import timedelta

import pytest

SCHEMAS = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas"
TEST = f"""<QuestionForm xmlns="{SCHEMAS}/2005-10-01/QuestionForm.xsd">
<Overview><Title>Eye test</Title><Text>Look closely.</Text></Overview>
<Question><QuestionIdentifier>sharp</QuestionIdentifier><IsRequired>true</IsRequired>
<QuestionContent><Text>Which is sharper?</Text></QuestionContent>
<AnswerSpecification><SelectionAnswer><StyleSuggestion>radiobutton</StyleSuggestion><Selections>
<Selection><SelectionIdentifier>l</SelectionIdentifier><Text>Left</Text></Selection>
<Selection><SelectionIdentifier>r</SelectionIdentifier><Text>Right</Text></Selection>
</Selections></SelectionAnswer></AnswerSpecification></Question>
<Question><QuestionIdentifier>colours</QuestionIdentifier><QuestionContent><Text>Colours?</Text>
</QuestionContent><AnswerSpecification><SelectionAnswer><MinSelectionCount>0</MinSelectionCount>
<MaxSelectionCount>3</MaxSelectionCount><Selections>
<Selection><SelectionIdentifier>red</SelectionIdentifier><Text>Red</Text></Selection>
<Selection><SelectionIdentifier>blue</SelectionIdentifier><Text>Blue</Text></Selection>
<Selection><SelectionIdentifier>green</SelectionIdentifier><Text>Green</Text></Selection>
</Selections></SelectionAnswer></AnswerSpecification></Question>
<Question><QuestionIdentifier>why</QuestionIdentifier><QuestionContent><Text>Why?</Text>
</QuestionContent><AnswerSpecification><FreeTextAnswer/></AnswerSpecification></Question>
</QuestionForm>"""
KEY = f"""<AnswerKey xmlns="{SCHEMAS}/2005-10-01/AnswerKey.xsd">
<Question><QuestionIdentifier>sharp</QuestionIdentifier>
<AnswerOption><SelectionIdentifier>l</SelectionIdentifier><AnswerScore>2</AnswerScore></AnswerOption>
</Question>
<Question><QuestionIdentifier>colours</QuestionIdentifier>
<AnswerOption><SelectionIdentifier>red</SelectionIdentifier>
<SelectionIdentifier>blue</SelectionIdentifier><AnswerScore>1</AnswerScore></AnswerOption>
</Question>
<QualificationValueMapping><PercentageMapping><MaximumSummedScore>3</MaximumSummedScore>
</PercentageMapping></QualificationValueMapping></AnswerKey>"""


@pytest.fixture
def make_type(mturk):
    def _make(name="Sharp eyes", **more):
        return mturk.create_qualification_type(
            Name=name, Description="Sees well", QualificationTypeStatus="Active", **more
        )["QualificationType"]

    return _make


@pytest.fixture
def pages(app):
    return app.test_client()


def ask(pages, worker, kind):
    path = f"/worker/{worker}/qualifications/{kind['QualificationTypeId']}"
    return pages.post(f"{path}/request"), f"{path}/test"


def test_type_is_given_back_whole_and_its_name_is_unique(mturk, make_type, error_of, sandbox):
    made = make_type(Keywords="eyes", RetryDelayInSeconds=60)

    expected = {
        "QualificationTypeId": made["QualificationTypeId"],
        "CreationTime": sandbox.now(),
        "Name": "Sharp eyes",
        "Description": "Sees well",
        "Keywords": "eyes",
        "QualificationTypeStatus": "Active",
        "RetryDelayInSeconds": 60,
        "IsRequestable": True,
        "AutoGranted": False,
    }
    key = {"QualificationTypeId": made["QualificationTypeId"]}
    assert mturk.get_qualification_type(**key)["QualificationType"] == expected
    assert error_of(make_type)[0] == "QualificationTypeAlreadyExists"
    mturk.delete_qualification_type(**key)
    assert error_of(mturk.get_qualification_type, **key)[0] == "QualificationTypeDoesNotExist"
    make_type()


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"Test": TEST}, "TestDurationInSeconds"),
        ({"Test": TEST, "TestDurationInSeconds": 60, "AutoGranted": True}, "AutoGranted"),
        ({"AnswerKey": KEY}, "needs Test"),
        ({"Test": TEST, "TestDurationInSeconds": 60, "AnswerKey": "<a/>"}, "AnswerKey"),
        ({"Test": "<a/>", "TestDurationInSeconds": 60}, "QuestionForm"),
        ({"RetryDelayInSeconds": -1}, "RetryDelayInSeconds"),
    ],
)
def test_type_with_parts_that_do_not_fit_is_refused(make_type, error_of, wrong, part):
    code, message = error_of(make_type, **wrong)

    assert code == "InvalidParameterValue"
    assert part in message


def test_types_are_searched_owned_and_system(mturk, make_type, live, connect):
    make_type("Sharp eyes")
    other = connect(live, key="AKIDOTHER")

    def names(client=mturk, **params):
        reply = client.list_qualification_types(**params)
        return [kind["Name"] for kind in reply["QualificationTypes"]]

    assert names(MustBeRequestable=True) == ["Sharp eyes"]
    assert names(MustBeRequestable=False, MustBeOwnedByCaller=True) == ["Sharp eyes"]
    assert names(other, MustBeRequestable=True, MustBeOwnedByCaller=True) == []
    assert "Worker_Locale" in names(MustBeRequestable=False)
    assert names(MustBeRequestable=True, Query="SHARP sees") == ["Sharp eyes"]
    assert names(MustBeRequestable=True, Query="100%") == []


def test_only_the_owner_may_change_give_and_see(make_type, live, connect, error_of):
    key = {"QualificationTypeId": make_type()["QualificationTypeId"]}
    other = connect(live, key="AKIDOTHER")

    assert other.get_qualification_type(**key)["QualificationType"]["Name"] == "Sharp eyes"
    assert error_of(other.update_qualification_type, **key)[0] == "AWS.NotAuthorized"
    assert error_of(other.delete_qualification_type, **key)[0] == "AWS.NotAuthorized"
    given = {**key, "WorkerId": "A1"}
    assert error_of(other.associate_qualification_with_worker, **given)[0] == "AWS.NotAuthorized"


def test_qualification_is_given_scored_listed_and_taken_away(mturk, make_type, error_of, pages):
    key = {"QualificationTypeId": make_type()["QualificationTypeId"]}
    worker = {**key, "WorkerId": "A1"}
    assert error_of(mturk.get_qualification_score, **worker)[0] == "QualificationDoesNotExist"
    mturk.associate_qualification_with_worker(IntegerValue=80, **worker)
    mturk.associate_qualification_with_worker(IntegerValue=90, SendNotification=False, **worker)

    assert mturk.get_qualification_score(**worker)["Qualification"]["IntegerValue"] == 90
    listed = mturk.list_workers_with_qualification_type(**key)["Qualifications"]
    assert [(q["WorkerId"], q["Status"]) for q in listed] == [("A1", "Granted")]
    assert pages.get("/worker/A1/messages").text.count("You were granted Sharp eyes") == 1

    mturk.disassociate_qualification_from_worker(Reason="Too long ago", **worker)
    assert mturk.list_workers_with_qualification_type(**key)["NumResults"] == 0
    assert mturk.list_workers_with_qualification_type(Status="Revoked", **key)["NumResults"] == 1
    again = error_of(mturk.disassociate_qualification_from_worker, **worker)
    assert again[0] == "InvalidQualificationState"


def test_automatic_type_is_granted_on_request(mturk, make_type, pages):
    kind = make_type(AutoGranted=True, AutoGrantedValue=7)

    ask(pages, "A1", kind)

    score = mturk.get_qualification_score(
        QualificationTypeId=kind["QualificationTypeId"], WorkerId="A1"
    )
    assert score["Qualification"]["IntegerValue"] == 7


def test_request_waits_for_the_requester(mturk, make_type, pages, error_of):
    kind = make_type(RetryDelayInSeconds=0)
    for worker in ("A1", "A2"):
        ask(pages, worker, kind)
    key = {"QualificationTypeId": kind["QualificationTypeId"]}

    first, second = mturk.list_qualification_requests(**key)["QualificationRequests"]
    mturk.accept_qualification_request(
        QualificationRequestId=first["QualificationRequestId"], IntegerValue=5
    )
    refused = {"QualificationRequestId": second["QualificationRequestId"]}
    mturk.reject_qualification_request(Reason="Not now", **refused)

    assert mturk.get_qualification_score(WorkerId="A1", **key)["Qualification"]["IntegerValue"] == 5
    assert "Not now" in pages.get("/worker/A2/qualifications").text
    assert mturk.list_qualification_requests()["NumResults"] == 0
    assert error_of(mturk.reject_qualification_request, **refused)[0] == (
        "InvalidQualificationRequestState"
    )
    none = {"QualificationRequestId": "x'y"}
    assert error_of(mturk.accept_qualification_request, **none)[0] == (
        "QualificationRequestDoesNotExist"
    )
    ask(pages, "A2", kind)
    assert mturk.list_qualification_requests()["NumResults"] == 1


@pytest.mark.parametrize(
    ("answers", "value"),
    [
        ({"sharp": "l", "colours": ["red", "blue"], "why": "x"}, 100),
        ({"sharp": "l", "colours": ["red"]}, 67),
        ({"sharp": "r", "colours": ["blue", "red"]}, 33),
        ({"sharp": "r"}, 0),
    ],
)
def test_test_is_scored_by_its_key(mturk, make_type, pages, answers, value):
    kind = make_type(Test=TEST, AnswerKey=KEY, TestDurationInSeconds=600)
    started, path = ask(pages, "A1", kind)
    assert started.location.endswith(path)
    assert "Which is sharper?" in pages.get(path).text

    assert pages.post(path, data=answers).status_code == 303

    score = mturk.get_qualification_score(
        QualificationTypeId=kind["QualificationTypeId"], WorkerId="A1"
    )
    assert score["Qualification"]["IntegerValue"] == value


def test_test_without_a_key_waits_with_its_answers(mturk, make_type, pages):
    kind = make_type(Test=TEST, TestDurationInSeconds=600)
    _, path = ask(pages, "A1", kind)
    pages.post(path, data={"sharp": "l", "why": "crisp"})

    (request,) = mturk.list_qualification_requests()["QualificationRequests"]

    assert request["Test"] == TEST
    assert "<SelectionIdentifier>l</SelectionIdentifier>" in request["Answer"]
    assert "<FreeText>crisp</FreeText>" in request["Answer"]


def test_running_test_stays_as_it_was_when_it_was_begun(mturk, make_type, pages, sandbox):
    kind = make_type(Test=TEST, AnswerKey=KEY, TestDurationInSeconds=600)
    key = {"QualificationTypeId": kind["QualificationTypeId"]}
    _, path = ask(pages, "A1", kind)
    other = TEST.replace("sharp", "blunt")
    mturk.update_qualification_type(Test=other, TestDurationInSeconds=60, **key)
    sandbox.move_clock(timedelta(seconds=599))

    assert 'name="sharp"' in pages.get(path).text
    assert pages.post(path, data={"sharp": "l", "colours": ["red", "blue"]}).status_code == 303

    score = mturk.get_qualification_score(WorkerId="A1", **key)
    assert score["Qualification"]["IntegerValue"] == 100


def test_request_shows_the_test_that_its_answers_belong_to(mturk, make_type, pages):
    kind = make_type(Test=TEST, TestDurationInSeconds=600)
    _, path = ask(pages, "A1", kind)
    pages.post(path, data={"sharp": "l"})
    mturk.update_qualification_type(
        QualificationTypeId=kind["QualificationTypeId"],
        Test=TEST.replace("sharp", "blunt"),
        TestDurationInSeconds=60,
    )

    (request,) = mturk.list_qualification_requests()["QualificationRequests"]

    assert request["Test"] == TEST


@pytest.mark.parametrize(
    "answers", [{}, {"sharp": "middle"}, {"sharp": ["l", "r"]}, {"colours": "red"}]
)
def test_answers_that_do_not_fit_the_test_are_refused(make_type, pages, answers):
    _, path = ask(pages, "A1", make_type(Test=TEST, AnswerKey=KEY, TestDurationInSeconds=600))

    assert pages.post(path, data=answers).status_code == 400


def test_test_runs_out_and_is_not_given_again_without_a_retry_delay(make_type, pages, sandbox):
    kind = make_type(Test=TEST, AnswerKey=KEY, TestDurationInSeconds=600)
    _, path = ask(pages, "A1", kind)
    sandbox.move_clock(timedelta(seconds=601))

    assert pages.post(path, data={"sharp": "l"}).status_code == 409
    again, _ = ask(pages, "A1", kind)
    assert (again.status_code, "only once" in again.text) == (409, True)


def test_test_can_be_repeated_after_its_delay(make_type, pages, sandbox):
    kind = make_type(Test=TEST, AnswerKey=KEY, TestDurationInSeconds=60, RetryDelayInSeconds=3600)
    _, path = ask(pages, "A1", kind)
    pages.post(path, data={"sharp": "r"})
    sandbox.move_clock(timedelta(seconds=3599))
    assert ask(pages, "A1", kind)[0].status_code == 409

    sandbox.move_clock(timedelta(seconds=1))

    assert ask(pages, "A1", kind)[0].status_code == 303


def test_only_the_owner_of_a_type_answers_its_requests(
    mturk, make_type, pages, live, connect, error_of
):
    ask(pages, "A1", make_type())
    (request,) = mturk.list_qualification_requests()["QualificationRequests"]
    key = {"QualificationRequestId": request["QualificationRequestId"]}
    other = connect(live, key="AKIDOTHER")

    assert error_of(other.accept_qualification_request, **key)[0] == "AWS.NotAuthorized"
    assert error_of(other.reject_qualification_request, **key)[0] == "AWS.NotAuthorized"
    assert mturk.list_qualification_requests()["NumResults"] == 1


def test_deleting_a_type_rejects_its_requests_and_ends_its_use(
    mturk, make_type, pages, make_hit, hit_properties, error_of
):
    kind = make_type()
    ask(pages, "A1", kind)
    requirement = {"QualificationTypeId": kind["QualificationTypeId"], "Comparator": "Exists"}
    hit = make_hit(QualificationRequirements=[requirement])

    mturk.delete_qualification_type(QualificationTypeId=kind["QualificationTypeId"])

    assert mturk.list_qualification_requests()["NumResults"] == 0
    code, _ = error_of(
        mturk.create_hit_with_hit_type,
        HITTypeId=hit["HITTypeId"],
        LifetimeInSeconds=60,
        Question=hit_properties["Question"],
    )
    assert code == "QualificationTypeDoesNotExist"


def test_update_changes_only_what_it_names(mturk, make_type, error_of):
    kind = make_type(AutoGranted=True, AutoGrantedValue=3)
    key = {"QualificationTypeId": kind["QualificationTypeId"]}

    changed = mturk.update_qualification_type(Description="Better", **key)["QualificationType"]

    assert changed == {**kind, "Description": "Better"}
    with_test = {**key, "Test": TEST, "TestDurationInSeconds": 60}
    assert error_of(mturk.update_qualification_type, **with_test)[0] == "InvalidParameterValue"
    mturk.update_qualification_type(AutoGranted=False, **with_test)
    closed = mturk.update_qualification_type(QualificationTypeStatus="Inactive", **key)
    assert closed["QualificationType"]["QualificationTypeStatus"] == "Inactive"
