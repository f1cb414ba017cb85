"""The service's database: survives a restart, serves many at once, refuses what is not its own."""

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, func, select, text

from evaluation.errors import DatabaseError, EvaluationError
from evaluation.prolific_sandbox import create_service as create_prolific_service
from evaluation.sandbox import create_service, serve_sandbox
from evaluation.sandbox.store import VERSION, Account, Assignment


@pytest.fixture
def sandbox_url(empty_database_url):
    return empty_database_url


@contextmanager
def served(url, port=0):
    """The service as its command runs it, in a process of its own; yields it and its address."""
    code = (
        "import logging, sys\n"
        "logging.basicConfig(level='INFO', stream=sys.stdout, format='%(message)s')\n"
        "from evaluation.sandbox import serve_sandbox\n"
        "serve_sandbox('127.0.0.1', int(sys.argv[1]), sys.argv[2])"
    )
    command = [sys.executable, "-u", "-c", code, str(port), url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            yield process, line.split()[-1]
        finally:
            process.kill()


def test_hit_survives_a_kill_of_the_served_process(sandbox_url, connect, hit_properties):
    with served(sandbox_url) as (_, url):
        made = connect(url).create_hit(**hit_properties)["HIT"]

    with served(sandbox_url, int(url.rpartition(":")[2])) as (_, url):
        assert connect(url).get_hit(HITId=made["HITId"])["HIT"] == made


def test_port_that_is_taken_is_told(sandbox_url, live):
    port = int(live.rpartition(":")[2])

    with pytest.raises(EvaluationError, match=f"cannot listen on 127.0.0.1:{port}: Address"):
        serve_sandbox("127.0.0.1", port, sandbox_url)


@pytest.fixture
def together():
    """Call a function with 0..n-1, all at once."""

    def _together(n, function):
        with ThreadPoolExecutor(n) as pool:
            return list(pool.map(function, range(n)))

    return _together


def test_state_clock_and_faults_survive_a_restart(
    app, live, sandbox_url, mturk, make_hit, hand, sandbox, front, waited
):
    hit = make_hit()
    done = hand.do("A1", hit["HITId"])
    hand.accept("A2", hit["HITId"])
    sandbox.move_clock(timedelta(minutes=5))
    sandbox.inject("slow", "GetHIT", seconds=2)
    sandbox.configure(duplicate_error="field")
    before, now = mturk.get_assignment(AssignmentId=done), sandbox.now()
    sandbox.close()

    again = create_service(
        sandbox_url, clock=lambda: now - timedelta(minutes=5), wait=waited.append
    )
    front[0].app = again

    assert again.extensions["sandbox"].now() == now
    shown = mturk.get_assignment(AssignmentId=done)
    assert shown["Assignment"] == before["Assignment"]
    assert mturk.get_hit(HITId=hit["HITId"])["HIT"]["NumberOfAssignmentsPending"] == 1
    assert waited == [2]
    assert mturk.get_account_balance()["OnHoldBalance"] == "0.36"
    settings = again.test_client().get("/_sandbox/settings").json
    assert settings["duplicate_error"] == "field"
    again.extensions["sandbox"].close()


def test_twenty_workers_at_once_get_exactly_three_assignments(
    app, mturk, make_hit, together, sandbox
):
    hit = make_hit(MaxAssignments=3)["HITId"]

    def accept(n):
        return app.test_client().post(f"/worker/A{n}/hits/{hit}/accept").status_code

    statuses = together(20, accept)

    assert sorted(statuses) == [303] * 3 + [409] * 17
    shown = mturk.get_hit(HITId=hit)["HIT"]
    assert shown["NumberOfAssignmentsPending"] == 3
    assert shown["NumberOfAssignmentsAvailable"] == 0
    with sandbox.begin() as unit:
        ids = unit.session.scalars(select(Assignment.external_id)).all()
    assert len(ids) == len(set(ids)) == 3


def test_one_worker_accepting_twenty_times_at_once_gets_one_assignment(
    app, make_hit, together, sandbox
):
    hit = make_hit(MaxAssignments=3)["HITId"]

    def accept(n):
        return app.test_client().post(f"/worker/A1/hits/{hit}/accept").location

    assert len(set(together(20, accept))) == 1
    with sandbox.begin() as unit:
        assert unit.session.scalar(select(func.count()).select_from(Assignment)) == 1


def test_one_token_sent_twenty_times_at_once_makes_one_hit(mturk, make_hit, together):
    def create(n):
        try:
            return make_hit(UniqueRequestToken="once")["HITId"]
        except mturk.exceptions.RequestError:
            return None

    made = together(20, create)

    assert sum(hit is not None for hit in made) == 1
    assert mturk.list_hits()["NumResults"] == 1


def test_money_is_not_spent_twice_at_once(mturk, make_hit, hand, together, sandbox):
    sandbox.configure(opening_balance_cents=200)
    assignment = hand.do("A1", make_hit(MaxAssignments=1)["HITId"])

    def bonus(n):
        try:
            mturk.send_bonus(WorkerId="A1", AssignmentId=assignment, BonusAmount="0.50", Reason="x")
        except mturk.exceptions.RequestError:
            return False
        return True

    paid = together(12, bonus)

    assert sum(paid) == 3  # 3 x 0.60 = 1.80 of 1.88 that are not held
    with sandbox.begin() as unit:
        account = unit.session.scalars(select(Account)).one()
        assert (account.balance_cents, account.held_cents) == (20, 12)


def test_submission_posted_ten_times_at_once_is_taken_once(app, make_hit, hand, together, mturk):
    hit = make_hit()["HITId"]
    assignment = hand.accept("A1", hit)

    def submit(n):
        form = {"assignmentId": assignment, "n": str(n)}
        return app.test_client().post("/mturk/externalSubmit", data=form).status_code

    assert sorted(together(10, submit)) == [200] + [409] * 9
    assert mturk.list_assignments_for_hit(HITId=hit)["NumResults"] == 1


@pytest.mark.parametrize(
    ("make", "name"),
    [(create_service, "sandbox"), (create_prolific_service, "prolific_sandbox")],
)
def test_a_new_file_of_a_service_can_be_read_by_its_owner_only(tmp_path, make, name):
    service = make(f"sqlite:///{tmp_path}/service.db").extensions[name]
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    service.close()

    assert modes["service.db"] == 0o600
    assert set(modes.values()) == {0o600}


def test_database_of_another_version_is_refused(sandbox_url):
    create_service(sandbox_url).extensions["sandbox"].close()
    engine = create_engine(sandbox_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE sandbox_service SET version = 99"))
    engine.dispose()

    with pytest.raises(DatabaseError, match=f"version 99, this program has version {VERSION}"):
        create_service(sandbox_url)


def test_database_of_another_program_is_refused_and_left_alone(sandbox_url):
    engine = create_engine(sandbox_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE study (id INTEGER)"))

    with pytest.raises(DatabaseError, match="holds other tables"):
        create_service(sandbox_url)

    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM study")).scalar() == 0
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("sandbox.db", "not a database URL"),
        ("mysql://localhost/x", "SQLite or PostgreSQL, not mysql"),
        ("sqlite://", "needs a file"),
        ("sqlite:////no/such/folder/s.db", "no folder"),
    ],
)
def test_url_that_cannot_be_used_is_told_before_serving(url, why):
    with pytest.raises(DatabaseError, match=why):
        serve_sandbox("127.0.0.1", 0, url)


def test_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "s.db").write_bytes(b"not a database, but a text that is long enough" * 50)

    with pytest.raises(DatabaseError, match="cannot open the sandbox database"):
        create_service(f"sqlite:///{tmp_path}/s.db")
