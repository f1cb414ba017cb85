"""Fixtures of the web tests: a study with drawn clips, and the application that serves it."""

from datetime import UTC, datetime, timedelta

import pytest

from evaluation import schema
from evaluation.allocation import finish_session, get_worker, next_showing, start_session
from evaluation.database import find_study, open_database
from evaluation.judgments import Answer, record_judgment
from web_fixtures import make_study as make_study
from web_fixtures import rating_study as rating_study
from web_fixtures import stored as stored
from web_fixtures import study_template as study_template
from webapp import create_app


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
    with open_database(built.url) as database, database.write() as session:
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
                    hit_id=hit.id,
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
    return built
