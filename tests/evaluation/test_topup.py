"""A later plan batch adds what is lacking, once, and leaves the rest of the study alone."""

from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock

import pytest
from sqlalchemy import delete, func, select, update

from evaluation import schema, stimuli, topup
from evaluation.allocation import has_free_trial, return_session
from evaluation.database import open_database
from evaluation.errors import NothingLeft, UsageError
from evaluation.freeze import init_study
from evaluation.plan import CellSteps, PlannedClip, plan_more, plan_trials
from evaluation.publishing.offers import plan_publication
from evaluation.schema import Environment, Pair, PlanBatch, Trial, TrialKind
from evaluation.sessions.stopped import stopped_rows
from evaluation.study import Comparison, Design
from evaluation.study_file.reader import load_study
from evaluation.topup import Need, preview, rehearse, top_up

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
ROW = Comparison("a", "b")
OURS_THEIRS, OURS_REAL, THEIRS_REAL = (
    Comparison("ours", "theirs"),
    Comparison("ours", "real"),
    Comparison("theirs", "real"),
)


def clips(n_a, n_b, items=False):
    def side(source, n):
        return [PlannedClip(f"{source}/{i}", str(i) if items else "") for i in range(n)]

    return {("a", "golf"): side("a", n_a), ("b", "golf"): side("b", n_b)}


@pytest.mark.parametrize(("n_a", "n_b", "batches"), [(5, 6, (8, 6, 10, 6)), (4, 4, (6, 10))])
def test_batches_together_are_fresh_and_even_and_each_is_balanced(n_a, n_b, batches):
    held = clips(n_a, n_b)
    design = Design(comparisons=(ROW,), categories=("golf",), judgments_per_cell=batches[0])
    plans, start = [plan_trials(design, held, seed=3)], batches[0]
    for number, n in enumerate(batches[1:], 2):
        plans.append(plan_more([CellSteps(ROW, "golf", start, n)], "random", held, 3, number))
        start += n
    shown = [plan.pairs[trial.pair] for plan in plans for trial in plan.trials]
    uses = [Counter(pair.clip_a for pair in shown), Counter(pair.clip_b for pair in shown)]

    assert start == n_a * n_b
    assert len({(pair.clip_a, pair.clip_b) for pair in shown}) == start  # every pair once
    assert all(max(use.values()) - min(use.values()) <= 1 for use in uses)
    assert [sum(t.a_is_left for t in plan.trials) for plan in plans] == [n // 2 for n in batches]


def test_items_go_on_in_turn():
    held = clips(6, 6, items=True)
    design = Design(comparisons=(ROW,), categories=("golf",), pairing="item", judgments_per_cell=4)
    first = plan_trials(design, held, seed=3)
    more = plan_more([CellSteps(ROW, "golf", 4, 2)], "item", held, 3, 2)
    items = [plan.pairs[t.pair].item for plan in (first, more) for t in plan.trials]

    assert sorted(items) == [str(i) for i in range(6)]


def need(unanswered, stop=(), reason="a test"):
    return Need(frozenset(stop), unanswered, reason)


def planned(unit, number=None):
    query = (
        select(Trial, Pair, PlanBatch.number)
        .join(Pair, Trial.pair_id == Pair.id)
        .join(PlanBatch, Trial.batch_id == PlanBatch.id)
        .where(Trial.kind == TrialKind.TEST)
        .order_by(Trial.id)
    )
    return [row for row in unit.execute(query) if number in (None, row[2])]


def rows_of(unit):
    return [
        (t.id, t.batch_id, t.number, t.pair_id, t.a_is_left, number)
        for t, _, number in planned(unit)
    ]


def test_a_batch_is_appended_and_its_sides_are_balanced_in_every_cell(initialised_study):
    database, store, *_ = initialised_study
    with database.read() as unit:
        before = rows_of(unit)
    wanted = need({(OURS_REAL, "golf"): 14, (OURS_REAL, "beach"): 11, (THEIRS_REAL, "golf"): 8})

    done = top_up(database, None, wanted, store, NOW)

    # Eight of each cell have no answer yet; 11 lack three, which are rounded up to four.
    assert done.added == {(OURS_REAL, "golf"): 6, (OURS_REAL, "beach"): 4}
    with database.read() as unit:
        assert rows_of(unit)[: len(before)] == before
        new = planned(unit, done.batch)
        cells = Counter((pair.source_a, pair.source_b, pair.category) for _, pair, _ in new)
        left = Counter((pair.source_a, pair.source_b, pair.category)
                       for trial, pair, _ in new if trial.a_is_left)  # fmt: skip
        batch = unit.scalars(select(PlanBatch).where(PlanBatch.number == done.batch)).one()
        stimuli = Counter(pair.padded_bytes > 0 for _, pair, _ in new)
    assert cells == {("ours", "real", "golf"): 6, ("ours", "real", "beach"): 4}
    assert left == {key: n // 2 for key, n in cells.items()}
    assert (batch.rule, batch.reason, batch.seed) == ("top-up", "a test", 7)
    assert stimuli == {True: 10}


def test_the_same_need_again_adds_nothing(initialised_study):
    database, store, *_ = initialised_study
    wanted = need({(OURS_REAL, "golf"): 12})

    first = top_up(database, None, wanted, store, NOW)
    again = top_up(database, None, wanted, store, NOW)

    assert (first.trials, again.trials, again.batch) == (4, 0, None)
    with database.read() as unit:
        assert len(planned(unit)) == 48 + 4


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_init_again_tells_the_size_and_the_cost_of_the_plan_with_its_batches(initialised_study):
    database, store, path, first = initialised_study
    top_up(database, None, need({(OURS_REAL, "golf"): 14}), store, NOW)

    again = init_study(database, load_study(path), store, path.parent / "assets")

    assert (first.trials, again.trials, again.action) == (48, 48 + 6, "unchanged")
    assert again.cost.sessions > first.cost.sessions


def test_answers_that_come_after_the_preview_add_nothing(initialised_study, begin, answer_all):
    database, store, *_ = initialised_study
    wanted = need({(OURS_REAL, "golf"): 12, (OURS_REAL, "beach"): 8})
    with database.write() as unit:
        study = unit.scalars(select(schema.Study)).one()
        seen = preview(unit, study, wanted)
        for worker in "abcd":
            answer_all(unit, begin(unit, study, worker))
        assert preview(unit, study, wanted).trials > seen.trials

    done = top_up(database, None, replace(wanted, most=seen.added), store, NOW)

    assert done.added == seen.added == {(OURS_REAL, "golf"): 4}
    with database.read() as unit:
        assert len(planned(unit)) == 48 + 4


def test_answers_that_come_while_clips_are_encoded_add_nothing(
    initialised_study, begin, answer_all, monkeypatch
):
    database, store, *_ = initialised_study
    store_ahead = stimuli.store_ahead

    def judged_meanwhile(*arguments):
        stored = store_ahead(*arguments)
        with database.write() as unit:
            study = unit.scalars(select(schema.Study)).one()
            for worker in "abcd":
                answer_all(unit, begin(unit, study, worker))

        return stored

    monkeypatch.setattr(stimuli, "store_ahead", judged_meanwhile)

    done = top_up(database, None, need({(OURS_REAL, "golf"): 12}), store, NOW)

    assert done.added == {(OURS_REAL, "golf"): 4}


def test_clips_are_stored_while_others_can_write_and_asked_for_no_more_then(
    initialised_study, monkeypatch
):
    database, store, *_ = initialised_study
    with database.write() as unit:  # as if no clip had been shown yet
        unit.execute(delete(schema.Stimulus))
    touched, one_at_a_time = [], Lock()

    def free_to_write(what, call):
        def checked(key, *more):
            opened = open_database(database.url, busy_timeout_s=0)
            with one_at_a_time, closing(opened), opened.write():
                touched.append((what, key))
            return call(key, *more)

        return checked

    monkeypatch.setattr(store, "exists", free_to_write("exists", lambda key: False))
    monkeypatch.setattr(store, "put", free_to_write("put", store.put))
    done = top_up(database, None, need({(OURS_REAL, "golf"): 12}), store, NOW)

    assert done.trials == 4
    with database.read() as unit:
        pairs = [pair for _, pair, number in planned(unit, done.batch)]
        keys = {
            key
            for pair in pairs
            for key in unit.scalars(
                select(schema.Stimulus.key).where(
                    schema.Stimulus.clip_id.in_([pair.clip_a_id, pair.clip_b_id]),
                    schema.Stimulus.padded_bytes == pair.padded_bytes,
                )
            )
        }
    assert sorted(touched) == sorted((what, key) for key in keys for what in ("exists", "put"))
    assert not list(store.scratch().glob("*"))


def test_a_crash_on_the_way_leaves_nothing_behind(initialised_study, monkeypatch):
    database, store, *_ = initialised_study
    wanted = need({(OURS_REAL, "golf"): 12}, stop=[OURS_THEIRS])

    def crash(*_):
        raise KeyboardInterrupt

    with database.read() as unit:
        before = rows_of(unit)
    with monkeypatch.context() as patch:
        patch.setattr(topup, "order_trials", crash)  # after all else was written
        with pytest.raises(KeyboardInterrupt):
            top_up(database, None, wanted, store, NOW)

    with database.read() as unit:
        assert rows_of(unit) == before
        assert stopped_rows(unit, unit.scalars(select(schema.Study)).one()) == frozenset()
    assert top_up(database, None, wanted, store, NOW).trials == 4


def free_rows(unit):
    query = (
        select(Pair.source_a, Pair.source_b, func.count())
        .join(Trial, Trial.pair_id == Pair.id)
        .where(Trial.free, Trial.kind == TrialKind.TEST)
        .group_by(Pair.source_a, Pair.source_b)
    )
    return {Comparison(a, b): n for a, b, n in unit.execute(query)}


def test_a_stopped_row_is_handed_out_no_longer_and_can_be_opened_again(initialised_study, begin):
    database, store, *_ = initialised_study
    stop = [OURS_THEIRS, THEIRS_REAL]
    with database.write() as unit:
        study = unit.scalars(select(schema.Study)).one()
        held = begin(unit, study, "early").id

    with database.read() as unit:
        seen = preview(unit, unit.scalars(select(schema.Study)).one(), need({}, stop))
    done = top_up(database, None, need({}, stop), store, NOW)

    # The early session holds two trials of every row.
    assert (seen.stopped, done.stopped, done.trials) == (28, 28, 0)
    with database.write() as unit:
        study = unit.scalars(select(schema.Study)).one()
        return_session(unit, unit.get_one(schema.Assignment, held))
        assert free_rows(unit) == {OURS_REAL: 16}  # what was given back of stopped rows stays
        plan = plan_publication(unit, study, "mturk", Environment.SANDBOX, NOW)
        assert plan.trials == 16
        shown = begin(unit, study, "late")
        rows = unit.execute(
            select(Pair.source_a, Pair.source_b)
            .join(schema.Showing, schema.Showing.pair_id == Pair.id)
            .where(schema.Showing.assignment_id == shown.id, Pair.source_a == "ours")
        )
        assert {Comparison(a, b) for a, b in rows} == {OURS_REAL}

    top_up(database, None, need({}, [OURS_THEIRS]), store, NOW)

    with database.read() as unit:
        assert free_rows(unit) == {OURS_REAL: 10, THEIRS_REAL: 16}


def test_a_row_that_is_only_opened_again_is_something_to_do(initialised_study):
    database, store, *_ = initialised_study
    top_up(database, None, need({}, [OURS_THEIRS]), store, NOW)
    reopening = need({(OURS_THEIRS, "golf"): 4})

    with database.read() as unit:
        study = unit.scalars(select(schema.Study)).one()
        seen, same = preview(unit, study, reopening), preview(unit, study, need({}, [OURS_THEIRS]))

    assert (seen.added, seen.stopped, seen.opened) == ({}, 0, {OURS_THEIRS})
    assert (seen.is_empty, same.is_empty) == (False, True)


def test_a_row_is_closed_even_where_all_its_trials_are_being_judged(initialised_study):
    database = initialised_study[0]
    with database.write() as unit:
        study = unit.scalars(select(schema.Study)).one()
        unit.execute(
            update(Trial)
            .where(Trial.pair_id.in_(select(Pair.id).where(Pair.source_b == "theirs")))
            .values(free=False)
        )
        seen = preview(unit, study, need({}, [OURS_THEIRS]))

    assert (seen.stopped, seen.stopping, seen.is_empty) == (0, {OURS_THEIRS}, False)


def test_a_trial_that_was_freed_while_its_row_was_stopped_is_stopped_by_the_next_run(
    initialised_study,
):
    database, store, *_ = initialised_study
    top_up(database, None, need({}, [OURS_THEIRS]), store, NOW)
    with database.write() as unit:
        late = next(trial.id for trial, pair, _ in planned(unit) if pair.source_b == "theirs")
        unit.execute(update(Trial).where(Trial.id == late).values(free=True))

    assert top_up(database, None, need({}, [OURS_THEIRS]), store, NOW).stopped == 1

    with database.read() as unit:
        assert OURS_THEIRS not in free_rows(unit)
        decisions = select(func.count()).where(schema.Event.kind == schema.EventKind.STOPPING)
        assert unit.scalar(decisions) == 1


def test_a_rehearsal_sees_the_study_as_it_would_be_and_keeps_nothing(initialised_study):
    database = initialised_study[0]
    wanted = need({(OURS_REAL, "golf"): 12}, [OURS_THEIRS])
    with database.read() as unit:
        before, free = rows_of(unit), free_rows(unit)

    found = rehearse(database, None, wanted, NOW, lambda unit, _: (rows_of(unit), free_rows(unit)))

    assert len(found[0]) == len(before) + 4
    assert found[1] == {OURS_REAL: 20, THEIRS_REAL: 16}
    with database.read() as unit:
        assert (rows_of(unit), free_rows(unit)) == (before, free)
        assert stopped_rows(unit, unit.scalars(select(schema.Study)).one()) == frozenset()


def test_a_study_whose_rows_are_all_stopped_has_nothing_left(initialised_study, begin):
    database, store, *_ = initialised_study
    top_up(database, None, need({}, [OURS_THEIRS, OURS_REAL, THEIRS_REAL]), store, NOW)

    with database.write() as unit:
        study = unit.scalars(select(schema.Study)).one()
        assert not has_free_trial(unit, study, None, NOW)
        with pytest.raises(NothingLeft):
            begin(unit, study, "late")


def test_a_cell_that_is_not_planned_is_refused(initialised_study):
    database, store, *_ = initialised_study

    with pytest.raises(UsageError, match="no cell ours over real, tennis"):
        top_up(database, None, need({(OURS_REAL, "tennis"): 4}), store, NOW)
