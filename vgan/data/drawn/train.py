"""Train: a line through the country or a platform stands still; a train runs through it."""

from dataclasses import dataclass

import numpy as np

from vgan.data.drawn.backdrop import sky, trees
from vgan.data.drawn.paint import (
    Array,
    Layer,
    Scene,
    box,
    coverage,
    grid,
    noise,
    paint,
    smooth,
    tint,
)

_SKIES = (
    ((0.34, 0.56, 0.85), (0.78, 0.87, 0.94)),
    ((0.58, 0.63, 0.70), (0.83, 0.85, 0.87)),
    ((0.40, 0.42, 0.62), (0.97, 0.76, 0.55)),
)
_GROUNDS = ((0.40, 0.55, 0.25), (0.70, 0.62, 0.34), (0.34, 0.47, 0.24), (0.58, 0.55, 0.38))
_LIVERIES = ((0.80, 0.12, 0.14), (0.14, 0.32, 0.66), (0.93, 0.93, 0.91), (0.10, 0.42, 0.28),
             (0.95, 0.72, 0.12), (0.62, 0.64, 0.68), (0.88, 0.42, 0.10),
             (0.22, 0.22, 0.34))  # fmt: skip


@dataclass(frozen=True)
class _Stock:
    """What the train looks like; lengths in heights of the train's side."""

    body: Array
    band: Array
    roof: Array
    coach: float
    window: float
    share: float
    top: float
    bottom: float
    band_at: float


def _stock(rng: np.random.Generator) -> _Stock:
    body, band = rng.choice(len(_LIVERIES), 2, replace=False)
    top = rng.uniform(0.16, 0.26)
    return _Stock(
        body=tint(rng, _LIVERIES[body]), band=tint(rng, _LIVERIES[band]),
        roof=tint(rng, (0.52, 0.53, 0.56)), coach=float(rng.uniform(2.6, 4.6)),
        window=float(rng.uniform(0.34, 0.75)), share=float(rng.uniform(0.55, 0.82)),
        top=float(top), bottom=float(top + rng.uniform(0.22, 0.34)),
        band_at=float(rng.uniform(0.62, 0.80)),
    )  # fmt: skip


def _between(value: Array, low: float, high: float, blur: Array | float) -> Array:
    """1 between two limits with edges as wide as a pixel's footprint."""
    edges: Array = np.clip((value - low) / blur + 0.5, 0, 1) * np.clip(
        (high - value) / blur + 0.5, 0, 1
    )
    return edges


def _every(value: Array, period: float, share: float, blur: Array | float) -> Array:
    """A row of bars, `share` of each period filled."""
    return _between(np.mod(value, period), 0.5 * (1 - share) * period,
                    0.5 * (1 + share) * period, blur)  # fmt: skip


def _side(layer: Layer, stock: _Stock, along: Array, up: Array, blur: tuple[Array, Array],
          inside: Array, glass: Array) -> None:  # fmt: skip
    """Paint the side of a train.

    Args:
        layer: painted in place.
        stock: its looks.
        along: (T, h, w), distance from the train's nose, in heights of its side.
        up: (1 or T, h, w), 0 at the roof's edge and 1 at the foot of the side.
        blur: footprint of a pixel in `along` and in `up`.
        inside: (T, h, w), 1 where there is train at all.
        glass: colour of the windows.
    """
    wide, high = blur
    light = 1.08 - 0.22 * np.clip(up, 0, 1) + 0.10 * np.exp(-(((up - 0.1) / 0.1) ** 2))
    wall = inside * _between(up, 0.0, 0.88, high)
    layer.add(inside * _between(up, -0.10, 0.03, high), tuple(stock.roof))
    layer.add(wall, [c * light for c in stock.body])
    layer.add(wall * _between(up, stock.band_at, stock.band_at + 0.12, high),
              [c * light for c in stock.band])  # fmt: skip
    panes = _every(along, stock.window, stock.share, wide) * _between(
        up, stock.top, stock.bottom, high
    )
    in_coach = np.mod(along, stock.coach)
    doors = _between(in_coach, 0.30, 0.62, wide) + _between(
        in_coach, stock.coach - 0.62, stock.coach - 0.30, wide
    )
    sheen = 1 + 0.5 * np.sin(9 * up + 2 * along)
    layer.add(wall * panes * (1 - doors), [c * sheen for c in glass])
    layer.add(wall * doors * _between(up, 0.14, 0.86, high), [0.72 * c * light for c in stock.band])
    layer.add(wall * doors * _between(up, stock.top, stock.bottom + 0.05, high), tuple(glass))
    gap = _between(in_coach, -0.1, 0.07, wide) + _between(
        in_coach, stock.coach - 0.07, stock.coach + 0.1, wide
    )
    layer.add(np.minimum(wall * gap, 1), (0.07, 0.07, 0.08))
    layer.add(inside * _between(up, 0.88, 1.0, high), (0.12, 0.12, 0.13))
    bogie = _between(np.mod(in_coach + 0.75, stock.coach), 0.05, 0.62, wide) + _between(
        np.mod(in_coach + 0.75, stock.coach), 0.95, 1.5, wide
    )
    layer.add(np.minimum(inside * _between(up, 0.95, 1.10, high) * bogie, 1), (0.17, 0.16, 0.16))


def _country(rng: np.random.Generator, size: int, rail: float) -> tuple[Array, Array]:
    """Plate of an open landscape with a track at height `rail`, and the masts in front."""
    x, y = grid(size)
    horizon = float(rng.uniform(20, rail - 12))
    top, low = (tint(rng, c, 0.05) for c in _SKIES[rng.integers(len(_SKIES))])
    plate = sky(rng, size, horizon, top, low, sun=0.2)
    hill = tint(rng, (0.36, 0.45, 0.45)) * 0.6 + 0.4 * low
    ridge = horizon - rng.uniform(1, 8) * (0.6 + 0.5 * noise(rng, 1, size, (1, 3), 3))
    paint(plate, coverage(ridge - y, size, 1.5),
          hill * (1 + 0.1 * noise(rng, size, size, (12, 12), 2))[..., None])  # fmt: skip
    ground = tint(rng, _GROUNDS[rng.integers(len(_GROUNDS))], 0.08)
    trees(rng, plate, horizon + 1, rng.uniform(2, 7), 0.55 * ground, int(rng.integers(5, 10)))
    fields = (
        1 + 0.12 * noise(rng, size, size, (12, 3), 3) + 0.05 * rng.standard_normal((size, size))
    )
    paint(plate, coverage(horizon - y + 0 * x, size, 1.5), ground * fields[..., None])
    bed = _between(y + 0 * x, rail - 1.5, rail + 4.0, 1.2)
    stones = 1 + 0.16 * rng.standard_normal((size, size))
    paint(plate, bed, np.asarray([0.46, 0.43, 0.40]) * stones[..., None])
    sleepers = _every(x + 0.6 * y, 2.6, 0.45, 0.9) * _between(y, rail + 0.2, rail + 2.4, 0.9)
    paint(plate, 0.6 * sleepers, (0.26, 0.21, 0.18))
    for height in (rail + 0.4, rail + 2.0):
        paint(plate, _between(y + 0 * x, height - 0.35, height + 0.35, 0.9), (0.70, 0.69, 0.68))
    front = np.zeros((size, size), np.float32)
    if rng.random() < 0.6:
        spacing, start = rng.uniform(24, 42), rng.uniform(0, 24)
        mast = _between(np.mod(x - start, spacing), 1, 2.1, 1.0) * _between(
            y, rail - 24, rail + 4, 1
        )
        front = np.maximum(front, mast.astype(np.float32))
        wire = _between(y + 0 * x, rail - 22.6, rail - 22.1, 1.0)
        paint(plate, 0.6 * wire, (0.25, 0.26, 0.28))
        paint(plate, front, (0.36, 0.38, 0.40))
    return plate, front


def _passing(rng: np.random.Generator, seconds: Array, size: int) -> Scene:
    """A train seen square from the side."""
    rail = float(rng.uniform(41, 53))
    plate, front = _country(rng, size, rail)
    stock = _stock(rng)
    tall = float(rng.uniform(13, 20))
    layer = Layer(len(seconds), size, (0, rail - 1.15 * tall, 64, rail + 2))
    direction, speed = int(rng.choice((-1, 1))), rng.uniform(16, 46)
    nose = rng.uniform(24, 150) if rng.random() < 0.6 else rng.uniform(-8, 30)
    travelled = (nose + speed * seconds)[:, None, None]
    from_left = layer.x if direction > 0 else 64 - layer.x
    along = (travelled - from_left) / tall + 0 * layer.y
    up = (layer.y - (rail - tall)) / tall + 0 * layer.x
    pixel = 64 / size / tall
    slant = rng.uniform(0.1, 0.8)
    profile = slant * smooth(0.75, -0.1, up) ** 2
    inside = np.clip((along - profile) / pixel + 0.5, 0, 1)
    shade = inside * _between(up, 1.0, 1.12, 2 * pixel)
    layer.add(0.5 * shade, (0.05, 0.05, 0.05))
    glass = tint(rng, (0.16, 0.20, 0.26))
    _side(layer, stock, along, up, (np.asarray(pixel), np.asarray(pixel)), inside, glass)
    screen = inside * _between(along - profile, 0.06, 0.34, pixel) * _between(up, 0.12, 0.42, pixel)
    layer.add(screen, tuple(0.8 * glass))
    return Scene(plate, layer, front)


def _platform(rng: np.random.Generator, size: int, eye: tuple[float, float],
              lines: tuple[float, float, float]) -> Array:  # fmt: skip
    """Plate of a station seen along the track.

    Args:
        rng: decides light and surroundings.
        size: of the picture's side, in pixels.
        eye: vanishing point.
        lines: height below the eye, at the right edge of the picture, of the platform's edge,
            of the rail and of the bed's far side.
    """
    x, y = grid(size)
    top, low = (tint(rng, c, 0.05) for c in _SKIES[rng.integers(len(_SKIES))])
    plate = sky(rng, size, eye[1], top, low, sun=0.0)
    trees(rng, plate, eye[1] + 1.5, rng.uniform(3, 8), tint(rng, (0.22, 0.32, 0.2)), 8)
    right = np.maximum(x - eye[0], 0.05) / (64 - eye[0])
    fall = (y - eye[1]) / right  # height below the eye, brought to the right edge
    soft = 64 / size / right
    far = _between(fall + 0 * x, -rng.uniform(14, 26), lines[2], soft) * (x > eye[0])
    brick = tint(rng, (0.56, 0.45, 0.38), 0.12)
    rows = 1 + 0.07 * np.sin(fall * 2.2) + 0.07 * noise(rng, size, size, (16, 16), 2)
    paint(plate, far, brick * rows[..., None])
    below = coverage(eye[1] + 0.3 - y + 0 * x, size)
    stones = 1 + 0.14 * rng.standard_normal((size, size))
    bed = np.asarray([0.36, 0.33, 0.31]) * stones[..., None]
    paint(plate, below * _between(fall, lines[2], 900, soft), bed)
    sleeper = _every(14 / right, 1.1, 0.45, 0.5 + 0.05 / right**2)
    paint(
        plate, 0.5 * below * sleeper * _between(fall, lines[2], lines[0], soft), (0.18, 0.15, 0.13)
    )
    paint(plate, below * _between(fall, lines[1] - 1.2, lines[1] + 1.2, soft), (0.66, 0.65, 0.64))
    # The platform is everything left of its edge, which runs from the eye to the lower right.
    floor = below * np.clip((fall - lines[0]) / soft + 0.5, 0, 1)
    floor = np.maximum(floor, below * (x <= eye[0]))
    tiles = 1 + 0.05 * noise(rng, size, size, (6, 6), 3) + 0.03 * rng.standard_normal((size, size))
    slab = tint(rng, (0.66, 0.64, 0.61), 0.08) * (tiles + 0.004 * (y - 50))[..., None]
    paint(plate, floor, slab)
    paint(plate, below * _between(fall, lines[0], lines[0] + 5, soft), 0.62 * slab)
    yellow = tint(rng, (0.93, 0.76, 0.16) if rng.random() < 0.7 else (0.92, 0.92, 0.9))
    paint(plate, below * _between(fall, lines[0] + 12, lines[0] + 19, soft), yellow)
    if rng.random() < 0.75:
        _canopy(rng, plate, eye)
    return plate


def _canopy(rng: np.random.Generator, plate: Array, eye: tuple[float, float]) -> None:
    """A roof over the platform with columns that shrink towards the eye."""
    size = len(plate)
    x, y = grid(size)
    roof = tint(rng, (0.42, 0.44, 0.46), 0.12)
    left = np.maximum(eye[0] + 1.5 - x, 0.05)
    edge = eye[1] - 2 - left * rng.uniform(0.9, 1.6) - 1
    under = coverage(x - eye[0] - 1.5 + 0 * y, size)
    paint(plate, under * coverage(np.minimum(y - edge, 3), size),
          roof * (0.75 + 0.02 * np.abs(y - eye[1]))[..., None])  # fmt: skip
    for depth in (1.0, 0.55, 0.3):
        at = eye[0] - depth * rng.uniform(13, 20)
        tall = 15 * depth
        post = box(x, y, (at, eye[1] + 2 * depth), (0.3 + 0.9 * depth, tall))
        paint(plate, coverage(post, size), 0.6 * roof)


def _arriving(rng: np.random.Generator, seconds: Array, size: int) -> Scene:
    """A train that comes along a platform towards the viewer, slowing down."""
    eye = (float(rng.uniform(10, 26)), float(rng.uniform(22, 32)))
    rail = float(rng.uniform(24, 32))
    plate = _platform(rng, size, eye, (rail + 3, rail - 2, rail - 9))
    stock = _stock(rng)
    tall = float(rng.uniform(44, 60))  # of the side, brought to the right edge
    layer = Layer(len(seconds), size)
    start, speed = rng.uniform(1.3, 3.4), rng.uniform(0.8, 2.0)
    braked = np.minimum(seconds, 1.6) - 0.22 * seconds**2
    depth = np.maximum(start - speed * braked, 0.8)[:, None, None]  # of the nose; 1: right edge
    span = 64 - eye[0]
    right = np.maximum(layer.x - eye[0], 0.05) / span
    up = ((layer.y - eye[1]) / right - (rail - tall)) / tall
    pixel = 64 / size
    wide, high = pixel / span / right**2, pixel / right / tall
    inside = np.clip((1 / right - depth) / wide + 0.5, 0, 1) * (layer.x > eye[0] + 0.7)
    glass = tint(rng, (0.15, 0.18, 0.23))
    along = (1 / right - depth) * 2.2
    _side(layer, stock, along, up, (2.2 * wide, high), inside, glass)
    _nose(rng, layer, stock, glass, (eye, span / depth, tall, rail))
    return Scene(plate, layer)


def _nose(rng: np.random.Generator, layer: Layer, stock: _Stock, glass: Array,
          place: tuple[tuple[float, float], Array, float, float]) -> None:  # fmt: skip
    """The front of the arriving train, square to the viewer."""
    eye, reach, tall, rail = place
    scale = reach / 46
    left = eye[0] + reach
    half = 0.36 * tall * scale
    middle = eye[1] + (rail - 0.53 * tall) * scale
    centre = left + half
    face = box(layer.x, layer.y, (centre, middle), (half, 0.53 * tall * scale), 1.5)
    light = 1.05 - 0.2 * np.clip((layer.y - middle) / (tall * scale), -0.5, 1)
    front = stock.band if rng.random() < 0.5 else stock.body
    layer.shape(face, [c * light for c in front])
    screen = box(layer.x, layer.y, (centre, middle - 0.20 * tall * scale),
                 (0.78 * half, 0.17 * tall * scale), 1.0)  # fmt: skip
    layer.shape(screen, tuple(glass))
    skirt = box(
        layer.x, layer.y, (centre, middle + 0.47 * tall * scale), (half, 0.07 * tall * scale)
    )
    layer.shape(skirt, (0.13, 0.13, 0.14))
    for side in (-1, 1):
        lamp = (centre + side * 0.62 * half, middle + 0.22 * tall * scale)
        layer.spot(lamp, (0.13 * half + 0.3, 0.13 * half + 0.3), (1.0, 0.97, 0.82))


def draw(rng: np.random.Generator, seconds: Array, size: int) -> Scene:
    """Draw one train, passing in the country or arriving at a platform.

    Args:
        rng: decides place, train, light and speed.
        seconds: (T,), the time of every frame.
        size: of the picture's side, in pixels.
    """
    return (_passing if rng.random() < 0.6 else _arriving)(rng, seconds, size)
