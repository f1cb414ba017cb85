"""Synthetic judgments with a planted truth, in the contract's columns."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

PAPER = {
    ("vgan-two-stream", "autoencoder-gmm"): 0.82,
    ("vgan-one-stream", "autoencoder-gmm"): 0.83,
    ("vgan-two-stream", "vgan-one-stream"): 0.53,
    ("vgan-two-stream", "real"): 0.18,
    ("vgan-one-stream", "real"): 0.16,
    ("autoencoder-gmm", "real"): 0.03,
}
CATEGORIES = ("golf", "beach", "train", "baby")


def make_judgments(
    rows: dict[tuple[str, str], float] | None = None,
    *,
    per_cell: int = 60,
    workers: int = 40,
    clips: int = 30,
    categories: tuple[str, ...] = CATEGORIES,
    seed: int = 1,
    sd: float = 0.4,
    simulated: bool = False,
) -> pd.DataFrame:
    """Return judgments as text; `sd` of worker and clip effects, on the logit scale."""
    rng = np.random.default_rng(seed)
    rows = PAPER if rows is None else rows
    parts = []
    for (a, b), rate in rows.items():
        for category in categories:
            n = per_cell
            worker = rng.integers(0, workers, n)
            ia, ib = rng.integers(0, clips, n), rng.integers(0, clips, n)
            eye = np.random.default_rng(seed + 1).normal(0, sd, workers)
            clip_a, clip_b = rng.normal(0, sd, clips), rng.normal(0, sd, clips)
            logit = np.log(rate / (1 - rate)) + eye[worker] + clip_a[ia] - clip_b[ib]
            y = rng.random(n) < 1 / (1 + np.exp(-logit))
            parts.append(_cell(rng, a, b, category, worker, ia, ib, y))
    frame = pd.concat(parts, ignore_index=True)
    frame["trial"] = [f"t{i:06d}" for i in range(len(frame))]
    start = pd.Timestamp("2026-01-01T00:00:00Z")
    times = start + pd.to_timedelta(np.arange(len(frame)) * 7, unit="s")
    frame["answered_at"] = times.strftime("%Y-%m-%dT%H:%M:%SZ")
    frame["simulated"] = "true" if simulated else "false"
    frame["study"] = "paper"
    frame["trial_kind"] = "test"
    frame["crowd"] = "local"
    frame["question"] = "realism"
    frame["counted"] = "true"
    frame["study_hash"] = "ab" * 32
    frame["clip_ms"] = "1280"
    frame["position"] = "0"
    for column in ("item", "left_origin", "right_origin", "correct_choice", "repeat_of"):
        frame[column] = ""
    return frame


def _cell(
    rng: np.random.Generator,
    a: str,
    b: str,
    category: str,
    worker: np.ndarray,
    ia: np.ndarray,
    ib: np.ndarray,
    y: np.ndarray,
) -> pd.DataFrame:
    n = len(y)
    clip_a = np.array([f"{a}/{category}/{i:04d}.mp4" for i in ia])
    clip_b = np.array([f"{b}/{category}/{i:04d}.mp4" for i in ib])
    a_left = rng.permutation(np.arange(n) % 2 == 0)
    choice = np.where(y == a_left, "left", "right")
    return pd.DataFrame(
        {
            "worker": [f"w{w:03d}" for w in worker],
            "assignment": [f"as{w:03d}" for w in worker],
            "hit": [f"h{w:03d}" for w in worker],
            "category": category,
            "pair_type": "__".join(sorted((a, b))),
            "source_a": a,
            "source_b": b,
            "left_source": np.where(a_left, a, b),
            "right_source": np.where(a_left, b, a),
            "left_clip": np.where(a_left, clip_a, clip_b),
            "right_clip": np.where(a_left, clip_b, clip_a),
            "label": np.where(y, clip_a, clip_b),
            "choice": choice,
            "rt_ms": (1300 + rng.gamma(2.0, 600.0, n)).round(1).astype(str),
        }
    )


@pytest.fixture
def judgments_text() -> Callable[..., pd.DataFrame]:
    return make_judgments


@pytest.fixture
def write_judgments(tmp_path: Path) -> Callable[[pd.DataFrame], Path]:
    def write(frame: pd.DataFrame, name: str = "judgments.csv") -> Path:
        path = tmp_path / name
        frame.to_csv(path, index=False)
        return path

    return write
