"""The single checks, on answers made by hand."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from evaluation.doctor.database import check_health, check_settings
from evaluation.doctor.findings import Status, count_failed, fail, ok, skip, warn
from evaluation.doctor.media import check_media
from evaluation.doctor.notes import read_note, sign_note
from evaluation.doctor.pages import check_clocks, check_framing, check_headers
from evaluation.doctor.rehearsal import check_proxy
from evaluation.doctor.report import report_lines
from evaluation.doctor.site import Reply, Site, open_site
from evaluation.doctor.transport import check_sizes
from evaluation.errors import TokenError, UsageError
from evaluation.upgrading import newest_revision

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def reply(body=b"", status=200, rtt_s=0.0, **headers):
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    end = NOW + timedelta(seconds=rtt_s)
    return Reply(status, named, body, rtt_s * 1000, NOW, end, closes=False)


def policy(text):
    return reply(Content_Security_Policy=text)


@pytest.mark.parametrize(
    ("app_s", "proxy_s", "rtt_s", "expected"),
    [
        (0, 0, 0, ["ok", "ok"]),
        (4, -4, 0, ["ok", "ok"]),
        (8, 0, 0, ["ok", "warn"]),
        (-90, 0, 0, ["ok", "fail"]),
        (0, 90, 0, ["fail", "ok"]),
        (7, 7, 6, ["ok", "ok"]),  # 4 s off the middle of a request that took 6
    ],
)
def test_clocks_may_differ_by_five_seconds_and_the_way(app_s, proxy_s, rtt_s, expected):
    told = f'{{"time": "{(NOW + timedelta(seconds=app_s)).isoformat()}"}}'
    date = format_datetime(NOW + timedelta(seconds=proxy_s), usegmt=True)

    found = check_clocks(reply(told.encode(), rtt_s=rtt_s, Date=date))

    assert [finding.status for finding in found] == expected


def test_a_clock_that_is_not_told_is_not_judged():
    assert [f.status for f in check_clocks(reply(b"<html>", Date="soon"))] == ["skip", "skip"]


@pytest.mark.parametrize(
    ("text", "wanted", "status"),
    [
        ("frame-ancestors 'self'", (), "ok"),
        ("default-src 'none'", (), "fail"),
        ("frame-ancestors *", (), "fail"),
        ("frame-ancestors 'self' https:", (), "fail"),
        ("frame-ancestors 'self'", ("https://crowd.example",), "fail"),
        ("frame-ancestors https://crowd.example", ("https://crowd.example/",), "ok"),
        ("frame-ancestors https://*.crowd.example", ("https://www.crowd.example",), "ok"),
        ("frame-ancestors https://*.crowd.example", ("https://evilcrowd.example",), "fail"),
        ("frame-ancestors https://*.crowd.example", ("http://www.crowd.example",), "fail"),
    ],
)
def test_only_the_named_sites_may_show_the_pages(text, wanted, status):
    assert check_framing([policy(text)], wanted).status == status


@pytest.mark.parametrize(
    ("policies", "status"),
    [
        (["default-src 'none'; script-src 'self'"], "ok"),
        (["default-src 'none'; script-src 'self' 'unsafe-inline'"], "fail"),
        (["default-src *"], "fail"),
        (["default-src 'none'", "default-src 'none'"], "warn"),
        ([], "fail"),
    ],
)
def test_a_content_policy_that_is_not_the_apps_is_named(policies, status):
    page = Reply(200, tuple(("Content-Security-Policy", p) for p in policies), b"", 1, NOW, NOW,
                 closes=False)  # fmt: skip

    assert check_headers([page])[0].status == status


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"kind": "sqlite", "journal": "wal", "synchronous": "2"}, "ok"),
        ({"kind": "sqlite", "journal": "delete", "synchronous": "2"}, "fail"),
        ({"kind": "sqlite", "journal": "wal", "synchronous": "1"}, "fail"),
        ({"kind": "postgresql", "isolation": "read committed", "commit": "on"}, "ok"),
        ({"kind": "postgresql", "isolation": "read uncommitted", "commit": "on"}, "fail"),
        ({"kind": "postgresql", "isolation": "read committed", "commit": "off"}, "fail"),
    ],
)
def test_a_database_that_would_lose_answers_is_named(told, status):
    assert check_settings(told).status == status


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (f'{{"status": "ok", "revision": "{newest_revision()}"}}', 200, ["ok", "ok"]),
        ('{"status": "ok", "revision": "0000"}', 200, ["ok", "warn"]),
        ('{"status": "database unreachable"}', 503, ["fail"]),
        ("<html>", 502, ["fail"]),
    ],
)
def test_the_health_check_says_whether_database_and_version_fit(body, status, expected):
    assert [f.status for f in check_health(reply(body.encode(), status))] == expected


def test_a_note_is_good_for_an_hour_and_for_its_study():
    note = sign_note("secret", NOW)

    read_note("secret", note, NOW - timedelta(minutes=59))
    for secret, text, at in (
        ("another", note, NOW),
        ("secret", note, NOW + timedelta(minutes=61)),
        ("secret", note[:-2], NOW),
        ("secret", "", NOW),
    ):
        with pytest.raises(TokenError):
            read_note(secret, text, at)


@pytest.mark.parametrize(
    "host",
    ["study..example", ".example", "a" * 64 + ".example", "my study.example", "a\x7fb", "[::1"],
)
def test_a_mistyped_host_is_wrong_usage(host):
    with pytest.raises(UsageError, match="write https://HOST"):
        open_site(f"https://{host}")


@pytest.mark.parametrize("host", ["study.example", "bücher.example", "127.0.0.1:8000", "[::1]"])
def test_every_kind_of_host_is_taken(host):
    assert open_site(f"https://{host}").origin == f"https://{host}"


def test_the_report_says_what_to_mend_under_each_line():
    lines = report_lines([ok("a", "fine"), fail("long name", "broken", "mend it"),
                          warn("b", "odd", "see"), skip("c", "not asked")])  # fmt: skip

    assert lines == [
        "ok    a          fine",
        "fail  long name  broken",
        "                 -> mend it",
        "warn  b          odd",
        "                 -> see",
        "skip  c          not asked",
        "",
        "1 ok, 1 warn, 1 fail, 1 skip",
    ]
    assert count_failed([ok("a", ""), fail("b", "", ""), warn("c", "", "")]) == 1


class Served:
    """A server on this machine that answers as `answers[path]` says: status, headers, body."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple] = {}
        self.asked: list = []
        served = self

        class Handler(BaseHTTPRequestHandler):
            disable_nagle_algorithm = True

            def log_message(self, *arguments) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                served.asked.append(self.headers)
                given = served.answers[self.path.partition("?")[0]]
                status, headers, body = given(self.headers) if callable(given) else given
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.site = Site("http", "127.0.0.1", self._server.server_port)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def served():
    made = Served()
    yield made
    made.close()


PAGE = Site("https", "study.example", 443)


@pytest.fixture
def bucket(served):
    """Clips in a bucket on another origin than the page's; `bucket(...)` examines a pair."""
    headers = {
        "Content-Type": "image/png",
        "Cache-Control": "public, max-age=31536000, immutable",
        "Access-Control-Allow-Origin": "https://study.example",
    }

    def look(expires=86_400, right=None, **changes):
        def clip(asked):
            part = asked.get("Range")
            return (206, headers | changes, b"0123456789") if part else (
                200, headers | changes, b"x" * 50
            )  # fmt: skip

        served.answers = {
            "/left": clip,
            "/right": (200, headers | changes | (right or {}), b"x" * 50),
        }
        url = f"{served.site.origin}/%s?X-Amz-Expires={expires}&X-Amz-Signature=s"
        showing = {side: {"url": url % side, "bytes": 50} for side in ("left", "right")}
        return {finding.name: finding for finding in check_media(PAGE, showing)}

    return look


def test_a_bucket_with_its_rule_passes(bucket):
    second = {
        "Last-Modified": "Mon, 12 Jan 2026 09:00:01 GMT",
        "x-amz-version-id": "v2",
    }
    first = second | {"Last-Modified": "Mon, 12 Jan 2026 09:00:00 GMT", "x-amz-version-id": "v1"}

    assert {finding.status for finding in bucket(**first, right=second).values()} == {Status.OK}


@pytest.mark.parametrize(
    ("options", "name", "status"),
    [
        ({"Access-Control-Allow-Origin": "https://other.example"}, "media cors", "fail"),
        ({"Cache-Control": "no-store"}, "cache of media", "warn"),
        ({"Content-Type": "text/html"}, "media whole", "fail"),
        ({"expires": 300}, "media presigned", "fail"),
        ({"right": {"X-Source": "ours"}}, "media alike", "fail"),
        ({"right": {"x-amz-meta-source": "ours"}}, "media alike", "fail"),
    ],
)
def test_what_is_wrong_with_a_bucket_is_named(bucket, options, name, status):
    findings = bucket(**options)

    assert [f.name for f in findings.values() if f.status is not Status.OK] == [name]
    assert findings[name].status == status


def test_a_bucket_is_told_which_page_asks(bucket, served):
    bucket()

    assert {asked["Origin"] for asked in served.asked} == {"https://study.example"}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b'{"error": "invalid"}', ["ok", "warn"]),
        (413, b"", ["fail", "ok"]),
        (502, b"", ["fail", "ok"]),  # as Caddy answers for its own limit
        (200, b"<html>", ["fail", "warn"]),
    ],
)
def test_bodies_that_do_not_pass_or_should_not_are_named(served, status, body, expected):
    served.answers = {"/api/open": (status, {}, body)}

    assert [finding.status for finding in check_sizes(served.site)] == expected


def test_an_app_that_sees_only_its_proxy_is_named(served):
    served.answers = {
        "/doctor/seen": (200, {}, b'{"scheme": "http", "client": "172.18.0.3"}'),
    }
    public = Site("http", "study.example", 80)
    told = {"scheme": "http", "client": "172.18.0.3"}
    near = check_proxy(served.site, "note", told)

    assert [finding.status for finding in near] == ["ok", "ok", "ok"]
    from evaluation.doctor.rehearsal import _check_client

    assert _check_client(public, told).status is Status.WARN
    assert _check_client(public, {"client": ""}).status is Status.WARN
    assert _check_client(public, {"client": "198.51.100.9"}).status is Status.WARN
    assert _check_client(public, {"client": "8.8.8.8"}).status is Status.OK
