"""The Fréchet distance between two samples of clips, in some embedding: pure functions.

Called FVD only by `vgan.metrics.embedding`, and only for its published protocol. A distance between
samples is biased upwards, more so for few clips: it is read against the distance between two
samples of real clips of the same sizes, never alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]

LEAST_CLIPS = 8


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution.

    Args:
        mean: (D,).
        covariance: (D, D).
    """

    mean: Features
    covariance: Features


def fit_gaussian(features: Features, *, shrink: bool = False) -> Gaussian:
    """Return the normal distribution with a sample's mean and covariance.

    Args:
        features: (N, D), N at least 2.
        shrink: pull the covariance towards a multiple of the identity, as far as Ledoit and Wolf
            (2004) advise; for samples with no more clips than dimensions, whose covariance has no
            inverse.

    Raises:
        ValueError: fewer than two clips.
    """
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features must be (N, D) with N at least 2, not {features.shape}")
    mean = features.mean(axis=0)
    if not shrink:
        covariance = np.atleast_2d(np.cov(features, rowvar=False))
        return Gaussian(mean, covariance)
    from sklearn.covariance import ledoit_wolf

    shrunk, _ = ledoit_wolf(features)
    return Gaussian(mean, shrunk)


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """Return |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), at least 0.

    The trace of the root is taken from eigenvalues of a symmetric matrix, which exist for singular
    covariances too; scipy's matrix root of the product gives complex numbers there.

    Source:
        Dowson and Landau, 1982; as a measure of generators, Heusel et al., NIPS 2017.
    """
    values, vectors = np.linalg.eigh(first.covariance)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ second.covariance @ root)
    cross = np.sqrt(np.clip(inner, 0, None)).sum()
    apart = float(((first.mean - second.mean) ** 2).sum())
    spread = float(np.trace(first.covariance) + np.trace(second.covariance) - 2 * cross)
    return max(apart + spread, 0.0)


def sample_distance(first: Features, second: Features, *, shrink: bool = False) -> float:
    """Return the Fréchet distance between the normal distributions of two samples (N, D)."""
    return frechet_distance(fit_gaussian(first, shrink=shrink), fit_gaussian(second, shrink=shrink))
