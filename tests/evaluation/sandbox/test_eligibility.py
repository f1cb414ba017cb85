"""Which workers may see, preview and accept which HITs."""

import pytest

PERCENT = "000000000000000000L0"
NUMBER = "00000000000000000040"
LOCALE = "00000000000000000071"
ADULT = "00000000000000000060"
MASTERS = "2F1QJWKUDD8XADTFD2Q0G6UTO95ALH"


@pytest.fixture
def worker(app):
    def _worker(**known):
        app.test_client().post("/_sandbox/workers/A1", json=known)
        return "A1"

    return _worker


@pytest.fixture
def accepts(make_hit, hand, worker):
    """Whether a worker of whom something is known may accept a HIT with one requirement."""

    def _accepts(known, **requirement):
        hit = make_hit(QualificationRequirements=[requirement])
        status, _ = hand.refusal("POST", f"/worker/{worker(**known)}/hits/{hit['HITId']}/accept")
        assert status in (303, 403)
        return status == 303

    return _accepts


@pytest.mark.parametrize(
    ("approved", "rejected", "may"),
    [
        (0, 0, True),
        (99, 0, True),
        (49, 50, True),
        (99, 99, False),
        (100, 5, True),
        (95, 5, True),
        (950, 51, False),
        (100, 6, False),
    ],
)
def test_ninety_five_percent_approval_lets_newcomers_in(accepts, approved, rejected, may):
    known = {"approved_before": approved, "rejected_before": rejected}
    rule = {"Comparator": "GreaterThanOrEqualTo", "IntegerValues": [95]}

    assert accepts(known, QualificationTypeId=PERCENT, **rule) is may


@pytest.mark.parametrize(("approved", "may"), [(99, False), (100, False), (101, True)])
def test_number_of_approved_hits_is_compared(accepts, approved, may):
    rule = {"Comparator": "GreaterThan", "IntegerValues": [100]}

    assert accepts({"approved_before": approved}, QualificationTypeId=NUMBER, **rule) is may


@pytest.mark.parametrize(
    ("place", "comparator", "wanted", "may"),
    [
        (("US", "CA"), "EqualTo", [{"Country": "US"}], True),
        (("US", "CA"), "EqualTo", [{"Country": "US", "Subdivision": "NY"}], False),
        (("US", "CA"), "In", [{"Country": "CA"}, {"Country": "US", "Subdivision": "CA"}], True),
        (("DE", ""), "In", [{"Country": "US"}, {"Country": "CA"}], False),
        (("DE", ""), "NotIn", [{"Country": "US"}], True),
        (("US", ""), "NotEqualTo", [{"Country": "US"}], False),
        (("", ""), "NotIn", [{"Country": "US"}], False),
    ],
)
def test_locale_is_compared_by_country_and_subdivision(accepts, place, comparator, wanted, may):
    known = {"country": place[0], "subdivision": place[1]}
    rule = {"Comparator": comparator, "LocaleValues": wanted}

    assert accepts(known, QualificationTypeId=LOCALE, **rule) is may


def test_adult_and_masters_are_checked(accepts):
    adult = {"QualificationTypeId": ADULT, "Comparator": "EqualTo", "IntegerValues": [1]}
    masters = {"QualificationTypeId": MASTERS, "Comparator": "Exists"}

    assert not accepts({}, **adult)
    assert accepts({"adult": True}, **adult)
    assert not accepts({}, **masters)
    assert accepts({"masters": True}, **masters)


@pytest.mark.parametrize(
    ("comparator", "values", "held", "may"),
    [
        ("Exists", None, None, True),
        ("DoesNotExist", None, None, False),
        ("EqualTo", [5], 5, True),
        ("NotEqualTo", [5], 5, False),
        ("LessThan", [5], 5, False),
        ("LessThanOrEqualTo", [5], 5, True),
        ("In", [4, 5], 5, True),
        ("NotIn", [4, 5], 5, False),
        ("NotIn", [4, 6], 5, True),
        ("GreaterThan", [0], None, False),
    ],
)
def test_own_qualification_is_compared(mturk, accepts, comparator, values, held, may):
    kind = mturk.create_qualification_type(
        Name="Q", Description="Q", QualificationTypeStatus="Active"
    )["QualificationType"]["QualificationTypeId"]
    value = {} if held is None else {"IntegerValue": held}
    mturk.associate_qualification_with_worker(QualificationTypeId=kind, WorkerId="A1", **value)
    rule = {"QualificationTypeId": kind, "Comparator": comparator}

    assert accepts({}, **rule, **({"IntegerValues": values} if values else {})) is may


def test_worker_without_the_qualification_meets_only_does_not_exist(mturk, accepts):
    kind = mturk.create_qualification_type(
        Name="Done before", Description="Q", QualificationTypeStatus="Active"
    )["QualificationType"]["QualificationTypeId"]

    assert accepts({}, QualificationTypeId=kind, Comparator="DoesNotExist")
    assert not accepts({}, QualificationTypeId=kind, Comparator="NotEqualTo", IntegerValues=[1])


@pytest.mark.parametrize(
    ("guard", "sees", "previews"),
    [
        ({}, True, True),
        ({"ActionsGuarded": "Accept"}, True, True),
        ({"ActionsGuarded": "PreviewAndAccept"}, True, False),
        ({"RequiredToPreview": True}, True, False),
        ({"ActionsGuarded": "DiscoverPreviewAndAccept"}, False, False),
    ],
)
def test_guarded_actions_are_closed_and_the_reason_is_said(
    app, make_hit, worker, hand, guard, sees, previews
):
    rule = {"QualificationTypeId": NUMBER, "Comparator": "GreaterThan", "IntegerValues": [100]}
    hit = make_hit(QualificationRequirements=[{**rule, **guard}])
    pages, name = app.test_client(), worker(approved_before=12)

    listed = pages.get(f"/worker/{name}/hits").text
    assert ("Which video looks more real?" in listed) is sees
    if sees:
        assert "Number of approved HITs more than 100" in listed
        assert "(you: 12; not met)" in listed
    preview = pages.get(f"/worker/{name}/hits/{hit['HITId']}")
    assert preview.status_code == (200 if previews else 403)
    status, why = hand.refusal("POST", f"/worker/{name}/hits/{hit['HITId']}/accept")
    assert status == 403
    assert "Number of approved HITs more than 100" in why


@pytest.mark.parametrize(
    ("requirement", "part"),
    [
        ({"Comparator": "Exists", "IntegerValues": [1]}, "must not be given"),
        ({"Comparator": "EqualTo"}, "number of IntegerValues"),
        ({"Comparator": "EqualTo", "IntegerValues": [1, 2]}, "number of IntegerValues"),
        ({"Comparator": "In", "IntegerValues": list(range(16))}, "between 1 and 15"),
        ({"Comparator": "EqualTo", "LocaleValues": [{"Country": "US"}]}, "LocaleValues"),
        (
            {
                "QualificationTypeId": LOCALE,
                "Comparator": "LessThan",
                "LocaleValues": [{"Country": "US"}],
            },
            "locale",
        ),
        (
            {
                "Comparator": "EqualTo",
                "IntegerValues": [1],
                "ActionsGuarded": "Accept",
                "RequiredToPreview": True,
            },
            "together",
        ),
    ],
)
def test_requirement_that_makes_no_sense_is_refused(make_hit, error_of, requirement, part):
    rule = {"QualificationTypeId": NUMBER, **requirement}

    code, message = error_of(make_hit, QualificationRequirements=[rule])

    assert code == "InvalidParameterValue"
    assert part in message


def test_more_than_ten_requirements_are_refused(make_hit, error_of):
    rule = {"QualificationTypeId": NUMBER, "Comparator": "Exists"}

    assert error_of(make_hit, QualificationRequirements=[rule] * 11)[0] == "InvalidParameterValue"


def test_blocked_worker_can_do_nothing_until_the_block_is_lifted(mturk, make_hit, hand, app):
    hit = make_hit()
    mturk.create_worker_block(WorkerId="A1", Reason="Robot")
    path = f"/worker/A1/hits/{hit['HITId']}"

    assert "has blocked you" in app.test_client().get("/worker/A1/hits").text
    assert hand.refusal("GET", path)[0] == 403
    assert hand.refusal("POST", f"{path}/accept") == (403, "This requester has blocked you.")
    assert mturk.list_worker_blocks()["WorkerBlocks"] == [{"WorkerId": "A1", "Reason": "Robot"}]

    mturk.delete_worker_block(WorkerId="A1")
    mturk.delete_worker_block(WorkerId="A1")
    hand.accept("A1", hit["HITId"])


def test_block_is_of_one_requester_and_no_other_lifts_it(mturk, make_hit, hand, live, connect):
    other = connect(live, key="AKIDOTHER")
    mturk.create_worker_block(WorkerId="A1", Reason="Robot")

    other.delete_worker_block(WorkerId="A1")

    assert mturk.list_worker_blocks()["NumResults"] == 1
    hand.accept("A1", make_hit(other)["HITId"])


def test_judged_work_here_counts_towards_the_approval_rate(mturk, make_hit, hand, worker, app):
    worker(approved_before=99)
    assignment = hand.do("A1", make_hit()["HITId"])
    mturk.approve_assignment(AssignmentId=assignment)
    second = hand.do("A1", make_hit()["HITId"])
    mturk.reject_assignment(AssignmentId=second, RequesterFeedback="No")

    page = app.test_client().get("/worker/A1/profile").text

    assert "Approved assignments: <strong>100</strong>, rejected: <strong>1</strong>" in page
    assert "<strong>99 %</strong>" in page
