"""Seconds of compute for Table 1 with its multiway intervals, beside a plain Python bootstrap.

    python benchmarks/table1.py [--large 1000000] [--draws 1000] [--seed 1]

Three figures of one run, on one core, in processor time: the paper's table (13,000 judgments), a
table of a million, and the loop that public preference studies are commonly analysed with: draw
the judgments with replacement, tally every cell, a thousand times, and take percentiles. That loop
treats judgments as independent, so its intervals are too short (`benchmarks/coverage.py`); ours is
the closed form that holds. Reading and checking the file is timed apart: both sides need it.
"""

import argparse
import os
import random
import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from analysis.load import check_judgments
from analysis.preference import table_preferences
from analysis.published import CATEGORY_ORDER, ROWS
from analysis.strengths import bootstrap_strengths
from analysis.synthetic import Setting, draw_row
from analysis.table import build_table

PAPER_ROWS = [row for row in ROWS if row.cells]


def judgments_text(n: int, workers: int, seed: int) -> pd.DataFrame:
    """Draw a study of the paper's six rows as the text of a judgments.csv.

    Args:
        n: judgments in all, at least one a cell.
        workers: how many people, of unequal activity.
        seed: of all chance.
    """
    rng = np.random.default_rng(seed)
    per_cell = n // (len(PAPER_ROWS) * len(CATEGORY_ORDER))
    parts = []
    for row in PAPER_ROWS:
        setting = Setting(rate=row.mean / 100, per_cell=per_cell, workers=workers)
        sample = draw_row(setting, rng)
        category = np.array(CATEGORY_ORDER)[sample.cell]
        a_left = rng.permutation(np.arange(len(sample)) % 2 == 0)
        a, b = row.comparison.source_a, row.comparison.source_b
        clip_a = _names(a, category, sample.clip_a)
        clip_b = _names(b, category, sample.clip_b)
        won = sample.y == 1
        parts.append(
            {
                "worker": _labels("w", sample.worker),
                "category": category,
                "pair_type": "__".join(sorted((a, b))),
                "source_a": a,
                "source_b": b,
                "left_source": np.where(a_left, a, b),
                "right_source": np.where(a_left, b, a),
                "left_clip": np.where(a_left, clip_a, clip_b),
                "right_clip": np.where(a_left, clip_b, clip_a),
                "label": np.where(won, clip_a, clip_b),
                "choice": np.where(won == a_left, "left", "right"),
            }
        )
    frame = pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)
    constant = {"study": "paper", "trial_kind": "test", "crowd": "drawn", "hit": "", "rt_ms": "900"}
    frame = frame.assign(**constant, simulated="true", answered_at="2026-01-01T00:00:00Z")
    frame["assignment"] = frame["worker"]
    frame["trial"] = _labels("t", np.arange(len(frame)))
    return frame


def _names(source: str, category: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.array([f"{source}/{c}/{i}.mp4" for c, i in zip(category, codes, strict=True)], object)


def _labels(letter: str, codes: np.ndarray) -> np.ndarray:
    return np.array([f"{letter}{i}" for i in codes], dtype=object)


def checked(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the judgments as `load_judgments` would give them."""
    judgments = check_judgments(frame)
    judgments.attrs.update(
        study="paper", question="realism", study_hash="", simulated=True,
    )  # fmt: skip
    return judgments


def plain_bootstrap(
    preferences: pd.DataFrame, draws: int, rng: random.Random
) -> dict[tuple[str, str], tuple[float, float]]:
    """Return 95 % percentile intervals of every cell and Mean by the loop in plain Python."""
    rows = list(zip(preferences["row"], preferences["category"], preferences["y"], strict=True))
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(draws):
        wins: dict[tuple[str, str], float] = defaultdict(float)
        counts: dict[tuple[str, str], int] = defaultdict(int)
        for row, category, y in rng.choices(rows, k=len(rows)):
            wins[row, category] += y
            counts[row, category] += 1
        means: dict[str, list[float]] = defaultdict(list)
        for (row, category), n in counts.items():
            rate = wins[row, category] / n
            found[row, category].append(rate)
            means[row].append(rate)
        for row, rates in means.items():
            found[row, "Mean"].append(sum(rates) / len(rates))
    return {cell: _percentiles(values) for cell, values in found.items()}


def _percentiles(values: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(values, n=40)
    return cuts[0], cuts[-1]


def timed(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the median processor time of some runs, in seconds, and the last result."""
    seconds, result = [], None
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), result


def main() -> None:
    """Time the table at two sizes, the plain loop, and refits of the ranking."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--large", type=int, default=1_000_000, help="judgments of the large table")
    parser.add_argument("--draws", type=int, default=1000, help="draws of the plain bootstrap")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    text = judgments_text(13_000, 150, options.seed)
    checking, paper = timed(lambda: checked(text), 3)
    build_table(paper)  # imports and caches
    ours, table = timed(lambda: build_table(paper), 5)
    preferences = table_preferences(paper)
    chance = random.Random(options.seed)
    loop, naive = timed(lambda: plain_bootstrap(preferences, options.draws, chance), 1)
    refits, _ = timed(lambda: bootstrap_strengths(preferences, 1000, seed=options.seed), 3)
    text = judgments_text(options.large, 10_000, options.seed)
    checking_large, large = timed(lambda: checked(text), 1)
    ours_large, _ = timed(lambda: build_table(large), 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    row = table.rows[0]
    low, high = naive[row.comparison.label, "Mean"]
    print("| what | judgments | seconds |\n|---|---|---|")
    print(f"| Table 1, multiway intervals | {len(paper):,} | {ours:.3f} |")
    print(f"| Table 1, multiway intervals | {len(large):,} | {ours_large:.2f} |")
    print(f"| plain Python bootstrap, {options.draws:,} draws | {len(paper):,} | {loop:.1f} |")
    print(f"| checking the columns | {len(paper):,} | {checking:.3f} |")
    print(f"| checking the columns | {len(large):,} | {checking_large:.1f} |")
    print(f"| 1,000 refits of Bradley-Terry, workers resampled | {len(paper):,} | {refits:.3f} |")
    print(f"\nThe plain loop takes {loop / ours:.0f} times as long; peak memory {peak:.1f} GiB.")
    print(
        f"{row.comparison.label}, Mean: {row.mean.low:.1f} to {row.mean.high:.1f}; "
        f"the plain loop gives {100 * low:.1f} to {100 * high:.1f}."
    )


if __name__ == "__main__":
    main()
