"""Raters at human pace against a running server: p99, errors, and whether every answer counts.

    python benchmarks/rating_load.py                         # 200 raters for a minute on SQLite
    python benchmarks/rating_load.py --postgres              # the same on a PostgreSQL of its own
    python benchmarks/rating_load.py --pace 0 --raters 16    # as fast as they can: the capacity

Within a third of the time all have come. Each opens the page, starts, fetches the clips of each
pair and answers it every 2.5 to 4.1 seconds, as the page does. The server is `vgan-eval serve` in a
process of its own, and the load comes from one more on the same machine: the times include what
they take from each other.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import tempfile
import time
import urllib.parse
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rating_server import TRIALS, build, postgres, served

from evaluation import schema
from evaluation.database import open_database

MOST_A_SECOND = 300  # judgments that a server could take, for a plan that does not end too early


@dataclass
class Log:
    """What the raters met.

    Args:
        milliseconds: of every answered request, by what it was for.
        errors: answers other than 200, and broken connections.
        answered: judgments that the server acknowledged.
        seconds: until the last rater had the last reply.
        server_cpu_s: processor time of the server meanwhile.
    """

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    seconds: float = 0.0
    server_cpu_s: float = 0.0


class Broken(Exception):
    """A rater cannot go on; what happened is in the log."""


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
        except (OSError, EOFError, ValueError, IndexError) as error:
            self.log.errors[f"{what}: {type(error).__name__}"] += 1
            self.streams = None
            raise Broken from error
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
    connection: Connection,
    join: str,
    pace: tuple[float, float],
    until: float,
    seed: int,
    arrival_s: float,
) -> None:
    """Be one rater after the other until the time is up."""
    chance = random.Random(seed)
    await asyncio.sleep(arrival_s)
    while time.perf_counter() < until:
        await one_session(connection, join, pace, until, chance)


async def one_session(
    connection: Connection,
    join: str,
    pace: tuple[float, float],
    until: float,
    chance: random.Random,
) -> None:
    """Be a new rater until the session or the time is over."""
    log = connection.log
    _, headers, _ = await connection.ask("join", "GET", join)
    page = urllib.parse.urlsplit(headers["location"])
    ticket = urllib.parse.parse_qs(page.query)["ticket"][0]
    await connection.ask("page", "GET", f"{page.path}?{page.query}")
    await connection.ask("open", "POST", "/api/open", {"ticket": ticket})
    body = {"ticket": ticket, "device": {"screen": [1920, 1080]}}
    status, _, answer = await connection.ask("start", "POST", "/api/start", body)
    state = json.loads(answer)
    if status != 200:
        raise Broken
    token = state["token"]
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
    begun = time.perf_counter()
    log, until = Log(), begun + seconds
    arriving = seconds / 3 if pace[1] else 0.0  # people do not arrive on one stroke
    everyone = [
        rate(
            Connection(parts.hostname, parts.port, log), parts.path, pace, until, seed,
            arriving * seed / raters,
        )
        for seed in range(raters)
    ]  # fmt: skip
    ends = await asyncio.gather(*everyone, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException) and not isinstance(end, Broken):
            raise end  # a mistake of this program, not a failure of the server
    log.seconds = time.perf_counter() - begun
    return log


def counted(database: str) -> tuple[int, int]:
    """Return the judgments stored, and how many trials have more than one that counts."""
    with open_database(database) as opened, opened.read() as session:
        rows = session.query(schema.Judgment.trial_id, schema.Judgment.status).all()
    per_trial = Counter(t for t, status in rows if status is schema.JudgmentStatus.COUNTED)
    return len(rows), sum(count > 1 for count in per_trial.values())


def processor_seconds(process: int) -> float:
    """Return the processor time that a process has used; Linux only."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float) -> float:
    """Return a percentile, the next value above where it falls between two."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(log: Log, args: argparse.Namespace, stored: tuple[int, int]) -> str:
    """Return what was measured, as text."""
    where = "PostgreSQL" if args.postgres else "SQLite"
    lines = [
        f"{args.raters} raters, {args.pace:g} s a judgment, {log.seconds:.0f} s, {where}, "
        f"{args.threads} threads, {os.cpu_count()} cores, Python {platform.python_version()}",
        f"{'':10} {'requests':>9} {'median ms':>10} {'p99 ms':>8} {'worst ms':>9}",
    ]
    for what, values in log.milliseconds.items():
        lines.append(
            f"{what:10} {len(values):9,} {statistics.median(values):10.1f} "
            f"{percentile(values, 0.99):8.1f} {max(values):9.1f}"
        )
    total = [ms for values in log.milliseconds.values() for ms in values]
    rate_ = log.answered / log.seconds
    lines += [
        f"{'all':10} {len(total):9,} {statistics.median(total):10.1f} "
        f"{percentile(total, 0.99):8.1f} {max(total):9.1f}",
        f"{log.answered:,} judgments acknowledged ({rate_:.1f} a second), {stored[0]:,} stored, "
        f"{stored[1]} trials counted twice, errors: {dict(log.errors) or 'none'}",
        f"server: {1000 * log.server_cpu_s / len(total):.2f} ms of processor time a request, "
        f"{log.server_cpu_s / log.seconds:.0%} of a core",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print; exit 1 where an answer was lost or an error met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--raters", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pace", type=float, default=3.3, help="mean seconds per judgment")
    parser.add_argument("--threads", type=int, default=8, help="of the server")
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL of its own")
    args = parser.parse_args()
    pace = (0.75 * args.pace, 1.25 * args.pace)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = f"sqlite:///{folder / 'study.db'}"
        if args.postgres:
            database = stack.enter_context(postgres(folder / "postgres"))
        most = int(MOST_A_SECOND * args.seconds) if args.pace == 0 else 0
        build(folder, database, args.raters * TRIALS + most)
        process, url = stack.enter_context(served(folder, database, args.threads))
        before = processor_seconds(process)
        log = asyncio.run(run(url, args.raters, args.seconds, pace))
        log.server_cpu_s = processor_seconds(process) - before
        stored = counted(database)
    print(report(log, args, stored))
    if log.errors or stored != (log.answered, 0):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
