"""Clusters as numbers: which judgments share a worker, a clip, or both."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def codes_of(labels: ArrayLike) -> Codes:
    """Number the distinct labels 0, 1, ... in order of appearance."""
    return pd.factorize(np.asarray(labels))[0].astype(np.int64)


def renumbered(codes: Codes) -> Codes:
    """Close the gaps that leaving out judgments made in their codes; the order stays."""
    present = np.zeros(codes.max(initial=-1) + 1, dtype=np.int64)
    present[codes] = 1
    return np.asarray((np.cumsum(present) - 1)[codes])


def kish(codes: Codes) -> float:
    """Return the effective number of clusters, (sum m)^2 / sum m^2 for cluster sizes m.

    Source:
        Kish, Survey Sampling, 1965: equal shares give the number of clusters, one giant gives 1.
    """
    sizes = np.bincount(codes).astype(np.float64)
    return float(sizes.sum() ** 2 / np.sum(sizes**2))


def sum_squares(values: Floats, codes: Codes) -> float:
    """Return the sum over clusters of the squared within-cluster sum."""
    return float(np.sum(np.bincount(codes, weights=values) ** 2))


def intersection(parts: Sequence[Codes]) -> Codes:
    """Return the clustering whose clusters agree in all of `parts`."""
    joint = parts[0]
    for part in parts[1:]:
        joint = pd.factorize(joint * (int(part.max(initial=-1)) + 1) + part)[0].astype(np.int64)
    return joint
