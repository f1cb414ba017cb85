"""Many requests at the same moment leave what one would have left, on both databases."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session

from evaluation.allocation import (
    expire_leases,
    finish_session,
    get_worker,
    local_hit,
    next_showing,
    return_session,
)
from evaluation.errors import NothingLeft, SessionClosed
from evaluation.judgments import Answer, record_judgment
from evaluation.links import publish_link
from evaluation.payments import pay_bonuses
from evaluation.reviews import review
from evaluation.schema import (
    Assignment,
    Environment,
    Hit,
    Judgment,
    JudgmentStatus,
    Payment,
    Review,
    Showing,
    ShowingStatus,
    Trial,
    TrialKind,
    Worker,
)
from evaluation.study import Link, Recruit

START = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
AFTER_LEASE = START + timedelta(minutes=36)
N = 20


def _at_once(function, n=N):
    """Call function(0), ..., function(n - 1) in threads that start together; results in order."""
    barrier = threading.Barrier(n)

    def wait_and_call(i):
        barrier.wait(timeout=30)
        return function(i)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(wait_and_call, range(n)))


def _waits(database) -> bool:
    """Whether a statement waits for a lock; SQLite does not tell, its units take turns anyway."""
    if database.dialect == "sqlite":
        return True
    with database.read() as unit:
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return unit.scalar(waiting) > 0


def _overlapping(database, first, second):
    """Run first(unit), and commit it only when second(unit), in another thread, waits for it."""
    done_first = threading.Event()

    def run_second():
        assert done_first.wait(30)
        with database.write() as unit:
            second(unit)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(run_second)
        with database.write() as unit:
            first(unit)
            unit.flush()
            done_first.set()
            until = time.monotonic() + 30
            while not _waits(database):
                assert time.monotonic() < until, "nobody waited"
        other.result(60)


def _crossing(database, table, run):
    """Run twice: the second comes when the first is about to write a row, and waits for it."""
    others = []

    def come(session, *_):
        if not others and any(isinstance(row, table) for row in session.new):
            others.append(pool.submit(run))
            until = time.monotonic() + 30
            while not (_waits(database) or others[0].done()):
                assert time.monotonic() < until, "nobody waited"

    event.listen(Session, "before_flush", come)
    try:
        with ThreadPoolExecutor(1) as pool:
            first = run()
            return first, others[0].result(60)
    finally:
        event.remove(Session, "before_flush", come)


def _free(unit):
    return set(unit.scalars(select(Trial.id).where(Trial.free, Trial.kind == TrialKind.TEST)))


def test_trials_leased_while_an_expired_session_is_returned_stay_leased(
    database, plan_study, begin
):
    study = plan_study(database, cells={("a", "b", "golf"): 4}, session={"trials": 4})
    with database.write() as unit:
        old = begin(unit, study, "old")
    with database.write() as unit:
        expire_leases(unit, study, AFTER_LEASE)

    _overlapping(
        database,
        lambda unit: begin(unit, study, "new", now=AFTER_LEASE),
        lambda unit: return_session(unit, unit.get_one(Assignment, old.id)),
    )

    with database.write() as unit:
        assert _free(unit) == set()
        with pytest.raises(NothingLeft):
            begin(unit, study, "third", now=AFTER_LEASE)


def test_trial_counted_while_anothers_lease_of_it_ends_is_not_freed(database, plan_study, begin):
    study = plan_study(database, cells={("a", "b", "golf"): 1}, session={"trials": 1})
    with database.write() as unit:
        late = begin(unit, study, "late")
        showing = next_showing(unit, late).id
    with database.write() as unit:
        begin(unit, study, "second", now=AFTER_LEASE)
    after_both = AFTER_LEASE + timedelta(minutes=36)

    _overlapping(
        database,
        lambda unit: record_judgment(
            unit,
            unit.get_one(Assignment, late.id),
            showing,
            Answer("realism", "left", 1, 1, after_both),
        ),
        lambda unit: expire_leases(unit, study, after_both),
    )

    with database.read() as unit:
        assert unit.scalars(select(Judgment)).one().status is JudgmentStatus.COUNTED
        assert _free(unit) == set()


def test_twenty_equal_posts_store_one_judgment(database, plan_study, begin):
    study = plan_study(database)
    with database.write() as unit:
        assignment = begin(unit, study, "w")
        showing = next_showing(unit, assignment).id

    def post(i):
        with database.write() as unit:
            mine = unit.get_one(Assignment, assignment.id)
            answer = Answer("realism", "left" if i % 2 else "right", i, 1, START)
            return record_judgment(unit, mine, showing, answer).duplicate

    duplicates = _at_once(post)

    assert Counter(duplicates) == {True: N - 1, False: 1}
    with database.read() as unit:
        stored = unit.scalars(select(Judgment)).one()
        assert stored.rt_ms == duplicates.index(False)


def test_twenty_clicks_on_start_make_one_session(database, plan_study, begin):
    study = plan_study(database, session={"trials": 4, "practice": 1, "repeats": 1})

    def click(_):
        with database.write() as unit:
            return begin(unit, study, "w").id

    ids = _at_once(click)

    assert len(set(ids)) == 1
    with database.read() as unit:
        for table in (Worker, Hit, Assignment):
            assert unit.scalar(select(func.count()).select_from(table)) == 1
        assert unit.scalar(select(func.count()).select_from(Showing)) == 6


def test_twenty_workers_at_once_share_the_plan_without_overlap(database, plan_study, begin):
    cells = {("a", "b", f"c{i}"): 12 for i in range(5)}
    study = plan_study(database, cells=cells, session={"trials": 4, "gold": 1, "repeats": 1})

    def arrive(i):
        try:
            with database.write() as unit:
                return begin(unit, study, f"w{i}").id
        except NothingLeft:
            return None

    _at_once(arrive)  # 20 x 4 wanted of 60

    with database.write() as unit:
        for i in range(N, N + 5):  # whoever was turned away while others were choosing
            try:
                begin(unit, study, f"w{i}")
            except NothingLeft:
                break
    with database.read() as unit:
        leased = unit.scalars(
            select(Showing.trial_id)
            .join(Trial, Showing.trial_id == Trial.id)
            .where(Trial.kind == TrialKind.TEST)
        ).all()
        assert len(leased) == len(set(leased)) == 60
        assert (
            unit.scalar(select(func.count()).where(Trial.kind == TrialKind.TEST, Trial.free)) == 0
        )


def test_starts_and_expiries_at_once_lease_every_trial_once(
    database, plan_study, begin, answer_all
):
    study = plan_study(database, cells={("a", "b", "golf"): 40})
    with database.write() as unit:
        for i in range(10):
            begin(unit, study, f"gone-{i}")

    def arrive(i):
        with database.write() as unit:
            if i % 2:
                return expire_leases(unit, study, AFTER_LEASE)
            try:
                begin(unit, study, f"w{i}", now=AFTER_LEASE)
            except NothingLeft:
                return 0
            return 0

    _at_once(arrive)

    with database.read() as unit:
        by_status = dict(
            unit.execute(select(Showing.status, func.count()).group_by(Showing.status)).all()
        )
        live = unit.scalars(
            select(Showing.trial_id).where(Showing.status == ShowingStatus.LEASED)
        ).all()
        free = set(unit.scalars(select(Trial.id).where(Trial.free)))
    assert by_status[ShowingStatus.EXPIRED] == 40
    assert len(live) == len(set(live))
    assert free.isdisjoint(live)
    assert len(free) + len(live) == 40


@pytest.mark.parametrize("round_", range(3))
def test_a_late_and_a_present_worker_give_one_counted_judgment(database, plan_study, begin, round_):
    study = plan_study(database, cells={("a", "b", "golf"): 1})
    with database.write() as unit:
        late = begin(unit, study, "late")
        showings = [(late.id, next_showing(unit, late).id)]
    with database.write() as unit:
        present = begin(unit, study, "present", now=AFTER_LEASE)
        showings.append((present.id, next_showing(unit, present).id))

    def post(i):
        assignment, showing = showings[i % 2]
        with database.write() as unit:
            mine = unit.get_one(Assignment, assignment)
            record_judgment(unit, mine, showing, Answer("realism", "left", 1, 1, AFTER_LEASE))

    _at_once(post)

    with database.read() as unit:
        assert sorted(unit.scalars(select(Judgment.status))) == [
            JudgmentStatus.COUNTED,
            JudgmentStatus.LATE,
        ]


def test_returning_while_answering_leaves_no_counted_judgment(database, plan_study, begin):
    study = plan_study(database, cells={("a", "b", "golf"): 19}, session={"trials": 19})
    with database.write() as unit:
        assignment = begin(unit, study, "w")
        ids = unit.scalars(select(Showing.id).order_by(Showing.position)).all()

    def act(i):
        try:
            with database.write() as unit:
                mine = unit.get_one(Assignment, assignment.id)
                if i == N - 1:
                    return_session(unit, mine)
                else:
                    record_judgment(unit, mine, ids[i], Answer("realism", "left", 1, 1, START))
        except SessionClosed:
            pass

    _at_once(act)

    with database.read() as unit:
        assert set(unit.scalars(select(Judgment.status))) <= {JudgmentStatus.RETURNED}
        assert (
            unit.scalar(select(func.count()).where(Trial.kind == TrialKind.TEST, Trial.free)) == 19
        )


def test_twenty_submissions_give_one_code(database, plan_study, begin, answer_all):
    study = plan_study(database)
    with database.write() as unit:
        assignment = begin(unit, study, "w")
        answer_all(unit, assignment)

    def submit(i):
        with database.write() as unit:
            mine = unit.get_one(Assignment, assignment.id)
            return finish_session(unit, mine, START + timedelta(seconds=i))

    assert len(set(_at_once(submit))) == 1


def test_of_two_surveys_at_once_the_first_is_kept(database, plan_study, begin, answer_all):
    study = plan_study(database)
    with database.write() as unit:
        assignment = begin(unit, study, "w")
        answer_all(unit, assignment)

    def finish(notes):
        return lambda unit: finish_session(
            unit, unit.get_one(Assignment, assignment.id), START, {"notes": notes}
        )

    _overlapping(database, finish("first"), finish("second"))

    with database.read() as unit:
        assert unit.get_one(Assignment, assignment.id).survey == {"notes": "first"}


def test_two_first_publications_of_a_link_at_once_make_one_link(database, plan_study):
    plan_study(database, recruit=Recruit(crowd="link", link=Link(participant="pid")))

    def publish():
        return publish_link(
            database, None, Environment.SANDBOX, "http://localhost:8000", now=lambda: START
        )

    first, second = _crossing(database, Hit, publish)

    assert (first.places, first.trials) == (4, 16)
    assert (second.places, second.trials, second.address) == (4, 0, first.address)


def test_two_reviews_and_two_payments_at_once_settle_everything_once(database, recruit, crowd_on):
    recruit(database, trials=8)
    crowded = crowd_on(database)
    crowded.publish()
    for worker in ("A1", "A2"):
        crowded.work(worker, crowded.hits()[0])

    def check():
        return review(database, None, crowded.crowd(), now=crowded.clock)

    def pay():
        return pay_bonuses(
            database, None, crowded.crowd(), cents=3, reason="Thanks", now=crowded.clock
        )

    _crossing(database, Review, check)
    _crossing(database, Payment, pay)

    assert crowded.bonuses() == [("A1", 3), ("A2", 3)]
    assert crowded.balance() == 1_000_000 - 2 * (12 + 4)
    assert [one.state for one in crowded.rows(Review)] == ["done", "done"]
    booked = crowded.rows(Payment)
    assert {one.state for one in booked} == {"done"}
    assert sum(one.cents for one in booked) == 2 * (12 + 4)


def test_a_worker_seen_twenty_times_at_once_is_one_row(database, plan_study):
    study = plan_study(database)

    def arrive(_):
        with database.write() as unit:
            worker = get_worker(unit, "link", Environment.PRODUCTION, "me", START)
            return worker.id, local_hit(unit, study, "link", Environment.PRODUCTION, START).id

    assert len(set(_at_once(arrive))) == 1
