"""Fixtures of every test: a study database on SQLite and on a real PostgreSQL.

`database_url` runs a test on both. PostgreSQL is, in this order: the server of TEST_POSTGRES_URL,
the package `pgserver`, a local `initdb`; one server per test session, one database per test,
copied from a migrated template.
"""

import functools
import io
import os
import shutil
import subprocess
import tempfile
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from evaluation.database import Database, create_database, open_database
from evaluation.freeze import InitReport, init_study
from evaluation.storage import LocalStore
from evaluation.study_file.reader import load_study
from vgan.data.manifest import ClipRecord, Origin, sha256_of, write_manifest

_REAL_PARTS = ("browser", "postgres")  # markers


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let CI insist on the real parts."""
    parser.addoption(
        "--require-real-parts",
        action="store_true",
        help="Fail when a test that needs a browser or PostgreSQL was skipped.",
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name the real parts that were skipped; with --require-real-parts that is a failure."""
    skipped = [
        report.nodeid
        for report in terminalreporter.stats.get("skipped", [])
        if any(marker in report.keywords for marker in _REAL_PARTS)
    ]
    if skipped and config.getoption("--require-real-parts"):
        terminalreporter.section("skipped, but required")
        for name in skipped:
            terminalreporter.line(name)
        terminalreporter._session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what programs remember between runs, keys too, away from the user's own folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


def _driver_url(url: str) -> str:
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _pgserver_url(folder: Path) -> str | None:
    with warnings.catch_warnings():
        # Harmless where no login session made a runtime folder: it then uses the temporary one.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        try:
            import pgserver
        except ImportError:
            return None
        return _driver_url(pgserver.get_server(folder, cleanup_mode="delete").get_uri())


def _initdb() -> Path | None:
    found = shutil.which("initdb")
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found) if found else (packaged[-1] if packaged else None)


def _local_server(initdb: Path, folder: Path) -> tuple[str, Callable[[], None]]:
    """Start a server of the installed PostgreSQL on a socket in `folder`."""
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    data = folder / "data"
    data.mkdir()
    if user:
        shutil.chown(folder, user)
        shutil.chown(data, user)
    pg_ctl = str(initdb.resolve().with_name("pg_ctl"))

    def run(*args: str) -> None:
        subprocess.run(args, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

    run(str(initdb), "-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=utf8")
    options = f"-k {folder} -c listen_addresses=''"
    run(pg_ctl, "-D", str(data), "-l", str(folder / "log"), "-w", "-o", options, "start")
    url = f"postgresql+psycopg://postgres@/postgres?host={folder}"
    return url, lambda: run(pg_ctl, "-D", str(data), "-m", "immediate", "stop")


def _in_memory() -> str | None:
    """A folder in memory, where a new database's 300 files take hundredths of a second; or None."""
    folder = "/dev/shm"
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return None
    return folder if free > 2**30 and os.access(folder, os.W_OK) else None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server on which the tests may create databases."""
    if given := os.environ.get("TEST_POSTGRES_URL"):
        yield _driver_url(given)
        return
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=_in_memory()))
    folder.chmod(0o755)
    stop: Callable[[], None] | None = None
    try:
        url = _pgserver_url(folder)
        if url is None:
            initdb = _initdb()
            if initdb is None:
                pytest.skip("no PostgreSQL: set TEST_POSTGRES_URL, or install pgserver or initdb")
            url, stop = _local_server(initdb, folder)
        admin = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with admin.connect() as connection:  # a test server may lose its data in a power cut
            connection.execute(text("ALTER SYSTEM SET fsync = off"))
            connection.execute(text("SELECT pg_reload_conf()"))
        yield url
    finally:
        if stop is not None:
            stop()
            shutil.rmtree(folder, ignore_errors=True)


class _Postgres:
    """Makes and drops databases on one server."""

    def __init__(self, server: str) -> None:
        self.server = make_url(server)
        self.admin: Engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        self.made: list[str] = []

    def make(self, template: str | None = None) -> str:
        name = f"test_{uuid.uuid4().hex[:16]}"
        source = f" TEMPLATE {template}" if template else ""
        with self.admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}{source}"))
        self.made.append(name)
        return self.server.set(database=name).render_as_string(hide_password=False)

    def drop(self, name: str) -> None:
        with self.admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        self.made.remove(name)


@pytest.fixture(scope="session")
def _postgres(postgres_server: str) -> Iterator[_Postgres]:
    postgres = _Postgres(postgres_server)
    yield postgres
    for name in list(postgres.made):
        postgres.drop(name)


@pytest.fixture(scope="session")
def _postgres_template(_postgres: _Postgres) -> str:
    url = _postgres.make()
    create_database(url).close()
    return str(make_url(url).database)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "study.db"
    create_database(f"sqlite:///{path}").close()
    return path


BACKENDS = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("postgresql", id="postgresql", marks=pytest.mark.postgres),
]


@pytest.fixture(params=BACKENDS)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without any table (SQLite: of a file that is not there yet)."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'study.db'}"
        return
    postgres: _Postgres = request.getfixturevalue("_postgres")
    url = postgres.make()
    yield url
    postgres.drop(str(make_url(url).database))


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a migrated study database without rows, on each backend in turn."""
    if request.param == "sqlite":
        path = tmp_path / "study.db"
        shutil.copy(request.getfixturevalue("_sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    template: str = request.getfixturevalue("_postgres_template")
    postgres: _Postgres = request.getfixturevalue("_postgres")
    url = postgres.make(template)
    yield url
    postgres.drop(str(make_url(url).database))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open study database without rows, on each backend in turn."""
    with open_database(database_url) as opened:
        yield opened


@pytest.fixture
def sqlite_database(tmp_path: Path, _sqlite_template: Path) -> Iterator[Database]:
    """An open SQLite study database without rows, where the backend does not matter."""
    path = tmp_path / "study.db"
    shutil.copy(_sqlite_template, path)
    with open_database(f"sqlite:///{path}") as opened:
        yield opened


def write_drawn_clip(
    path: Path, seed: int, *, frames: int = 8, size: tuple[int, int] = (32, 32), fps: float = 8.0
) -> None:
    """Write a small clip of a square that moves over noise; every seed gives another one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_drawn_clip(seed, frames, size, fps))


@functools.cache
def _drawn_clip(seed: int, frames: int, size: tuple[int, int], fps: float) -> bytes:
    """Return the MP4 of a drawn clip: most tests draw the same few dozen."""
    rng = np.random.default_rng(seed)
    width, height = size
    background = rng.integers(60, 120, (height, width, 3), dtype=np.uint8)
    colour = rng.integers(0, 256, 3, dtype=np.uint8)
    rate: Any = Fraction(fps).limit_denominator(1001)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream: Any = container.add_stream(
            "libx264rgb", rate=rate, options={"qp": "0", "preset": "ultrafast", "threads": "1"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
        for t in range(frames):
            image = background.copy()
            x = (t * 2 + seed) % max(1, width - 6)
            image[4:10, x : x + 6] = colour
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


@pytest.fixture
def clip_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder of small drawn clips: `clip_folder("real", {"golf": 4}, manifest=True)`.

    Returns `tmp_path/clips/SOURCE` with `CATEGORY/0000.mp4` and so on; clips of different sources
    or categories are never alike. `frames`, `size` (width, height) and `fps` change their shape,
    `split` and `origin` (two clips to a video) fill the manifest.
    """

    def write(
        source: str,
        categories: dict[str, int] | None = None,
        *,
        manifest: bool = False,
        split: str | None = None,
        origin: bool = False,
        frames: int = 8,
        size: tuple[int, int] = (32, 32),
        fps: float = 8.0,
    ) -> Path:
        folder = tmp_path / "clips" / source
        records = []
        for category, n in (categories or {"golf": 4, "beach": 4}).items():
            for i in range(n):
                clip = f"{category}/{i:04d}.mp4"
                seed = zlib.crc32(f"{source}/{clip}".encode())
                write_drawn_clip(folder / clip, seed, frames=frames, size=size, fps=fps)
                records.append(
                    ClipRecord(
                        clip=clip,
                        sha256=sha256_of(folder / clip),
                        source=source,
                        category=category,
                        frames=frames,
                        fps=fps,
                        width=size[0],
                        height=size[1],
                        split=split,
                        origin=Origin(f"{category}-video-{i // 2}", 8 * (i % 2))
                        if origin
                        else None,
                    )
                )
        if manifest:
            write_manifest(folder, records)
        return folder

    return write


STUDY = """\
[study]
name = "small"
title = "Which clip is more realistic?"
seed = 7

[sources]
ours = { path = "clips/ours", name = "Our Model" }
theirs = "clips/theirs"
real = "clips/real"

[design]
comparisons = [["ours", "theirs"], ["ours", "real"], ["theirs", "real"]]
judgments_per_cell = 8

[session]
trials = 6
practice = 1
gold = 1
repeats = 1

[gold]
auto = "noise"
source = "real"

[workers]
sessions_per_worker = 2
"""


@pytest.fixture
def study_toml(tmp_path: Path, clip_folder: Callable[..., Path]) -> Callable[..., Path]:
    """Write a valid small study: `study_toml(("trials = 6", "trials = 4"), extra="[pay]\\n...")`.

    Three sources (`ours`, `theirs`, `real`) of four clips in each of two categories (`golf`,
    `beach`), three comparisons, eight judgments per cell: 48 test trials. Each change is a pair of
    old and new text; `clips=False` leaves the folders to the test.
    """

    def write(
        *changes: tuple[str, str], extra: str = "", clips: bool = True, name: str = "study.toml"
    ) -> Path:
        text = STUDY
        for old, new in changes:
            assert old in text, f"{old!r} is not in the small study"
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text + extra, encoding="utf-8")
        if clips:
            for source in ("ours", "theirs", "real"):
                if not (tmp_path / "clips" / source).exists():
                    clip_folder(source)
        return path

    return write


class InitialisedStudy(NamedTuple):
    """The small study, imported and planned."""

    database: Database
    store: LocalStore
    path: Path
    report: InitReport


@pytest.fixture
def initialised_study(
    database: Database, study_toml: Callable[..., Path], tmp_path: Path
) -> InitialisedStudy:
    """The small study of `study_toml`, initialised with real clips and media, on each backend."""
    path = study_toml()
    store = LocalStore(tmp_path / "media")
    report = init_study(database, load_study(path), store, tmp_path / "assets")
    return InitialisedStudy(database, store, path, report)
