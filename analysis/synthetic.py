"""Judgments drawn from a known truth, to check that an interval covers it.

A judgment of row "A over B" draws a worker, a clip of A and a clip of B and prefers A with

    logit P = mu + u_worker + v_clipA - v_clipB

`mu` is solved so that the preference over new workers and new clips, which is what a printed
percentage estimates, is exactly the rate asked for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import expit

from analysis.clusters import Floats
from analysis.variance import Sample

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class Setting:
    """A row of a study.

    Args:
        rate: the marginal preference, in (0, 1).
        workers: how many take part.
        activity: standard deviation of a worker's log activity; at 1.2 the busiest tenth of 150
            workers gives 46 % of the judgments, as in public crowd data.
        clips: of each source in each category.
        worker_sd: of the worker effect, on the logit scale.
        clip_sd: of the clip effects of either side, on the logit scale.
        per_cell: judgments per category.
        categories: how many.
        busy_differ: correlation of a worker's log activity with the worker effect.
        shared_eye: a worker has one effect in all categories; else a new one in each.
        by_item: both clips of a pair are of one item, which has one effect.
    """

    rate: float = 0.82
    workers: int = 150
    activity: float = 1.2
    clips: int = 200
    worker_sd: float = 0.5
    clip_sd: float = 0.5
    per_cell: int = 541
    categories: int = 4
    busy_differ: float = 0.0
    shared_eye: bool = True
    by_item: bool = False


def marginal_rate(mu: float, variance: float) -> float:
    """Return the mean of expit(mu + x) for x normal with this variance."""
    return float(np.sum(_WEIGHTS * expit(mu + np.sqrt(variance) * _NODES)))


def mu_for(rate: float, variance: float) -> float:
    """Return the logit whose marginal rate is `rate`, in (0, 1)."""
    return float(optimize.brentq(lambda mu: marginal_rate(mu, variance) - rate, -20, 20))


def draw_row(setting: Setting, rng: np.random.Generator) -> Sample:
    """Draw the judgments of one row, cells in order."""
    s = setting
    mu = mu_for(s.rate, s.worker_sd**2 + (1 if s.by_item else 2) * s.clip_sd**2)
    busy = rng.normal(size=s.workers)
    share = np.exp(s.activity * busy)
    n, cells = s.per_cell * s.categories, s.categories
    cell = np.repeat(np.arange(cells), s.per_cell)
    eye = _eyes(s, busy, rng)
    worker = rng.choice(s.workers, size=n, p=share / share.sum())
    clip_a = rng.integers(0, s.clips, n) + cell * s.clips
    clip_b = clip_a if s.by_item else rng.integers(0, s.clips, n) + cell * s.clips
    effect_a = rng.normal(0, s.clip_sd, s.clips * cells)
    effect_b = rng.normal(0, 0 if s.by_item else s.clip_sd, s.clips * cells)
    logit = mu + eye[worker, cell] + effect_a[clip_a] - effect_b[clip_b]
    return Sample.of((rng.random(n) < expit(logit)).astype(float), worker, clip_a, clip_b, cell)


def _eyes(s: Setting, busy: Floats, rng: np.random.Generator) -> NDArray[np.float64]:
    """(workers, categories), worker effects; their activity-weighted mean is 0."""
    own = rng.normal(size=(s.workers, 1 if s.shared_eye else s.categories))
    # Busy workers are drawn more often: their log activity has mean `activity` among judgments.
    tied = s.busy_differ * (busy[:, None] - s.activity)
    eye = s.worker_sd * (tied + np.sqrt(1 - s.busy_differ**2) * own)
    return np.broadcast_to(eye, (s.workers, s.categories))
