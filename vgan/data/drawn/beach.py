"""Beach: sky, sea and sand stand still; breakers roll in and the swash runs up and back."""

import numpy as np

from vgan.data.drawn.backdrop import sky
from vgan.data.drawn.paint import (
    Array,
    Layer,
    Scene,
    coverage,
    grid,
    noise,
    paint,
    smooth,
    tint,
)

# Sky at the top, sky at the horizon, far sea, near sea, sand: noon, haze, dusk, tropics.
_LIGHTS = (
    ((0.32, 0.55, 0.86), (0.75, 0.86, 0.94), (0.10, 0.30, 0.50), (0.30, 0.56, 0.62),
     (0.85, 0.75, 0.56)),
    ((0.62, 0.67, 0.73), (0.82, 0.84, 0.85), (0.32, 0.42, 0.48), (0.48, 0.57, 0.59),
     (0.71, 0.66, 0.57)),
    ((0.35, 0.34, 0.55), (0.97, 0.68, 0.42), (0.28, 0.26, 0.40), (0.55, 0.45, 0.47),
     (0.66, 0.50, 0.40)),
    ((0.22, 0.50, 0.88), (0.70, 0.89, 0.96), (0.05, 0.40, 0.58), (0.35, 0.78, 0.74),
     (0.94, 0.88, 0.74)),
)  # fmt: skip


def _headland(rng: np.random.Generator, plate: Array, horizon: float, colour: Array) -> None:
    size = len(plate)
    x, y = grid(size)
    reach, height = rng.uniform(14, 40), rng.uniform(2, 7)
    from_edge = x if rng.random() < 0.5 else 64 - x
    crest = height * smooth(reach, 0, from_edge) * (1 + 0.4 * noise(rng, 1, size, (1, 6), 3))
    land = coverage(horizon - crest - y, size) * (y < horizon) * (crest > 0.3)
    shade = 1 + 0.25 * noise(rng, size, size, (16, 16), 2)[..., None]
    paint(plate, land.astype(np.float32), colour * shade)


def _plate(rng: np.random.Generator, size: int, horizon: float, shore: Array, reach: float,
           palette: list[Array]) -> Array:  # fmt: skip
    """The still picture; `shore` (1, W) is the line where the sea rests."""
    x, y = grid(size)
    top, low, far, near, sand = palette
    plate = sky(rng, size, horizon, top, low)
    if rng.random() < 0.5:
        _headland(rng, plate, horizon, 0.5 * low * np.asarray([0.5, 0.6, 0.6], np.float32))
    depth = np.clip((y - horizon) / (shore - horizon), 0, 1)
    sea = far + (near - far) * (depth**1.5)[..., None]
    # Ripples are long and flat far away and grow towards the viewer.
    ripple = noise(rng, size, size, (28, 5), 2) * (0.03 + 0.05 * depth)
    sea = sea + ripple[..., None]
    paint(plate, coverage(horizon - y + 0 * x, size), sea)
    grain = 0.05 * noise(rng, size, size, (5, 4), 3) + 0.035 * rng.standard_normal((size, size))
    ground = sand * (1 + grain[..., None].astype(np.float32) + 0.004 * (y - 50)[..., None])
    wet = smooth(reach + 3.5, reach - 0.5, y - shore)[..., None]
    ground = ground * (1 - wet * (1 - np.asarray([0.66, 0.68, 0.72], np.float32)))
    paint(plate, coverage(shore - y, size, 3), ground)
    return plate


def _breakers(rng: np.random.Generator, layer: Layer, seconds: Array, horizon: float,
              shore: Array, near: Array, foam: Array) -> None:  # fmt: skip
    """Waves that rise behind the shore, whiten and reach it, one after another."""
    count, period = int(rng.integers(2, 4)), rng.uniform(1.8, 3.4)
    start = rng.random()
    frames, columns = len(seconds), layer.x.shape[-1]
    for number in range(count):
        phase = (start + number / count + seconds / period / count) % 1
        phase = phase[:, None, None]
        bend = noise(rng, 1, columns, (1, 3), 2)[None] * 1.2
        line = horizon + (shore[None] - horizon) * (0.25 + 0.75 * phase**1.3) + bend * phase
        strength = smooth(0.08, 0.4, phase) * smooth(1.0, 0.9, phase)
        gaps = noise(rng, frames, columns, (2, 7), 3)[:, None, :]
        white = strength * smooth(0.9 - 1.1 * float(rng.uniform(0.7, 1)), 0.5, gaps + 0.9 * phase)
        thick = 0.4 + 1.9 * phase
        below = layer.y - line
        face = np.exp(-(((below - 1.3 * thick) / (1.1 * thick)) ** 2))
        layer.add((0.55 * strength * face).astype(np.float32), tuple(0.62 * near))
        crest = np.exp(-((below / (0.75 * thick)) ** 2)) * (0.45 * strength + 0.55 * white)
        layer.add(np.minimum(1.1 * crest, 1).astype(np.float32), tuple(foam))


def _swash(rng: np.random.Generator, layer: Layer, seconds: Array, shore: Array, reach: float,
           near: Array, foam: Array) -> None:  # fmt: skip
    """The thin sheet of water that runs up the sand with a rim of foam, and back."""
    frames, (rows, columns) = len(seconds), layer.alpha.shape[1:]
    turn = 2 * np.pi * (seconds / rng.uniform(1.1, 2.2) + rng.random())
    run = 0.5 - 0.5 * np.cos(turn + 0.4 * np.sin(turn))
    lobes = noise(rng, frames, columns, (2, 4), 2) * 0.3 + 0.15 * noise(rng, 1, columns, (1, 9), 2)
    edge = shore[None] + reach * ((0.08 + 0.84 * run[:, None]) * (1 + lobes))[:, None, :] - 0.5
    edge = np.minimum(edge, shore[None] + reach + 1)
    inside = edge - layer.y
    start = smooth(-4.0, 0.5, layer.y - shore[None])
    sheet = coverage(-inside, layer.size) * start
    layer.add((0.8 * sheet).astype(np.float32), tuple(0.8 * near + 0.15))
    lace = noise(rng, rows, columns, (max(rows // 3, 2), 18), 2)[None]
    rim = np.exp(-((inside / rng.uniform(0.9, 1.6)) ** 2))
    trail = 0.75 * smooth(0.1, 0.7, lace + 0.5) * smooth(6.5, 0.5, inside) * (inside > 0)
    layer.add((np.clip(rim + trail * sheet, 0, 1) * start).astype(np.float32), tuple(foam))


def draw(rng: np.random.Generator, seconds: Array, size: int) -> Scene:
    """Draw one beach.

    Args:
        rng: decides layout, light and motion.
        seconds: (T,), the time of every frame.
        size: of the picture's side, in pixels.
    """
    palette = [tint(rng, c, 0.05) for c in _LIGHTS[rng.choice(4, p=(0.32, 0.22, 0.16, 0.3))]]
    horizon, reach = float(rng.uniform(12, 26)), float(rng.uniform(5, 11))
    x, _ = grid(size)
    slope, level = rng.uniform(-0.22, 0.22), rng.uniform(37, 45)
    shore = (level + slope * (x - 32) + 1.2 * noise(rng, 1, size, (1, 3), 2)).astype(np.float32)
    plate = _plate(rng, size, horizon, shore, reach, palette)
    foam = np.minimum(palette[1] * 0.25 + 0.74, 1)
    layer = Layer(len(seconds), size, (0, horizon + 1, 64, float(shore.max()) + reach + 3))
    _breakers(rng, layer, seconds, horizon, shore, palette[3], foam)
    _swash(rng, layer, seconds, shore, reach, palette[3], foam)
    return Scene(plate, layer)
