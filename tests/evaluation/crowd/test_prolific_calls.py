"""The door to Prolific: what is sent where, what every failure becomes, and what never shows."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from evaluation.cli import main
from evaluation.crowd.addresses import PROLIFIC_SANDBOX_TOKEN
from evaluation.crowd.base import CrowdError, CrowdUnreachable, Offer
from evaluation.crowd.open import open_crowd, study_crowd
from evaluation.crowd.prolific import Prolific
from evaluation.crowd.prolific_calls import Calls
from evaluation.crowd.prolific_terms import check_offer, read_filter, study_body
from evaluation.errors import UsageError
from evaluation.schema import Environment

TOKEN = "secret-token-of-a-researcher"


class _Scripted(BaseHTTPRequestHandler):
    def _answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        seen = (self.command, self.path, self.headers.get("Authorization"), body)
        self.server.seen.append(seen)
        status, reply, headers = self.server.replies.pop(0)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    do_GET = do_POST = do_PATCH = do_DELETE = _answer

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def server():
    """A service that answers as it is told: `replies` are status, body, headers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Scripted)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def calls(server):
    server.seen, server.replies, waits = [], [], []
    calls = Calls(f"http://127.0.0.1:{server.server_port}/api/v1", TOKEN, wait=waits.append)
    calls.server, calls.waits = server, waits

    def script(*replies):
        for status, body, *headers in replies:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            server.replies.append((status, raw, headers[0] if headers else {}))

    calls.script = script
    return calls


def test_call_carries_the_token_and_json(calls):
    calls.script((201, {"id": "5"}))

    assert calls.call("POST", "studies/", {"name": "x"}) == {"id": "5"}
    assert calls.server.seen == [
        ("POST", "/api/v1/studies/", f"Token {TOKEN}", {"name": "x"}),
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"status": 400, "title": "No", "detail": "Too few places"}}, "Too few places"),
        ({"status": 400, "detail": ["One.", "Two."]}, "One., Two."),
        ({"error": {"detail": {"reward": ["Too low."], "name": ["Needed."]}}},
         "reward: Too low.; name: Needed."),
        ({"message": "It is so"}, "It is so"),
        (b"<h1>Bad\n gateway</h1>", "<h1>Bad gateway</h1>"),
        (b"", "no reason given"),
    ],
)  # fmt: skip
def test_refusal_is_read_in_every_form_that_is_documented(calls, body, said):
    calls.script((400, body))

    with pytest.raises(CrowdError) as caught:
        calls.call("POST", "studies/", {})

    assert str(caught.value) == f"POST studies/ was refused: {said} (400)"
    assert not isinstance(caught.value, CrowdUnreachable)


def test_wrong_token_is_named_without_being_shown(calls):
    calls.script((401, {"error": {"detail": f"Invalid token {TOKEN}"}}))

    with pytest.raises(CrowdError, match="put a valid one into PROLIFIC_TOKEN") as caught:
        calls.call("GET", "users/me/")

    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_failing_service_says_nothing_about_what_was_done(calls, status):
    calls.script((status, b""))

    with pytest.raises(CrowdUnreachable, match="run the same command again later"):
        calls.call("POST", "studies/", {})
    assert len(calls.server.seen) == 1


def test_too_many_requests_are_sent_again_more_and_more_slowly(calls):
    calls.script(*[(429, b"")] * 3, (200, {"results": []}))

    assert calls.call("GET", "studies/") == {"results": []}
    assert calls.waits == [1.0, 4.0, 16.0]


def test_patience_ends(calls):
    calls.script(*[(429, b"")] * 4)

    with pytest.raises(CrowdUnreachable, match="busy with this account"):
        calls.call("GET", "studies/")


def test_reply_that_breaks_off_is_unknown(calls):
    calls.script((200, b'{"id"', {"Transfer-Encoding": "chunked"}))

    with pytest.raises(CrowdUnreachable, match="did not answer POST studies/"):
        calls.call("POST", "studies/", {})


def test_a_page_of_another_service_is_not_taken_for_an_answer(calls):
    calls.script((200, b"<html>"), (200, {"hello": 1}))

    with pytest.raises(CrowdUnreachable, match="PROLIFIC_API_URL name the right service"):
        calls.call("GET", "studies/")
    with pytest.raises(CrowdUnreachable, match="has no results"):
        list(calls.pages("studies/"))


def test_redirect_is_not_followed(calls):
    calls.script((302, b"", {"Location": f"http://127.0.0.1:{calls.server.server_port}/other"}))

    with pytest.raises(CrowdError, match=r"\(302\)"):
        calls.call("GET", "studies/")
    assert len(calls.server.seen) == 1


def test_next_page_is_asked_of_our_own_host_with_our_own_conditions(calls):
    there = {"next": {"href": "https://evil.example/steal?page=2&page_size=1"}}
    calls.script(
        (200, {"results": [{"id": 1}], "_links": there}),
        (200, {"results": [{"id": 2}], "_links": {"next": {"href": None}}}),
    )

    assert [row["id"] for row in calls.pages("submissions/", {"study": "5"})] == [1, 2]
    _, second, token, _ = calls.server.seen[1]
    assert parse_qs(urlsplit(second).query) == {"study": ["5"], "page": ["2"], "page_size": ["1"]}
    assert token == f"Token {TOKEN}"


def test_page_past_the_end_ends_the_list(calls):
    calls.script(
        (200, {"results": [1], "_links": {"next": {"href": "/?page=2"}}}),
        (404, {"error": {"detail": "Invalid page."}}),
    )

    assert list(calls.pages("studies/")) == [1]


def test_first_page_that_is_missing_is_an_error(calls):
    calls.script((404, {"error": {"detail": "Study not found"}}))

    with pytest.raises(CrowdError, match="Study not found"):
        list(calls.pages("submissions/", {"study": "5"}))


def test_submissions_are_never_asked_for_without_a_study(calls):
    with pytest.raises(CrowdError, match="without an id"):
        list(Prolific(calls, Environment.SANDBOX).assignments(""))
    assert calls.server.seen == []


def test_several_workspaces_need_a_choice(calls):
    calls.script((200, {"results": [{"id": "w1", "title": "A"}, {"id": "w2", "title": "B"}]}))

    with pytest.raises(CrowdError, match=r"2 workspaces; .* PROLIFIC_WORKSPACE: A = w1, B = w2"):
        Prolific(calls, Environment.PRODUCTION).balance_cents()


def test_bonuses_that_prolific_reads_otherwise_are_not_paid(calls):
    calls.script((201, {"id": "b", "amount": 2500.0}))  # 25 read as pounds

    with pytest.raises(CrowdError, match=r"as 25\.00 in all, not 0\.25; nothing was paid"):
        Prolific(calls, Environment.SANDBOX).set_up_bonuses("5", [("s", 25)])
    assert calls.server.seen[0][3] == {"study_id": "5", "csv_bonuses": "s,0.25\n"}


@pytest.mark.parametrize(("total", "cents"), [(1133.34, 1134), (1133.0, 1133), (1133.0001, 1133)])
def test_price_of_bonuses_in_parts_of_a_cent_is_rounded_up(calls, total, cents):
    calls.script((201, {"id": "b", "amount": 850.0, "total_amount": total}))

    assert Prolific(calls, Environment.SANDBOX).set_up_bonuses("5", [("s", 850)]) == ("b", cents)


@pytest.mark.parametrize("base", ["prolific", "ftp://x.org/", "http://", "https://x.org:port/"])
def test_api_must_be_an_address(base):
    with pytest.raises(CrowdError, match="is not a URL"):
        Calls(base, TOKEN)


def test_token_does_not_travel_in_clear():
    with pytest.raises(CrowdError, match="would send the token in clear"):
        Calls("http://api.example.org/", TOKEN)


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "ümlaut"])
def test_what_is_no_token_is_refused_without_being_shown(token):
    with pytest.raises(CrowdError, match="is not a token") as caught:
        Calls("https://api.example.org/", token)
    assert token not in str(caught.value)


def test_production_needs_a_token_from_the_environment(monkeypatch):
    monkeypatch.delenv("PROLIFIC_TOKEN", raising=False)

    with pytest.raises(UsageError, match="PROLIFIC_TOKEN is missing"):
        open_crowd("prolific", Environment.PRODUCTION)


def test_production_talks_to_prolific_and_sends_people_back_there(monkeypatch):
    monkeypatch.setenv("PROLIFIC_TOKEN", TOKEN)
    monkeypatch.delenv("PROLIFIC_API_URL", raising=False)

    crowd = open_crowd("prolific", Environment.PRODUCTION)

    assert crowd._calls.base == "https://api.prolific.com/api/v1/"
    assert crowd.completion_url("AB2C") == (
        "https://app.prolific.com/submissions/complete?cc=AB2C"
    )  # fmt: skip


@pytest.mark.parametrize("host", ["http://127.0.0.1:8910", "https://localhost", "http://[::1]:1"])
def test_production_refuses_the_address_of_a_sandbox(monkeypatch, host):
    monkeypatch.setenv("PROLIFIC_TOKEN", TOKEN)
    monkeypatch.setenv("PROLIFIC_API_URL", f"{host}/api/v1/")

    with pytest.raises(UsageError, match=r"PROLIFIC_API_URL points to .* your token; unset it"):
        open_crowd("prolific", Environment.PRODUCTION)


def test_sandbox_never_sends_the_real_token(monkeypatch, server):
    monkeypatch.setenv("PROLIFIC_TOKEN", TOKEN)
    monkeypatch.setenv("PROLIFIC_API_URL", f"http://127.0.0.1:{server.server_port}/api/v1/")

    assert open_crowd("prolific", Environment.SANDBOX)._calls._token == PROLIFIC_SANDBOX_TOKEN


def test_sandbox_that_is_not_up_says_how_to_start_it(monkeypatch):
    monkeypatch.setenv("PROLIFIC_API_URL", "http://127.0.0.1:9/api/v1/")

    with pytest.raises(CrowdUnreachable, match="vgan-eval sandbox --crowd prolific --port 9"):
        open_crowd("prolific", Environment.SANDBOX)


def test_study_file_names_the_crowd_of_the_commands(prolific, monkeypatch, capsys):
    monkeypatch.setenv("PROLIFIC_API_URL", prolific.api)

    assert study_crowd(prolific.database.url, None) == "prolific"
    assert main(["publish", "--dry-run", "--db", prolific.database.url]) == 0
    printed = capsys.readouterr().out
    assert "5 sessions in 1 HIT, 0.80 USD and 0.27 USD fee each." in printed
    assert "0.81 USD are kept for people who find nothing left." in printed
    assert "In all 6.16 USD on prolific, sandbox." in printed


def offer(**changes):
    from datetime import timedelta

    values = {
        "token": "ab12" * 10, "title": "Which?", "description": "Watch <b>", "keywords": (),
        "url": "https://rate.example.org/prolific/KEY", "reward_cents": 100, "currency": "GBP",
        "max_assignments": 30, "lifetime": timedelta(1), "duration": timedelta(minutes=20),
        "auto_approval": timedelta(1), "minutes": 9.5, "devices": ("desktop", "phone"),
        "completion_code": "DONE", "minimum_approval": 90, "project": "p1",
        "filters": ("fluent-languages=19,4", "age=18..80"),
    }  # fmt: skip
    return Offer(**values | changes)


def test_draft_says_what_the_study_file_says():
    body = study_body(offer(), "g1")

    assert body["project"] == "p1"
    assert body["internal_name"] == f"Which? [{'ab12' * 10}]"
    assert body["description"] == "<p>Watch &lt;b&gt;</p>"
    assert body["estimated_completion_time"] == 10
    assert body["maximum_allowed_time"] == 29  # Prolific's own least, longer than the session's 20
    assert body["device_compatibility"] == ["desktop", "mobile"]
    assert body["filters"] == [
        {"filter_id": "fluent-languages", "selected_values": ["19", "4"]},
        {"filter_id": "age", "selected_range": {"lower": 18.0, "upper": 80.0}},
        {"filter_id": "approval_rate", "selected_range": {"lower": 90.0, "upper": 100.0}},
        {"filter_id": "participant_group_blocklist", "selected_values": ["g1"]},
    ]
    (code,) = body["completion_codes"]
    assert (code["code"], code["actions"]) == ("DONE", [{"action": "MANUALLY_REVIEW"}])


def test_groups_that_the_study_file_bars_share_one_filter_with_ours():
    barred = offer(minimum_approval=0, filters=("participant_group_blocklist=g7,g8", "age=18..80"))

    assert study_body(barred, "g1")["filters"] == [
        {"filter_id": "age", "selected_range": {"lower": 18.0, "upper": 80.0}},
        {"filter_id": "participant_group_blocklist", "selected_values": ["g7", "g8", "g1"]},
    ]


def test_approval_rate_of_the_study_file_takes_the_place_of_ours():
    own = offer(minimum_approval=95, filters=("approval_rate=90..100",))

    assert study_body(own, "")["filters"] == [
        {"filter_id": "approval_rate", "selected_range": {"lower": 90.0, "upper": 100.0}}
    ]


def test_paid_screen_out_is_a_code_of_its_own():
    body = study_body(
        offer(screen_out_cents=20, screen_out_code="LEFT", screen_out_places=3), ""
    )  # fmt: skip

    paid = body["completion_codes"][1]
    assert paid["code"] == "LEFT"
    assert paid["actions"] == [
        {"action": "FIXED_SCREEN_OUT_PAYMENT", "fixed_screen_out_reward": 20, "slots": 3}
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [("approval_rate", "is neither"), ("x=..5", "is neither"), ("x=1,,2", "is neither"),
     ("x=", "is neither"), ("approval_rate=95", r"no range; write approval_rate=95\.\.100")],
)  # fmt: skip
def test_filter_that_is_none_is_refused(text, why):
    with pytest.raises(CrowdError, match=why):
        read_filter(text)


@pytest.mark.parametrize("cents", [9, 100])
def test_screen_out_pays_no_less_than_prolific_allows_and_less_than_the_study(cents):
    with pytest.raises(CrowdError, match=f"screen_out_cents = {cents} must be at least 10"):
        check_offer(offer(screen_out_cents=cents))
