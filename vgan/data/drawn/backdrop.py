"""Still scenery that several categories share: sky with clouds, and lines of trees."""

import numpy as np
from numpy.typing import ArrayLike

from vgan.data.drawn.paint import (
    Array,
    coverage,
    ellipse,
    grid,
    noise,
    paint,
    ramp,
    smooth,
)


def sky(
    rng: np.random.Generator,
    size: int,
    horizon: float,
    top: ArrayLike,
    low: Array,
    sun: float = 0.35,
) -> Array:
    """Return a picture (size, size, 3) that is sky from the top down to the horizon and below.

    Args:
        rng: decides clouds and sun.
        size: of the picture's side, in pixels.
        horizon: height of the horizon, in units.
        top: colour overhead.
        low: (3,), colour at the horizon.
        sun: chance that the sun is in the picture.
    """
    x, y = grid(size)
    picture = ramp(y + 0 * x, [(0, top), (horizon, low)])
    clouds = noise(rng, size, size, (3, 2), 4) + 0.25 * np.sin(y * 0.4 + rng.uniform(0, 6))
    amount = smooth(rng.uniform(0.1, 0.6), 1.1, clouds) * smooth(horizon, horizon * 0.4, y)
    paint(picture, 0.75 * amount, np.minimum(low * 0.4 + 0.6, 1))
    if rng.random() < sun:
        disc = ellipse(x, y, (rng.uniform(6, 58), horizon * rng.uniform(0.3, 0.8)), (2.2, 2.2))
        paint(picture, 0.5 * np.exp(-np.maximum(disc, 0) / 7), (1.0, 0.92, 0.72))
        paint(picture, coverage(disc, size, 2), (1.0, 0.97, 0.86))
    return picture


def trees(
    rng: np.random.Generator,
    plate: Array,
    foot: float,
    height: float,
    colour: Array,
    clumps: int = 6,
) -> None:
    """Paint a line of trees that stand on height `foot`: uneven crowns, lit from above.

    Args:
        rng: decides crowns and leaves.
        plate: (H, W, 3), painted in place.
        foot: height of the ground they stand on, in units.
        height: of the trees, in units.
        colour: (3,), of the leaves.
        clumps: crowns across the picture.
    """
    size = len(plate)
    x, y = grid(size)
    crown = height * (0.72 + 0.33 * noise(rng, 1, size, (1, clumps), 4)) + 0 * x
    above = y - (foot - crown)
    leaves = noise(rng, size, size, (14, 14), 3)
    light = 1.15 - 0.5 * np.clip(above / height, 0, 1) + 0.28 * leaves
    alpha = coverage(-above + 0.5 * leaves, size) * coverage(y - foot + 0 * x, size)
    paint(plate, alpha, colour * light[..., None])
