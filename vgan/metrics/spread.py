"""Which clips are measured, where there are more than are asked for."""

import numpy as np
from numpy.typing import NDArray


def evenly_spaced(count: int, n: int) -> NDArray[np.int64]:
    """Return the places of at most n of a number of clips, evenly spaced and in their order.

    Clips of one video stand beside each other: the first ones would be of a few videos only.

    Args:
        count: clips that there are.
        n: clips wanted; all places where there are no more than these.
    """
    return np.linspace(0, count - 1, min(n, count)).round().astype(np.int64)
