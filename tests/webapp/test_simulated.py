"""People are never let into a study that simulated raters have answered."""

from datetime import UTC, datetime

import pytest

from evaluation.allocation import get_worker, local_hit, start_session
from evaluation.database import find_study, open_database
from evaluation.errors import UsageError
from evaluation.schema import Environment
from webapp import create_app


def test_a_study_with_simulated_judgments_is_not_served(make_study):
    built = make_study()
    now = datetime(2026, 1, 2, tzinfo=UTC)
    with open_database(built.url) as database, database.write() as session:
        study = find_study(session, None)
        hit = local_hit(session, study, "simulated", Environment.SIMULATED, now)
        worker = get_worker(session, "simulated", Environment.SIMULATED, "simulated-0001", now)
        start_session(session, study, hit=hit, worker=worker, external_id="s-1", now=now)

    with pytest.raises(UsageError, match="holds simulated judgments"):
        create_app(built.url, built.store)
