"""How long the dashboard takes, for a study of 13,000 judgments and of a hundred times that.

    python benchmarks/dashboard.py                       # both sizes, prints a table
    python benchmarks/dashboard.py --fill study.db --judgments 13008   # only writes a database

`vgan-eval serve --dashboard --db study.db` shows such a database. The write units that are timed
beside everything are what a rater waits for: while they run, nothing else may hold them up.
"""

import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from dashboard_study import fill
from sqlalchemy import func, select

from evaluation import schema
from evaluation.database import Database, open_database
from evaluation.storage import LocalStore
from webapp import create_app
from webapp.dashboard_child import run_child
from webapp.dashboard_refresh import Refreshed
from webapp.dashboard_snapshot import take_snapshot

TOKEN = "a-token-for-the-benchmark"  # noqa: S105 (of a study that is thrown away)


def measure(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what was measured of one database: a name and a value with its unit."""
    url = f"sqlite:///{path}"
    database = open_database(url)
    with database.read() as session:
        n = session.scalar(select(func.count()).select_from(schema.Judgment))
        workers = session.scalar(select(func.count()).select_from(schema.Worker))
    yield "judgments, workers", f"{n:,}, {workers:,}"
    yield "write unit, alone", writes(database, lambda: None)
    read = Timed(lambda: take_snapshot(database, "scene-dynamics", b"k" * 32, datetime.now(UTC)))
    yield "write unit, while the numbers are read", writes(database, read)
    yield "reading the numbers, in the background", f"{read.seconds:.2f} s"
    table = Timed(lambda: run_child("tables", db=url, study="scene-dynamics"))
    yield "write unit, while Table 1 is computed", writes(database, table)
    yield "Table 1, in a process of its own", f"{table.seconds:.1f} s"
    database.close()
    yield from pages(path, table.result)
    start = time.perf_counter()
    run_child("export", db=url, study="scene-dynamics", out=str(path.with_suffix(".zip")))
    yield "export, in a process of its own", f"{time.perf_counter() - start:.1f} s"
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    yield "memory of such a process, at most so far", f"{peak:.1f} GB"


class Timed:
    """A function whose last call is timed."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function, self.seconds = function, 0.0
        self.result: Any = None

    def __call__(self) -> None:
        """Call it; the result stays in `result`."""
        start = time.perf_counter()
        self.result = self._function()
        self.seconds = time.perf_counter() - start


def writes(database: Database, beside: Callable[[], object]) -> str:
    """Time small write units while something else runs, at least 200 of them."""
    thread = threading.Thread(target=beside)
    thread.start()
    took: list[float] = []
    while thread.is_alive() or len(took) < 200:
        start = time.perf_counter()
        with database.write() as session:
            kind, at = schema.EventKind.RESUMED, datetime.now(UTC)
            session.add(schema.Event(study_id=1, kind=kind, details={}, created_at=at))
        took.append(1000 * (time.perf_counter() - start))
        time.sleep(0.005)  # a crowd of 200 raters, not a flood
    thread.join()
    last = statistics.quantiles(took, n=100)[98]
    return f"median {statistics.median(took):.1f} ms, p99 {last:.1f} ms"


def pages(path: Path, tables: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Time the pages once their numbers are there, as a browser that is left open asks for them."""
    with tempfile.TemporaryDirectory() as media:
        url = f"sqlite:///{path}"
        app = create_app(url, LocalStore(Path(media)), dashboard_token=TOKEN)
        board = app.extensions["vgan_eval_dashboard"]
        made = Refreshed(lambda: tables, 600.0)
        app.extensions["vgan_eval_dashboard"] = replace(board, tables=made)
        made.latest(10)
        board.counts.latest(600)
        client = app.test_client()
        for name in ("", "live", "workers", "workers?sort=gold&order=up&flagged=yes"):
            took, size = [], 0
            for _ in range(20):
                start = time.perf_counter()
                size = len(client.get(f"/dashboard/{TOKEN}/{name}").data)
                took.append(1000 * (time.perf_counter() - start))
            shown = f"median {statistics.median(took):.0f} ms, slowest {max(took):.0f} ms"
            yield f"page `{name}`", f"{shown}, {size / 1024:.0f} kB"
        app.extensions["vgan_eval"].database.close()


@click.command()
@click.option("--judgments", multiple=True, type=int, default=(13_008, 1_300_800))
@click.option("--share", default=0.83, show_default=True, help="Of the plan that is answered.")
@click.option("--database", type=click.Path(path_type=Path), help="Measure this one, do not fill.")
@click.option("--fill", "only", type=click.Path(path_type=Path), help="Only write this database.")
def main(
    judgments: tuple[int, ...], share: float, database: Path | None, only: Path | None
) -> None:
    """Measure, or only write a database."""
    if only is not None:
        fill(only, judgments[0], share)
        return
    if database is not None:
        show(database)
        return
    for planned in judgments:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "study.db"
            fill(path, planned, share)
            show(path)


def show(path: Path) -> None:
    """Print what is measured, as it comes."""
    for name, value in measure(path):
        print(f"{name:45} {value}", flush=True)
    print()


if __name__ == "__main__":
    main()
