"""Run every benchmark small and write one table; `make bench`.

    python benchmarks/run_all.py --out performance.md     # all, within 10 minutes on 2 cores
    python benchmarks/run_all.py table1 first_pair        # some

Each runs in a process of its own. One that fails is a row that says so, and makes the exit code 1.
The figures are of single small runs: they show that nothing has become much slower. What is small,
and which figures are tabled, is in `registry.py`.
"""

import argparse
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from registry import BENCHMARKS, Benchmark, Row

HERE = Path(__file__).parent
LIMIT_S = 180  # of one benchmark
PACKAGES = (
    "torch", "numpy", "scipy", "scikit-learn", "opencv-python-headless", "SQLAlchemy", "Flask",
    "waitress", "psycopg", "playwright",
)  # fmt: skip
COLUMNS = ("what", "ours", "against", "theirs", "ratio", "limit")


def output_of(benchmark: Benchmark) -> tuple[str, str]:
    """Run a benchmark; return its output, and why it failed (empty: it did not)."""
    line = [sys.executable, str(HERE / f"{benchmark.script}.py"), *benchmark.arguments]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return "", f"took over {LIMIT_S} s"
    if done.returncode == 0:
        return done.stdout, ""
    said = [text for text in (*done.stdout.splitlines(), *done.stderr.splitlines()) if text.strip()]
    return done.stdout, f"exit {done.returncode}: {said[-1] if said else 'it said nothing'}"


def figure(pattern: str, output: str) -> str:
    """Return what a pattern finds in an output.

    Raises:
        LookupError: nothing; the benchmark prints something else by now.
    """
    if not pattern:
        return ""
    found = re.search(pattern, output, re.MULTILINE)
    if found is None:
        raise LookupError(f"no figure like `{pattern}` in its output")
    return found[1]


def cells(row: Row, output: str) -> tuple[str, ...]:
    """Return a row of the table. Raises LookupError."""
    ours, theirs = figure(row.ours, output), figure(row.theirs, output)
    ratio = figure(row.ratio, output)
    return (
        row.what,
        f"{ours} {row.unit}",
        row.against,
        f"{theirs} {row.unit}" if theirs else "",
        ratio,
        row.limit,
    )


def run(benchmark: Benchmark) -> tuple[list[tuple[str, ...]], bool]:
    """Return a benchmark's rows, and whether it failed; a failure is a row."""
    output, reason = output_of(benchmark)
    rows: list[tuple[str, ...]] = []
    try:
        if not reason:
            rows = [cells(row, output) for row in benchmark.rows]
    except LookupError as error:
        reason = str(error)
    if not reason:
        return rows, False
    line = " ".join([f"{benchmark.script}.py", *benchmark.arguments])
    reason = reason.replace("|", "/")  # the table's own
    return [(f"`{line}`", f"**failed** ({reason})", "", "", "", "")], True


def _first(path: str, label: str) -> str:
    """Return the value of the first line of a /proc file with this label."""
    for line in Path(path).read_text().splitlines():
        if line.startswith(label):
            return line.partition(":")[2].strip()
    return "unknown"


def _commit() -> str:
    """Return the commit that is measured, and whether files differ from it."""

    def git(*arguments: str) -> str:
        line = ["git", "-C", str(HERE), *arguments]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed


def machine() -> Iterator[str]:
    """Say when and on what this was measured, a line each."""
    memory = int(_first("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    load = os.getloadavg()[0]
    yield f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {_commit()}"
    yield (
        f"- {_first('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"load {load:.1f} at the start"
    )
    versions = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    yield f"- {', '.join(versions)}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Run them, print and write the table; exit 1 where one failed."""
    known = sorted({benchmark.script for benchmark in BENCHMARKS})
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(known)}")
    parser.add_argument("--out", type=Path, help="write the table to this file too")
    args = parser.parse_args()
    if unknown := sorted(set(args.names) - set(known)):
        parser.error(f"no benchmark `{unknown[0]}`; there are: {', '.join(known)}")
    about = list(machine())
    rows: list[tuple[str, ...]] = []
    failed = 0
    begun = time.monotonic()
    for benchmark in BENCHMARKS:
        if args.names and benchmark.script not in args.names:
            continue
        started = time.monotonic()
        found, is_failed = run(benchmark)
        rows += found
        failed += is_failed
        what = " ".join([benchmark.script, *benchmark.arguments])
        state = "failed" if is_failed else "done"
        print(f"{what}: {state}, {time.monotonic() - started:.0f} s", flush=True)
    minutes = (time.monotonic() - begun) / 60
    text = "\n".join([*about, f"- {minutes:.1f} minutes in all", "", table(rows)]) + "\n"
    print(f"\n{text}")
    if args.out is not None:
        part = args.out.with_name(f".{args.out.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(args.out)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
