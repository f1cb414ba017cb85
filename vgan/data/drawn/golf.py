"""Golf: a course with trees, bunker and flag stands still; a golfer swings and the ball leaves."""

import numpy as np

from vgan.data.drawn.backdrop import sky, trees
from vgan.data.drawn.paint import (
    Array,
    Layer,
    Scene,
    box,
    coverage,
    ellipse,
    grid,
    noise,
    paint,
    smooth,
    tint,
)

_SKIES = (
    ((0.30, 0.54, 0.86), (0.76, 0.87, 0.95)),
    ((0.60, 0.66, 0.74), (0.84, 0.87, 0.90)),
    ((0.42, 0.56, 0.80), (0.97, 0.86, 0.68)),
)
_SHIRTS = ((0.85, 0.18, 0.18), (0.95, 0.95, 0.95), (0.15, 0.35, 0.75), (0.95, 0.55, 0.70),
           (0.98, 0.80, 0.20), (0.10, 0.12, 0.16), (0.95, 0.45, 0.12),
           (0.55, 0.30, 0.65))  # fmt: skip
_TROUSERS = ((0.78, 0.70, 0.55), (0.12, 0.15, 0.28), (0.92, 0.92, 0.90), (0.38, 0.38, 0.40),
             (0.08, 0.08, 0.09))  # fmt: skip
_SKINS = ((0.94, 0.76, 0.64), (0.80, 0.58, 0.44), (0.55, 0.37, 0.27), (0.36, 0.24, 0.18))

# A swing as (seconds, arms' angle, wrists' angle) in degrees from hanging straight down, against
# the target first: address, top, impact, finish.
_SWING = ((0.0, 0.0, 0.0), (0.25, 0.0, 0.0), (0.95, -140.0, -85.0), (1.05, -142.0, -95.0),
          (1.27, 4.0, 0.0), (1.6, 150.0, 95.0))  # fmt: skip
_IMPACT = 1.27


def _bunker(rng: np.random.Generator, plate: Array, horizon: float) -> None:
    size = len(plate)
    x, y = grid(size)
    centre = (rng.uniform(4, 60), horizon + rng.uniform(5, 16))
    wide = rng.uniform(5, 12)
    edge = ellipse(x, y, centre, (wide, wide * rng.uniform(0.16, 0.28)))
    edge = edge + 0.8 * noise(rng, size, size, (8, 8), 2)
    paint(plate, coverage(edge - 0.7, size), (0.20, 0.34, 0.14))
    sand = (
        tint(rng, (0.90, 0.83, 0.66), 0.04)
        * (1 + 0.05 * noise(rng, size, size, (20, 20), 2))[..., None]
    )
    paint(plate, coverage(edge, size), sand)


def _flag(rng: np.random.Generator, plate: Array, horizon: float) -> None:
    size = len(plate)
    x, y = grid(size)
    foot, at, tall = horizon + rng.uniform(2.5, 7), rng.uniform(6, 58), rng.uniform(7, 12)
    green = ellipse(x, y, (at, foot), (rng.uniform(8, 15), rng.uniform(1.3, 2.4)))
    paint(plate, 0.8 * coverage(green, size, 1.5), (0.50, 0.76, 0.36))
    paint(plate, coverage(box(x, y, (at, foot - tall / 2), (0.3, tall / 2)), size), (0.95,) * 3)
    cloth = box(x, y, (at + 1.9, foot - tall + 1.2), (1.7, 1.1))
    paint(plate, coverage(cloth, size), tint(rng, _SHIRTS[rng.choice((0, 4, 6))]))


def _plate(rng: np.random.Generator, size: int, horizon: float) -> Array:
    x, y = grid(size)
    top, low = (tint(rng, c, 0.05) for c in _SKIES[rng.integers(len(_SKIES))])
    plate = sky(rng, size, horizon, top, low, sun=0.15)
    leaf = tint(rng, (0.17, 0.33, 0.15), 0.12)
    far = 0.55 * leaf + 0.45 * low * np.asarray([0.75, 0.85, 0.9])
    trees(rng, plate, horizon + 1, rng.uniform(4, 9), far, 9)
    trees(rng, plate, horizon + 1.2, rng.uniform(3, 8), leaf, int(rng.integers(4, 8)))
    grass = tint(rng, (0.36, 0.60, 0.24), 0.10)
    below = np.maximum(y - horizon, 0)
    stripe = np.sin((x - rng.uniform(0, 64)) / (below + 6) * rng.uniform(4, 12))
    light = (
        1.12 - 0.006 * below + 0.05 * np.clip(3 * stripe, -1, 1)
        + 0.07 * noise(rng, size, size, (4, 3), 3)
        + 0.05 * noise(rng, size, size, (48, 32), 1)
    )  # fmt: skip
    paint(plate, coverage(horizon - y + 0 * x, size, 1.5), grass * light[..., None])
    for _ in range(int(rng.integers(0, 3))):
        _bunker(rng, plate, horizon)
    if rng.random() < 0.7:
        _flag(rng, plate, horizon)
    if rng.random() < 0.35:  # one near tree frames the picture
        at = float(rng.choice((rng.uniform(0, 8), rng.uniform(56, 64))))
        crown = ellipse(x, y, (at, horizon - 9), (rng.uniform(7, 12), rng.uniform(9, 13)))
        leaves = noise(rng, size, size, (12, 12), 3)
        paint(plate, coverage(box(x, y, (at, horizon), (0.9, 9)), size), (0.26, 0.20, 0.15))
        paint(plate, coverage(crown + 2 * leaves, size),
              leaf * (1 + 0.35 * leaves + 0.02 * (horizon - y))[..., None])  # fmt: skip
    return plate


def _swing(clock: Array) -> tuple[Array, Array]:
    """Arms' and wrists' angle in radians at each time, eased between the keys."""
    keys = np.asarray(_SWING)
    after = np.clip(np.searchsorted(keys[:, 0], clock), 1, len(keys) - 1)
    start, end = keys[after - 1], keys[after]
    part = smooth(0, 1, (clock - start[:, 0]) / (end[:, 0] - start[:, 0]))[:, None]
    degrees = start[:, 1:] + (end[:, 1:] - start[:, 1:]) * part
    arms, wrists = np.radians(degrees).astype(np.float32).T[:, :, None, None]
    return arms, wrists


def _golfer(rng: np.random.Generator, layer: Layer, clock: Array, feet: tuple[float, float],
            tall: float, side: int) -> None:  # fmt: skip
    """A golfer seen from the front; `side` is where the target is, 1 for the right."""
    arms, wrists = _swing(clock)
    shirt = tint(rng, _SHIRTS[rng.integers(len(_SHIRTS))])
    trousers = tint(rng, _TROUSERS[rng.integers(len(_TROUSERS))])
    skin = tint(rng, _SKINS[rng.integers(len(_SKINS))], 0.04)
    steel = np.asarray([0.75, 0.76, 0.80], np.float32)
    u = tall / 30
    lean = side * u * (1.4 * smooth(0, 2, arms) - 0.8 * smooth(0, -2, arms))
    x, y = feet
    hip, neck = (x + lean, y - 13.5 * u), (x + 0.35 * lean, y - 24 * u)
    angle = side * arms
    hands = (neck[0] + 8.6 * u * np.sin(angle), neck[1] + 1.5 * u + 8.6 * u * np.cos(angle))
    swing = angle + side * wrists
    head = (hands[0] + 11 * u * np.sin(swing), hands[1] + 11 * u * np.cos(swing))
    for foot in (-1, 1):
        knee = (x + foot * 3.0 * u + 0.5 * lean, y - 7 * u)
        heel = (x + foot * 3.6 * u, y - 0.8 * u)
        layer.limb((hip[0] + foot * 1.4 * u, hip[1]), knee, (2.1 * u, 1.7 * u), trousers)
        layer.limb(knee, heel, (1.7 * u, 1.1 * u), trousers)
        layer.limb(heel, (heel[0] + foot * 1.4 * u, heel[1] + 0.4 * u), (1.0 * u, 0.8 * u),
                   np.asarray([0.92, 0.92, 0.92], np.float32))  # fmt: skip
    layer.limb(hands, head, (0.42, 0.38), steel)
    layer.blob(head, (1.2 * u, 0.8 * u), 0.4 * steel, swing)
    layer.limb(hip, (neck[0], neck[1] + 2.6 * u), (2.9 * u, 3.5 * u), shirt)
    turn = np.cos(0.55 * arms)
    for shoulder in (-1, 1):
        joint = (neck[0] + shoulder * 3.2 * u * turn, neck[1] + 1.8 * u)
        elbow = ((0.5 * (joint[0] + hands[0])), 0.5 * (joint[1] + hands[1]) + 0.4 * u)
        layer.limb(joint, elbow, (1.5 * u, 1.15 * u), shirt)
        layer.limb(elbow, hands, (1.0 * u, 0.9 * u), skin)
    layer.blob((neck[0], neck[1] - 2.2 * u), (2.2 * u, 2.7 * u), skin)
    cap = tint(rng, _SHIRTS[rng.integers(len(_SHIRTS))])
    layer.blob((neck[0], neck[1] - 3.8 * u), (2.4 * u, 1.5 * u), cap)


def _ball(rng: np.random.Generator, layer: Layer, clock: Array, start: tuple[float, float],
          side: int) -> None:  # fmt: skip
    flight = np.maximum(clock - _IMPACT, 0)[:, None, None]
    x = start[0] + side * flight * rng.uniform(60, 110)
    y = start[1] - flight * rng.uniform(60, 110) + 40 * flight**2
    radius = 0.95 - 0.5 * smooth(0, 0.4, flight)
    layer.blob((x, y), (radius, radius), np.asarray([0.98, 0.98, 0.97], np.float32))


def draw(rng: np.random.Generator, seconds: Array, size: int) -> Scene:
    """Draw one golf swing.

    Args:
        rng: decides course, golfer, light and timing.
        seconds: (T,), the time of every frame.
        size: of the picture's side, in pixels.
    """
    horizon = float(rng.uniform(19, 31))
    plate = _plate(rng, size, horizon)
    tall, side = float(rng.uniform(25, 38)), int(rng.choice((-1, 1)))
    feet = (float(rng.uniform(20, 44)), float(rng.uniform(50, 59)))
    x, y = grid(size)
    sun = rng.uniform(-1, 1)
    shadow = ellipse(x, y, (feet[0] + 4 * sun, feet[1] + 0.3), (5 + 4 * abs(sun), 1.5), 0.05 * sun)
    paint(plate, 0.4 * coverage(shadow, size, 2.5), 0.35 * plate)
    clock = seconds * rng.uniform(0.85, 1.15) + rng.uniform(-0.05, 0.5)
    reach = 0.85 * tall
    layer = Layer(len(seconds), size,
                  (feet[0] - reach, feet[1] - 1.45 * tall, feet[0] + reach, 64))  # fmt: skip
    _ball(rng, layer, clock, (feet[0] + side * 1.5, feet[1] + 0.9), side)
    _golfer(rng, layer, clock, feet, tall, side)
    return Scene(plate, layer)
