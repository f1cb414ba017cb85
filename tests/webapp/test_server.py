"""Ending the server, and what it takes in."""

import signal
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from flask import Flask

from evaluation.services import running

PROGRAM = """
import sys
from flask import Flask
from webapp.server import listen

app = Flask("held")
app.config["MAX_CONTENT_LENGTH"] = 64 * 1024

@app.get("/")
def held():
    print("asked", flush=True)
    sys.stdin.readline()
    return "whole"

with listen(app, "127.0.0.1", 0) as server:
    print(server.url, flush=True)
    server.run()
print("left", flush=True)
"""


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read()


@pytest.fixture
def process():
    """The program, running."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def announce(url: str, size: int) -> bytes:
    """Announce a body of so many bytes and send none of it; return the first line of the answer."""
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), 20) as line:
        line.sendall(b"POST / HTTP/1.1\r\nHost: held\r\nContent-Length: %d\r\n\r\n" % size)
        return line.makefile("rb").readline()


def test_a_body_of_no_judgments_size_is_refused_before_it_comes(process):
    url = process.stdout.readline().strip()

    assert announce(url, 300 * 2**20) == b"HTTP/1.1 413 Request Entity Too Large\r\n"
    assert announce(url, 128 * 1024) == b"HTTP/1.1 413 Request Entity Too Large\r\n"


def test_a_bundled_service_takes_no_more_than_twice_what_it_reads(monkeypatch):
    made = {}

    class Listening:
        def __init__(self, _app, **options):
            made.update(options)

        def print_listen(self, _line): ...

        def run(self): ...

    app = Flask("service")
    app.config["MAX_CONTENT_LENGTH"] = 1000
    monkeypatch.setattr(running, "create_server", Listening)
    running.serve(app, "127.0.0.1", 0, "A service")

    assert made["max_request_body_size"] == 2000


def test_a_request_that_is_being_answered_at_sigterm_is_answered_whole(process):
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(fetch, process.stdout.readline().strip())
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        process.stdin.write("\n")
        process.stdin.flush()

        assert answer.result(20) == b"whole"
        assert process.stdout.readline() == "left\n"
        assert process.wait(20) == 0
