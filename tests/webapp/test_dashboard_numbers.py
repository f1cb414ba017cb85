"""What the dashboard says of a study made by hand, and of simulated ones, number by number."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.engine import Engine

from analysis.exclusions import exclude, parse_rules, repeat_agreement
from analysis.load import load_judgments
from evaluation import schema
from evaluation.allocation import finish_session, next_showing
from evaluation.budget import crowd_fee_cents
from evaluation.cli import cli
from evaluation.database import find_study, open_database
from evaluation.exclusion_rules import THRESHOLDS
from evaluation.judgments import Answer, record_judgment
from evaluation.money.ledger import intend_reward
from evaluation.privacy.pseudonyms import database_key, forgotten_id, pseudonym
from evaluation.publishing.offers import open_sessions
from evaluation.sessions.closing import return_session, withdraw_session
from evaluation.sessions.stopped import record_stopped
from evaluation.simulate import simulate
from evaluation.study import Comparison, Pay, Recruit
from freezing import freeze_tables
from webapp import dashboard_workers
from webapp.dashboard_commands import next_commands
from webapp.dashboard_counts import answers_by_time, pace, response_times
from webapp.dashboard_problems import Playback, clock_problems, playback
from webapp.dashboard_snapshot import recent, take_snapshot, time_left
from webapp.dashboard_workers import worker_rows

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def opened(filled):
    """The database of the study made by hand."""
    with open_database(filled.url) as database:
        yield database


@pytest.fixture
def snapshot(opened, moment):
    """The numbers of the study made by hand."""
    return take_snapshot(opened, "secret-study-name", b"k" * 32, moment)


def gold_of(stored):
    """How many of Ann's and Bob's answers were to gold trials, and right."""
    rows = stored(
        select(schema.Judgment)
        .join(schema.Showing)
        .join(schema.Trial, schema.Trial.id == schema.Judgment.trial_id)
        .where(schema.Trial.kind == schema.TrialKind.GOLD)
    )
    return len(rows)


def test_cells_and_pace_have_the_known_numbers(snapshot, moment):
    (cell,) = snapshot.cells

    n = snapshot.counted
    assert (cell.planned, cell.leased) == (6, 6 - n)
    assert n in (4, 5)  # chance puts Bob's gold pair among his first two or not
    assert sum(count for _, count in snapshot.slots) == n
    # All within the last hour: n judgments in the time since the slot of the first one began.
    since = snapshot.slots[0][0]
    rate = n / ((moment - since) / timedelta(hours=1))
    assert snapshot.pace.last_hour == pytest.approx(rate)
    assert snapshot.pace.hours_left == pytest.approx((6 - n) / rate)
    assert time_left(snapshot.pace).startswith("about")


def test_stopped_rows_lack_nothing(opened, snapshot, moment):
    (cell,) = snapshot.cells
    with opened.write() as session:
        rows = [Comparison(cell.source_a, cell.source_b)]
        record_stopped(session, find_study(session, None), rows, "decided", moment)
    found = take_snapshot(opened, "secret-study-name", b"k" * 32, moment)

    assert snapshot.pace.left == 6 - snapshot.counted
    assert (found.planned, found.pace.left, time_left(found.pace)) == (6, 0, "none")
    commands = [command for command, _ in next_commands(found, paused=False)]
    assert not any("top-up" in command for command in commands)


def test_a_study_without_a_crowd_is_told_to_send_its_link_round(opened, snapshot, moment):
    with opened.write() as session:
        session.execute(update(schema.Hit).values(crowd="local"))
    found = take_snapshot(opened, "secret-study-name", b"k" * 32, moment)
    late = take_snapshot(opened, "secret-study-name", b"k" * 32, moment + timedelta(days=9))
    with opened.write() as session:
        freeze_tables(find_study(session, None), recruit=Recruit(crowd="link"))
    named = take_snapshot(opened, "secret-study-name", b"k" * 32, moment)

    assert (snapshot.for_a_crowd, found.for_a_crowd, named.for_a_crowd) == (True, False, True)
    command, words = next_commands(found, paused=False)[0]
    assert command == ""
    assert "send round the link" in words
    assert "vgan-eval top-up" in dict(next_commands(named, paused=False))
    lapsed = [problem for problem in late.problems if "leases" in problem.text]
    assert [problem.command for problem in lapsed] == [""]


def test_response_times_fall_into_their_bars_with_the_exact_median(snapshot):
    bobs = snapshot.counted - 3

    # 2 s opens the bar from 2 to 2.8 s, 4 s the one from 4 to 5.7 s.
    assert [n for n in snapshot.bars if n] == [3, bobs]
    assert (snapshot.bars[6], snapshot.bars[8]) == (3, bobs)
    assert snapshot.median_ms == pytest.approx(2025)


def test_the_funnel_counts_every_step(snapshot):
    assert dict(snapshot.sessions.steps) == {
        "Started": 2, "First answer": 2, "A quarter answered": 2, "Half answered": 2,
        "Three quarters": 1, "All answered": 1, "Handed in": 1, "Approved": 1, "Paid": 1,
    }  # fmt: skip
    assert dict(snapshot.sessions.ended)["At work now"] == snapshot.sessions.live == 1
    assert snapshot.sessions.minutes == pytest.approx(4)


def test_three_of_four_answers_are_three_quarters(opened, moment):
    with opened.write() as session:
        bob = session.scalars(
            select(schema.Assignment).where(schema.Assignment.external_id == "A1BOB")
        ).one()
        answer = Answer("realism", "right", 4000.0, 500.0, moment)
        record_judgment(session, bob, next_showing(session, bob).id, answer)
    steps = dict(take_snapshot(opened, "secret-study-name", b"k" * 32, moment).sessions.steps)

    assert (steps["Three quarters"], steps["All answered"]) == (2, 1)


def test_a_session_that_was_given_back_keeps_its_steps(opened, moment):
    with opened.write() as session:
        bob = session.scalars(
            select(schema.Assignment).where(schema.Assignment.external_id == "A1BOB")
        ).one()
        return_session(session, bob)
    found = take_snapshot(opened, "secret-study-name", b"k" * 32, moment)

    assert dict(found.sessions.steps)["Half answered"] == 2
    assert dict(found.sessions.ended)["Returned"] == 1
    assert found.counted == 3


def test_money_is_spent_committed_and_labelled(snapshot):
    (money,) = snapshot.money

    # Ann 50 + 10 paid; Bob 60 while he works; two free places of 60 each.
    assert (money.environment, money.currency) == ("sandbox", "USD")
    assert (money.paid, money.working, money.offered) == (60, 60, 120)
    assert (money.written, money.owed, money.committed) == (0, 0, 240)


def test_money_has_the_fee_that_the_platform_named(opened, moment):
    with opened.write() as session:
        session.scalars(select(schema.Hit)).one().details = {"fee_cents": 25}
    (money,) = take_snapshot(opened, "secret-study-name", b"k" * 32, moment).money

    assert (money.working, money.offered) == (75, 150)


def test_place_of_who_left_is_on_offer_again_when_their_time_is_over(opened, moment):
    later = moment + timedelta(hours=12)
    (money,) = take_snapshot(opened, "secret-study-name", b"k" * 32, later).money

    assert (money.working, money.offered) == (0, 180)


def test_place_that_two_people_have_takes_nothing_off_what_is_on_offer(opened, moment):
    with opened.write() as session:  # whose time ran out handed in later, as another was at work
        session.scalars(select(schema.Hit)).one().max_assignments = 1
    (money,) = take_snapshot(opened, "secret-study-name", b"k" * 32, moment).money

    assert (money.offered, money.committed) == (0, 120)


def submitted(session, moment):
    """Let Bob hand his session in; returns it."""
    bob = session.scalars(
        select(schema.Assignment).where(schema.Assignment.external_id == "A1BOB")
    ).one()
    bob.status, bob.submitted_at = schema.AssignmentStatus.SUBMITTED, moment
    return bob


def test_a_session_that_waits_for_review_is_owed(opened, moment):
    with opened.write() as session:
        submitted(session, moment)
    found = take_snapshot(opened, "secret-study-name", b"k" * 32, moment)

    assert (found.money[0].owed, found.money[0].working, found.money[0].offered) == (60, 0, 120)
    commands = [command for command, _ in next_commands(found, paused=False)]
    assert commands[0] == "vgan-eval review"


def test_a_session_whose_approval_was_interrupted_is_written_and_not_owed_too(opened, moment):
    with opened.write() as session:
        intend_reward(session, find_study(session, None), submitted(session, moment), moment)
    (money,) = take_snapshot(opened, "secret-study-name", b"k" * 32, moment).money

    assert (money.paid, money.written, money.owed, money.committed) == (60, 60, 0, 240)


@pytest.mark.parametrize(("crowd", "free"), [("mturk", 2), ("prolific", 3)])
def test_a_rejected_session_has_its_place_where_the_platform_keeps_it(opened, moment, crowd, free):
    with opened.write() as session:
        for hit in session.scalars(select(schema.Hit)):
            hit.crowd = crowd
        for one in session.scalars(select(schema.Assignment)):
            one.crowd = crowd
            if one.external_id == "A1BOB":
                one.status, one.submitted_at = schema.AssignmentStatus.REJECTED, moment
    with opened.read() as session:
        open_places = open_sessions(session, find_study(session, None), moment)
    found = take_snapshot(opened, "secret-study-name", b"k" * 32, moment)

    assert open_places == free
    assert found.money[0].offered == free * (50 + crowd_fee_cents(crowd, 50))


def test_who_withdrew_is_not_among_the_workers(opened, moment):
    with opened.write() as session:
        query = select(schema.Assignment).where(schema.Assignment.external_id == "A1BOB")
        withdraw_session(session, session.scalars(query).one())
    found = take_snapshot(opened, "secret-study-name", b"k" * 32, moment)

    assert [(row.sessions, row.judgments) for row in found.workers] == [(1, 3)]
    assert dict(found.sessions.ended)["Withdrawn"] == 1


def test_workers_have_their_evidence_under_the_exports_pseudonyms(filled, stored, snapshot):
    ann, bob = snapshot.workers

    assert ann.worker == pseudonym(b"k" * 32, "worker", "mturk", "sandbox", "A1ANN")
    assert (ann.judgments, ann.sided, ann.left, ann.answers) == (3, 3, 3, 4)
    assert (ann.median_s, bob.median_s) == (2.0, 4.0)
    assert (ann.sessions, ann.finished, bob.sessions, bob.finished) == (1, 1, 1, 0)
    assert ann.gold + bob.gold == gold_of(stored)
    assert bob.left == 0
    assert ann.fast == 0


def test_the_number_of_statements_does_not_depend_on_the_number_of_judgments(
    make_study, rating_study, moment, rate_pairs
):
    built = make_study(rating_study.Recipe(trials=3, raters=2, gold=1))
    database = open_database(built.url)
    seen = []
    listener = lambda *arguments: seen.append(arguments[2])  # noqa: E731
    event.listen(Engine, "before_cursor_execute", listener)
    try:
        take_snapshot(database, "secret-study-name", b"k" * 32, moment)
        empty, seen[:] = len(seen), []
        with database.write() as session:
            study = find_study(session, None)
            for name in ("one", "two"):
                hit = schema.Hit(
                    study_id=study.id, crowd="mturk", environment=schema.Environment.SANDBOX,
                    token=name, state=schema.CallState.DONE, reward_cents=5, created_at=moment,
                )  # fmt: skip
                session.add(hit)
                session.flush()
                rate_pairs(session, study, hit, name, moment, 4, "left", 900.0)
        seen.clear()
        take_snapshot(database, "secret-study-name", b"k" * 32, moment)
    finally:
        event.remove(Engine, "before_cursor_execute", listener)
        database.close()

    assert len(seen) == empty
    assert empty < 40


@pytest.mark.parametrize(("where", "warnings"), [("production", 1), ("simulated", 0)])
def test_judgments_of_the_future_are_a_wrong_clock_unless_they_are_simulated(where, warnings):
    later = START + timedelta(hours=3)

    assert len(list(clock_problems(later, [schema.Environment(where)], START))) == warnings
    assert list(clock_problems(START, [schema.Environment(where)], later)) == []


def answer(session, worker, choice):
    """Change all of a worker's answers, in the order in which they were given."""
    query = select(schema.Judgment).join(schema.Showing).where(schema.Showing.worker_id == worker)
    given = session.scalars(query.order_by(schema.Judgment.answered_at)).all()
    for i, judgment in enumerate(given):
        judgment.choice = schema.Choice(choice(i, len(given)))


def test_workers_evidence_is_what_the_analysis_computes_from_the_same_judgments(
    initialised_study, monkeypatch
):
    # Sessions are short here: nobody's sides are rare by the rule's own threshold.
    monkeypatch.setitem(THRESHOLDS, "side-bias", 0.4)
    mix = {"careful": 0.75, "fast-clicker": 0.25}
    simulate(initialised_study.database, None, workers=12, mix=mix, seed=3)
    key = database_key(initialised_study.database)
    with initialised_study.database.write() as session:
        ids = session.scalars(select(schema.Worker.id).order_by(schema.Worker.id)).all()
        answer(session, ids[0], lambda i, n: "left" if i else "tie")
        answer(session, ids[1], lambda i, n: "right" if 3 * i < 2 * n else "left")
        answer(session, ids[2], lambda i, n: ("left", "right", "right", "left")[i % 4])
        gone, back = (session.get_one(schema.Worker, one) for one in ids[3:5])
        place = ("worker", back.crowd, back.environment.value, back.external_id)
        gone.external_id = forgotten_id(key, *place, row=gone.id)  # who then came back
    everything = load_judgments(initialised_study.database.url)
    judgments = everything[everything["trial_kind"] != "practice"]
    with initialised_study.database.read() as session:
        study = find_study(session, None)
        rows = worker_rows(session, study, key)
        _, median_ms = response_times(session, study)
        slots = answers_by_time(session, study)

    assert [row.worker for row in rows if row.answers] != []
    assert len(rows) == len({row.worker for row in rows}) == len(ids) - 1
    assert sum(row.sessions == 2 for row in rows) == 1
    for row in rows:
        theirs = judgments[judgments["worker"] == row.worker]
        gold = theirs[theirs["trial_kind"] == "gold"]
        sided = theirs[theirs["trial_kind"].isin(["test", "repeat", "identical"])]
        sided = sided[sided["choice"] != "tie"]
        agreed = repeat_agreement(theirs)["same"]
        assert (row.answers, row.judgments) == (len(theirs), sum(theirs["trial_kind"] == "test"))
        assert row.gold_right == sum(gold["choice"] == gold["correct_choice"])
        assert (row.sided, row.left) == (len(sided), sum(sided["choice"] == "left"))
        assert (row.repeats, row.same) == (len(agreed), sum(agreed))
        timed = everything[everything["worker"] == row.worker]["loops"]
        assert (row.timed, row.fast) == (len(timed), sum(timed < 1))
        assert row.median_s == pytest.approx(theirs["rt_ms"].median() / 1000)
    for rule in ("gold", "side-bias", "too-fast", "repeats"):
        kept, _ = exclude(everything, parse_rules([rule]))
        gone = set(everything["worker"]) - set(kept["worker"])
        assert {row.worker for row in rows if rule in row.flags} == gone, rule
    assert ["side-bias" in row.flags for row in rows[:3]] == [True, True, False]
    assert sum("too-fast" in row.flags for row in rows) == 3
    tests = judgments[judgments["trial_kind"] == "test"]
    assert abs(median_ms - tests["rt_ms"].median()) < 100
    assert sum(n for _, n in slots) == len(tests) == 48
    tens = tests["answered_at"].dt.floor("10min").value_counts()
    assert dict(slots) == {at.to_pydatetime(): n for at, n in tens.items()}


def test_pace_is_over_the_time_since_the_first_slot_of_the_window():
    now = START + timedelta(hours=5, minutes=5)
    slots = [(START, 300), (now - timedelta(minutes=45), 40), (now - timedelta(minutes=5), 10)]

    found = pace(slots, 120, now)

    # 50 judgments since 55 minutes ago; 350 since the first, 5 hours and 5 minutes ago.
    assert found.last_hour == pytest.approx(50 / (55 / 60))
    assert found.last_day == pytest.approx(350 / (5 + 5 / 60))
    assert found.hours_left == pytest.approx(120 / found.last_hour)
    assert pace([], 120, now).hours_left is None


def test_bars_over_time_have_no_gaps_and_become_days_in_a_long_study():
    later = [(START + timedelta(minutes=50), 2), (START + timedelta(hours=2), 1)]
    hours = recent([(START, 5), *later])
    days = recent([(START, 5), (START + timedelta(days=6), 1)])

    assert [n for _, n in hours] == [7, 0, 1]
    assert [n for _, n in days] == [5, 0, 0, 0, 0, 0, 1]


def test_problems_name_what_went_wrong_and_the_command_that_helps(
    make_study, rating_study, rate_pairs, moment
):
    built = make_study(rating_study.Recipe(trials=3, raters=2))
    database = open_database(built.url)
    details = {"stalls": 2, "start_offset_ms": 80, "largest_gap_ms": 10}
    with database.write() as session:
        study = find_study(session, None)
        freeze_tables(study, pay=Pay(reward_cents=50, expected_minutes=2))
        hits = [
            schema.Hit(
                study_id=study.id, crowd="mturk", environment=environment, token=state,
                state=schema.CallState(state), reward_cents=50, created_at=moment,
            )
            for environment, state in (("sandbox", "done"), ("production", "intended"))
        ]  # fmt: skip
        session.add_all(hits)
        session.flush()
        early = moment - timedelta(hours=3)
        done = rate_pairs(session, study, hits[0], "one", early, 3, "left", 900.0)
        finish_session(session, done, early + timedelta(minutes=5))
        rate_pairs(session, study, hits[0], "two", early, 0, "left", 900.0)
        for judgment in session.scalars(select(schema.Judgment)):
            # The server is 40 seconds ahead of the rater.
            said = 1000 * (judgment.answered_at.timestamp() - 40)
            judgment.details = {**details, "client_time": said}
    found = take_snapshot(database, "secret-study-name", b"k" * 32, moment)
    database.close()

    texts = [problem.text for problem in found.problems]
    assert found.problems[0].serious
    assert any("holds production and sandbox rows together" in text for text in texts)
    assert "1 HIT was written down but not known to be published." in texts
    assert any(text.startswith("3 pairs are under leases that have run out") for text in texts)
    assert any(text.startswith("In 100 % of the last 3 answers a player waited") for text in texts)
    assert any("started more than 50 ms apart" in text for text in texts)
    assert not any("stood still" in text for text in texts)
    assert any("clock is 40 s ahead of" in text for text in texts)
    assert any("Sessions take 5.0 minutes (median), not 2" in text for text in texts)
    assert "vgan-eval publish" in [problem.command for problem in found.problems]


def test_numbers_that_nothing_can_hold_count_as_not_measured(opened):
    keys = ("client_time", "stalls", "start_offset_ms", "largest_gap_ms")
    with opened.write() as session:
        session.execute(update(schema.Judgment).values(details=dict.fromkeys(keys, 10**400)))
    with opened.read() as session:
        seen = playback(session, find_study(session, None))

    assert seen == Playback(answers=6, stalled=0, uneven=0, choppy=0, skew_s=None)


def test_every_command_that_is_named_exists(opened, moment):
    found = take_snapshot(opened, "secret-study-name", b"k" * 32, moment)
    sources = Path(dashboard_workers.__file__).parent.glob("dashboard*.py")
    named = {
        name for path in sources for name in re.findall(r"vgan-eval ([a-z-]+)", path.read_text())
    }

    assert {"publish", "review", "pay", "status", "top-up"} <= named
    assert named <= set(cli.commands)
    assert next_commands(found, paused=True)[0][0].startswith("vgan-eval status")
