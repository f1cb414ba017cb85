"""Fixtures of the web tests: a study with drawn clips, and the application that serves it."""

import gc
import importlib.util
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evaluation import schema
from evaluation.allocation import finish_session, get_worker, next_showing, start_session
from evaluation.database import create_database, find_study, open_database
from evaluation.judgments import Answer, record_judgment
from evaluation.storage import LocalStore
from webapp import create_app


def _load(name: str):
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"tests_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def rating_study():
    """The module that makes small studies."""
    return _load("rating_study")


@pytest.fixture(scope="session")
def study_template(rating_study, tmp_path_factory):
    """Make each kind of study once; the tests work on copies of its database and clips."""
    made = {}

    def template(recipe) -> tuple[Path, dict]:
        if repr(recipe) not in made:
            folder = tmp_path_factory.mktemp("study")
            database = create_database(f"sqlite:///{folder / 'study.db'}")
            # imageio collects garbage at every file it closes, which takes long in a test process.
            gc.freeze()
            pixels = rating_study.build_study(database, folder, recipe)
            gc.unfreeze()
            database.close()
            made[repr(recipe)] = (folder, pixels)
        return made[repr(recipe)]

    return template


@pytest.fixture
def make_study(rating_study, study_template, tmp_path):
    """Return a study of a recipe in this test's own folder."""

    def make(recipe=None):
        folder, pixels = study_template(recipe or rating_study.Recipe())
        shutil.copy(folder / "study.db", tmp_path)
        shutil.copytree(folder / "media", tmp_path / "media")
        url = f"sqlite:///{tmp_path / 'study.db'}"
        return rating_study.Built(url, LocalStore(tmp_path / "media"), pixels)

    return make


@pytest.fixture
def make_client(make_study):
    """Make a study and return a test client of its application; `built` is the study."""
    made = []

    def make(recipe=None, **options):
        built = make_study(recipe)
        app = create_app(built.url, built.store, **options)
        app.testing = True
        made.append(app)
        client = app.test_client()
        client.built = built
        return client

    yield make
    for app in made:
        app.extensions["vgan_eval"].database.close()


@pytest.fixture
def stored(make_study, tmp_path):
    """Read rows of this test's study."""

    def read(query):
        database = open_database(f"sqlite:///{tmp_path / 'study.db'}")
        try:
            with database.read() as session:
                return session.scalars(query).all()
        finally:
            database.close()

    return read


@pytest.fixture(scope="session")
def moment():
    """The time that the studies made by hand end at."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def rate_pairs():
    """Start a session and answer so many of its pairs; returns the assignment."""

    def rate(session, study, hit, name, at, answers, choice, rt_ms):
        worker = get_worker(session, hit.crowd, hit.environment, name, at)
        assignment = start_session(session, study, hit=hit, worker=worker, external_id=name, now=at)
        for _ in range(answers):
            showing = next_showing(session, assignment)
            answer = Answer("realism", choice, rt_ms, 500.0, at)
            record_judgment(session, assignment, showing.id, answer)
            session.expire_all()
        return assignment

    return rate


@pytest.fixture
def filled(make_study, rating_study, rate_pairs, moment):
    """Ann has finished and is paid; Bob is at work: two of his four pairs are answered.

    Both see three test pairs and one gold pair. Ann answers left after 2 s, Bob right after 4 s.
    The HIT has four places at 50 cents, and MTurk's fee on each is 10.
    """
    built = make_study(rating_study.Recipe(trials=3, raters=2, gold=1))
    database = open_database(built.url)
    with database.write() as session:
        study = find_study(session, None)
        hit = schema.Hit(
            study_id=study.id, crowd="mturk", environment=schema.Environment.SANDBOX, token="hit",
            external_id="3HIT", state=schema.CallState.DONE, max_assignments=4, reward_cents=50,
            expires_at=moment + timedelta(days=1), created_at=moment,
        )  # fmt: skip
        session.add(hit)
        session.flush()
        ann = rate_pairs(
            session, study, hit, "A1ANN", moment - timedelta(minutes=30), 4, "left", 2000.0
        )
        finish_session(session, ann, moment - timedelta(minutes=26))
        ann.status = schema.AssignmentStatus.APPROVED
        for kind, cents in (("reward", 50), ("fee", 10)):
            session.add(
                schema.Payment(
                    study_id=study.id,
                    assignment_id=ann.id,
                    kind=schema.PaymentKind(kind),
                    cents=cents,
                    currency="USD",
                    token=kind,
                    state=schema.CallState.DONE,
                    created_at=moment,
                    done_at=moment,
                )
            )
        rate_pairs(session, study, hit, "A1BOB", moment - timedelta(minutes=15), 2, "right", 4000.0)
    database.close()
    return built
