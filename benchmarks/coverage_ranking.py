"""How often do nominal 95 % intervals of strengths cover, and are rank ranges wrong?

    python benchmarks/coverage_ranking.py [--reps 300] [--seed 1]

Three equal sources are judged on shared items, 300 judgments a pair; workers differ in activity
and taste, items in which source they suit. A rank claim is false when the data are said to exclude
a rank of any source. Prints Markdown.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click
import numpy as np
import pandas as pd
from scipy.special import expit

from analysis.ranking import Standing, rank

SOURCES = ("a", "b", "c")
PER_PAIR = 300
SPREAD = 0.5  # of activity, taste and items, on the log and logit scales
SETTINGS = ((100, 3), (100, 5), (100, 10), (100, 40), (30, 40), (12, 40), (6, 40), (1, 40))


def draw(workers: int, items: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return the preferences of one study of equal sources."""
    activity = np.exp(SPREAD * rng.normal(size=workers))
    n = 3 * PER_PAIR
    worker = rng.choice(workers, n, p=activity / activity.sum())
    item = rng.integers(items, size=n)
    first, second = np.repeat([0, 0, 1], PER_PAIR), np.repeat([1, 2, 2], PER_PAIR)
    # One rater has one taste, and the question is then what that rater prefers.
    taste = rng.normal(0, SPREAD / 2**0.5 if workers > 1 else 0.0, (workers, 3))
    suits = rng.normal(0, SPREAD, (items, 3))
    liking = taste[worker] + suits[item]
    rows = np.arange(n)
    won = rng.random(n) < expit(liking[rows, first] - liking[rows, second])
    names = np.array(SOURCES)
    return pd.DataFrame(
        {
            "a": names[first],
            "b": names[second],
            "y": won.astype(float),
            "worker": worker,
            "cluster_a": item,
            "cluster_b": item,
        }
    )


def _holds_zero(standing: Standing) -> bool:
    if standing.low is None or standing.high is None:
        raise ValueError("no interval to measure: take 5 workers or more")
    return standing.low <= 0 <= standing.high


def measure(workers: int, items: int, reps: int, seed: int) -> tuple[float, float]:
    """Return the coverage of strengths and the share of studies with a false rank, in percent."""
    rng = np.random.default_rng(seed)
    covered, false = [], []
    for _ in range(reps):
        found = rank(draw(workers, items, rng)).standings
        covered += [_holds_zero(s) for s in found]
        false.append(any((s.best, s.worst) != (1, len(SOURCES)) for s in found))
    return 100 * float(np.mean(covered)), 100 * float(np.mean(false))


@click.command()
@click.option("--reps", default=300, show_default=True, help="Studies drawn per setting.")
@click.option("--seed", default=1, show_default=True)
def main(reps: int, seed: int) -> None:
    """Measure the intervals and rank ranges of the leaderboard."""
    print("| workers | items | strengths covered, % | false rank claims, % |\n|---|---|---|---|")
    for workers, items in SETTINGS:
        covered, false = measure(workers, items, reps, seed)
        print(f"| {workers} | {items} | {covered:.1f} | {false:.1f} |", flush=True)


if __name__ == "__main__":
    main()
