"""Ending the server."""

import signal
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

PROGRAM = """
import sys
from flask import Flask
from webapp.server import listen

app = Flask("held")

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


def test_a_request_that_is_being_answered_at_sigterm_is_answered_whole():
    with (
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process,
        ThreadPoolExecutor(1) as pool,
    ):  # fmt: skip
        answer = pool.submit(fetch, process.stdout.readline().strip())
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        process.stdin.write("\n")
        process.stdin.flush()

        assert answer.result(20) == b"whole"
        assert process.stdout.readline() == "left\n"
        assert process.wait(20) == 0
