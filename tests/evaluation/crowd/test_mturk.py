"""The MTurk door: what it sends, and what every failure becomes."""

import os
import socket
import sys
from datetime import timedelta

import pytest
from flask import Flask

from evaluation.cli import main
from evaluation.crowd.addresses import SANDBOX_KEY
from evaluation.crowd.base import CrowdError, CrowdUnreachable
from evaluation.crowd.mturk import MTurk, connect
from evaluation.crowd.open import open_crowd
from evaluation.errors import UsageError
from evaluation.sandbox import store
from evaluation.schema import AssignmentStatus, Environment

SANDBOX, PRODUCTION = Environment.SANDBOX, Environment.PRODUCTION


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No credentials, profiles or endpoints but those that a test gives."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def endpoint(crowded, crowd_front, monkeypatch):
    """The test's own service, where boto3 programs look for it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_MTURK", crowd_front[1])
    return crowd_front[1]


@pytest.fixture
def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def closed(crowd):
    crowd._calls._client.close()


def test_the_sandbox_needs_no_credentials(endpoint, crowded):
    crowd = open_crowd("mturk", SANDBOX)

    assert crowd.balance_cents() == 1_000_000
    assert [a.access_key for a in crowded.service_rows(store.Account)] == [SANDBOX_KEY]
    closed(crowd)


@pytest.mark.parametrize(("environment", "key"), [(PRODUCTION, "AKIDOWN"), (SANDBOX, SANDBOX_KEY)])
def test_credentials_of_the_environment_are_used_in_production_only(
    endpoint, crowded, monkeypatch, environment, key
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")  # pinned: the API is in us-east-1

    crowd = open_crowd("mturk", environment)

    crowd.balance_cents()
    assert [a.access_key for a in crowded.service_rows(store.Account)] == [key]
    closed(crowd)


def test_production_without_credentials_says_what_to_set(endpoint):
    crowd = open_crowd("mturk", PRODUCTION)

    with pytest.raises(CrowdError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        crowd.balance_cents()
    closed(crowd)


def test_production_without_an_endpoint_says_that_amazon_closed():
    with pytest.raises(UsageError) as refused:
        open_crowd("mturk", PRODUCTION)

    message = str(refused.value)
    assert "Amazon closed Mechanical Turk on 30 September 2026" in message
    assert all(word in message for word in ("prolific", "link", "AWS_ENDPOINT_URL_MTURK"))
    assert "\n" not in message


def test_a_sandbox_that_is_not_up_gives_the_command_to_start_it(monkeypatch, free_port):
    monkeypatch.setattr("evaluation.crowd.open.SANDBOX_URL", f"http://127.0.0.1:{free_port}")

    with pytest.raises(CrowdUnreachable, match=f"vgan-eval sandbox --port {free_port}"):
        open_crowd("mturk", SANDBOX)


def test_without_boto3_its_package_is_named_before_a_service_is_asked_for(monkeypatch, free_port):
    monkeypatch.setattr("evaluation.crowd.open.SANDBOX_URL", f"http://127.0.0.1:{free_port}")
    monkeypatch.setitem(sys.modules, "evaluation.crowd.mturk", None)  # as where boto3 is missing

    with pytest.raises(UsageError, match=r"python -m pip install 'vgan-eval\[aws\]'"):
        open_crowd("mturk", SANDBOX)


def test_the_bundled_service_names_the_package_that_it_lacks(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "evaluation.sandbox.service", None)

    assert main(["sandbox"]) == 2
    assert "python -m pip install 'vgan-eval[aws]'" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["127.0.0.1:8900", "http://", "http://x:port", "ftp://x"])
def test_an_endpoint_that_is_no_url_is_refused(monkeypatch, url):
    monkeypatch.setenv("AWS_ENDPOINT_URL_MTURK", url)

    with pytest.raises(CrowdError, match="is not a URL"):
        open_crowd("mturk", SANDBOX)


def test_a_crowd_without_hits_is_refused():
    with pytest.raises(UsageError, match="'local' takes no HITs"):
        open_crowd("local", SANDBOX)


def test_a_proxy_of_the_environment_does_not_catch_this_machine(endpoint, monkeypatch, free_port):
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port}")

    crowd = open_crowd("mturk", SANDBOX)

    assert crowd.balance_cents() == 1_000_000
    closed(crowd)


def test_endpoint_that_goes_down_in_the_middle_is_unreachable_and_the_state_unharmed(
    crowded, no_pauses
):
    crowded.publish()
    before = crowded.books()
    for _ in range(8):
        crowded.sandbox.inject("fault")

    with pytest.raises(CrowdUnreachable, match="run the same command again"):
        crowded.crowd(attempts=4).extend(crowded.hits()[0], crowded.clock())
    for _ in range(4):
        crowded.sandbox.inject("throttle")
    with pytest.raises(CrowdUnreachable):
        list(crowded.crowd().assignments(crowded.hits()[0]))
    assert crowded.books() == before


def test_refused_connection_is_unreachable(no_pauses, free_port):
    crowd = MTurk(connect(f"http://127.0.0.1:{free_port}", "AKID", attempts=2), SANDBOX)

    with pytest.raises(CrowdUnreachable, match="did not answer get_account_balance"):
        crowd.balance_cents()
    closed(crowd)


def test_a_web_page_instead_of_the_api_is_not_taken_for_an_empty_list(crowd_front):
    front, url = crowd_front
    front.app = Flask("another program")
    front.app.post("/")(lambda: "<h1>Hello</h1>")
    crowd = MTurk(connect(url, "AKID", attempts=1), SANDBOX)

    with pytest.raises(CrowdUnreachable, match="not the MTurk API's"):
        crowd.find(["0" * 40])
    closed(crowd)


def test_the_page_of_another_program_is_a_refusal(crowd_front):
    front, url = crowd_front
    front.app = Flask("another program")
    crowd = MTurk(connect(url, "AKID", attempts=1), SANDBOX)

    with pytest.raises(CrowdError, match="get_account_balance was refused"):
        crowd.balance_cents()
    closed(crowd)


def test_hits_are_found_by_their_tokens_over_many_pages(crowded, crowd_clients):
    client = crowd_clients[1]
    question = (
        '<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/'
        '2006-07-14/ExternalQuestion.xsd"><ExternalURL>https://x.org/</ExternalURL>'
        "<FrameHeight>0</FrameHeight></ExternalQuestion>"
    )
    made = [
        client.create_hit(
            Title="T", Description="D", Reward="0.01", AssignmentDurationInSeconds=60,
            LifetimeInSeconds=60, Question=question, RequesterAnnotation=f"token {n}",
        )["HIT"]["HITId"]
        for n in range(103)
    ]  # fmt: skip

    crowd = crowded.crowd()

    assert crowd.find(["token 0", "token 102", "none"]) == {
        "token 0": made[0],
        "token 102": made[102],
    }
    assert len(crowd._calls.made) == 2
    assert crowd.find([]) == {}


def test_assignments_are_given_in_our_words(crowded):
    crowded.publish()
    hit = crowded.hits()[0]
    assignment = crowded.work("A1", hit)

    (found,) = crowded.crowd().assignments(hit)

    assert (found.external_id, found.hit, found.worker) == (assignment, hit, "A1")
    assert found.status is AssignmentStatus.SUBMITTED
    assert found.submitted_at == crowded.clock()


@pytest.mark.parametrize(("first", "second"), [("approve", "reject"), ("reject", "approve")])
def test_deciding_again_is_harmless_and_deciding_otherwise_is_refused(crowded, first, second):
    crowded.publish()
    assignment = crowded.work("A1", crowded.hits()[0])
    crowd = crowded.crowd()
    calls = {
        "approve": lambda: crowd.approve(assignment, "text"),
        "reject": lambda: crowd.reject(assignment, "text", answers=1),
    }
    calls[first]()

    calls[first]()

    with pytest.raises(CrowdError, match=f"{second}_assignment was refused"):
        calls[second]()


def test_approving_without_words_sends_none(crowded):
    crowded.publish()
    assignment = crowded.work("A1", crowded.hits()[0])

    crowded.crowd().approve(assignment, "")

    assert crowded.by_worker()["A1"].status == "Approved"


def test_a_bonus_is_known_by_the_token_in_its_reason(crowded):
    crowded.publish()
    assignment = crowded.work("A1", crowded.hits()[0])
    crowd = crowded.crowd()
    token = "ab12" * 10
    crowd.bonus(assignment, "A1", 5, "Thanks [again]", token)

    crowd.bonus(assignment, "A1", 5, "Thanks [again]", token)

    assert crowd.bonus_tokens(assignment) == {token}
    assert crowded.bonuses() == [("A1", 5)]


def test_a_refused_bonus_is_an_error(crowded):
    crowded.publish()
    assignment = crowded.work("A1", crowded.hits()[0])

    with pytest.raises(CrowdError, match="send_bonus was refused"):
        crowded.crowd().bonus(assignment, "A2", 5, "Thanks", "ab12" * 10)


def test_barring_twice_is_harmless_and_finds_the_group_of_an_earlier_run(crowded):
    crowded.publish()
    for _ in range(2):
        crowded.crowd().bar("Some other group", "A1")

    types = [t.name for t in crowded.service_rows(store.QualificationType) if t.account_id]
    assert sorted(name.split()[0] for name in types) == ["Some", "Took"]


def test_expiry_is_moved_to_the_second(crowded):
    crowded.publish()
    hit = crowded.hits()[0]
    until = crowded.clock() + timedelta(hours=1, microseconds=250_000)

    crowded.crowd().extend(hit, until)

    row = next(h for h in crowded.service_rows(store.Hit) if h.external_id == hit)
    assert row.expires_at == until.replace(microsecond=0)
