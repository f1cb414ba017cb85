import time

import choix
import evalica
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.errors import ConvergenceError
from analysis.load import check_judgments
from analysis.preference import table_preferences
from analysis.ranking import rank
from analysis.strengths import (
    Contests,
    bootstrap_strengths,
    contests_of,
    fit_strengths,
    goodness_of_fit,
)

# Stigler's citations among four journals of statistics, as in Agresti: wins of the first, second.
CITATIONS = {
    (0, 1): (730, 33),
    (0, 2): (498, 320),
    (0, 3): (221, 284),
    (1, 2): (68, 813),
    (1, 3): (17, 276),
    (2, 3): (142, 325),
}


def contests(table, names):
    pairs = np.array(list(table))
    won = np.array([w for w, _ in table.values()], float)
    return Contests(tuple(names), pairs, won, won + [lost for _, lost in table.values()])


def test_citations_give_agrestis_strengths_and_standard_errors():
    found = contests(CITATIONS, ("Biometrika", "CommStat", "JASA", "JRSSB"))
    strengths = fit_strengths(found)
    rate = 1 / (1 + np.exp(-(strengths[found.pairs[:, 0]] - strengths[found.pairs[:, 1]])))
    # Biometrika is the reference: drop its column.
    full = np.zeros((6, 4))
    full[np.arange(6), found.pairs[:, 0]], full[np.arange(6), found.pairs[:, 1]] = 1, -1
    free = full[:, 1:]
    inverse = np.linalg.inv(free.T @ (free * (found.games * rate * (1 - rate))[:, None]))

    assert strengths - strengths[0] == pytest.approx([0, -2.9491, -0.4796, 0.2690], abs=5e-5)
    assert np.sqrt(np.diag(inverse)) == pytest.approx([0.1025, 0.0606, 0.0708], abs=5e-5)


def test_wikipedias_four_teams():
    # Wins: A beats B 2, D 1; B beats A 3, C 5; C beats B 3, D 1; D beats A 4, C 3.
    table = {(0, 1): (2, 3), (0, 3): (1, 4), (1, 2): (5, 3), (2, 3): (1, 3)}
    strengths = np.exp(fit_strengths(contests(table, "ABCD")))

    assert strengths == pytest.approx([0.640, 1.043, 0.660, 2.270], abs=5e-4)


def random_games(seed=0, games=4000, sources=6):
    rng = np.random.default_rng(seed)
    truth = np.linspace(-1, 1, sources)
    a = rng.integers(0, sources, games)
    b = (a + rng.integers(1, sources, games)) % sources
    won = rng.random(games) < 1 / (1 + np.exp(truth[b] - truth[a]))
    return a, b, won, truth


def frame_of(a, b, won, workers=50, seed=1):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": [f"s{i}" for i in a],
            "b": [f"s{i}" for i in b],
            "y": won.astype(float),
            "worker": rng.integers(0, workers, len(a)),
            "cluster_a": [f"{x}/{y}" for x, y in zip(a, rng.integers(0, 30, len(a)), strict=True)],
            "cluster_b": [f"{x}/{y}" for x, y in zip(b, rng.integers(0, 30, len(b)), strict=True)],
        }
    )


def test_strengths_agree_with_evalica_and_choix():
    a, b, won, _ = random_games()
    ours = fit_strengths(contests_of(frame_of(a, b, won))[0])
    winners = [evalica.Winner.X if w else evalica.Winner.Y for w in won]
    names = [f"s{i}" for i in a], [f"s{i}" for i in b]
    oracle = evalica.bradley_terry(*names, winners, tolerance=1e-14, limit=10000)
    theirs = np.log(oracle.scores.sort_index().to_numpy())
    games = [(x, y) if w else (y, x) for x, y, w in zip(a, b, won, strict=True)]

    assert ours == pytest.approx(theirs - theirs.mean(), abs=1e-6)
    assert ours == pytest.approx(choix.opt_pairwise(6, games, tol=1e-12), abs=1e-5)


def test_paper_rows_fit_one_strength_per_source():
    # The printed Means, at 2,164 judgments per row.
    n = 2164
    percents = {(0, 2): 82, (1, 2): 82, (0, 1): 53, (0, 3): 18, (1, 3): 16, (2, 3): 3}
    table = {pair: (n * p / 100, n * (100 - p) / 100) for pair, p in sorted(percents.items())}
    found = contests(table, ("two", "one", "autoencoder", "real"))
    strengths = fit_strengths(found)
    fit = goodness_of_fit(found, strengths, design_effect=3.0)
    gaps = strengths[found.pairs[:, 0]] - strengths[found.pairs[:, 1]]

    assert np.round(100 / (1 + np.exp(-gaps))).tolist() == [53, 83, 17, 82, 16, 4]
    assert fit.deviance == pytest.approx(10.0, abs=0.1)
    assert fit.scaled == pytest.approx(3.3, abs=0.05)
    assert fit.df == 3
    assert fit.p > 0.3


def test_a_source_that_never_lost_is_named():
    with pytest.raises(ConvergenceError, match="no finite strengths: c won all, or lost all"):
        fit_strengths(contests({(0, 1): (5, 5), (0, 2): (0, 9)}, "abc"))


def test_sources_that_never_met_are_named_even_where_each_won_and_lost():
    with pytest.raises(ConvergenceError, match="a, b were never compared with c, d, e; a study"):
        fit_strengths(contests({(0, 1): (5, 5), (2, 3): (4, 6), (3, 4): (3, 3)}, "abcde"))


def test_planted_strengths_come_back_inside_their_intervals():
    a, b, won, truth = random_games(seed=4)
    found = rank(frame_of(a, b, won))
    planted = dict(zip([f"s{i}" for i in range(6)], truth, strict=True))

    assert [s.source for s in found.standings] == ["s5", "s4", "s3", "s2", "s1", "s0"]
    inside = [s.low < planted[s.source] < s.high for s in found.standings]
    assert sum(inside) >= 5
    assert [s.best for s in found.standings] == sorted(s.best for s in found.standings)
    assert all(s.best <= s.rank <= s.worst for s in found.standings)


def test_without_clusters_the_intervals_are_the_usual_ones():
    a, b, won, _ = random_games(games=1200, sources=2)
    frame = frame_of(a, b, won)
    for column in ("worker", "cluster_a", "cluster_b"):
        frame[column] = np.arange(len(frame))
    found = rank(frame)
    p = np.where(a == 0, won, ~won).mean()
    # Half the difference of two strengths; a log odds has variance 1 / (n p (1 - p)).
    se = 0.5 / np.sqrt(1200 * p * (1 - p))
    top = found.standings[0]

    assert top.high - top.low == pytest.approx(2 * stats.norm.ppf(0.975) * se, rel=0.01)
    assert found.design_effect == pytest.approx(1, abs=0.01)


def unclustered(table):
    """Judgments of pairs of sources, no two of which share a worker or a clip."""
    rows = [
        (f"s{i}", f"s{j}", float(k < won))
        for (i, j), (won, lost) in table.items()
        for k in range(won + lost)
    ]
    frame = pd.DataFrame(rows, columns=["a", "b", "y"])
    for column in ("worker", "cluster_a", "cluster_b"):
        frame[column] = [f"{column}{k}" for k in range(len(frame))]
    return frame


def rank_ranges(found):
    return {s.source: (s.best, s.worst) for s in found.standings}


# t is ln(218 / 182) or ln(225 / 175), times the root of 400 p (1 - p): 1.80 and 2.49. That is
# between the one- and two-sided 5 % points, 1.65 and 1.97, and between those of 5 and 1 %, 2.59.
@pytest.mark.parametrize(
    ("won", "level", "decided"), [(218, 0.95, False), (225, 0.95, True), (225, 0.99, False)]
)
def test_rank_ranges_are_those_of_a_two_sided_test_at_the_level(won, level, decided):
    found = rank(unclustered({(0, 1): (won, 400 - won)}), level=level)
    open_ranks = {"s0": (1, 2), "s1": (1, 2)}

    assert rank_ranges(found) == ({"s0": (1, 1), "s1": (2, 2)} if decided else open_ranks)


def test_a_higher_level_has_wider_intervals():
    frame = unclustered({(0, 1): (225, 175)})
    usual, wide = (rank(frame, level=level).standings[0] for level in (0.95, 0.99))
    # The 97.5 and 99.5 % points of t for 399 degrees of freedom.
    times = 2.58820 / 1.96593

    assert wide.high - wide.low == pytest.approx(times * (usual.high - usual.low), rel=1e-5)


@pytest.mark.parametrize(("won", "top"), [(56, (1, 6)), (70, (1, 1))])
def test_holm_adjusts_all_pairs_of_six_sources(won, top):
    # Between the first and another: ln(56 / 44) over the root of 4 / (3 * 100) is 2.1, p = 0.04,
    # the smallest of 15. At 70 it is 7.
    even = {(i, j): (50, 50) for i in range(1, 6) for j in range(i + 1, 6)}
    found = rank(unclustered({(0, j): (won, 100 - won) for j in range(1, 6)} | even))

    assert rank_ranges(found)["s0"] == top
    assert rank_ranges(found)["s5"] == ((1, 6) if top == (1, 6) else (2, 6))


def test_few_workers_have_intervals_of_t():
    # Ten workers give 40 judgments each, of clips that nobody sees twice.
    frame = unclustered({(0, 1): (200, 200)})
    frame["worker"] = np.arange(400) % 10
    won = np.array([8, 12, 14, 16, 20, 20, 24, 26, 28, 32])
    frame["y"] = (np.arange(400) // 10 < won[np.arange(400) % 10]).astype(float)
    found = rank(frame)
    # Leaving out a worker moves the log odds by the residuals over the information of the others.
    se = (9 / 10 * sum(((won - 20) / (0.25 * 360)) ** 2)) ** 0.5
    top = found.standings[0]

    assert found.df == pytest.approx(9)
    # 2.262 is the 97.5 % point of t for 9; a strength is half of the log odds.
    assert top.high - top.strength == pytest.approx(2.262 * se / 2, rel=0.01)


def test_rank_ranges_of_few_workers_are_of_t_too():
    frame = unclustered({(0, 1): (200, 200)})
    frame["worker"] = np.arange(400) % 10
    won = np.array([13, 17, 19, 21, 25, 25, 29, 31, 34, 38])
    frame["y"] = (np.arange(400) // 10 < won[np.arange(400) % 10]).astype(float)
    found = rank(frame)
    top = found.standings[0]

    # Between the 97.5 % points of the normal distribution and of t for 9 degrees of freedom.
    assert 1.97 < top.strength / (top.high - top.strength) * 2.262 < 2.25
    assert rank_ranges(found) == {"s0": (1, 2), "s1": (1, 2)}


def half_width_of_two(y, worker, item):
    """Of two sources, each judgment of an item that both have a clip of."""
    labels = [f"item{one}" for one in item]
    frame = pd.DataFrame({"a": "s0", "b": "s1", "y": np.array(y, float), "worker": worker})
    found = rank(frame.assign(cluster_a=labels, cluster_b=labels))
    return found.standings[0].high - found.standings[0].strength, found.df


def test_strengths_vary_at_least_as_by_worker_and_as_independent_judgments():
    # Ten workers prefer each source once, in items of their own: nobody differs.
    even = half_width_of_two([1, 0] * 10, np.repeat(np.arange(10), 2), np.arange(20))
    # Of each two workers one prefers s0 in four items, the other s1 in the same.
    item = np.concatenate([np.tile(np.arange(4 * k, 4 * k + 4), 2) for k in range(4)])
    clips_cancel = half_width_of_two(np.repeat([1, 0] * 4, 4), np.repeat(np.arange(8), 4), item)

    # A log odds has variance 4 / n; without a worker it moves by 2 over a quarter of 28.
    assert even == (pytest.approx(stats.t.ppf(0.975, 9) * (4 / 20) ** 0.5 / 2), pytest.approx(9))
    by_worker = 7 / 8 * 8 * (2 / (28 / 4)) ** 2
    assert clips_cancel == (
        pytest.approx(stats.t.ppf(0.975, 7) * by_worker**0.5 / 2), pytest.approx(7)
    )  # fmt: skip


def test_a_busy_worker_leaves_a_ranking_the_degrees_of_freedom_of_kishs_number():
    frame = unclustered({(0, 1): (250, 150)})
    frame["worker"] = [0] * 200 + [1 + k // 5 for k in range(200)]

    assert rank(frame).df == pytest.approx(400**2 / (200**2 + 40 * 5**2) - 1)


def covariance_by_hand(frame, strengths):
    """Covariance of the strengths of s0 and s1 less that of s2, by worker and by clip.

    Refits without each worker and each clip, less the products that these count twice; then the
    covariance by worker alone, and that of independent judgments.
    """
    a, b = ([frame[side] == source for source in ("s0", "s1")] for side in ("a", "b"))
    design = np.array(a, float).T - np.array(b, float).T
    rate = 1 / (1 + np.exp(-design @ (strengths[:2] - strengths[2])))
    scores = (frame["y"].to_numpy() - rate)[:, None] * design
    weight = rate * (1 - rate)

    def information(rows):
        return (design[rows] * weight[rows, None]).T @ design[rows]

    def without(*members):
        moved = [np.linalg.solve(information(~one), scores[one].sum(axis=0)) for one in members]
        return (len(moved) - 1) / len(moved) * sum(np.outer(one, one) for one in moved)

    worker, clips = frame["worker"].to_numpy(), frame[["cluster_a", "cluster_b"]].to_numpy()
    by_worker = without(*(worker == w for w in set(worker)))
    by_clip = without(*((clips == clip).any(axis=1) for clip in set(clips.ravel())))
    common = [[len(set(one) & set(other)) for other in clips] for one in clips]
    times = (worker[:, None] == worker).astype(int) + np.array(common)
    inverse = np.linalg.inv(information(np.full(len(frame), True)))
    repeated = inverse @ scores.T @ np.maximum(times - 1, 0) @ scores @ inverse
    return by_worker + by_clip - repeated, by_worker, inverse


def test_the_covariance_is_that_of_all_judgments_that_share_a_worker_or_a_clip():
    rng = np.random.default_rng(0)
    n = 240
    a = rng.integers(0, 3, n)
    b = (a + rng.integers(1, 3, n)) % 3
    worker, clip_a, clip_b = rng.integers(0, 12, n), rng.integers(0, 6, n), rng.integers(0, 6, n)
    liking, quality = rng.normal(0, 0.7, (12, 3)), rng.normal(0, 0.7, (3, 6))
    logit = liking[worker, a] - liking[worker, b] + quality[a, clip_a] - quality[b, clip_b]
    frame = frame_of(a, b, rng.random(n) < 1 / (1 + np.exp(-logit)))
    frame["worker"] = worker
    frame["cluster_a"] = [f"{x}/{y}" for x, y in zip(a, clip_a, strict=True)]
    frame["cluster_b"] = [f"{x}/{y}" for x, y in zip(b, clip_b, strict=True)]
    found = rank(frame)
    standings = sorted(found.standings, key=lambda s: s.source)
    both, by_worker, independent = covariance_by_hand(
        frame, np.array([s.strength for s in standings])
    )
    free = np.array([[2, -1], [-1, 2], [-1, -1]]) / 3  # of each strength, less the mean of all
    variances = np.einsum("ij,jk,ik->i", free, both, free)
    effects = variances / np.einsum("ij,jk,ik->i", free, independent, free)
    half = [s.high - s.strength for s in standings]

    assert (variances > np.einsum("ij,jk,ik->i", free, by_worker, free)).all()
    assert half == pytest.approx(stats.t.ppf(0.975, found.df) * variances**0.5, rel=1e-6)
    assert found.design_effect == pytest.approx(effects.mean(), rel=1e-6)


def test_clusters_widen_the_intervals(judgments_text):
    rows = {("x", "y"): 0.7, ("y", "z"): 0.6, ("x", "z"): 0.8}
    frame = judgments_text(rows, per_cell=300, workers=30, clips=30, sd=0.9)
    found = rank(table_preferences(check_judgments(frame)))

    assert found.design_effect > 1.5
    assert found.fit.scaled == pytest.approx(found.fit.deviance / found.design_effect)
    assert [s.source for s in found.standings] == ["x", "y", "z"]


@pytest.mark.parametrize(("items", "df"), [(5, 4), (300, 49)])
def test_the_scarcer_of_workers_and_items_gives_the_degrees_of_freedom(items, df):
    a, b, won, _ = random_games(games=1500, sources=3)
    frame = frame_of(a, b, won)
    order = np.arange(len(frame))
    frame["worker"] = order % 50
    frame["cluster_a"] = frame["cluster_b"] = order * items // 1500

    assert rank(frame).df == pytest.approx(df)


def test_one_rater_is_judged_over_clips_alone():
    a, b, won, _ = random_games(games=1200, sources=2)
    frame = frame_of(a, b, won, workers=1)
    frame["cluster_a"], frame["cluster_b"] = np.arange(1200), np.arange(1200) + 1200
    once, twice = rank(frame), rank(pd.concat([frame, frame]))
    p = np.where(a == 0, won, ~won).mean()
    top = once.standings[0]

    assert once.one_rater
    assert once.note == "this rater: the interval is over clips, not over people"
    # Half the difference of two strengths; a log odds has variance 1 / (n p (1 - p)).
    assert top.high - top.strength == pytest.approx(0.98 / (1200 * p * (1 - p)) ** 0.5, rel=0.01)
    # The same answers to the same pairs again tell nothing new.
    assert (once.design_effect, twice.design_effect) == pytest.approx((1, 2), abs=0.01)


def test_ties_narrow_strengths_and_their_fit_stays_that_of_a_deviance():
    n, won = 400, np.r_[np.full(320, 0.5), np.arange(80) % 2]
    frame = frame_of(np.zeros(n, int), np.ones(n, int), won, workers=n)
    frame["worker"] = np.arange(n)
    frame["cluster_a"], frame["cluster_b"] = np.arange(n), np.arange(n) + n
    found = rank(frame)
    top = found.standings[0]

    # Half a log odds, whose variance 1 / (n / 4) is a fifth where four of five are ties.
    assert top.high - top.strength == pytest.approx(0.98 / (n / 4 * 5) ** 0.5, rel=0.03)
    assert found.design_effect == pytest.approx(1 / 5, rel=0.05)


def test_nothing_but_ties_leaves_strengths_uncertain():
    half, df = half_width_of_two([0.5] * 60, np.arange(60), np.arange(60))

    # Half a log odds, whose variance is 4 / 60, of which two wins and two losses more leave 4 / 64.
    assert half == pytest.approx(stats.t.ppf(0.975, df) * (4 / 60 * 4 / 64) ** 0.5 / 2)


@pytest.mark.parametrize("workers", [2, 4])
def test_two_to_four_workers_have_strengths_but_neither_intervals_nor_rank_ranges(workers):
    a, b, won, _ = random_games(games=300, sources=3)
    found = rank(frame_of(a, b, won, workers=workers))

    assert [s.source for s in found.standings] == ["s2", "s1", "s0"]
    assert {(s.low, s.high, s.best, s.worst) for s in found.standings} == {(None,) * 4}
    assert (found.fit, found.design_effect, found.df) == (None, None, None)
    assert found.note.startswith(f"{workers} workers: too few for an interval")


def test_few_workers_bring_a_warning_and_many_none():
    a, b, won, _ = random_games(games=400, sources=3)
    few, many = (rank(frame_of(a, b, won, workers=n)) for n in (12, 60))

    assert few.note.startswith("under 20 effective workers")
    assert many.note == ""


def test_worker_bootstrap_matches_the_worker_standard_error_and_is_seeded():
    a, b, won, _ = random_games(seed=2)
    frame = frame_of(a, b, won)
    frame["y"] = frame["y"].mask(frame["worker"] % 5 == 0, 1 - frame["y"])  # they like the worst
    draws = bootstrap_strengths(frame, 400, seed=3)
    again = bootstrap_strengths(frame, 400, seed=3)
    strengths = fit_strengths(contests_of(frame)[0])
    left_out = [fit_strengths(contests_of(frame[frame["worker"] != w])[0]) for w in range(50)]
    error = (49 / 50 * np.square(left_out - strengths).sum(axis=0)) ** 0.5

    assert draws.shape == (400, 6)
    assert np.array_equal(draws, again)
    assert draws.mean(axis=0) == pytest.approx(strengths, abs=0.03)
    assert draws.std(axis=0) == pytest.approx(error, rel=0.12)


def test_a_thousand_refits_take_less_than_a_second():
    a, b, won, _ = random_games(games=13_000, sources=4)
    frame = frame_of(a, b, won, workers=150)
    start = time.process_time()

    draws = bootstrap_strengths(frame, 1000, seed=1)

    assert not np.isnan(draws).any()
    assert time.process_time() - start < 1.5
