"""Simulated raters give back what was planted, the same every time, and stop when they should."""

import math
import random
import uuid
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import func, select, update

from analysis.database import text_of
from analysis.exclusions import exclude, parse_rules
from analysis.load import check_judgments
from evaluation.allocation import has_free_trial
from evaluation.database import create_database
from evaluation.errors import EvaluationError, UsageError
from evaluation.export import judgment_rows
from evaluation.privacy.pseudonyms import pseudonym
from evaluation.raters import (
    CLIP_SD,
    KINDS,
    PAPER_STRENGTHS,
    RATER_SD,
    Rater,
    SeenPair,
    World,
    assign_kinds,
    parse_mix,
)
from evaluation.schema import Assignment, Choice, Clip, Environment, Side, TrialKind, Worker
from evaluation.simulate import simulate

CAREFUL = {"careful": 1.0}
FULL = {"trials": 6, "practice": 1, "gold": 1, "repeats": 1}
SMALL = {("a", "b", "golf"): 30, ("a", "b", "beach"): 30}


def _marginal(difference):
    """Average of logistic(difference + sd * normal), by Gauss-Hermite quadrature."""
    sd = math.sqrt(RATER_SD**2 + 2 * CLIP_SD**2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    return float((weights / (1 + np.exp(-(difference + sd * nodes)))).sum() / weights.sum())


def _rows(database, study):
    with database.read() as session:
        return list(judgment_rows(session, study, key="key"))


def _share_of_a(rows, a, b):
    tests = [r for r in rows if r["trial_kind"] == "test"]
    mine = [r for r in tests if (r["source_a"], r["source_b"]) == (a, b)]
    return sum(r["label"].startswith(f"{a}/") for r in mine) / len(mine), len(mine)


@pytest.mark.parametrize(
    ("a", "b", "published"),
    [
        ("vgan-two-stream", "autoencoder-gmm", 82),
        ("vgan-one-stream", "autoencoder-gmm", 82),
        ("vgan-two-stream", "vgan-one-stream", 53),
        ("vgan-two-stream", "real", 18),
        ("vgan-one-stream", "real", 16),
        ("autoencoder-gmm", "real", 3),
        ("vgan-two-stream", "static", 62),
    ],
)
def test_the_default_strengths_reproduce_the_papers_means(a, b, published):
    assert abs(100 * _marginal(PAPER_STRENGTHS[a] - PAPER_STRENGTHS[b]) - published) < 1.3


def test_planted_preferences_come_back(sqlite_database, plan_study):
    cells = {("a", "b", "golf"): 400, ("b", "c", "golf"): 400, ("a", "c", "golf"): 400}
    study = plan_study(sqlite_database, cells=cells, clips=100, session={"trials": 20})
    strengths = {"a": 1.0, "b": 0.0, "c": -1.5}

    simulate(sqlite_database, None, workers=60, mix=CAREFUL, seed=4, strengths=strengths)

    rows = _rows(sqlite_database, study)
    for a, b, _ in cells:
        share, n = _share_of_a(rows, a, b)
        expected = _marginal(strengths[a] - strengths[b])
        # Workers and clips are shared, so the variance is about three times the binomial one.
        tolerance = 3 * math.sqrt(3 * expected * (1 - expected) / n)
        assert n == 400
        assert abs(share - expected) < tolerance


@pytest.fixture
def run_anew(tmp_path, plan_study):
    """Simulate the same small study in a new SQLite file each time; returns its judgments."""

    def run(seed):
        with create_database(f"sqlite:///{tmp_path / uuid.uuid4().hex}.db") as database:
            study = plan_study(database, cells=SMALL, session=FULL)
            simulate(database, None, workers=10, seed=seed)
            return _rows(database, study)

    return run


def test_the_same_seed_gives_the_same_judgments_and_another_seed_others(run_anew):
    first, again, other = run_anew(1), run_anew(1), run_anew(2)

    assert first == again
    assert len(first) == len(other)
    assert [r["choice"] for r in first] != [r["choice"] for r in other]
    assert [r["left_clip"] for r in first] != [r["left_clip"] for r in other]


@pytest.mark.parametrize("stop_after", [1, 33])
def test_an_interrupted_simulation_ends_as_if_it_had_not_stopped(
    database, plan_study, run_anew, stop_after
):
    study = plan_study(database, cells=SMALL, session=FULL)

    def interrupt(_stage, done, _total):
        if done >= stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(database, None, workers=10, seed=2, progress=interrupt)
    simulate(database, None, workers=10, seed=2)
    again = simulate(database, None, workers=10, seed=2)

    assert _rows(database, study) == run_anew(2)
    assert (again.judgments, again.sessions) == (0, 0)


def test_everything_simulated_says_so(sqlite_database, plan_study):
    study = plan_study(sqlite_database, cells=SMALL)
    simulate(sqlite_database, None, workers=6)

    with sqlite_database.read() as session:
        for table in (Assignment, Worker):
            assert set(session.scalars(select(table.environment))) == {Environment.SIMULATED}
    rows = _rows(sqlite_database, study)
    assert all(r["simulated"] is True and r["environment"] == "simulated" for r in rows)


def test_a_limit_stops_early_and_a_second_run_goes_on(sqlite_database, plan_study):
    study = plan_study(sqlite_database, cells=SMALL, session={"trials": 5})

    first = simulate(sqlite_database, None, workers=6, limit=20)
    second = simulate(sqlite_database, None, workers=6)

    assert (first.judgments, first.left) == (20, 40)
    assert (second.judgments, second.left) == (40, 0)
    assert len(_rows(sqlite_database, study)) == 60


@pytest.mark.parametrize(("limit", "theirs", "mine"), [(None, 40, 20), (20, 20, 40)])
def test_two_simulations_at_once_count_what_each_of_them_judged(
    database, plan_study, limit, theirs, mine
):
    study = plan_study(database, cells=SMALL, session={"trials": 5})
    others = []

    def let_another_in(_stage, done, _total):
        if done == 20:
            others.append(simulate(database, None, workers=6, limit=limit))

    report = simulate(database, None, workers=6, progress=let_another_in)

    assert [(other.judgments, other.sessions) for other in others] == [(theirs, theirs // 5)]
    assert (report.judgments, report.sessions, report.left) == (mine, mine // 5, 0)
    assert len(_rows(database, study)) == 60


def test_every_worker_comes_before_the_busy_ones_come_again(sqlite_database, plan_study):
    plan_study(sqlite_database, cells=SMALL, session={"trials": 2})

    report = simulate(sqlite_database, None, workers=20)

    assert (report.workers, report.sessions) == (20, 30)


def test_too_few_workers_are_refused_before_anything_is_written(sqlite_database, plan_study):
    plan_study(sqlite_database, cells=SMALL, sessions_per_worker=3)

    with pytest.raises(
        UsageError, match="4 workers with 3 sessions of 4 trials can judge at most 48"
    ):
        simulate(sqlite_database, None, workers=4)

    with sqlite_database.read() as session:
        assert session.scalar(select(func.count()).select_from(Worker)) == 0


def test_workers_who_have_seen_every_pair_cannot_fill_the_plan(sqlite_database, plan_study):
    study = plan_study(sqlite_database, cells={("a", "b", "golf"): 40}, clips=2)  # four pairs

    with pytest.raises(
        EvaluationError, match="3 simulated workers judged 12 of the 40 trials left"
    ):
        simulate(sqlite_database, None, workers=3)

    with sqlite_database.read() as session:
        assert has_free_trial(session, study, None, study.created_at)


def test_a_study_that_people_have_rated_is_not_simulated(sqlite_database, plan_study, begin):
    study = plan_study(sqlite_database)
    with sqlite_database.write() as unit:
        begin(unit, study, "a person")

    with pytest.raises(UsageError, match="people have rated it"):
        simulate(sqlite_database, None, workers=6)


def _pair(kind=TrialKind.TEST, a="good", b="bad", correct=None, a_is_left=True):
    return SeenPair(kind, a, b, f"{a}/1", f"{b}/1", a_is_left, correct, 2000.0)


def _answers(kind, pair, n=4000):
    rng = random.Random(5)
    world = World(1, {"good": 2.0, "bad": -2.0, "real": 4.0})
    raters = [Rater(f"r{i}", KINDS[kind], world) for i in range(40)]
    return [raters[i % 40].choose(pair, rng) for i in range(n)]


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("careful", 0.97, 0.99), ("noisy", 0.83, 0.87), ("random", 0.47, 0.53),
        ("fast-clicker", 0.47, 0.53), ("real-looks-fake", 0.93, 0.97),
    ],
)  # fmt: skip
@pytest.mark.parametrize("side", list(Side))
def test_gold_is_answered_as_well_as_the_kind_can(kind, low, high, side):
    pair = _pair(TrialKind.GOLD, correct=side)

    assert low < _answers(kind, pair).count(Choice(side.value)) / 4000 < high


def test_each_kind_has_its_own_mark():
    good = Counter(_answers("careful", _pair()))
    assert good[Choice.LEFT] > 0.95 * 4000
    assert 1800 < Counter(_answers("random", _pair()))[Choice.LEFT] < 2200
    # Looks fake: the real clip loses although it is far better.
    assert Counter(_answers("real-looks-fake", _pair(a="real", b="bad")))[Choice.LEFT] < 200
    assert Counter(_answers("real-looks-fake", _pair()))[Choice.LEFT] > 0.95 * 4000
    biased = Rater("someone", KINDS["side-biased"], World(1, {"a": 0.0, "b": 0.0}))
    rng = random.Random(1)
    pairs = [_pair(a="a", b="b", a_is_left=bool(i % 2)) for i in range(2000)]
    lefts = sum(biased.choose(p, rng) is Choice.LEFT for p in pairs) / 2000
    assert abs(lefts - 0.5) > 0.25


def test_only_the_fast_clicker_answers_before_the_loop_ends():
    rng, world = random.Random(2), World(1)
    for name, kind in KINDS.items():
        rater = Rater("r", kind, world)
        times = [rater.response_ms(_pair(), rng) for _ in range(300)]
        assert (max(times) < 2000) is (name == "fast-clicker")
        assert all(t >= 0 for t in times)


def test_exactly_the_fast_clickers_answer_before_the_clips_have_run_once(
    sqlite_database, plan_study
):
    study = plan_study(sqlite_database, cells=SMALL, session=FULL, questions=("realism", "motion"))
    mix = {"careful": 0.7, "fast-clicker": 0.3}
    simulate(sqlite_database, None, workers=10, mix=mix, seed=1)
    with sqlite_database.read() as session:
        kinds = {
            pseudonym(b"key", "worker", w.crowd, w.environment.value, w.external_id): w.details
            for w in session.scalars(select(Worker))
        }
    rows = _rows(sqlite_database, study)

    assert Counter(k["kind"] for k in kinds.values()) == {"careful": 7, "fast-clicker": 3}
    for question in ("realism", "motion"):
        asked = check_judgments(_as_text(r for r in rows if r["question"] == question))
        kept, _ = exclude(asked, parse_rules(["too-fast"]))
        assert {kinds[w]["kind"] for w in set(kept["worker"])} == {"careful"}
        assert kept["worker"].nunique() == 7
    # What a page would have measured: the clips of two seconds ran until the answer.
    assert all(r["clip_ms"] == r["rt_ms"] for r in rows)
    assert all(0 <= r["rt_ms"] / 2000 - r["loops"] < 0.0101 for r in rows)


def _as_text(rows):
    text = [{name: text_of(value) for name, value in row.items()} for row in rows]
    return pd.DataFrame(text, dtype=str)


def test_still_images_are_seen_whole_at_once(sqlite_database, plan_study):
    study = plan_study(sqlite_database, cells=SMALL)
    with sqlite_database.write() as unit:
        unit.execute(update(Clip).values(frames=1, fps=0.0))
    simulate(sqlite_database, None, workers=6)

    assert {r["loops"] for r in _rows(sqlite_database, study)} == {1.0}


def test_identical_clips_are_a_coin_toss():
    same = SeenPair(TrialKind.IDENTICAL, "good", "good", "g/1", "g/1", True, None, 2000.0)

    assert 1800 < _answers("careful", same).count(Choice.LEFT) < 2200


def test_kinds_are_shared_out_exactly():
    kinds = assign_kinds(150, {"careful": 70, "noisy": 20, "random": 10}, random.Random(1))

    assert Counter(kinds) == {"careful": 105, "noisy": 30, "random": 15}
    assert Counter(assign_kinds(3, {"careful": 1, "noisy": 1}, random.Random(1))) in (
        {"careful": 2, "noisy": 1},
        {"careful": 1, "noisy": 2},
    )


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ({"lazy": 1.0}, "no kind of rater 'lazy'; known: careful, noisy"),
        ({"careful": -1.0}, "share of careful must be a number of at least 0"),
        ({"careful": float("nan")}, "share of careful"),
        ({"careful": 0.0}, "sum to 0"),
        ({}, "sum to 0"),
    ],
)
def test_a_wrong_mix_is_refused(mix, message):
    with pytest.raises(UsageError, match=message):
        parse_mix(mix)
