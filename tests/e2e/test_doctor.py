"""The real server behind a proxy with TLS: doctor passes, and names each thing that is broken."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request

import pytest
from sqlalchemy import func, select

import tls_proxy
from evaluation import schema
from evaluation.cli import main
from evaluation.database import open_database
from evaluation.doctor.examine import Options, examine
from evaluation.doctor.findings import Status
from evaluation.doctor.site import open_site


@pytest.fixture(scope="module")
def served(rating_study, study_template, tmp_path_factory):
    """`vgan-eval serve` with one trusted proxy; yields its process, port and database."""
    folder, _ = study_template(rating_study.Recipe(practice=1, gold=1))
    here = tmp_path_factory.mktemp("served")
    shutil.copy(folder / "study.db", here)
    shutil.copytree(folder / "media", here / "media")
    url = f"sqlite:///{here / 'study.db'}"
    command = [
        sys.executable, "-m", "evaluation.cli", "serve", "--db", url, "--media",
        str(here / "media"), "--host", "127.0.0.1", "--port", "0", "--threads", "4",
    ]  # fmt: skip
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "VGAN_EVAL_TRUSTED_PROXIES": "1", "PYTHONUNBUFFERED": "1"},
    )
    line = process.stdout.readline()
    assert line.startswith("Rating page: "), line
    port = int(line.split(":")[3].split("/")[0])
    yield process, port, url
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return tls_proxy.write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def proxy(served, certificate):
    _, port, url = served
    made = tls_proxy.Proxy(port, *certificate)
    made.db = url
    yield made
    made.close()


@pytest.fixture
def look(proxy, certificate):
    """Examine the proxy's address; returns the findings by name."""

    def run(url=None, **options):
        site = open_site(url or proxy.url, ca_file=certificate[0])
        chosen = {"http_port": proxy.http_port, "database_url": proxy.db, **options}
        return {finding.name: finding for finding in examine(site, Options(**chosen))}

    return run


def not_ok(findings) -> dict[str, str]:
    return {f.name: f.status.value for f in findings.values() if f.status is not Status.OK}


def test_a_study_behind_a_sound_proxy_passes_every_check(look):
    findings = look()

    assert not_ok(findings) == {}
    assert {"session finish", "media whole", "proxy spoofing", "https hsts"} <= set(findings)


BREAKS = [
    ({"hsts": ""}, "https hsts", "fail"),
    ({"hsts": "max-age=60"}, "https hsts", "warn"),
    ({"stripped": ("Content-Security-Policy",)}, "content policy", "fail"),
    ({"stripped": ("X-Content-Type-Options",)}, "nosniff", "fail"),
    ({"stripped": ("Referrer-Policy",)}, "referrer", "fail"),
    ({"stripped": ("Cache-Control",)}, "cache of pages", "fail"),
    ({"gzip_media": True}, "media gzip", "fail"),
    ({"uneven_media": True}, "media alike", "fail"),
    ({"cut_media": True}, "media whole", "fail"),
    ({"skew_s": 30}, "clock of the proxy", "warn"),
    ({"skew_s": -3600}, "clock of the proxy", "fail"),
    ({"added": (("Set-Cookie", "sticky=1"),)}, "cookies", "fail"),
    ({"forwarded": "pass"}, "proxy spoofing", "fail"),
    ({"forwarded": "drop"}, "proxy scheme", "fail"),
    ({"authorization": False}, "session", "fail"),
    ({"largest_body": 10_000}, "body of an answer", "fail"),
    ({"close": True}, "keep-alive", "warn"),
    ({"ranges": False}, "media range", "warn"),
]


@pytest.mark.parametrize(("changes", "name", "status"), BREAKS, ids=[f"{b[0]}" for b in BREAKS])
def test_each_mistake_of_a_proxy_is_named(proxy, look, changes, name, status):
    proxy.behave(**changes)

    needs_session = name.startswith(("media", "proxy", "session"))
    findings = look() if needs_session else look(database_url=None)

    assert not_ok(findings)[name] == status
    assert findings[name].mend


def test_only_the_mistake_is_named(proxy, look):
    proxy.behave(added=(("Set-Cookie", "sticky=1"),))

    assert list(not_ok(look())) == ["cookies"]


def test_http_that_does_not_lead_to_https_is_named(proxy, look):
    proxy.redirects = False

    assert not_ok(look()) == {"https redirect": "fail"}


def test_a_site_without_tls_is_named(served, look):
    findings = look(f"http://127.0.0.1:{served[1]}", http_port=None)

    assert findings["https certificate"].status is Status.FAIL
    # The app trusts one proxy, and there is none: whoever comes may say what they like.
    assert findings["proxy spoofing"].status is Status.FAIL


def test_a_certificate_that_browsers_refuse_is_named(proxy):
    findings = examine(open_site(proxy.url), Options(http_port=None))

    assert findings[0].status is Status.FAIL
    assert "self-signed" in findings[0].found


def test_a_certificate_that_ends_soon_is_named(served, tmp_path):
    paths = tls_proxy.write_certificate(tmp_path, days=3.5)
    proxy = tls_proxy.Proxy(served[1], *paths)
    findings = examine(open_site(proxy.url, ca_file=paths[0]), Options(http_port=None))
    proxy.close()

    assert (findings[0].status, findings[0].found) == (Status.WARN, "valid for 3 more days")


def test_a_site_that_may_not_frame_the_pages_is_named(look):
    findings = look(frame_ancestors=("https://crowd.example",), database_url=None)

    assert findings["framing"].found == "https://crowd.example cannot show the pages"
    assert (
        look(frame_ancestors=("http://127.0.0.1:8900",), database_url=None)["framing"].status
        is Status.OK
    )


def test_an_examination_leaves_no_row_behind(look, served):
    tables = (schema.Hit, schema.Worker, schema.Assignment, schema.Showing, schema.Judgment,
              schema.Event, schema.PlanBatch, schema.Trial)  # fmt: skip

    def rows():
        with open_database(served[2]) as database, database.read() as session:
            free = func.sum(schema.Trial.free)
            counts = [session.scalar(select(func.count()).select_from(t)) for t in tables]
            return [*counts, session.scalar(select(free))]

    before = rows()
    findings = look()

    assert findings["session finish"].status is Status.OK
    assert rows() == before


def test_the_command_prints_json_and_exits_with_1_when_something_fails(proxy, certificate, capsys):
    arguments = ["doctor", "--url", proxy.url, "--db", proxy.db, "--ca", str(certificate[0]),
                 "--http-port", str(proxy.http_port), "--json"]  # fmt: skip

    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True
    proxy.behave(hsts="")
    assert main(arguments) == 1
    told = json.loads(capsys.readouterr().out)
    assert [f["name"] for f in told["findings"] if f["status"] == "fail"] == ["https hsts"]


def test_an_address_where_nothing_answers_fails_in_words(proxy, capsys):
    proxy.close()

    assert main(["doctor", "--url", proxy.url, "--timeout", "2"]) == 1
    assert "no answer" in capsys.readouterr().out


@pytest.mark.parametrize("url", ["study.example", "ftp://x", "https://x/path", "https://x:99999"])
def test_an_address_that_is_none_is_wrong_usage(url, capsys):
    assert main(["doctor", "--url", url]) == 2
    assert capsys.readouterr().err.startswith("vgan-eval: --url")


def test_sigterm_ends_the_server_well(served):
    process, port, _ = served
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
        assert answer.status == 200

    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == 0
