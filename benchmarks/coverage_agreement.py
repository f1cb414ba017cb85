"""How often do nominal 95 % intervals of `vgan-eval agreement` cover?

    python benchmarks/coverage_agreement.py [--reps 1000] [--seed 1]

A score says that clips of Real are the better ones, in two rows of 300 judgments that share 30
clips of Real; workers differ in activity and taste, clips in how they please. What is to be
covered is the share of choices that it predicts for new workers and new clips. Prints Markdown.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click
import numpy as np
import pandas as pd
from scipy.special import expit

from analysis.agreement import agreement

ROWS = {"a": 0.5, "b": 1.5}  # the logit by which Real is preferred over each
PER_ROW = 300
CLIPS = 30  # of each source
SPREAD = 0.5  # of activity, taste and clips, on the log and logit scales
SETTINGS = (100, 25, 12, 6)
SCORES = pd.Series({"real": 1.0, "a": 0.0, "b": 0.0})


def truth() -> float:
    """Return the percentage that the score predicts in the long run."""
    points, weights = np.polynomial.hermite_e.hermegauss(61)
    liking = np.array([*ROWS.values()])[:, None] + SPREAD * 3**0.5 * points
    return float(100 * np.mean(expit(liking) @ weights) / weights.sum())


def draw(workers: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return the preferences of one study."""
    activity = np.exp(SPREAD * rng.normal(size=workers))
    n = len(ROWS) * PER_ROW
    worker = rng.choice(workers, n, p=activity / activity.sum())
    real, other = rng.integers(CLIPS, size=(2, n))
    row = np.repeat(np.arange(len(ROWS)), PER_ROW)
    taste, pleases = rng.normal(0, SPREAD, workers), rng.normal(0, SPREAD, (1 + len(ROWS), CLIPS))
    liking = np.array([*ROWS.values()])[row] + taste[worker] + pleases[0, real]
    won = rng.random(n) < expit(liking - pleases[1 + row, other])
    source = np.array([*ROWS])[row]
    clips = pd.Series(real).map("real/{}".format), source + pd.Series(other).map("/{}".format)
    return pd.DataFrame(
        {
            "row": source,
            "a": "real",
            "b": source,
            "left_source": "real",
            "right_source": source,
            "left_clip": clips[0],
            "right_clip": clips[1],
            "cluster_a": clips[0],
            "cluster_b": clips[1],
            "choice": np.where(won, "left", "right"),
            "y": won.astype(float),
            "worker": worker,
            "answered_at": 0,
            "position": np.arange(n),
        }
    )


def covers(workers: int, rng: np.random.Generator) -> bool:
    """Tell whether the interval of all rows of one study holds the truth."""
    found = agreement(draw(workers, rng), "source", SCORES).metric
    if found.low is None or found.high is None:
        raise ValueError("no interval to measure: take 5 workers or more")
    return found.low <= truth() <= found.high


@click.command()
@click.option("--reps", default=1000, show_default=True, help="Studies drawn per setting.")
@click.option("--seed", default=1, show_default=True)
def main(reps: int, seed: int) -> None:
    """Measure the intervals of all rows together."""
    print("| workers | all rows covered, % |\n|---|---|")
    for workers in SETTINGS:
        rng = np.random.default_rng(seed)
        covered = 100 * np.mean([covers(workers, rng) for _ in range(reps)])
        print(f"| {workers} | {covered:.1f} |", flush=True)


if __name__ == "__main__":
    main()
