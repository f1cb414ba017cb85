"""Strengths of published examples, retyped from the sources that each test names."""

import choix
import evalica
import numpy as np
import pytest

from analysis.strengths import Contests, fit_strengths

# American League East, 1987: games that the team of the row won against the team of the column.
# Agresti, Categorical Data Analysis, 2nd edition, table 10.11; home and away games together.
TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
BASEBALL = np.array(
    [
        [0, 7, 9, 7, 7, 9, 11],
        [6, 0, 7, 5, 11, 9, 9],
        [4, 6, 0, 7, 7, 8, 12],
        [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12],
        [4, 4, 5, 6, 6, 0, 6],
        [2, 4, 1, 3, 1, 7, 0],
    ]
)
# evalica 0.4.2 (Apache-2.0), food.csv: who met whom, by first letter, and who won (l, r, t: tie).
FOOD = (
    "PSl BAr TPl STr BPl ASr TBl PAt SBr ATl BSr TPl SAt BTl PBr ATr BSr TAl PTr SBl APr BSr TAl "
    "PSl SBr ATr TPl BAr STl PBr"
)
FOOD_INITIALS = "PSBAT"
# The same package's simple.csv: five items, most games tied.
SIMPLE = "01t 02r 02t 04t 10l 12t 12t 13t 24t 30l 31l 32l 34t 34t 40l 43l"


def contests_of_wins(wins, names):
    """Contests from a square table of wins, ties as halves."""
    pairs = np.argwhere(np.triu(wins + wins.T) > 0)
    won, lost = wins[tuple(pairs.T)], wins.T[tuple(pairs.T)]
    return Contests(tuple(names), pairs, won.astype(float), (won + lost).astype(float))


def wins_of(games, letters):
    """The table of wins of games like `PSl`, and the games as evalica takes them."""
    wins = np.zeros((len(letters), len(letters)))
    outcome = {"l": evalica.Winner.X, "r": evalica.Winner.Y, "t": evalica.Winner.Draw}
    xs, ys, winners = [], [], []
    for left, right, result in games.split():
        i, j = letters.index(left), letters.index(right)
        wins[i, j] += {"l": 1, "r": 0, "t": 0.5}[result]
        wins[j, i] += {"l": 0, "r": 1, "t": 0.5}[result]
        xs.append(i)
        ys.append(j)
        winners.append(outcome[result])
    return wins, (xs, ys, winners)


def shares(strengths):
    """Strengths as evalica scores them: odds that sum to 1."""
    return np.exp(strengths) / np.exp(strengths).sum()


def test_baseball_1987_gives_agrestis_strengths():
    strengths = fit_strengths(contests_of_wins(BASEBALL, TEAMS))

    assert (BASEBALL + BASEBALL.T)[np.triu_indices(7, 1)].tolist() == [13] * 21
    assert strengths - strengths[-1] == pytest.approx(
        [1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0], abs=5e-3
    )


@pytest.mark.parametrize(
    ("games", "expected"),
    [
        # choix, tests/data/testcase-pairwise-1.json and -2.json (MIT): winner first.
        ([(0, 1), (1, 2), (2, 0)], [0, 0, 0]),
        ([(0, 1), (0, 1), (1, 2), (2, 0)], [0.419617624, -0.419617624, 0]),
    ],
)
def test_cycles_of_three_items_give_choixs_strengths(games, expected):
    wins = np.zeros((3, 3))
    for winner, loser in games:
        wins[winner, loser] += 1
    strengths = fit_strengths(contests_of_wins(wins, "abc"))

    assert strengths == pytest.approx(expected, abs=1e-8)
    assert strengths == pytest.approx(choix.opt_pairwise(3, games, tol=1e-12), abs=1e-6)


@pytest.mark.parametrize(
    ("games", "letters", "expected"),
    [
        # food-golden.csv and simple-golden.csv, in the order of the letters.
        (FOOD, FOOD_INITIALS, [0.098979826, 0.190600285, 0.147976651, 0.128153411, 0.434289828]),
        (SIMPLE, "01234", [0.050799673, 0.131150691, 0.131685681, 0.336888680, 0.349475275]),
    ],
)
def test_evalicas_examples_with_ties_give_its_scores(games, letters, expected):
    wins, arguments = wins_of(games, letters)
    ours = shares(fit_strengths(contests_of_wins(wins, letters)))
    theirs = evalica.bradley_terry(*arguments, tolerance=1e-14, limit=100_000).scores.sort_index()

    assert ours == pytest.approx(expected, abs=2e-5)  # the golden scores stop at 1e-6 a step
    assert ours == pytest.approx(theirs / theirs.sum(), abs=1e-9)
