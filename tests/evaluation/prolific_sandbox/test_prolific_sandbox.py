"""The fake of Prolific against the published facts: states, errors, money, and its traps."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from evaluation.errors import DatabaseError
from evaluation.prolific_sandbox import create_service
from evaluation.prolific_sandbox.site import participant_id

HEADERS = {"Authorization": "Token vgan-eval-sandbox"}
LONG = "y" * 100


class Fake:
    """A fake with its own clock; a researcher's calls and a participant's clicks."""

    def __init__(self, path):
        self.time = datetime(2026, 5, 1, 9, tzinfo=UTC)
        self.app = create_service(f"sqlite:///{path}", clock=lambda: self.time)
        self.sandbox = self.app.extensions["prolific_sandbox"]
        self.client = self.app.test_client()

    def call(self, method, path, body=None, *, status=200, **query):
        reply = self.client.open(
            f"/api/v1/{path}", method=method, json=body, query_string=query, headers=HEADERS
        )
        assert reply.status_code == status, reply.text
        return reply.get_json(silent=True)

    def draft(self, **changes):
        return self.call("POST", "studies/", body(**changes), status=201)["id"]

    def publish(self, **changes):
        study = self.draft(**changes)
        self.call("POST", f"studies/{study}/transition/", {"action": "PUBLISH"})
        return study

    def state(self, study):
        return self.call("GET", f"studies/{study}/")["status"]

    def begin(self, name, study):
        """Sign in, take part, open the study; return the submission's id and the study's URL."""
        self.client.post("/participant/sign-in", data={"name": name})
        reply = self.client.post(f"/participant/studies/{study}/take-part")
        assert reply.status_code == 303, reply.text
        submission = reply.location.rpartition("/")[2]
        opened = self.client.post(f"/participant/submissions/{submission}/open")
        return submission, opened.location

    def come_back(self, code):
        return self.client.get("/submissions/complete", query_string={"cc": code})

    def work(self, name, study, code="DONE"):
        submission, _ = self.begin(name, study)
        assert self.come_back(code).status_code == 303
        return submission

    def status(self, submission):
        return self.call("GET", f"submissions/{submission}/")["status"]

    def decide(self, submission, action="APPROVE", *, status=200, **more):
        path = f"submissions/{submission}/transition/"
        return self.call("POST", path, {"action": action, **more}, status=status)

    def balance(self):
        workspace = self.call("GET", "workspaces/")["results"][0]["id"]
        found = self.call("GET", f"workspaces/{workspace}/balance/")
        return found["total_balance"], found["available_balance"]


def codes(*actions):
    return [{"code": "DONE", "code_type": "COMPLETED", "actor": "participant", "actions": [
        {"action": "MANUALLY_REVIEW"}, *actions]}]  # fmt: skip


def body(**changes):
    values = {
        "name": "Which?", "internal_name": "ours", "description": "Look.", "reward": 90,
        "external_study_url": "https://x.org/?p={{%PROLIFIC_PID%}}&t={{%STUDY_ID%}}"
        "&s={{%SESSION_ID%}}",
        "prolific_id_option": "url_parameters", "total_available_places": 2,
        "estimated_completion_time": 4, "maximum_allowed_time": 20, "completion_codes": codes(),
    }  # fmt: skip
    return values | changes


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("fake") / "fake.db"
    create_service(f"sqlite:///{path}").extensions["prolific_sandbox"].close()
    return path


@pytest.fixture
def fake(template, tmp_path):
    shutil.copy(template, tmp_path / "fake.db")
    made = Fake(tmp_path / "fake.db")
    yield made
    made.sandbox.close()


def test_wrong_token_is_401_in_the_wrapped_form(fake):
    reply = fake.client.get("/api/v1/users/me/", headers={"Authorization": "Token other"})

    assert reply.status_code == 401
    assert reply.json["error"]["status"] == 401


def test_create_answers_errors_bare_and_by_field(fake):
    error = fake.call("POST", "studies/", {"name": "x"}, status=400)

    assert "error" not in error
    assert error["detail"]["reward"] == ["This field is required."]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"completion_code": "X"}, "completion_code"),
        ({"eligibility_requirements": []}, "eligibility_requirements"),
        ({"reward": 53}, "reward"),  # under 8 USD an hour for 4 minutes
        ({"maximum_allowed_time": 13}, "maximum_allowed_time"),  # 2 + 8 + 4 is 14
        ({"completion_codes": []}, "completion_codes"),
        ({"project": "other"}, "project"),
        ({"completion_codes": ["x"]}, "completion_codes"),
        ({"completion_codes": [{"code": "A", "actions": ["x"]}]}, "completion_codes"),
        ({"total_available_places": 1.5}, "total_available_places"),
        ({"filters": [{"filter_id": "x"}]}, "filters"),
        ({"filters": [{"filter_id": "approval_rate", "selected_values": ["95"]}]}, "filters"),
        ({"filters": [{"filter_id": "participant_group_blocklist", "selected_values": ["1"]}]},
         "filters"),
    ],
)  # fmt: skip
def test_draft_against_a_rule_is_refused(fake, changes, field):
    assert field in fake.call("POST", "studies/", body(**changes), status=400)["detail"]


def test_the_same_draft_twice_is_two_drafts(fake):
    assert fake.draft() != fake.draft()


def test_publishing_holds_the_money_and_stopping_frees_it(fake):
    study = fake.publish()
    assert fake.balance() == (1_000_000, 1_000_000 - 2 * (90 + 30))

    fake.work("ann", study)
    fake.call("POST", f"studies/{study}/transition/", {"action": "STOP"})

    assert fake.balance() == (1_000_000, 1_000_000 - 120)  # ann waits for her review


def test_publishing_without_funds_is_refused(fake):
    fake.sandbox.configure(balance_cents=239)
    study = fake.draft()

    fake.call("POST", f"studies/{study}/transition/", {"action": "PUBLISH"}, status=400)
    assert fake.state(study) == "UNPUBLISHED"


def test_only_drafts_are_deleted(fake):
    draft, study = fake.draft(), fake.publish()

    assert fake.call("DELETE", f"studies/{draft}/") is None
    fake.call("DELETE", f"studies/{study}/", status=400)
    fake.call("GET", f"studies/{draft}/", status=404)


@pytest.mark.parametrize("action", ["PUBLISH", "START", "JUMP"])
def test_transition_that_is_not_in_the_table_is_refused(fake, action):
    study = fake.publish()

    fake.call("POST", f"studies/{study}/transition/", {"action": action}, status=400)


def test_study_goes_to_review_and_to_its_end_by_itself_and_a_rejection_pauses_it(fake):
    study = fake.publish()
    first, second = fake.work("ann", study), fake.work("ben", study)
    assert fake.state(study) == "AWAITING REVIEW"

    fake.decide(first)
    fake.decide(second, "REJECT", message=LONG, rejection_category="NO_DATA")
    assert fake.state(study) == "PAUSED"
    fake.call("POST", f"studies/{study}/transition/", {"action": "START"})
    fake.decide(fake.work("cas", study))

    assert fake.state(study) == "COMPLETED"


def test_stopped_study_waits_for_the_reviews_of_what_was_handed_in(fake):
    study = fake.publish()
    submission = fake.work("ann", study)

    fake.call("POST", f"studies/{study}/transition/", {"action": "STOP"})
    assert fake.state(study) == "AWAITING REVIEW"
    fake.decide(submission)

    assert fake.state(study) == "COMPLETED"


def test_places_only_grow_and_reopen_a_study_that_is_over(fake):
    study = fake.publish(total_available_places=1)
    fake.decide(fake.work("ann", study))
    assert fake.state(study) == "COMPLETED"

    for wrong in (0, "x", None):
        fake.call("PATCH", f"studies/{study}/", {"total_available_places": wrong}, status=400)
    fake.call("PATCH", f"studies/{study}/", {"reward": 500}, status=400)
    fake.call("PATCH", f"studies/{study}/", {"total_available_places": 2})

    assert fake.state(study) == "ACTIVE"


def test_more_places_open_a_stopped_study_again(fake):
    study = fake.publish(total_available_places=1)
    fake.call("POST", f"studies/{study}/transition/", {"action": "STOP"})

    fake.call("PATCH", f"studies/{study}/", {"total_available_places": 2})

    assert fake.state(study) == "ACTIVE"
    assert fake.balance()[1] == 1_000_000 - 2 * (90 + 30)


def test_paused_study_stays_paused_when_somebody_hands_in(fake):
    study = fake.publish()
    fake.begin("ann", study)
    fake.call("POST", f"studies/{study}/transition/", {"action": "PAUSE"})

    fake.come_back("DONE")

    assert fake.state(study) == "PAUSED"


def test_place_of_an_approved_submission_is_not_given_again(fake):
    study = fake.publish()
    fake.decide(fake.work("ann", study))
    fake.begin("ben", study)

    fake.client.post("/participant/sign-in", data={"name": "cas"})
    reply = fake.client.post(f"/participant/studies/{study}/take-part")

    assert reply.status_code == 409
    assert "no free places" in reply.text


def test_ids_are_put_into_the_studys_address(fake):
    study = fake.publish()

    submission, url = fake.begin("ann", study)

    assert url == f"https://x.org/?p={participant_id('ann')}&t={study}&s={submission}"


def test_list_and_detail_differ(fake):
    study = fake.publish()
    submission = fake.work("ann", study)

    (row,) = fake.call("GET", "submissions/", study=study)["results"]
    detail = fake.call("GET", f"submissions/{submission}/")

    assert row["participant_id"] == detail["participant"] == participant_id("ann")
    assert {"bonus_payments", "entered_code", "study_id"} <= set(detail) - set(row)


def test_list_without_a_study_is_refused(fake):
    assert "study" in fake.call("GET", "submissions/", status=400)["detail"]


def test_page_past_the_end_is_404(fake):
    study = fake.publish(total_available_places=3)
    for name in ("a", "b", "c"):
        fake.begin(name, study)

    first = fake.call("GET", "submissions/", study=study, page_size=2)
    last = fake.call("GET", "submissions/", study=study, page_size=2, page=2)

    assert [len(page["results"]) for page in (first, last)] == [2, 1]
    assert "page=2" in first["_links"]["next"]["href"]
    assert last["_links"]["next"]["href"] is None
    fake.call("GET", "submissions/", study=study, page_size=2, page=3, status=404)


@pytest.mark.parametrize("number", ["\u00b2", "9" * 5000, "-1"])
def test_page_that_is_no_number_is_refused(fake, number):
    fake.call("GET", "studies/", page=number, status=400)


def test_body_nested_too_deeply_to_read_is_refused(fake):
    deep = {"data": b"[" * 100_000, "content_type": "application/json"}

    assert fake.client.post("/api/v1/studies/", headers=HEADERS, **deep).status_code == 400


@pytest.mark.parametrize(
    "wrong", [{"submissions_config": True}, {"maximum_allowed_time": "long"}, {"filters": {}}]
)
def test_a_setting_of_the_wrong_type_is_refused_and_the_site_goes_on(fake, wrong):
    study = fake.publish()
    fake.call("POST", "studies/", body(**wrong), status=400)
    fake.call("PATCH", f"studies/{study}/", wrong, status=400)
    fake.client.post("/participant/sign-in", data={"name": "ann"})

    assert fake.client.get("/").status_code == 200


def test_reserved_place_is_free_after_ten_minutes_and_a_slow_worker_times_out(fake):
    study = fake.publish(total_available_places=1)
    fake.client.post("/participant/sign-in", data={"name": "ann"})
    fake.client.post(f"/participant/studies/{study}/take-part")
    fake.time += timedelta(minutes=10)

    submission, _ = fake.begin("ben", study)
    assert fake.status(submission) == "ACTIVE"
    fake.time += timedelta(minutes=20)

    assert fake.status(submission) == "TIMED-OUT"
    counts = fake.call("GET", f"studies/{study}/submissions/counts/")
    assert (counts["RETURNED"], counts["TIMED-OUT"], counts["TOTAL"]) == (1, 1, 2)


def test_everybody_takes_part_once(fake):
    study = fake.publish()
    fake.work("ann", study)

    reply = fake.client.post(f"/participant/studies/{study}/take-part")

    assert reply.status_code == 409
    assert "You have taken part" in reply.text


def test_blocked_group_and_low_approval_keep_people_out(fake):
    workspace = fake.call("GET", "workspaces/")["results"][0]["id"]
    made = {"name": "done", "workspace_id": workspace}
    group = fake.call("POST", "participant-groups/", made, status=201)["id"]
    ids = {"participant_ids": [participant_id("ann")]}
    for _ in range(2):  # again is harmless
        fake.call("POST", f"participant-groups/{group}/participants/", ids)
    blocked = {"filter_id": "participant_group_blocklist", "selected_values": [group]}
    study = fake.publish(filters=[blocked])

    fake.client.post("/participant/sign-in", data={"name": "ann"})
    reply = fake.client.post(f"/participant/studies/{study}/take-part")

    assert "not for you" in reply.text
    fake.work("ben", study)


def test_wrong_code_is_handed_in_by_hand_and_runs_no_action(fake):
    study = fake.publish()
    submission, _ = fake.begin("ann", study)
    assert fake.come_back("WRONG").status_code == 404

    fake.client.post(f"/participant/submissions/{submission}/code", data={"code": ""})

    found = fake.call("GET", f"submissions/{submission}/")
    assert (found["status"], found["entered_code"]) == ("AWAITING REVIEW", "NOCODE")


def test_automatic_approval_is_held_back_from_the_very_fast(fake):
    auto = [{"code": "DONE", "actions": [{"action": "AUTOMATICALLY_APPROVE"}]}]
    study = fake.publish(completion_codes=auto)
    fast = fake.work("ann", study)
    slow, _ = fake.begin("ben", study)
    fake.time += timedelta(minutes=3)
    fake.come_back("DONE")

    assert (fake.status(fast), fake.status(slow)) == ("AWAITING REVIEW", "APPROVED")
    fake.time += timedelta(days=21)
    assert fake.status(fast) == "APPROVED"


def test_used_up_screen_out_slots_pause_the_study(fake):
    pay = {"action": "FIXED_SCREEN_OUT_PAYMENT", "fixed_screen_out_reward": 20, "slots": 1}
    study = fake.publish(completion_codes=[*codes(), {"code": "OUT", "actions": [pay]}])

    submission = fake.work("ann", study, "OUT")

    assert fake.status(submission) == "SCREENED OUT"
    assert fake.state(study) == "PAUSED"
    assert fake.balance()[0] == 1_000_000 - 20 - 7
    fake.call("POST", f"studies/{study}/transition/", {"action": "START"}, status=400)


def test_screen_outs_hold_no_money_once_they_are_paid_or_the_study_is_over(fake):
    pay = {"action": "FIXED_SCREEN_OUT_PAYMENT", "fixed_screen_out_reward": 20, "slots": 3}
    study = fake.publish(completion_codes=[*codes(), {"code": "OUT", "actions": [pay]}])
    before = fake.balance()[1]

    fake.work("ann", study, "OUT")

    assert fake.balance()[1] == before
    for name in ("ben", "cas"):
        fake.decide(fake.work(name, study))
    left = 1_000_000 - (20 + 7) - 2 * (90 + 30)
    assert fake.balance() == (left, left)  # the study is over, with two screen-outs left


def test_published_study_takes_more_slots_and_no_other_change_of_its_codes(fake):
    def with_slots(slots, reward=20):
        pay = {"fixed_screen_out_reward": reward, "slots": slots}
        action = {"action": "FIXED_SCREEN_OUT_PAYMENT", **pay}
        return {"completion_codes": [*codes(), {"code": "OUT", "actions": [action]}]}

    study = fake.publish(**with_slots(1))
    fake.work("ann", study, "OUT")
    before = fake.balance()[1]

    for wrong in (with_slots(0), with_slots(5, reward=30), {"completion_codes": codes()}):
        fake.call("PATCH", f"studies/{study}/", wrong, status=400)
    fake.call("PATCH", f"studies/{study}/", with_slots(3))
    fake.call("POST", f"studies/{study}/transition/", {"action": "START"})

    assert fake.state(study) == "ACTIVE"
    assert before - fake.balance()[1] == 2 * (20 + 7)


@pytest.mark.parametrize("wrong", [{}, {"reward": "a", "total_available_places": 1}])
def test_price_of_nothing_that_is_a_number_is_refused(fake, wrong):
    fake.call("POST", "study-cost-calculator/", wrong, status=400)


def test_rejection_needs_a_long_message_and_a_category(fake):
    study = fake.publish()
    submission = fake.work("ann", study)

    for more in ({}, {"message": "short"}, {"message": LONG, "rejection_category": "RUDE"}):
        fake.decide(submission, "REJECT", status=400, **more)
    fake.decide(submission, "REJECT", message=LONG, rejection_category="NO_DATA")
    fake.decide(submission, "REJECT", message="", rejection_category="")  # a repeat is ignored

    assert fake.status(submission) == "REJECTED"
    fake.decide(submission, "APPROVE", status=400)


def test_approval_pays_once_however_often_it_is_sent(fake):
    study = fake.publish()
    submission = fake.work("ann", study)

    fake.decide(submission)
    fake.call("POST", "submissions/bulk-approve/", {"submission_ids": [submission]})

    assert fake.balance()[0] == 1_000_000 - 120


def test_bonus_is_in_major_units_and_the_same_set_up_pays_as_often_as_it_is_asked(fake):
    study = fake.publish()
    submission = fake.work("ann", study)
    lines = {"study_id": study, "csv_bonuses": f"{submission},4.25\n"}

    made = fake.call("POST", "submissions/bonus-payments/", lines, status=201)
    assert (made["amount"], made["fees"], made["total_amount"]) == (425, 142, 567)
    assert fake.balance()[0] == 1_000_000
    for _ in range(2):
        fake.call("POST", f"bulk-bonus-payments/{made['id']}/pay/", status=202)

    assert fake.balance()[0] == 1_000_000 - 2 * 567
    path = f"submissions/{submission}/"
    assert fake.call("GET", path)["bonus_payments"] == []  # it takes a while to show
    fake.time += timedelta(minutes=1)
    assert fake.call("GET", path)["bonus_payments"] == [425, 425]
    assert fake.call("GET", f"studies/{study}/cost/")["bonuses"]["rewards"]["amount"] == 850


@pytest.mark.parametrize("line", ["0" * 24 + ",1.00", "{},zero", "{},-1", "{},inf", ""])
def test_bonus_lines_that_will_not_do_are_refused(fake, line):
    study = fake.publish()
    submission = fake.work("ann", study)
    lines = {"study_id": study, "csv_bonuses": line.format(submission)}

    fake.call("POST", "submissions/bonus-payments/", lines, status=400)


def test_submission_can_be_returned_after_handing_in_and_frees_its_place(fake):
    study = fake.publish(total_available_places=1)
    submission = fake.work("ann", study)
    assert fake.state(study) == "AWAITING REVIEW"

    fake.client.post(f"/participant/submissions/{submission}/return")

    assert fake.status(submission) == "RETURNED"
    assert fake.state(study) == "PAUSED"


def test_finished_study_opened_again_leads_to_what_was_handed_in(fake):
    study = fake.publish()
    submission = fake.work("ann", study)

    again = fake.come_back("DONE")

    assert again.location.endswith(submission)


def test_pages_of_a_participant_show_where_everything_stands(fake):
    study = fake.publish()
    assert "Who takes part?" in fake.client.get("/").text
    submission, _ = fake.begin("ann", study)
    assert "Open the study" in fake.client.get(f"/participant/submissions/{submission}").text
    fake.come_back("DONE")

    assert "Awaiting review" in fake.client.get("/").text
    fake.client.post("/participant/sign-out")
    assert fake.come_back("DONE").status_code == 401
    fake.client.post("/participant/sign-in", data={"name": "ben"})
    assert fake.client.get(f"/participant/submissions/{submission}").status_code == 404
    assert fake.client.get("/participant/submissions/none").status_code == 404
    assert fake.client.post("/participant/studies/none/take-part").status_code == 404
    assert fake.client.post("/participant/sign-in", data={"name": "<b>"}).status_code == 400


@pytest.mark.parametrize(("kind", "status"), [("throttle", 429), ("fault", 500)])
def test_fault_on_demand_is_used_up_by_one_call_of_its_operation(fake, kind, status):
    asked = {"kind": kind, "operation": "create_study"}
    assert fake.client.post("/_sandbox/faults", json=asked).status_code == 200

    fake.call("GET", "users/me/")
    fake.call("POST", "studies/", body(), status=status)

    assert fake.call("GET", "studies/")["results"] == []
    fake.draft()


def test_clock_and_settings_are_kept_in_the_database(fake, tmp_path):
    fake.client.post("/_sandbox/clock", json={"advance_seconds": 3600})
    kept = fake.client.post("/_sandbox/settings", json={"currency": "GBP"}).json
    assert kept["currency"] == "GBP"
    again = Fake(tmp_path / "fake.db")
    try:
        with again.sandbox.begin() as unit:
            assert (unit.now - again.time, unit.service.currency) == (timedelta(hours=1), "GBP")
    finally:
        again.sandbox.close()


@pytest.mark.parametrize(
    ("path", "wrong"),
    [("settings", {"currency": "EUR"}), ("settings", {"colour": 1}),
     ("settings", {"balance_cents": True}), ("clock", {"advance_seconds": -1}),
     ("faults", {"kind": "fire"}), ("faults", {"times": 3}),
     ("faults", {"kind": "lost", "times": 0}), ("settings", [])],
)  # fmt: skip
def test_wrong_wish_of_the_sandbox_is_refused(fake, path, wrong):
    assert fake.client.post(f"/_sandbox/{path}", json=wrong).status_code == 400


@pytest.mark.parametrize(
    ("url", "message"),
    [("nothing", "not a database URL"), ("sqlite:///:memory:", "needs a file"),
     ("postgresql://x/y", "in SQLite, not postgresql"),
     ("sqlite:////no/such/folder/x.db", "no folder")],
)  # fmt: skip
def test_database_that_will_not_do_is_said_in_one_line(url, message):
    with pytest.raises(DatabaseError, match=message):
        create_service(url)


def test_another_programs_database_is_left_alone(tmp_path, sqlite_database):
    with pytest.raises(DatabaseError, match="holds other tables"):
        create_service(sqlite_database.url)
