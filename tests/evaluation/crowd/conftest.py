"""A study on the fake of Prolific, behind one server of the test session."""

import shutil
from functools import partial

import pytest

import prolific_world
from crashes import break_everywhere
from evaluation.prolific_sandbox import create_service
from serving import running


@pytest.fixture(scope="session")
def prolific_template(tmp_path_factory):
    """An empty fake's database."""
    return tmp_path_factory.mktemp("prolific") / "fake.db"


@pytest.fixture(scope="session")
def prolific_service(prolific_template):
    """The service and its URL; each test puts its own state behind it."""
    app = create_service(f"sqlite:///{prolific_template}")
    app.extensions["prolific_sandbox"].close()
    with running(app) as url:
        yield app, url


@pytest.fixture
def prolific_on(prolific_service, prolific_template, answer_all, tmp_path):
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
def prolific_study(plan_study, sqlite_database, prolific_on):
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
def prolific_walk(prolific_on, tmp_path):
    """Break a command at every call it makes: `prolific_walk(world, act)`; see `break_everywhere`.

    Each call is killed before it is made, or loses its reply; one that only reads meets a fault.
    """

    def fates(call):
        reads = call.startswith("GET") or "calculator" in call
        return [{"how": how} for how in (("fault",) if reads else ("before", "lost"))]

    return partial(break_everywhere, prolific_on, tmp_path, fates)
