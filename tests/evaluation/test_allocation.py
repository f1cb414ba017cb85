"""Sessions lease trials fairly, never repeat a pair to a worker, and give back what is dropped."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from evaluation.allocation import (
    expire_leases,
    finish_session,
    get_worker,
    has_free_trial,
    local_hit,
    next_showing,
    return_session,
    start_session,
    withdraw_session,
)
from evaluation.errors import (
    NothingLeft,
    SessionClosed,
    SessionIncomplete,
    SessionLimit,
    UsageError,
)
from evaluation.judgments import Answer, record_judgment
from evaluation.schema import (
    Assignment,
    AssignmentStatus,
    Environment,
    Judgment,
    JudgmentStatus,
    Pair,
    PlanBatch,
    Showing,
    ShowingStatus,
    Side,
    Trial,
    TrialKind,
    Worker,
)
from evaluation.sessions.arrivals import (
    check_arrival,
    check_may_start,
    published_hit,
    published_hits,
)
from evaluation.sessions.order import REPEAT_GAP, SessionTrial, arrange, draw_from_pool
from evaluation.sessions.stopped import record_stopped
from evaluation.study import Comparison

START = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
AFTER_LEASE = START + timedelta(minutes=36)
FULL = {"trials": 8, "practice": 2, "gold": 2, "repeats": 2, "identical": 1}
CELLS = {("a", "b", f"c{i}"): 10 for i in range(6)}


def _shown(unit, assignment):
    """(showing, trial, pair) of a session, in order."""
    return unit.execute(
        select(Showing, Trial, Pair)
        .join(Trial, Showing.trial_id == Trial.id)
        .join(Pair, Trial.pair_id == Pair.id)
        .where(Showing.assignment_id == assignment.id)
        .order_by(Showing.position)
    ).all()


def _free(unit, study):
    return unit.scalar(
        select(func.count()).where(
            Trial.study_id == study.id, Trial.kind == TrialKind.TEST, Trial.free
        )
    )


def test_a_session_holds_every_kind_in_the_stated_numbers(database, plan_study, begin):
    study = plan_study(database, cells=CELLS, session=FULL | {"gold": 3})

    with database.write() as unit:
        rows = _shown(unit, begin(unit, study, "w"))

    kinds = Counter(trial.kind for _, trial, _ in rows)
    assert kinds == {
        TrialKind.TEST: 8, TrialKind.PRACTICE: 2, TrialKind.GOLD: 3, TrialKind.REPEAT: 2,
        TrialKind.IDENTICAL: 1,
    }  # fmt: skip
    assert [showing.position for showing, _, _ in rows] == list(range(1, 17))
    assert [trial.kind for _, trial, _ in rows[:2]] == [TrialKind.PRACTICE] * 2
    assert all(showing.status is ShowingStatus.LEASED for showing, _, _ in rows)
    assert all(showing.expires_at == START + timedelta(minutes=35) for showing, _, _ in rows)


def test_known_answers_follow_the_random_side(database, plan_study, begin):
    study = plan_study(database, cells=CELLS, session=FULL, pool=20)

    with database.write() as unit:
        rows = [r for i in range(6) for r in _shown(unit, begin(unit, study, "w", f"s{i}"))]

    known = [t for _, t, _ in rows if t.kind in (TrialKind.GOLD, TrialKind.PRACTICE)]
    assert {t.a_is_left for t in known} == {True, False}
    assert all(t.correct is (Side.LEFT if t.a_is_left else Side.RIGHT) for t in known)
    assert all(t.correct is None for _, t, _ in rows if t.kind is TrialKind.TEST)


@pytest.mark.parametrize(
    ("environment", "same"), [(Environment.PRODUCTION, False), (Environment.SIMULATED, True)]
)
def test_seed_and_ids_tell_where_gold_is_and_its_answer_in_simulations_only(
    sqlite_database, plan_study, begin, environment, same
):
    study = plan_study(sqlite_database, cells=CELLS, session=FULL, pool=20)
    seen = []
    with sqlite_database.write() as unit:
        study = unit.merge(study)
        for study.secret in ("one", "two"):
            everything = unit.begin_nested()
            rows = _shown(unit, begin(unit, study, "w", environment=environment))
            gold = [(shown.position, t.correct) for shown, t, _ in rows if t.kind == TrialKind.GOLD]
            seen.append(gold)
            everything.rollback()

    assert (seen[0] == seen[1]) is same


def test_a_repeat_swaps_the_sides_of_an_earlier_trial_of_the_session(database, plan_study, begin):
    study = plan_study(database, cells=CELLS, session=FULL)

    with database.write() as unit:
        rows = _shown(unit, begin(unit, study, "w"))

    position = {trial.id: showing.position for showing, trial, _ in rows}
    original = {trial.id: trial for _, trial, _ in rows}
    repeats = [(s, t) for s, t, _ in rows if t.kind is TrialKind.REPEAT]
    assert len(repeats) == 2
    for showing, trial in repeats:
        first = original[trial.repeat_of_id]
        assert (first.kind, first.pair_id) == (TrialKind.TEST, trial.pair_id)
        assert first.a_is_left is not trial.a_is_left
        assert showing.position - position[first.id] > REPEAT_GAP
        assert showing.repeat == 1


def test_sessions_take_one_trial_of_every_cell_before_a_second_of_any(database, plan_study, begin):
    study = plan_study(database, cells=CELLS, session={"trials": 4})
    counts: Counter[str] = Counter({category: 0 for _, _, category in CELLS})

    with database.write() as unit:
        for i in range(15):
            rows = _shown(unit, begin(unit, study, f"w{i}"))
            counts.update(pair.category for _, _, pair in rows)
            assert max(counts.values()) - min(counts.values()) <= 1
        assert _free(unit, study) == 0
    assert set(counts.values()) == {10}


def test_the_fewest_sessions_fill_a_plan_of_few_pairs(database, plan_study, begin):
    study = plan_study(
        database, cells={("a", "b", "golf"): 90}, clips=3, session={"trials": 6}
    )  # 10 trials of each of 9 pairs
    with database.write() as unit:
        # As `init` does, which numbers the trials of a cell in random order.
        trials = unit.scalars(select(Trial).where(Trial.kind == TrialKind.TEST)).all()
        pairs = [trial.pair_id for trial in trials]
        random.Random(1).shuffle(pairs)
        for trial, pair in zip(trials, pairs, strict=True):
            trial.pair_id = pair

    with database.write() as unit:
        for i in range(15):
            assert len(_shown(unit, begin(unit, study, f"w{i}"))) == 6
        assert _free(unit, study) == 0


def test_which_cells_come_first_depends_on_the_seed_only(sqlite_database, plan_study, begin):
    def first_cells(name, seed):
        study = plan_study(sqlite_database, cells=CELLS, name=name, seed=seed)
        with sqlite_database.write() as unit:
            return sorted(p.category for _, _, p in _shown(unit, begin(unit, study, "w", name)))

    firsts = [first_cells(f"s{seed}", seed) for seed in range(6)]
    assert len({tuple(cells) for cells in firsts}) > 2
    assert first_cells("again", 3) == firsts[3]


def test_trials_of_an_earlier_batch_are_handed_out_before_those_of_a_later_one(
    sqlite_database, plan_study, begin
):
    study = plan_study(sqlite_database, cells={("a", "b", "golf"): 16})
    with sqlite_database.write() as unit:
        later = PlanBatch(
            study_id=study.id, number=2, seed=1, rule="top-up", reason="a test", created_at=START
        )
        unit.add(later)
        unit.flush()
        every_other = Trial.kind == TrialKind.TEST, Trial.number % 2 == 0
        unit.execute(update(Trial).where(*every_other).values(batch_id=later.id))
        shown = [t for w in range(4) for _, t, _ in _shown(unit, begin(unit, study, f"w{w}"))]

    assert [t.batch_id == later.id for t in shown].index(True) == 8
    assert [t.batch_id == later.id for t in shown].count(True) == 8


def test_a_worker_never_sees_a_pair_twice_even_after_returning(database, plan_study, begin):
    study = plan_study(database, cells=CELLS, session=FULL | {"repeats": 0}, pool=20)

    with database.write() as unit:
        for i in range(4):
            assignment = begin(unit, study, "w", f"s{i}")
            if i % 2:
                return_session(unit, assignment)
        pairs = unit.scalars(select(Showing.pair_id)).all()

    assert len(pairs) == 4 * 13
    assert len(set(pairs)) == len(pairs)


def test_two_trials_of_one_pair_go_to_two_workers(database, plan_study, begin):
    study = plan_study(database, cells={("a", "b", "golf"): 12}, clips=2, session={"trials": 10})

    with database.write() as unit:
        sizes = [len(_shown(unit, begin(unit, study, f"w{i}"))) for i in range(3)]
        with pytest.raises(NothingLeft):
            begin(unit, study, "w3")

    assert sizes == [4, 4, 4]  # two clips on each side make four pairs, three trials of each


def test_the_same_start_again_returns_the_same_session(database, plan_study, begin):
    study = plan_study(database)

    with database.write() as unit:
        first = begin(unit, study, "w")
    with database.write() as unit:
        again = begin(unit, study, "w", now=AFTER_LEASE)
        assert again.id == first.id
        assert unit.scalar(select(func.count()).select_from(Showing)) == 4


def test_the_first_device_that_is_known_of_a_session_stays(sqlite_database, plan_study):
    study = plan_study(sqlite_database)
    seen = []
    for device in (None, {"screen": 1}, {"screen": 2}):
        with sqlite_database.write() as unit:
            hit = local_hit(unit, study, "local", Environment.SANDBOX, START)
            worker = get_worker(unit, "local", Environment.SANDBOX, "w", START)
            session = start_session(
                unit, study, hit=hit, worker=worker, external_id="s", now=START, device=device
            )
            seen.append(dict(session.environment_details))

    assert seen == [{}, {"screen": 1}, {"screen": 1}]


def test_an_assignment_id_of_another_study_is_refused(sqlite_database, plan_study, begin):
    first, second = (plan_study(sqlite_database, name=name) for name in ("one", "two"))

    with sqlite_database.write() as unit:
        begin(unit, first, "w", "same")
        with pytest.raises(UsageError, match="one of another study"):
            begin(unit, second, "w", "same")


def test_a_hit_is_of_its_own_study_and_environment_only(sqlite_database, plan_study):
    first, second = (plan_study(sqlite_database, name=name) for name in ("one", "two"))

    with sqlite_database.write() as unit:
        hit = local_hit(unit, first, "mturk", Environment.SANDBOX, START)
        hit.external_id = "3HIT"

        assert published_hit(unit, first, "mturk", "3HIT") is hit
        assert published_hit(unit, second, "mturk", "3HIT") is None
        assert published_hits(unit, first, "mturk", Environment.SANDBOX) == [hit]
        assert published_hits(unit, first, "mturk", Environment.PRODUCTION) == []


def test_a_reused_platform_id_with_another_worker_is_another_session(database, plan_study, begin):
    study = plan_study(database)

    with database.write() as unit:
        first, second = begin(unit, study, "w1", "same"), begin(unit, study, "w2", "same")
        assert first.id != second.id
        assert {t.id for _, t, _ in _shown(unit, first)}.isdisjoint(
            t.id for _, t, _ in _shown(unit, second)
        )


def test_the_last_session_may_be_short_and_then_nothing_is_left(database, plan_study, begin):
    study = plan_study(database, cells={("a", "b", "golf"): 6})

    with database.write() as unit:
        sizes = [len(_shown(unit, begin(unit, study, f"w{i}"))) for i in range(2)]
        assert not has_free_trial(unit, study, None, START)
        with pytest.raises(NothingLeft, match="no trial is left for this worker"):
            begin(unit, study, "w2")

    assert sizes == [4, 2]


def test_nothing_is_left_for_a_worker_who_has_seen_every_pair(database, plan_study, begin):
    study = plan_study(database, cells={("a", "b", "golf"): 4})
    with database.write() as unit:
        first = begin(unit, study, "w1")
        new = get_worker(unit, "local", Environment.SANDBOX, "w2", START).id
        assert not has_free_trial(unit, study, first.worker_id, START)
        assert not has_free_trial(unit, study, new, START)
        assert not has_free_trial(unit, study, first.worker_id, AFTER_LEASE)
        assert has_free_trial(unit, study, new, AFTER_LEASE)


def test_a_lapsed_lease_of_a_stopped_row_is_no_free_trial(sqlite_database, plan_study, begin):
    study = plan_study(sqlite_database, cells={("a", "b", "golf"): 4})
    with sqlite_database.write() as unit:
        begin(unit, study, "w1")
        assert has_free_trial(unit, study, None, AFTER_LEASE)
        record_stopped(unit, study, [Comparison("a", "b")], "decided", START)
        assert not has_free_trial(unit, study, None, AFTER_LEASE)


def test_an_answered_trial_is_no_free_trial_when_its_lease_is_over(
    sqlite_database, plan_study, begin, answer_all
):
    study = plan_study(sqlite_database, cells={("a", "b", "golf"): 4})
    with sqlite_database.write() as unit:
        answer_all(unit, begin(unit, study, "w1"))
        assert not has_free_trial(unit, study, None, AFTER_LEASE)


def test_patterns_of_session_trials_are_no_free_trials_before_the_first_session(
    sqlite_database, plan_study
):
    study = plan_study(sqlite_database)
    with sqlite_database.write() as unit:
        unit.execute(update(Trial).where(Trial.kind == TrialKind.TEST).values(free=False))
        assert not has_free_trial(unit, study, None, START)


def test_nothing_left_leaves_no_trace(database, plan_study, begin):
    study = plan_study(database, cells={("a", "b", "golf"): 4})
    with database.write() as unit:
        begin(unit, study, "w1")

    with pytest.raises(NothingLeft), database.write() as unit:
        begin(unit, study, "w2")

    with database.read() as unit:
        assert unit.scalars(select(Worker.external_id)).all() == ["w1"]


def test_sessions_per_worker_is_a_limit_that_returned_sessions_do_not_use_up(
    database, plan_study, begin
):
    study = plan_study(database, cells=CELLS, sessions_per_worker=2)

    with database.write() as unit:
        return_session(unit, begin(unit, study, "w", "s0"))
        begin(unit, study, "w", "s1")
        begin(unit, study, "w", "s2")
        with pytest.raises(SessionLimit, match="2 of 2 allowed sessions"):
            begin(unit, study, "w", "s3")
        begin(unit, study, "another", "s3")


def test_who_has_had_all_sessions_of_one_study_may_start_in_another(
    sqlite_database, plan_study, begin
):
    first, second = (
        plan_study(sqlite_database, name=name, sessions_per_worker=1) for name in ("one", "two")
    )

    with sqlite_database.write() as unit:
        begin(unit, first, "w", "s0")
        with pytest.raises(SessionLimit):
            begin(unit, first, "w", "s1")
        begin(unit, second, "w", "s1")


def test_a_paused_study_starts_no_session(database, plan_study, begin):
    study = plan_study(database)

    with database.write() as unit:
        study = unit.merge(study)
        study.paused = True
        with pytest.raises(NothingLeft, match="paused"):
            begin(unit, study, "w")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_who_is_at_the_limit_of_a_paused_study_is_told_of_the_limit_wherever_they_come(
    database, plan_study, begin
):
    study = plan_study(database, sessions_per_worker=1)

    with database.write() as unit:
        study = unit.merge(study)
        worker = begin(unit, study, "w").worker_id
        study.paused = True
        with pytest.raises(SessionLimit):
            begin(unit, study, "w", "again")
        with pytest.raises(SessionLimit):
            check_may_start(unit, study, worker, 1, START)
        hit = local_hit(unit, study, "local", Environment.SANDBOX, START)
        check_arrival(unit, study, hit, "w", "session-1", START)  # who has a session goes on
        unit.scalars(select(Assignment)).one().status = AssignmentStatus.SUBMITTED
        unit.flush()
        with pytest.raises(SessionLimit):
            check_arrival(unit, study, hit, "w", "again", START)


def test_a_lease_lives_until_its_end_and_then_the_next_start_takes_the_trial(
    database, plan_study, begin
):
    study = plan_study(database, cells={("a", "b", "golf"): 4})
    with database.write() as unit:
        first = begin(unit, study, "w1")

    with database.write() as unit:
        last_moment = START + timedelta(minutes=35)
        assert not has_free_trial(unit, study, None, last_moment)
        with pytest.raises(NothingLeft):
            begin(unit, study, "w2", now=last_moment)
    with database.write() as unit:
        assert has_free_trial(unit, study, None, AFTER_LEASE)
        second = begin(unit, study, "w2", now=AFTER_LEASE)
        assert [t.id for _, t, _ in sorted(_shown(unit, second), key=lambda r: r[1].id)] == sorted(
            t.id for _, t, _ in _shown(unit, first)
        )
        statuses = unit.scalars(select(Showing.status).where(Showing.assignment_id == first.id))
        assert set(statuses) == {ShowingStatus.EXPIRED}


def test_expiring_frees_only_what_was_not_answered(database, plan_study, begin, answer_all):
    study = plan_study(database)
    with database.write() as unit:
        answer_all(unit, begin(unit, study, "w"), showings=3)

    with database.write() as unit:
        assert expire_leases(unit, study, START) == 0
        assert expire_leases(unit, study, AFTER_LEASE) == 1
        assert expire_leases(unit, study, AFTER_LEASE) == 0
        assert _free(unit, study) == 16 - 3


def test_expiring_one_study_leaves_another_studys_leases(database, plan_study, begin):
    mine, other = plan_study(database, name="mine"), plan_study(database, name="other")

    with database.write() as unit:
        begin(unit, mine, "w", "s1")
        begin(unit, other, "w", "s2")
        assert expire_leases(unit, mine, AFTER_LEASE) == 4
        assert _free(unit, other) == 12


def test_finishing_names_what_is_missing_then_gives_one_code(
    database, plan_study, begin, answer_all
):
    study = plan_study(database)
    with database.write() as unit:
        assignment = begin(unit, study, "w")
        answer_all(unit, assignment, showings=2)
        with pytest.raises(SessionIncomplete, match=r"showing 3 \(realism\), 4 \(realism\)$"):
            finish_session(unit, assignment, START)

        answer_all(unit, assignment)
        code = finish_session(unit, assignment, START + timedelta(minutes=2))
        again = finish_session(unit, assignment, START + timedelta(minutes=9))

    assert code == again
    assert len(code) == 10
    with database.read() as unit:
        stored = unit.scalars(select(Assignment)).one()
        assert stored.status is AssignmentStatus.SUBMITTED
        assert stored.submitted_at == START + timedelta(minutes=2)
        assert stored.completion_code == code


def test_a_late_worker_finishes_and_counts_where_nobody_else_has(
    database, plan_study, begin, answer_all
):
    study = plan_study(database, cells={("a", "b", "golf"): 8})
    later = AFTER_LEASE + timedelta(minutes=36)
    with database.write() as unit:
        late = begin(unit, study, "late")
    with database.write() as unit:
        other = begin(unit, study, "other", now=AFTER_LEASE)
        answer_all(unit, other, showings=2, now=AFTER_LEASE)
        theirs = [{t.id for _, t, _ in _shown(unit, one)} for one in (late, other)]
        assert theirs[0] == theirs[1]  # the first trials of the plan, both times
        expire_leases(unit, study, later)
        assert _free(unit, study) == 8 - 2
        taken = set(unit.scalars(select(Judgment.trial_id)))
    with database.write() as unit:
        late = unit.merge(late)
        answer_all(unit, late, now=later)
        finish_session(unit, late, later)
        statuses = dict(
            unit.execute(
                select(Judgment.trial_id, Judgment.status)
                .join(Showing, Judgment.showing_id == Showing.id)
                .where(Showing.assignment_id == late.id)
            ).all()
        )
        assert _free(unit, study) == 8 - 4  # what the late worker filled is handed out no more

    assert {t for t, s in statuses.items() if s is JudgmentStatus.LATE} == taken
    assert {s for t, s in statuses.items() if t not in taken} == {JudgmentStatus.COUNTED}
    assert len(statuses) == 4


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_trial_that_a_late_worker_answered_for_one_of_two_questions_is_still_handed_out(
    database, plan_study, begin
):
    study = plan_study(database, cells={("a", "b", "golf"): 4}, questions=("realism", "motion"))
    with database.write() as unit:
        late = begin(unit, study, "late")
        expire_leases(unit, study, AFTER_LEASE)
        showing = next_showing(unit, late).id
        record_judgment(unit, late, showing, Answer("realism", "left", 1.0, 1.0, AFTER_LEASE))
        assert _free(unit, study) == 4
        record_judgment(unit, late, showing, Answer("motion", "left", 1.0, 1.0, AFTER_LEASE))
        assert _free(unit, study) == 3


def test_who_answers_second_is_late_even_under_the_live_lease(
    database, plan_study, begin, answer_all
):
    study = plan_study(database, cells={("a", "b", "golf"): 4})
    with database.write() as unit:
        first = begin(unit, study, "first")
    with database.write() as unit:
        second = begin(unit, study, "second", now=AFTER_LEASE)
        answer_all(unit, unit.merge(first), now=AFTER_LEASE)
        answer_all(unit, second, now=AFTER_LEASE)
        counts = Counter(
            unit.execute(
                select(Showing.assignment_id, Judgment.status).join(
                    Showing, Judgment.showing_id == Showing.id
                )
            ).all()
        )

    assert counts == {
        (first.id, JudgmentStatus.COUNTED): 4,
        (second.id, JudgmentStatus.LATE): 4,
    }


def test_returning_frees_every_trial_and_uncounts_its_judgments(
    database, plan_study, begin, answer_all
):
    study = plan_study(database)
    with database.write() as unit:
        assignment = begin(unit, study, "w")
        answer_all(unit, assignment, showings=3)
        return_session(unit, assignment)
        return_session(unit, assignment)
        assert _free(unit, study) == 16
        assert set(unit.scalars(select(Judgment.status))) == {JudgmentStatus.RETURNED}
        assert set(unit.scalars(select(Showing.status))) == {ShowingStatus.RETURNED}
        with pytest.raises(SessionClosed, match="returned"):
            finish_session(unit, assignment, START)
        assert next_showing(unit, assignment) is None


def test_the_trials_of_a_returned_session_that_are_not_the_plans_go_to_nobody(
    sqlite_database, plan_study, begin
):
    study = plan_study(sqlite_database, session=FULL)
    with sqlite_database.write() as unit:
        return_session(unit, begin(unit, study, "w"))

        assert set(unit.scalars(select(Trial.kind).where(Trial.free))) == {TrialKind.TEST}


def test_returning_keeps_a_trial_that_another_worker_was_counted_for(
    database, plan_study, begin, answer_all
):
    study = plan_study(database, cells={("a", "b", "golf"): 4})
    with database.write() as unit:
        late = begin(unit, study, "late")
    with database.write() as unit:
        other = begin(unit, study, "other", now=AFTER_LEASE)
        answer_all(unit, other, showings=2, now=AFTER_LEASE)
        return_session(unit, unit.merge(late))
        assert _free(unit, study) == 0  # two are counted, two under the other's lease


def test_a_submitted_session_cannot_be_returned_but_can_be_withdrawn(
    database, plan_study, begin, answer_all
):
    study = plan_study(database)
    with database.write() as unit:
        assignment = begin(unit, study, "w")
        answer_all(unit, assignment)
        finish_session(unit, assignment, START)
        with pytest.raises(SessionClosed, match="submitted"):
            return_session(unit, assignment)

        withdraw_session(unit, assignment)
        withdraw_session(unit, assignment)
        assert assignment.status is AssignmentStatus.WITHDRAWN
        assert set(unit.scalars(select(Judgment.status))) == {JudgmentStatus.WITHDRAWN}
        assert _free(unit, study) == 16


def test_a_study_counts_exactly_its_plan_whoever_drops_out(database, plan_study, begin, answer_all):
    study = plan_study(database, cells=CELLS, session=FULL, pool=40)
    rng = random.Random(3)
    now = START

    for i in range(200):
        now += timedelta(minutes=10)
        try:
            with database.write() as unit:
                assignment = begin(unit, study, f"w{i}", now=now)
                fate = rng.random()
                answer_all(unit, assignment, showings=None if fate < 0.5 else 5, now=now)
                if fate < 0.5:
                    finish_session(unit, assignment, now)
                elif fate < 0.7:
                    return_session(unit, assignment)
        except NothingLeft:
            now += timedelta(hours=1)
            with database.read() as unit:
                if not has_free_trial(unit, study, None, now):
                    break

    with database.read() as unit:
        per_cell = unit.execute(
            select(Pair.category, func.count())
            .join(Trial, Trial.pair_id == Pair.id)
            .join(Judgment, Judgment.trial_id == Trial.id)
            .where(Judgment.status == JudgmentStatus.COUNTED, Trial.kind == TrialKind.TEST)
            .group_by(Pair.category)
        ).all()
    assert dict(per_cell) == {category: 10 for _, _, category in CELLS}


def test_with_two_questions_a_half_answered_trial_is_given_again(
    database, plan_study, begin, answer_all
):
    study = plan_study(database, cells={("a", "b", "golf"): 1}, questions=("realism", "motion"))
    with database.write() as unit:
        first = begin(unit, study, "w1")
        showing = next_showing(unit, first)
        record_judgment(unit, first, showing.id, Answer("realism", "left", 1, 1, START))
        with pytest.raises(SessionIncomplete, match=r"showing 1 \(motion\)$"):
            finish_session(unit, first, START)
    with database.write() as unit:
        second = begin(unit, study, "w2", now=AFTER_LEASE)
        answer_all(unit, second, now=AFTER_LEASE)
        assert _free(unit, study) == 0
        statuses = unit.scalars(select(Judgment.status).order_by(Judgment.id)).all()

    counted, late = JudgmentStatus.COUNTED, JudgmentStatus.LATE
    assert statuses == [counted, late, counted]


def test_a_later_plan_batch_is_handed_out_too(database, plan_study, begin):
    study = plan_study(database, cells={("a", "b", "golf"): 4})
    with database.write() as unit:
        begin(unit, study, "w1")
        batch = PlanBatch(
            study_id=study.id, number=9, seed=1, rule="top-up", reason="more", created_at=START
        )
        unit.add(batch)
        unit.flush()
        pair_id = unit.scalar(select(Pair.id).where(Pair.category == "golf"))
        unit.add(
            Trial(
                study_id=study.id, batch_id=batch.id, number=0, pair_id=pair_id,
                kind=TrialKind.TEST, a_is_left=True,
            )
        )  # fmt: skip
    with database.write() as unit:
        assert [t.batch_id for _, t, _ in _shown(unit, begin(unit, study, "w2"))] == [batch.id]


def test_a_short_pool_makes_a_session_with_fewer_gold_trials(database, plan_study, begin):
    study = plan_study(database, cells=CELLS, session=FULL, pool=1)

    with database.write() as unit:
        kinds = Counter(t.kind for _, t, _ in _shown(unit, begin(unit, study, "w")))

    assert kinds[TrialKind.GOLD] == 1
    assert kinds[TrialKind.TEST] == 8


def test_workers_and_local_hits_are_written_down_once(database, plan_study):
    study = plan_study(database)
    with database.write() as unit:
        worker = get_worker(unit, "local", Environment.SANDBOX, "me", START)
        hit = local_hit(unit, study, "local", Environment.SANDBOX, START)
        assert get_worker(unit, "local", Environment.SANDBOX, "me", START).id == worker.id
        assert local_hit(unit, study, "local", Environment.SANDBOX, START).id == hit.id
        assert get_worker(unit, "local", Environment.SIMULATED, "me", START).id != worker.id


def _places(n):
    return [SessionTrial(TrialKind.TEST, 100 + i, i % 2 == 0, i + 1) for i in range(n)]


@pytest.mark.parametrize(("n", "expected"), [(1, 0), (2, 0), (3, 2), (6, 2), (30, 3)])
def test_repeats_keep_their_distance_as_far_as_the_session_allows(n, expected):
    for seed in range(50):
        order = arrange([], _places(n), 3, random.Random(seed))
        where = {p.trial_id: i for i, p in enumerate(order) if p.trial_id}
        repeats = [(i, p) for i, p in enumerate(order) if p.kind is TrialKind.REPEAT]
        assert len(repeats) == expected
        for i, repeat in repeats:
            assert i - where[repeat.repeat_of] > min(REPEAT_GAP, n - 2)


def test_the_order_of_a_session_is_a_fair_shuffle():
    firsts = Counter(
        arrange([], _places(4), 0, random.Random(seed))[0].trial_id for seed in range(2000)
    )
    assert all(420 <= firsts[i] <= 580 for i in range(1, 5))  # 500 expected, sd 19


def test_drawing_from_a_pool_skips_taken_pairs():
    pool = [SessionTrial(TrialKind.GOLD, i, True, correct=Side.LEFT) for i in range(4)]
    taken = {0, 1}

    drawn = draw_from_pool(pool, 3, taken, random.Random(1))

    assert {d.pair_id for d in drawn} == {2, 3}
    assert taken == {0, 1, 2, 3}
