"""A requester's script as someone writes it from Amazon's documentation, and long lists.

The script knows nothing of this service: it takes its endpoint from the environment.
"""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import boto3  # noqa: TID251 (the script under test opens it)

SCRIPT = """
import datetime, sys, xml.etree.ElementTree as ET
import boto3

mturk = boto3.client("mturk", region_name="us-east-1")
print("balance", mturk.get_account_balance()["AvailableBalance"])

question = open(sys.argv[1]).read()
hit_type = mturk.create_hit_type(
    AutoApprovalDelayInSeconds=86400, AssignmentDurationInSeconds=600, Reward="0.05",
    Title="Choose", Keywords="video", Description="Choose a video",
    QualificationRequirements=[{
        "QualificationTypeId": "000000000000000000L0", "Comparator": "GreaterThanOrEqualTo",
        "IntegerValues": [95], "ActionsGuarded": "Accept"}])
created = [
    mturk.create_hit_with_hit_type(
        HITTypeId=hit_type["HITTypeId"], MaxAssignments=2, LifetimeInSeconds=3600,
        Question=question, RequesterAnnotation=f"row {n}", UniqueRequestToken=f"run-1-{n}",
    )["HIT"]["HITId"]
    for n in range(25)]
print("created", len(created))
input()  # workers work

listed = []
for page in mturk.get_paginator("list_hits").paginate(PaginationConfig={"PageSize": 10}):
    listed += [hit["HITId"] for hit in page["HITs"]]
print("listed", len(listed), sorted(listed) == sorted(created))

for hit_id in listed:
    next_token = {}
    while True:
        reply = mturk.list_assignments_for_hit(
            HITId=hit_id, AssignmentStatuses=["Submitted"], MaxResults=1, **next_token)
        for assignment in reply["Assignments"]:
            answer = ET.fromstring(assignment["Answer"])[0][1].text
            if answer == "nonsense":
                mturk.reject_assignment(
                    AssignmentId=assignment["AssignmentId"], RequesterFeedback="Not an answer")
            else:
                mturk.approve_assignment(
                    AssignmentId=assignment["AssignmentId"], RequesterFeedback="Thank you")
            print("judged", answer)
        if "NextToken" not in reply:
            break
        next_token = {"NextToken": reply["NextToken"]}

first = created[0]
mturk.update_expiration_for_hit(
    HITId=first, ExpireAt=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2))
mturk.create_additional_assignments_for_hit(HITId=first, NumberOfAdditionalAssignments=3)
try:
    mturk.create_additional_assignments_for_hit(HITId=first, NumberOfAdditionalAssignments=5)
except mturk.exceptions.RequestError as error:
    print("wall", error.response["TurkErrorCode"])
for hit_id in created:
    mturk.update_expiration_for_hit(HITId=hit_id, ExpireAt=datetime.datetime(2015, 1, 1))
    mturk.delete_hit(HITId=hit_id)
print("left", mturk.list_hits()["NumResults"])
print("balance", mturk.get_account_balance()["AvailableBalance"])
"""


def test_the_script_that_keeps_earlier_workers_out_runs_as_documented(mturk, monkeypatch):
    text = (Path(__file__).parents[3] / "docs" / "hits.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    first, second = (
        mturk.create_qualification_type(
            Name=f"Took part in study {name}", Description=name, QualificationTypeStatus="Active"
        )["QualificationType"]["QualificationTypeId"]
        for name in ("one", "two")
    )
    mturk.associate_qualification_with_worker(QualificationTypeId=first, WorkerId="A1EARLIER")
    monkeypatch.setattr(boto3, "client", lambda *_args, **_options: mturk)

    exec(script, {})

    held = mturk.list_workers_with_qualification_type(QualificationTypeId=second)
    assert [one["WorkerId"] for one in held["Qualifications"]] == ["A1EARLIER"]


def test_script_written_from_the_documentation_works(
    live, monkeypatch, tmp_path, hit_properties, hand, sandbox, mturk
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDSCRIPT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "question.xml").write_text(hit_properties["Question"])
    process = subprocess.Popen(
        [sys.executable, "script.py", "question.xml"],
        cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == "balance 10000.00\n"
        assert process.stdout.readline() == "created 25\n"
        page = hand.site.get("/worker/A1/hits").text
        hit = page.partition("/worker/A1/hits/")[2][:30]
        for worker, answer in (("A1", "left"), ("A2", "nonsense")):
            hand.do(worker, hit, choice=answer)
        output, _ = process.communicate("\n")

    assert process.returncode == 0
    assert output.splitlines() == [
        "listed 25 True",
        "judged left",
        "judged nonsense",
        "wall AWS.MechanicalTurk.InvalidMaximumAssignmentsIncrease",
        "left 0",
        "balance 9999.94",
    ]


def test_paginator_finds_all_of_105_hits_once_newest_first(mturk, make_hit):
    hits = [make_hit(MaxAssignments=1)["HITId"] for _ in range(105)]
    pages = mturk.get_paginator("list_hits").paginate(PaginationConfig={"PageSize": 100})
    sizes, found = [], []
    for page in pages:
        sizes.append(page["NumResults"])
        found += [hit["HITId"] for hit in page["HITs"]]

    assert sizes == [100, 5]
    assert found == hits[::-1]


def test_paginator_resumes_where_it_stopped(mturk, make_hit):
    hits = [make_hit(MaxAssignments=1)["HITId"] for _ in range(12)]
    paginator = mturk.get_paginator("list_hits")
    config = {"PageSize": 4, "MaxItems": 5}
    first = paginator.paginate(PaginationConfig=config).build_full_result()
    config["StartingToken"] = first["NextToken"]
    second = paginator.paginate(PaginationConfig=config).build_full_result()

    ids = [hit["HITId"] for hit in first["HITs"] + second["HITs"]]

    assert ids == hits[::-1][:10]


def test_hits_made_while_paging_disturb_nothing(mturk, make_hit):
    old = [make_hit()["HITId"] for _ in range(6)]
    first = mturk.list_hits(MaxResults=3)
    make_hit()
    second = mturk.list_hits(MaxResults=3, NextToken=first["NextToken"])

    assert [h["HITId"] for h in first["HITs"] + second["HITs"]] == old[::-1]
    assert "NextToken" not in second


def test_default_page_has_ten(mturk, make_hit):
    for _ in range(11):
        make_hit()

    assert mturk.list_hits()["NumResults"] == 10


def test_token_of_another_list_is_refused(mturk, make_hit, error_of, live, connect):
    for _ in range(3):
        make_hit()
    token = mturk.list_hits(MaxResults=1)["NextToken"]

    for call in (mturk.list_reviewable_hits, connect(live, key="AKIDOTHER").list_hits):
        code, message = error_of(call, NextToken=token)
        assert (code, "another list" in message) == ("InvalidParameterValue", True)
    for bad in ("x", "AAAA", "ü", "é" * 100):
        assert error_of(mturk.list_hits, NextToken=bad)[0] == "InvalidParameterValue"


def test_submissions_while_paging_come_last(mturk, make_hit, hand):
    hit = make_hit(MaxAssignments=5)["HITId"]
    waiting = hand.accept("A1", hit)
    done = [hand.do(worker, hit) for worker in ("A2", "A3")]
    first = mturk.list_assignments_for_hit(HITId=hit, MaxResults=1)
    hand.submit(waiting, choice="left")
    rest = mturk.list_assignments_for_hit(HITId=hit, NextToken=first["NextToken"])

    ids = [a["AssignmentId"] for a in first["Assignments"] + rest["Assignments"]]

    assert ids == [*done, waiting]


def test_expiry_is_seen_in_lists_without_any_call_on_the_hit(mturk, make_hit, sandbox):
    make_hit(LifetimeInSeconds=60)
    assert mturk.list_reviewable_hits()["NumResults"] == 0
    sandbox.move_clock(timedelta(minutes=2))
    assert mturk.list_reviewable_hits()["NumResults"] == 1
