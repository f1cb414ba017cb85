"""Brushes for the drawn scenes: smooth noise, distances to shapes, anti-aliased layers.

Positions are in units of 1/64 of the picture's side whatever its size, x to the right and y down;
colours are RGB in [0, 1]; everything is float32. Shapes are given by their distance (negative
inside), which turns into coverage over one pixel at the edge: anti-aliasing without supersampling.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]
Colour = Sequence[float | Array]
Point = tuple[ArrayLike, ArrayLike]
Part = tuple[slice, slice, slice]

UNITS = 64.0
_WHOLE: Part = (slice(None), slice(None), slice(None))


@dataclass
class Scene:
    """A still plate and what moves over it.

    Args:
        plate: (H, W, 3), the background.
        layer: what moves.
        front: (H, W), how much of the plate stands in front of the layer; None for nothing.
    """

    plate: Array
    layer: "Layer"
    front: Array | None = None


def grid(size: int) -> tuple[Array, Array]:
    """Return x (1, size) and y (size, 1) of the pixel centres."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) * (UNITS / size)).astype(np.float32)
    return line[None, :], line[:, None]


def smooth(low: float, high: float, value: ArrayLike) -> Array:
    """Rise from 0 at `low` to 1 at `high` without corners; falls where `low` exceeds `high`."""
    t: Array = np.clip((np.asarray(value, np.float32) - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _weights(n: int, knots: int) -> Array:
    """(n, knots) rows that blend a lattice of `knots` values smoothly onto n points."""
    at = np.linspace(0, knots - 1.001, n, dtype=np.float32)
    left = at.astype(np.int64)
    t = smooth(0, 1, at - left)
    out = np.zeros((n, knots), np.float32)
    rows = np.arange(n)
    out[rows, left] = 1 - t
    out[rows, left + 1] = t
    return out


def noise(
    rng: np.random.Generator, rows: int, columns: int, knots: tuple[int, int], octaves: int = 3
) -> Array:
    """Fractal value noise, (rows, columns), mean about 0 and nearly all of it in [-1, 1].

    Args:
        rng: where the lattice comes from.
        rows: of the result.
        columns: of the result.
        knots: lattice cells down and across in the coarsest octave, at least 1 each.
        octaves: each doubles the lattice and halves the strength.
    """
    total = np.zeros((rows, columns), np.float32)
    for octave in range(octaves):
        down, across = (min(k * 2**octave, 4096) + 1 for k in knots)
        lattice = rng.uniform(-1, 1, (down, across)).astype(np.float32)
        total += _weights(rows, down) @ lattice @ _weights(columns, across).T / 2**octave
    return total


def ramp(y: Array, stops: Sequence[tuple[float, ArrayLike]]) -> Array:
    """Colours by height: piecewise linear through (y, colour) stops; adds an axis of 3."""
    heights = [s[0] for s in stops]
    colours = np.asarray([s[1] for s in stops])
    channels = [np.interp(y, heights, colours[:, c]) for c in range(3)]
    return np.stack(channels, -1).astype(np.float32)


def tint(rng: np.random.Generator, colour: ArrayLike, spread: float = 0.06) -> Array:
    """Return a colour near the given one, so that no two clips share a palette."""
    light = 1 + rng.normal(0, spread)
    shifted = np.asarray(colour) * light + rng.normal(0, spread / 2, 3)
    near: Array = np.clip(shifted, 0.01, 0.99)
    return near.astype(np.float32)


def _ellipse(x: Array, y: Array, centre: Point,
             radii: Point, angle: ArrayLike) -> tuple[Array, Array]:  # fmt: skip
    """Distance to an ellipse (to first order at the edge), and how far a point faces the light."""
    cos, sin = np.cos(angle), np.sin(angle)
    dx, dy = x - np.asarray(centre[0]), y - np.asarray(centre[1])
    u = (cos * dx + sin * dy) / np.asarray(radii[0])
    v = (cos * dy - sin * dx) / np.asarray(radii[1])
    radius = np.sqrt(u * u + v * v) + 1e-6
    slope = np.sqrt((u / np.asarray(radii[0])) ** 2 + (v / np.asarray(radii[1])) ** 2) + 1e-6
    distance: Array = radius * (radius - 1) / slope
    lit: Array = -0.55 * (cos * u - sin * v) - 0.75 * (sin * u + cos * v)
    return distance.astype(np.float32), lit.astype(np.float32)


def ellipse(x: Array, y: Array, centre: Point,
            radii: Point, angle: ArrayLike = 0.0) -> Array:  # fmt: skip
    """Distance to an ellipse turned by an angle (radians, clockwise on the screen)."""
    return _ellipse(x, y, centre, radii, angle)[0]


def _capsule(x: Array, y: Array, start: Point, end: Point,
             widths: tuple[float, float]) -> tuple[Array, Array]:  # fmt: skip
    """Distance to a line with round ends of two radii, and how far a point faces the light."""
    ax, ay = np.asarray(start[0], np.float32), np.asarray(start[1], np.float32)
    dx, dy = np.asarray(end[0], np.float32) - ax, np.asarray(end[1], np.float32) - ay
    px, py = x - ax, y - ay
    along = np.clip((px * dx + py * dy) / (dx * dx + dy * dy + 1e-6), 0, 1)
    px, py = px - along * dx, py - along * dy
    radius = widths[0] + (widths[1] - widths[0]) * along
    distance: Array = np.sqrt(px * px + py * py) - radius
    lit: Array = (-0.55 * px - 0.75 * py) / radius
    return distance.astype(np.float32), lit.astype(np.float32)


def box(x: Array, y: Array, centre: Point,
        half: Point, corner: float = 0.0) -> Array:  # fmt: skip
    """Distance to an upright rectangle with rounded corners."""
    u = np.abs(x - np.asarray(centre[0])) - np.asarray(half[0]) + corner
    v = np.abs(y - np.asarray(centre[1])) - np.asarray(half[1]) + corner
    outside = np.sqrt(np.maximum(u, 0) ** 2 + np.maximum(v, 0) ** 2)
    distance: Array = outside + np.minimum(np.maximum(u, v), 0) - corner
    return distance.astype(np.float32)


def coverage(distance: Array, size: int, softness: float = 1.0) -> Array:
    """How much of each pixel lies inside a shape, 0 to 1; softness widens the edge."""
    edge: Array = np.clip(0.5 - distance * (size / UNITS / softness), 0, 1)
    return edge.astype(np.float32)


def paint(plate: Array, alpha: Array, colour: ArrayLike) -> None:
    """Blend a colour, (3,) or (H, W, 3), into a plate (H, W, 3) in place; alpha is (H, W)."""
    plate += alpha[..., None] * (np.asarray(colour, np.float32) - plate)


class Layer:
    """What moves: colour times alpha, and alpha, for every frame of a window of the picture.

    Args:
        frames: T.
        size: of the picture's side, in pixels.
        window: left, top, right, bottom in units; painting outside it is lost. It keeps the
            drawing of a small object cheap.
    """

    def __init__(
        self, frames: int, size: int, window: tuple[float, float, float, float] = (0, 0, 64, 64)
    ) -> None:
        scale = size / UNITS
        left, top = (max(0, int(np.floor(v * scale))) for v in window[:2])
        right, bottom = (min(size, int(np.ceil(v * scale))) for v in window[2:])
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        self.size = size
        self.window = (slice(top, bottom), slice(left, right))
        x, y = grid(size)
        self.x = x[None, :, left:right]  # (1, 1, w)
        self.y = y[None, top:bottom, :]  # (1, h, 1)
        self.alpha = np.zeros((frames, bottom - top, right - left), np.float32)
        self.colour = np.zeros((3, *self.alpha.shape), np.float32)

    def add(self, alpha: Array, colour: Colour, part: Part = _WHOLE) -> None:
        """Blend a colour over a part of what is there.

        Args:
            alpha: (T or 1, h, w) of that part.
            colour: three numbers or arrays like alpha.
            part: rows and columns of the window.
        """
        for channel, value in zip(self.colour, colour, strict=True):
            below = channel[part]
            below += alpha * (value - below)
        below = self.alpha[part]
        below += alpha * (1 - below)

    def shape(self, distance: Array, colour: Colour) -> None:
        """Paint a shape given by its distance over the whole window, anti-aliased."""
        self.add(coverage(distance, self.size), colour)

    def around(self, points: Sequence[Point], radius: ArrayLike) -> tuple[Part, Array, Array]:
        """The part of the window that shapes around some points can reach, and its x and y."""
        reach = float(np.max(radius)) + 2 * UNITS / self.size
        columns = _reach(self.x.ravel(), [p[0] for p in points], reach)
        rows = _reach(self.y.ravel(), [p[1] for p in points], reach)
        return (slice(None), rows, columns), self.x[:, :, columns], self.y[:, rows, :]

    def limb(self, start: Point, end: Point, widths: tuple[float, float], colour: Array) -> None:
        """Paint a rounded limb between two points, lit from the upper left.

        Args:
            start: x and y, each a number or (T, 1, 1).
            end: likewise.
            widths: radius at the start and at the end.
            colour: (3,).
        """
        part, x, y = self.around([start, end], max(widths))
        distance, lit = _capsule(x, y, start, end, widths)
        self.add(coverage(distance, self.size), _shaded(colour, lit), part)

    def blob(self, centre: Point, radii: Point, colour: Array, angle: ArrayLike = 0.0) -> None:
        """Paint an ellipsoid, lit from the upper left; arguments as for `ellipse`."""
        part, x, y = self.around([centre], np.maximum(*radii))
        distance, lit = _ellipse(x, y, centre, radii, angle)
        self.add(coverage(distance, self.size), _shaded(colour, lit), part)

    def spot(self, centre: Point, radii: Point, colour: Colour, *, angle: ArrayLike = 0.0,
             opacity: float = 1.0, softness: float = 1.0) -> None:  # fmt: skip
        """Paint a flat ellipse; arguments as for `ellipse` and `coverage`."""
        part, x, y = self.around([centre], np.maximum(*radii) + softness)
        distance = ellipse(x, y, centre, radii, angle)
        self.add(opacity * coverage(distance, self.size, softness), colour, part)


def _reach(line: Array, values: Sequence[ArrayLike], reach: float) -> slice:
    low = min(float(np.min(v)) for v in values) - reach
    high = max(float(np.max(v)) for v in values) + reach
    first, last = np.searchsorted(line, (low, high))
    return slice(int(first), int(last))


def _shaded(colour: Array, lit: Array) -> list[float | Array]:
    light = 1 + 0.25 * np.clip(lit, -1, 1)
    return [np.minimum(channel * light, 1) for channel in colour]
