"""How often do nominal 95 % intervals of `vgan-eval agreement` cover?

    python benchmarks/coverage_agreement.py [--reps 1000] [--seed 1]

A score says that clips of Real are the better ones, in two rows of 300 judgments that share 30
clips of Real; workers differ in activity and taste, clips in how they please. What is to be
covered is the share of choices that it predicts for new workers and new clips. Then, how often
another person agrees, where a share of the workers answers at random. Prints Markdown.
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
CAREFUL = 0.95  # how often the other workers choose the better clip of a pair
# Workers, pairs, workers of each pair, share of the careless.
CARELESS = (
    (30, 300, 2, 0.0), (30, 300, 2, 0.3), (30, 300, 5, 0.3), (60, 600, 3, 0.3), (12, 200, 3, 0.3),
    (100, 300, 5, 0.15), (6, 200, 3, 0.3),
)  # fmt: skip
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


def draw_pairs(
    workers: int, pairs: int, each: int, careless: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the preferences of one study whose pairs several workers judge."""
    skill = np.where(rng.random(workers) < careless, 0.5, CAREFUL)
    better = np.repeat(rng.integers(0, 2, pairs), each)
    pair = np.repeat(np.arange(pairs), each)
    worker = rng.random((pairs, workers)).argpartition(each - 1, axis=1)[:, :each].ravel()
    y = np.where(rng.random(len(pair)) < skill[worker], better, 1 - better).astype(float)
    clip_a, clip_b = pair.astype(str), (pair + pairs).astype(str)
    return pd.DataFrame(
        {
            "row": "a over b", "a": "a", "b": "b", "y": y, "worker": worker,
            "left_source": "a", "right_source": "b", "left_clip": clip_a, "right_clip": clip_b,
            "cluster_a": clip_a, "cluster_b": clip_b, "answered_at": 0, "position": 0,
            "choice": np.where(y == 1, "left", "right"),
        }
    )  # fmt: skip


def between_people(
    workers: int, pairs: int, each: int, careless: float, reps: int, seed: int
) -> tuple[float, float]:
    """Return the coverage, in percent, and the mean width, in points."""
    right = (1 - careless) * CAREFUL + careless * 0.5
    agreeing = 100 * (right**2 + (1 - right) ** 2)
    rng = np.random.default_rng(seed)
    covered, widths = [], []
    for _ in range(reps):
        study = draw_pairs(workers, pairs, each, careless, rng)
        found = agreement(study, "source", SCORES).people
        if found is None or found.low is None or found.high is None:
            raise ValueError("no interval to measure: take 5 workers or more")
        covered.append(found.low <= agreeing <= found.high)
        widths.append(found.high - found.low)
    return 100 * float(np.mean(covered)), float(np.mean(widths))


@click.command()
@click.option("--reps", default=1000, show_default=True, help="Studies drawn per setting.")
@click.option("--seed", default=1, show_default=True)
def main(reps: int, seed: int) -> None:
    """Measure the intervals of all rows together, and of how often another person agrees."""
    print("| workers | all rows covered, % |\n|---|---|")
    for workers in SETTINGS:
        rng = np.random.default_rng(seed)
        covered = 100 * np.mean([covers(workers, rng) for _ in range(reps)])
        print(f"| {workers} | {covered:.1f} |", flush=True)
    print("\n| workers | pairs | workers a pair | careless, % | covered, % | width |")
    print("| --- | --- | --- | --- | --- | --- |")
    for setting in CARELESS:
        held, width = between_people(*setting, reps, seed)
        *counts, careless = setting
        shown = (*counts, round(100 * careless), f"{held:.1f}", f"{width:.1f}")
        print(f"| {' | '.join(map(str, shown))} |", flush=True)


if __name__ == "__main__":
    main()
