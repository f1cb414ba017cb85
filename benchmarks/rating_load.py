"""Raters at human pace against a running server: p99, errors, and whether every answer counts.

    python benchmarks/rating_load.py                         # 200 raters for a minute on SQLite
    python benchmarks/rating_load.py --postgres              # the same on a PostgreSQL of its own
    python benchmarks/rating_load.py --pace 0 --raters 16    # as fast as they can: the capacity

Every rater opens the page, starts, fetches the clips of each pair and answers it every 3 to 5
seconds, as the page does. The server is `vgan-eval serve` in a process of its own, and the load
comes from one more on the same machine: the times include what they take from each other.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evaluation import schema
from evaluation.clips import write_frames
from evaluation.database import open_database

TRIALS = 30  # a session's; long enough that nobody finishes within the minute
CLIPS = 60  # of each source
STUDY = """
[study]
name = "load"
title = "Which video is more realistic?"
seed = 1

[sources]
real = "real"
drawn = "drawn"

[design]
comparisons = [["drawn", "real"]]
judgments_per_cell = {judgments}

[session]
trials = {trials}
practice = 0
gold = 0
repeats = 0
"""


@dataclass
class Log:
    """What the raters met.

    Args:
        milliseconds: of every answered request, by what it was for.
        errors: answers other than 200, and broken connections.
        answered: judgments that the server acknowledged.
    """

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    answered: int = 0


class Connection:
    """A browser's connection that is kept open: HTTP/1.1, one request at a time."""

    def __init__(self, host: str, port: int, log: Log) -> None:
        self.host, self.port, self.log = host, port, log
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, what: str, method: str, path: str, body: object = None, token: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request and time its whole answer."""
        data = b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        if data:
            head += ["Content-Type: application/json"]
        if token:
            head += [f"Authorization: Bearer {token}"]
        head += [f"Content-Length: {len(data)}", "", ""]
        begun = time.perf_counter()
        try:
            status, headers, answer = await self._exchange("\r\n".join(head).encode() + data)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self.log.errors[f"{what}: {type(error).__name__}"] += 1
            self.streams = None
            raise
        self.log.milliseconds[what].append(1000 * (time.perf_counter() - begun))
        if status >= 400:
            self.log.errors[f"{what}: {status}"] += 1
        return status, headers, answer

    async def _exchange(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        if self.streams is None:
            self.streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self.streams
        writer.write(request)
        await writer.drain()
        status = int((await reader.readline()).split()[1])
        headers: dict[str, str] = {}
        while (line := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            answer = await self._chunks(reader)
        else:
            answer = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            writer.close()
            self.streams = None
        return status, headers, answer

    @staticmethod
    async def _chunks(reader: asyncio.StreamReader) -> bytes:
        answer = b""
        while size := int((await reader.readline()).strip(), 16):
            answer += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return answer


async def rate(
    connection: Connection, join: str, pace: tuple[float, float], until: float, seed: int
) -> None:
    """Be one rater until the time is up."""
    chance = random.Random(seed)
    log = connection.log
    await asyncio.sleep(chance.uniform(0, pace[1]))  # people do not arrive on one stroke
    _, headers, _ = await connection.ask("join", "GET", join)
    page = urllib.parse.urlsplit(headers["location"])
    ticket = urllib.parse.parse_qs(page.query)["ticket"][0]
    await connection.ask("page", "GET", f"{page.path}?{page.query}")
    await connection.ask("open", "POST", "/api/open", {"ticket": ticket})
    body = {"ticket": ticket, "device": {"screen": [1920, 1080]}}
    status, _, answer = await connection.ask("start", "POST", "/api/start", body)
    state = json.loads(answer)
    token = state.get("token", "")
    while status == 200 and state["stage"] == "trials" and time.perf_counter() < until:
        for side in ("left", "right"):
            await connection.ask("media", "GET", "/" + state["showing"][side]["url"].lstrip("/"))
        wait = chance.uniform(*pace)
        await asyncio.sleep(wait)
        judgment = {
            "position": state["showing"]["position"], "choice": chance.choice(("left", "right")),
            "question": state["showing"]["questions"][0]["name"],
            "rt_ms": 1000 * wait, "clip_ms": 1000.0, "details": {"input": "key"},
        }  # fmt: skip
        status, _, answer = await connection.ask(
            "judgment", "POST", "/api/judgment", judgment, token
        )
        if status == 200:
            log.answered += 1
            state = json.loads(answer)["state"]


async def run(url: str, raters: int, seconds: float, pace: tuple[float, float]) -> Log:
    """Let so many raters rate for so long."""
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    log, until = Log(), time.perf_counter() + seconds
    everyone = [
        rate(Connection(parts.hostname, parts.port, log), parts.path, pace, until, seed)
        for seed in range(raters)
    ]
    await asyncio.gather(*everyone, return_exceptions=True)
    return log


def build(folder: Path, database: str, judgments: int) -> None:
    """Draw clips of 64x64 and 32 frames and init a study of them."""
    chance = np.random.default_rng(0)
    for source in ("real", "drawn"):
        for number in range(CLIPS):
            coarse = chance.integers(40, 216, (9, 9, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            clip = np.stack([np.roll(coarse, 2 * t, axis=1)[:64, :64] for t in range(32)])
            clip += chance.integers(0, 8, clip.shape, np.uint8)
            (folder / source / "all").mkdir(parents=True, exist_ok=True)
            write_frames(folder / source / "all" / f"{number:03}.mp4", clip, 25.0)
    text = STUDY.format(judgments=judgments, trials=TRIALS)
    (folder / "study.toml").write_text(text)
    command("init", str(folder / "study.toml"), "--db", database, "--files", str(folder / "files"))


def command(*arguments: str) -> None:
    """Run `vgan-eval`."""
    subprocess.run([sys.executable, "-m", "evaluation.cli", *arguments], check=True)


def served(folder: Path, database: str) -> tuple[subprocess.Popen[str], str]:
    """Start `vgan-eval serve`; return the process and its join link."""
    line = ["serve", "--db", database, "--files", str(folder / "files")]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "evaluation.cli", *line, "--host", "127.0.0.1", "--port", "0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for text in process.stdout:
        if found := re.search(r"http://\S+", text):
            return process, found[0]
    raise SystemExit("the server did not start")


def counted(database: str) -> tuple[int, int]:
    """Return the judgments stored, and how many trials have more than one that counts."""
    opened = open_database(database)
    try:
        with opened.read() as session:
            rows = session.query(schema.Judgment.trial_id, schema.Judgment.status).all()
    finally:
        opened.close()
    per_trial = Counter(t for t, status in rows if status is schema.JudgmentStatus.COUNTED)
    return len(rows), sum(count > 1 for count in per_trial.values())


def percentile(values: list[float], share: float) -> float:
    """Return a percentile, the next value above where it falls between two."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(log: Log, args: argparse.Namespace, stored: tuple[int, int]) -> str:
    """Return what was measured, as text."""
    where = "PostgreSQL" if args.postgres else "SQLite"
    lines = [
        f"{args.raters} raters, {args.pace:g} s a judgment, {args.seconds:g} s, {where}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}",
        f"{'':10} {'requests':>9} {'median ms':>10} {'p99 ms':>8} {'worst ms':>9}",
    ]
    for what, values in log.milliseconds.items():
        lines.append(
            f"{what:10} {len(values):9,} {statistics.median(values):10.1f} "
            f"{percentile(values, 0.99):8.1f} {max(values):9.1f}"
        )
    total = [ms for values in log.milliseconds.values() for ms in values]
    rate_ = log.answered / args.seconds
    lines += [
        f"{'all':10} {len(total):9,} {statistics.median(total):10.1f} "
        f"{percentile(total, 0.99):8.1f} {max(total):9.1f}",
        f"{log.answered:,} judgments acknowledged ({rate_:.1f} a second), {stored[0]:,} stored, "
        f"{stored[1]} trials counted twice, errors: {dict(log.errors) or 'none'}",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print; exit 1 where an answer was lost or an error met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--raters", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pace", type=float, default=4.0, help="mean seconds per judgment")
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL of its own")
    args = parser.parse_args()
    pace = (0.75 * args.pace, 1.25 * args.pace)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = f"sqlite:///{folder / 'study.db'}"
        if args.postgres:
            import pgserver

            server = stack.enter_context(pgserver.get_server(folder / "postgres"))
            database = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        build(folder, database, args.raters * TRIALS)
        process, url = served(folder, database)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        log = asyncio.run(run(url, args.raters, args.seconds, pace))
        stored = counted(database)
    print(report(log, args, stored))
    if log.errors or stored != (log.answered, 0):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
