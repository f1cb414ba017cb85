"""How often does an interval that should hold at all looks miss the truth at any of them?

Rows of 60 workers with 12 judgments each, one category, 30 clips a source, looked at after every
second worker from the sixth on. Run by `python benchmarks/coverage.py --looks`.
"""

import math
from dataclasses import dataclass
from multiprocessing.pool import Pool

import numpy as np
from scipy.special import expit

from analysis.clusters import Floats
from analysis.intervals import Bounds, mean_interval, row_correlations
from analysis.sequential import known, mean_at_all_looks, mixture_parameter
from analysis.synthetic import mu_for
from analysis.variance import Sample

WORKERS, EACH, CLIPS = 60, 12, 30
LOOKS = range(6, WORKERS + 1, 2)
RATES = (0.5, 0.9, 0.95, 0.97)
SPREADS = (0.0, 0.5)  # of workers and clips, on the logit scale: independent judgments, and not
METHODS = ("normal mixture", "ours")


@dataclass(frozen=True)
class Row:
    """What is drawn: a preference, how much workers and clips differ, and by which seed."""

    rate: float
    spread: float
    seed: int


def draw(row: Row) -> Sample:
    """Return the judgments of a row, worker after worker."""
    rng = np.random.default_rng(row.seed)
    n = WORKERS * EACH
    worker = np.repeat(np.arange(WORKERS), EACH)
    clip_a, clip_b = rng.integers(0, CLIPS, n), rng.integers(0, CLIPS, n)
    taste, of_a, of_b = (rng.normal(0, row.spread, size) for size in (WORKERS, CLIPS, CLIPS))
    logit = mu_for(row.rate, 3 * row.spread**2) + taste[worker] + of_a[clip_a] - of_b[clip_b]
    return Sample.of((rng.random(n) < expit(logit)).astype(float), worker, clip_a, clip_b)


def normal_mixture(rate: float, n: int, variance: float, df: float) -> Bounds:
    """Return what the normal mixture gives on the same variance, p (1 - p) taken as known."""
    deviation = math.sqrt(max(rate * (1 - rate), 1 / (4 * n)))
    time = min(known(deviation**2 / variance, df), n)
    weight = mixture_parameter(WORKERS * EACH / 2, 0.05)
    total = time + weight
    half = deviation * math.sqrt(total * math.log(total / (weight * 0.05**2))) / time
    return rate - half, rate + half


def looks(row: Row) -> Floats:
    """Return, by method, whether any look missed, and half the interval at the last one."""
    sample, missed, half = draw(row), np.zeros(len(METHODS)), np.zeros(len(METHODS))
    for workers in LOOKS:
        seen = sample.take(sample.worker < workers)
        plain = mean_interval(seen, row_correlations(seen)[1])
        ours = mean_at_all_looks(plain, seen, len(sample))
        if ours.low is None or ours.high is None or ours.se is None or ours.df is None:
            raise ValueError(f"no interval to measure: {ours.note}")
        bounds = np.array(
            [
                normal_mixture(seen.mean, len(seen), (ours.se / 100) ** 2, ours.df),
                (ours.low / 100, ours.high / 100),
            ]
        ).clip(0, 1)
        missed = np.maximum(missed, (bounds[:, 0] > row.rate) | (bounds[:, 1] < row.rate))
        half = (bounds[:, 1] - bounds[:, 0]) / 2
    return np.array([missed, half])


def looks_table(pool: Pool, reps: int, seed: int) -> str:
    """Return the table as Markdown: truths down, methods across."""
    header = [f"{method}, {what}" for what in ("missed %", "half-width") for method in METHODS]
    lines = [f"| truth, % | sd | {' | '.join(header)} |", "|---" * (2 + len(header)) + "|"]
    for rate in RATES:
        for spread in SPREADS:
            rows = [Row(rate, spread, seed + i) for i in range(reps)]
            found = 100 * np.mean(pool.map(looks, rows, 8), axis=0)
            shown = [f"{value:.1f}" for value in found.ravel()]
            lines.append(f"| {100 * rate:g} | {spread:g} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"
