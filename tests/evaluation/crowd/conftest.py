"""A study on the fake of Prolific, behind one server of the test session."""

import importlib.util
import shutil
import sys
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from sqlite3 import connect

import pytest
from werkzeug.serving import make_server

from evaluation.crowd.base import CrowdUnreachable
from evaluation.database import open_database
from evaluation.prolific_sandbox import create_service


def _world():
    path = Path(__file__).with_name("prolific_world.py")
    spec = importlib.util.spec_from_file_location("prolific_world", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def prolific_world():
    """The module."""
    return _world()


@pytest.fixture(scope="session")
def prolific_template(tmp_path_factory):
    """An empty fake's database."""
    return tmp_path_factory.mktemp("prolific") / "fake.db"


@pytest.fixture(scope="session")
def prolific_service(prolific_template):
    """The service and its URL; each test puts its own state behind it."""
    app = create_service(f"sqlite:///{prolific_template}")
    app.extensions["prolific_sandbox"].close()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield app, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def prolific_on(prolific_world, prolific_service, prolific_template, answer_all, tmp_path):
    """Join a study database to a fake: `prolific_on(database, path)`."""
    made = []

    def join(database, path=None):
        if path is None:
            path = tmp_path / "service.db"
            shutil.copy(prolific_template, path)
        made.append(prolific_world.World(database, path, *prolific_service, answer_all))
        return made[-1]

    yield join
    for one in made:
        one.close()


@pytest.fixture
def prolific_study(prolific_world, plan_study, sqlite_database, prolific_on):
    """Make a study on a fresh fake: `prolific_study(reward=80, trials=20)`."""

    def make(**recipe):
        prolific_world.recruit(plan_study, sqlite_database, **recipe)
        return prolific_on(sqlite_database)

    return make


@pytest.fixture
def prolific(prolific_study):
    """A study of five sessions at 80 cents for five minutes, not published yet."""
    return prolific_study()


@pytest.fixture
def prolific_walk(prolific_on, prolific_world, tmp_path):
    """Break a command at every call it makes, run it again, and compare both databases.

    `prolific_walk(world, act, later=timedelta)`: `act(world, crowd)` is the command, and `later`
    passes before it is run again. Returns the calls that an unbroken run makes.
    """

    def restart(origin, name, clock):
        folder = tmp_path / name
        shutil.copytree(origin, folder)
        world = prolific_on(
            open_database(f"sqlite:///{folder / 'study.db'}"), folder / "service.db"
        )
        world.clock.time = clock.time
        return world

    def check(world, act, later=timedelta(seconds=2)):
        origin = tmp_path / "origin"
        origin.mkdir()
        for name in ("study.db", "service.db"):
            with (
                closing(connect(tmp_path / name)) as old,
                closing(connect(origin / name)) as copy,
            ):
                old.backup(copy)
        unbroken = restart(origin, "unbroken", world.clock)
        crowd = unbroken.crowd()
        act(unbroken, crowd)
        wanted, made = unbroken.books(), crowd._calls.made
        unbroken.database.close()
        for at, call in enumerate(made, 1):
            # A call that only reads has no reply worth losing.
            reads = call.startswith("GET") or "calculator" in call
            for how in ("fault",) if reads else ("before", "lost"):
                again = restart(origin, f"{at} {how}", world.clock)
                with pytest.raises((prolific_world.Killed, CrowdUnreachable)):
                    act(again, again.crowd(at, how))
                again.clock.time += later
                act(again, again.crowd())
                assert again.books() == wanted, (at, call, how)
                again.database.close()
        return made

    return check
