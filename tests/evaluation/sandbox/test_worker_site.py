"""The worker site without a browser: pages, submissions, ids, what is refused."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

import pytest

HTML = (
    '<HTMLQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/'
    '2011-11-11/HTMLQuestion.xsd"><HTMLContent><![CDATA[<!DOCTYPE html><html><head>'
    '<script src="https://s3.amazonaws.com/mturk-public/externalHIT_v1.js"></script></head><body>'
    '<form id="mturk_form" method="post" action="https://www.mturk.com/mturk/externalSubmit">'
    '<input type="hidden" name="assignmentId" id="assignmentId"><input name="answer">'
    "<input type=submit></form><script>turkSetAssignmentID();</script></body></html>]]>"
    "</HTMLContent><FrameHeight>500</FrameHeight></HTMLQuestion>"
)
FORM = (
    '<QuestionForm xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/'
    '2005-10-01/QuestionForm.xsd"><Question><QuestionIdentifier>better</QuestionIdentifier>'
    "<IsRequired>true</IsRequired><QuestionContent><Text>Which &lt;b&gt;?</Text></QuestionContent>"
    "<AnswerSpecification><SelectionAnswer><Selections><Selection><SelectionIdentifier>l"
    "</SelectionIdentifier><Text>Left</Text></Selection><Selection><SelectionIdentifier>r"
    "</SelectionIdentifier><Text>Right</Text></Selection></Selections></SelectionAnswer>"
    "</AnswerSpecification></Question></QuestionForm>"
)


@pytest.fixture
def site(app):
    return app.test_client()


@pytest.fixture
def frame(site):
    """The address of the frame on a page, and its parameters."""

    def _frame(path):
        page = site.get(path)
        assert page.status_code == 200, page.text
        src = unescape(re.search(r'<iframe[^>]* src="([^"]*)"', page.text).group(1))
        return src, parse_qs(urlsplit(src).query)

    return _frame


def test_any_well_formed_id_signs_in_and_comes_back(site):
    reply = site.post("/worker/sign-in", data={"worker_id": " a1new "})

    assert reply.location == "/worker/A1NEW/hits"
    assert "A1NEW" in site.get("/").text
    assert "There are no HITs for you" in site.get(reply.location).text


@pytest.mark.parametrize(
    "worker", ["", "B1", "A", "A1'; DROP TABLE x", "A1\n", "A" * 65, "Ä1", "A1<script>"]
)
def test_malformed_worker_id_is_refused_with_a_page(site, worker):
    reply = site.post("/worker/sign-in", data={"worker_id": worker + "!" * (worker == "A1\n")})

    assert reply.status_code == 400
    assert "A worker id is the letter A" in reply.text
    assert "<script>" not in reply.text.replace('<script src="', "")


def test_list_says_pay_time_and_number(site, make_hit):
    make_hit(Title="<Two> & more", Reward="1.50")
    make_hit(Title="<Two> & more", Reward="1.50")

    page = site.get("/worker/A1/hits").text

    assert "&lt;Two&gt; &amp; more" in page
    assert "$1.50" in page
    assert "2 HITs" in page
    assert "Time allotted: 10 min" in page
    assert "Expires in 1 d" in page


def test_preview_frame_gets_only_the_hit(frame, make_hit):
    hit = make_hit()["HITId"]

    src, query = frame(f"/worker/A1/hits/{hit}")

    assert src.startswith("http://localhost:9/rate?study=a&b=2&")
    assert query == {
        "study": ["a"],
        "b": ["2"],
        "assignmentId": ["ASSIGNMENT_ID_NOT_AVAILABLE"],
        "hitId": [hit],
    }


@pytest.mark.parametrize("slash", [False, True])
def test_accepted_frame_gets_all_ids_and_where_to_submit(frame, make_hit, hand, sandbox, slash):
    sandbox.configure(submit_to_slash=slash)
    hit = make_hit()["HITId"]
    assignment = hand.accept("A1", hit)

    _, query = frame(f"/worker/A1/assignments/{assignment}")

    del query["study"], query["b"]
    assert query == {
        "assignmentId": [assignment],
        "hitId": [hit],
        "workerId": ["A1"],
        "turkSubmitTo": ["http://localhost" + "/" * slash],
    }


@pytest.mark.parametrize(
    "path", ["/mturk/externalSubmit", "/mturk/externalSubmit/", "//mturk/externalSubmit"]
)
def test_every_form_of_the_submit_address_takes_a_form_post(live, make_hit, hand, mturk, path):
    hit = make_hit()["HITId"]
    form = [("assignmentId", hand.accept("A1", hit)), ("c", "1"), ("c", "2")]

    with urlopen(live + path, data=urlencode(form).encode()) as reply:
        assert reply.status == 200

    (shown,) = mturk.list_assignments_for_hit(HITId=hit)["Assignments"]
    assert "<QuestionIdentifier>c</QuestionIdentifier><FreeText>1|2</FreeText>" in shown["Answer"]


def test_answers_outside_a_form_post_are_refused(hand, make_hit, mturk):
    hit = make_hit()["HITId"]
    assignment = hand.accept("A1", hit)
    path = f"/mturk/externalSubmit?assignmentId={assignment}&choice=left"

    assert hand.refusal("GET", path) == (400, "Answers must be sent as a form POST.")
    assert (
        hand.refusal("POST", "/mturk/externalSubmit", json={"assignmentId": assignment})[0] == 400
    )
    assert hand.refusal("POST", "/mturk/externalSubmit", data={"choice": "left"})[0] == 400
    assert mturk.list_assignments_for_hit(HITId=hit)["NumResults"] == 0


def test_form_post_may_have_the_assignment_id_in_its_address(hand, make_hit, mturk):
    assignment = hand.accept("A1", make_hit()["HITId"])
    path = f"/mturk/externalSubmit?assignmentId={assignment}&choice=left"

    assert hand.site.post(path, data={"data": "all"}).status_code == 200

    answer = mturk.get_assignment(AssignmentId=assignment)["Assignment"]["Answer"]
    assert "<QuestionIdentifier>data</QuestionIdentifier><FreeText>all</FreeText>" in answer
    assert answer.count("<Answer>") == 1


def test_posted_ids_of_worker_and_hit_are_among_the_answers(hand, make_hit, mturk):
    hit = make_hit()["HITId"]
    assignment = hand.do("A1", hit, workerId="A1", hitId=hit)

    answer = mturk.get_assignment(AssignmentId=assignment)["Assignment"]["Answer"]

    assert "<QuestionIdentifier>workerId</QuestionIdentifier><FreeText>A1</FreeText>" in answer
    assert f"<QuestionIdentifier>hitId</QuestionIdentifier><FreeText>{hit}</FreeText>" in answer
    assert "assignmentId" not in answer


@pytest.mark.parametrize(("n_fields", "status"), [(1_500, 200), (10_000, 413)])
def test_form_of_many_parts_is_taken_up_to_a_limit_that_is_told(hand, make_hit, n_fields, status):
    assignment = hand.accept("A1", make_hit()["HITId"])
    form = [("assignmentId", assignment)] + [("f", "x")] * n_fields
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = "".join(part.format(*field) for field in form) + "--b--\r\n"

    reply = hand.site.post(
        "/mturk/externalSubmit", data=body, content_type="multipart/form-data; boundary=b"
    )

    assert reply.status_code == status
    assert ("at most 4 MiB and 10,000 fields" in reply.text) is (status == 413)


@pytest.mark.parametrize(
    "key", ["3NOSUCH", "x" * 10_000, "a'b\"<c>\n", "ASSIGNMENT_ID_NOT_AVAILABLE"]
)
def test_unknown_assignment_is_refused(hand, key):
    assert hand.refusal("POST", "/mturk/externalSubmit", data={"assignmentId": key}) == (
        404,
        "There is no such assignment.",
    )


def test_second_submission_changes_nothing(hand, make_hit, mturk):
    hit = make_hit()["HITId"]
    assignment = hand.do("A1", hit, choice="left")

    again = {"assignmentId": assignment, "choice": "right"}

    assert hand.refusal("POST", "/mturk/externalSubmit", data=again) == (
        409,
        "This assignment was already submitted.",
    )
    shown = mturk.get_assignment(AssignmentId=assignment)["Assignment"]
    assert "left" in shown["Answer"]


def test_work_past_its_deadline_is_abandoned(hand, make_hit, sandbox, mturk):
    hit = make_hit(MaxAssignments=1)["HITId"]
    assignment = hand.accept("A1", hit)
    sandbox.move_clock(timedelta(seconds=600))

    late = {"assignmentId": assignment, "choice": "left"}

    assert hand.refusal("POST", "/mturk/externalSubmit", data=late) == (
        409,
        "The time for this assignment has run out.",
    )
    assert mturk.get_hit(HITId=hit)["HIT"]["HITStatus"] == "Assignable"


def test_returned_id_goes_to_the_next_worker_but_not_to_the_same_on_request(
    hand, site, make_hit, sandbox
):
    sandbox.configure(reuse_returned_ids=True)
    hit = make_hit(MaxAssignments=1)["HITId"]
    first = hand.accept("A1", hit)
    site.post(f"/worker/A1/assignments/{first}/return")

    again = hand.accept("A1", hit)
    assert again != first
    site.post(f"/worker/A1/assignments/{again}/return")
    assert hand.accept("A2", hit) == first


def test_returned_id_is_one_workers_at_a_time_who_can_submit_under_it(
    hand, site, make_hit, sandbox, mturk
):
    sandbox.configure(reuse_returned_ids=True)
    hit = make_hit(MaxAssignments=2)["HITId"]
    first = hand.accept("A1", hit)
    site.post(f"/worker/A1/assignments/{first}/return")

    assert hand.accept("A2", hit) == first
    assert hand.accept("A3", hit) != first
    hand.submit(first, choice="left")

    assert mturk.get_assignment(AssignmentId=first)["Assignment"]["WorkerId"] == "A2"


def test_a_page_left_open_after_a_return_submits_nothing_for_the_next_worker(hand, site, make_hit):
    hit = make_hit(MaxAssignments=1)["HITId"]
    first = hand.accept("A1", hit)
    site.post(f"/worker/A1/assignments/{first}/return")

    assert hand.accept("A2", hit) != first
    late = {"assignmentId": first, "choice": "left"}
    assert hand.refusal("POST", "/mturk/externalSubmit", data=late)[0] == 409


def test_assignment_is_closed_to_other_workers(hand, make_hit):
    assignment = hand.accept("A1", make_hit()["HITId"])

    assert hand.refusal("GET", f"/worker/A2/assignments/{assignment}")[0] == 404
    assert hand.refusal("POST", f"/worker/A2/assignments/{assignment}/return")[0] == 404
    stolen = {"assignmentId": assignment, "workerId": "A2"}
    assert hand.refusal("POST", "/mturk/externalSubmit", data=stolen)[0] == 403


def test_worker_does_a_hit_once(hand, make_hit, site):
    hit = make_hit()["HITId"]
    hand.do("A1", hit)

    assert hand.refusal("POST", f"/worker/A1/hits/{hit}/accept") == (
        409,
        "You have already done this HIT.",
    )
    assert "There are no HITs for you" in site.get("/worker/A1/hits").text
    assert "You have already done this HIT." in site.get(f"/worker/A1/hits/{hit}").text


def test_open_work_is_listed_and_previewing_it_leads_back(hand, make_hit, site):
    hit = make_hit()["HITId"]
    assignment = hand.accept("A1", hit)

    assert f"/worker/A1/assignments/{assignment}" in site.get("/worker/A1/hits").text
    assert site.get(f"/worker/A1/hits/{hit}").location.endswith(assignment)


def test_history_tells_earnings_feedback_and_bonuses(hand, make_hit, mturk, site):
    hits = [make_hit(Title=f"HIT {n}")["HITId"] for n in range(3)]
    paid, refused, _ = [hand.do("A1", hit) for hit in hits]
    mturk.approve_assignment(AssignmentId=paid, RequesterFeedback="Well done")
    mturk.reject_assignment(AssignmentId=refused, RequesterFeedback="Blank answers")
    mturk.send_bonus(WorkerId="A1", AssignmentId=paid, BonusAmount="0.05", Reason="For speed")

    page = site.get("/worker/A1/history").text

    sums = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", page)
    assert sums == [
        ("Earned", "$0.15"),
        ("Rewards", "$0.10"),
        ("Bonuses", "$0.05"),
        ("Waiting for approval", "$0.10"),
    ]
    for text in ("Well done", "Blank answers", "For speed", "Submitted"):
        assert text in page


def test_html_question_runs_apart_and_submits_here(frame, hand, make_hit, site, mturk):
    hit = make_hit(Question=HTML)["HITId"]
    assignment = hand.accept("A1", hit)
    src, query = frame(f"/worker/A1/assignments/{assignment}")

    page = site.get(src)

    assert query["assignmentId"] == [assignment]
    assert page.headers["Content-Security-Policy"].startswith("sandbox allow-scripts")
    assert 'action="http://localhost/mturk/externalSubmit"' in page.text
    assert 'src="/worker/static/external_hit.js"' in page.text


def test_form_question_is_asked_and_answered_as_selection(frame, hand, make_hit, site, mturk):
    hit = make_hit(Question=FORM)["HITId"]
    assignment = hand.accept("A1", hit)
    src, _ = frame(f"/worker/A1/assignments/{assignment}")
    assert "Which" in site.get(src).text

    wrong = {"assignmentId": assignment, "better": "middle"}
    assert hand.refusal("POST", "/mturk/externalSubmit", data=wrong)[0] == 400
    hand.submit(assignment, better="r")

    shown = mturk.get_assignment(AssignmentId=assignment)["Assignment"]
    assert "<SelectionIdentifier>r</SelectionIdentifier>" in shown["Answer"]


def test_profile_is_saved_and_checked(site):
    form = {"country": "de", "subdivision": "", "approved_before": "12", "rejected_before": "0"}
    assert site.post("/worker/A1/profile", data={**form, "masters": "on"}).status_code == 303
    page = site.get("/worker/A1/profile").text
    assert 'value="DE"' in page
    assert 'name="masters" checked' in page

    for wrong in ({"country": "Germany"}, {"approved_before": "-1"}, {"rejected_before": "x"}):
        assert site.post("/worker/A1/profile", data={**form, **wrong}).status_code == 400


def test_site_pages_cannot_be_framed_and_set_no_cookie(site, make_hit):
    make_hit()
    for path in ("/", "/worker/A1/hits", "/worker/A1/qualifications"):
        reply = site.get(path)
        assert "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"]
        assert "Set-Cookie" not in reply.headers
