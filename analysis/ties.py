"""Ties count one half to either side, which varies less than a win or a loss."""

import numpy as np
from numpy.typing import ArrayLike

from analysis.clusters import Floats


def tie_factor(rate: ArrayLike, ties: ArrayLike) -> Floats:
    """Return what ties, which count one half, leave of the variance p (1 - p) of a judgment.

    Args:
        rate: p, in (0, 1).
        ties: their share of the judgments, at most 2 min(p, 1 - p).

    Returns:
        1 where there are none, 0 where there is nothing else.
    """
    p = np.asarray(rate, dtype=np.float64)
    return np.asarray(1 - np.asarray(ties) / (4 * p * (1 - p)))
