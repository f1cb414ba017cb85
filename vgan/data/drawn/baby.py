"""Baby: a room or a blanket stands still; a baby turns its head, waves its arms and kicks."""

from dataclasses import dataclass

import numpy as np

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

_PASTELS = ((0.96, 0.78, 0.82), (0.72, 0.84, 0.95), (0.97, 0.92, 0.74), (0.78, 0.91, 0.78),
            (0.87, 0.80, 0.94), (0.96, 0.96, 0.94), (0.98, 0.83, 0.68))  # fmt: skip
_SUITS = ((0.95, 0.55, 0.65), (0.40, 0.62, 0.88), (0.98, 0.82, 0.35), (0.50, 0.78, 0.55),
          (0.97, 0.97, 0.95), (0.90, 0.40, 0.30), (0.62, 0.50, 0.80))  # fmt: skip
_WOODS = ((0.62, 0.42, 0.26), (0.86, 0.72, 0.52), (0.95, 0.94, 0.92), (0.40, 0.28, 0.20))
_SKINS = ((0.97, 0.80, 0.70), (0.90, 0.70, 0.56), (0.66, 0.46, 0.34), (0.42, 0.29, 0.22))
_HAIRS = ((0.20, 0.13, 0.09), (0.10, 0.08, 0.08), (0.45, 0.30, 0.16), (0.80, 0.62, 0.36))


@dataclass(frozen=True)
class _Frame:
    """Where a baby is: turns positions in its own frame (head up) into the picture's."""

    x: float
    y: float
    scale: float
    angle: float

    def at(self, across: Array | float, down: Array | float) -> tuple[Array, Array]:
        """Return x and y of a point given from the neck: across to the right, down the body."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        x = self.x + self.scale * (cos * across - sin * down)
        y = self.y + self.scale * (sin * across + cos * down)
        return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _pattern(rng: np.random.Generator, size: int, base: Array, scale: float) -> Array:
    """Cloth or wallpaper: plain, stripes, checks or dots, faintly uneven."""
    x, y = grid(size)
    turn = rng.uniform(0, np.pi)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    step, kind = 2 * np.pi / (scale * rng.uniform(0.8, 1.5)), rng.integers(4)
    across, down = np.sin(u * step), np.sin(v * step)
    marks = (0 * across, smooth(-0.2, 0.2, across), 0.5 * (across > 0) + 0.5 * (down > 0),
             smooth(1.2, 1.5, across + down))[kind]  # fmt: skip
    other = tint(rng, _PASTELS[rng.integers(len(_PASTELS))])
    cloth = base + (0.75 * marks)[..., None] * (other - base)
    weave = 1 + 0.03 * noise(rng, size, size, (30, 30), 2)
    return np.asarray(cloth * weave[..., None], np.float32)


def _toys(rng: np.random.Generator, plate: Array, low: float) -> None:
    size = len(plate)
    x, y = grid(size)
    for side in (-1, 1):
        if rng.random() < 0.45:
            continue
        at, radius = (32 + side * rng.uniform(22, 28), rng.uniform(low, 60)), rng.uniform(2.5, 4.5)
        colour = tint(rng, _SUITS[rng.integers(len(_SUITS))])
        lit = 1.15 - 0.06 * ((x - at[0]) + (y - at[1]))[..., None] / radius * 3
        shadow = ellipse(x, y, (at[0] + 0.5, at[1] + radius), (radius * 1.2, radius * 0.4))
        paint(plate, 0.35 * coverage(shadow, size, 2), 0.4 * plate)
        if rng.random() < 0.5:
            paint(plate, coverage(ellipse(x, y, at, (radius, radius)), size), colour * lit)
        else:
            cube = box(x, y, at, (radius * 0.85, radius * 0.85), 0.5)
            paint(plate, coverage(cube, size), colour * lit)


def _room(rng: np.random.Generator, size: int) -> Array:
    """A wall, perhaps the bars of a crib, and a mattress or rug to sit on."""
    x, y = grid(size)
    wall = tint(rng, _PASTELS[rng.integers(len(_PASTELS))])
    light = 1.02 - 0.004 * np.hypot(x - rng.uniform(0, 64), y - 5)
    plate = _pattern(rng, size, wall, 7) * (0.9 * light)[..., None]
    edge = float(rng.uniform(36, 46))
    if rng.random() < 0.65:
        wood = tint(rng, _WOODS[rng.integers(len(_WOODS))])
        gap, top = rng.uniform(6, 9), rng.uniform(8, 16)
        bars = np.abs(np.mod(x - rng.uniform(0, 8), gap) - gap / 2) - 0.9
        shade = (1.1 - 0.5 * np.abs(np.mod(x, gap) / gap - 0.5))[..., None]
        paint(plate, coverage(bars + 0 * y, size) * (y > top) * 1.0, wood * shade)
        paint(plate, coverage(np.abs(y - top) - 1.6 + 0 * x, size), wood * 0.95)
    seat = _pattern(rng, size, tint(rng, _PASTELS[rng.integers(len(_PASTELS))]), 10)
    folds = 1 + 0.08 * noise(rng, size, size, (4, 5), 3) - 0.10 * smooth(edge + 6, edge, y)
    curve = edge + 0.004 * (x - 32) ** 2
    paint(plate, coverage(curve - y, size, 2), seat * folds[..., None])
    _toys(rng, plate, edge + 8)
    return np.asarray(plate, np.float32)


def _blanket(rng: np.random.Generator, size: int) -> Array:
    """A blanket seen from above, with folds, and the rails of a crib at the sides."""
    x, y = grid(size)
    cloth = _pattern(rng, size, tint(rng, _PASTELS[rng.integers(len(_PASTELS))]), 9)
    folds = 0.94 + 0.09 * noise(rng, size, size, (4, 4), 4)
    folds = folds - 0.003 * np.hypot(x - rng.uniform(10, 50), y - rng.uniform(10, 30))
    plate = cloth * folds[..., None]
    if rng.random() < 0.5:
        wood = tint(rng, _WOODS[rng.integers(len(_WOODS))])
        inner = rng.uniform(25, 29)
        for far in (-1, 1):
            rail = inner - far * (x - 32)
            paint(plate, 0.35 * smooth(4, 0, rail) + 0 * y, 0.3 * plate)
            paint(plate, coverage(rail + 0 * y, size), wood * (1 + 0.05 * rail)[..., None])
            slat = np.sin(y * rng.uniform(0.9, 1.2)) * (rail < -1.5)
            paint(plate, 0.5 * (slat > 0.35), 0.35 * wood)
    else:
        _toys(rng, plate, 8)
    return np.asarray(plate, np.float32)


def _sway(rng: np.random.Generator, seconds: Array, quick: float = 1.0) -> Array:
    """A restless movement in about [-1, 1], (T, 1, 1)."""
    first, second = rng.uniform(0.5, 1.0) * quick, rng.uniform(1.2, 2.0) * quick
    phase = rng.uniform(0, 2 * np.pi, 2)
    way = 0.7 * np.sin(2 * np.pi * first * seconds + phase[0])
    way = way + 0.35 * np.sin(2 * np.pi * second * seconds + phase[1])
    return np.asarray(way, np.float32)[:, None, None]


def _limbs(rng: np.random.Generator, layer: Layer, seconds: Array, frame: _Frame, sits: bool,
           colours: tuple[Array, Array]) -> None:  # fmt: skip
    """Legs, body and arms; the head comes after them."""
    skin, suit = colours
    s = frame.scale
    bare = skin if rng.random() < 0.5 else suit
    for side in (-1, 1):
        kick, spread = _sway(rng, seconds, 1.2), _sway(rng, seconds)
        if sits:
            knee = frame.at(side * (9.5 + 0.8 * spread), 19 + 1.2 * kick)
            foot = frame.at(side * (13.5 + 1.5 * spread), 22.5 + 1.5 * kick)
        else:
            knee = frame.at(side * (7 + 1.5 * spread), 21 - 2.0 * kick)
            foot = frame.at(side * (5 + 2.5 * spread), 28 - 3.5 * kick)
        layer.limb(frame.at(side * 3.6, 17), knee, (4.2 * s, 3.1 * s), suit)
        layer.limb(knee, foot, (3.0 * s, 2.2 * s), bare)
        layer.blob(foot, (2.4 * s, 2.2 * s), skin)
    layer.limb(frame.at(0, 9.5), frame.at(0, 16), (6.0 * s, 7.0 * s), suit)
    lift = -3.0 if sits else -6.0
    for side in (-1, 1):
        wave, bend = _sway(rng, seconds, 1.3), _sway(rng, seconds)
        elbow = frame.at(side * (10 + 1.2 * bend), 10.5 + 2.8 * wave)
        hand = frame.at(side * (13 + 2.5 * bend), 10 + lift * 0.7 + 6.5 * wave)
        layer.limb(frame.at(side * 5, 7), elbow, (2.9 * s, 2.3 * s), suit)
        layer.limb(elbow, hand, (2.1 * s, 1.8 * s), skin)
        layer.blob(hand, (2.2 * s, 2.2 * s), skin)


def _head(rng: np.random.Generator, layer: Layer, seconds: Array, frame: _Frame,
          skin: Array) -> None:  # fmt: skip
    """A large round head that turns and nods: the face slides over it."""
    s = frame.scale
    nod, turn, shift = _sway(rng, seconds), _sway(rng, seconds, 0.8), _sway(rng, seconds, 0.7)
    turn = 2.6 * turn + rng.uniform(-1, 1)
    tilt = frame.angle + 0.12 * shift
    across, down = 1.5 * shift, -1.5 + 0.8 * nod
    hair = tint(rng, _HAIRS[rng.integers(4 if skin.mean() > 0.7 else 2)])
    bald, bonnet = rng.random() < 0.35, rng.random() < 0.2
    for side in (-1, 1):
        layer.blob(
            frame.at(across + side * 8.2 - 0.3 * turn, down + 0.5), (1.7 * s, 2.1 * s), 0.93 * skin
        )
    layer.blob(frame.at(across, down), (8.6 * s, 8.4 * s), skin, tilt)
    if not bald:
        colour = tint(rng, _SUITS[rng.integers(len(_SUITS))]) if bonnet else hair
        part, x, y = layer.around([frame.at(across, down)], 9 * s)
        crown = ellipse(x, y, frame.at(across, down), (8.7 * s, 8.5 * s), tilt)
        brow = ellipse(x, y, frame.at(across + 0.5 * turn, down + 3.5), (9.6 * s, 7.6 * s), tilt)
        cap = coverage(crown, layer.size) * (1 - coverage(brow, layer.size, 1.5))
        layer.add(cap, tuple(colour), part)
    blush = np.minimum(skin * np.asarray([1.04, 0.80, 0.78]), 1)
    open_eyes = 1 - smooth(0.86, 0.97, np.sin(2 * np.pi * (0.7 * seconds + rng.random())))
    open_eyes = open_eyes[:, None, None]
    for side in (-1, 1):
        cheek = frame.at(across + turn + side * 4.6, down + 3.0)
        layer.spot(cheek, (1.8 * s, 1.4 * s), tuple(blush), opacity=0.6, softness=2)
        eye = frame.at(across + turn + side * 3.2, down + 0.4 + 0.4 * nod)
        layer.spot(eye, (1.15 * s, (0.35 + 0.95 * open_eyes) * s), tuple(0.35 * hair), angle=tilt)
    nose = frame.at(across + 1.15 * turn, down + 2.2)
    layer.spot(nose, (0.8 * s, 0.6 * s), tuple(0.84 * skin))
    smile = 0.5 + 0.5 * _sway(rng, seconds)
    mouth = frame.at(across + turn, down + 4.6)
    layer.spot(mouth, ((1.5 + 0.5 * smile) * s, (0.5 + 0.7 * smile) * s), (0.66, 0.25, 0.26),
               angle=tilt)  # fmt: skip


def draw(rng: np.random.Generator, seconds: Array, size: int) -> Scene:
    """Draw one baby, sitting in a room or lying on a blanket.

    Args:
        rng: decides room, baby, light and movement.
        seconds: (T,), the time of every frame.
        size: of the picture's side, in pixels.
    """
    sits = bool(rng.random() < 0.55)
    plate = _room(rng, size) if sits else _blanket(rng, size)
    angle = rng.uniform(-0.12, 0.12) if sits else rng.uniform(-1.2, 1.2)
    scale = float(rng.uniform(0.85, 1.2))
    centre = (rng.uniform(26, 38), rng.uniform(26, 31) if sits else rng.uniform(24, 30))
    if not sits:  # keep the middle of the body in the picture when it lies aslant
        centre = (centre[0] + 9 * scale * np.sin(angle), 33 - 9 * scale * np.cos(angle))
    frame = _Frame(float(centre[0]), float(centre[1]), scale, float(angle))
    x, y = grid(size)
    middle = frame.at(0, 19 if sits else 10)
    shadow = ellipse(
        x, y, (middle[0] + 1.5, middle[1] + 2), (16 * scale, (7 if sits else 15) * scale)
    )
    paint(plate, 0.28 * coverage(shadow, size, 6), 0.35 * plate)
    skin = tint(rng, _SKINS[rng.integers(len(_SKINS))], 0.04)
    suit = tint(rng, _SUITS[rng.integers(len(_SUITS))])
    layer = Layer(len(seconds), size)
    _limbs(rng, layer, seconds, frame, sits, (skin, suit))
    _head(rng, layer, seconds, frame, skin)
    return Scene(plate, layer)
