"""k-means in float32 on any device: the start of the mixture of the autoencoder's codes.

Lloyd's iterations end in the nearest of many local optima, and in 100 dimensions a poor one: some
groups of a handful of codes, others of thousands. So centres are moved from where they are least
missed to where the codes are farthest from theirs, as long as that pays.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from vgan.models.measuring import exact_float32

_CHUNK_NUMBERS = 1 << 21  # of float32 in the largest temporary: small enough for the cache
_LEAST_GAIN = 1e-4  # of the inertia, for which centres go on being moved
_TRIAL_ITERATIONS = 5
_MOST_ITERATIONS = 300


@exact_float32()  # a distance is what is left of the products of long vectors
def k_means(codes: Tensor, components: int, seed: int) -> Tensor:
    """Return groups (N,) in 0..components-1 of codes (N, D): k-means++, Lloyd, moves of centres.

    A move takes the centres whose codes would lose least by going to their second nearest, and
    halves with each of them a group of large inertia. At first a quarter of the centres move at
    once, then half as many each time that it does not pay.

    Args:
        codes: finite.
        components: groups, at most N; one may stay empty.
        seed: of the start and of the moves, the same on every device.
    """
    chance = torch.Generator().manual_seed(seed)
    codes = (codes - codes.mean(dim=0)).float()  # near zero, where float32 is fine
    best = _fitted(codes, plus_plus_centres(codes, components, chance), _TRIAL_ITERATIONS)
    moved = components // 4
    while moved:
        trial = _fitted(codes, _moved(codes, best, moved, chance), _TRIAL_ITERATIONS)
        if trial.inertia < best.inertia * (1 - _LEAST_GAIN):
            best = trial
        else:
            moved //= 2
    return lloyd(codes, best.centres, _MOST_ITERATIONS)[1]


def plus_plus_centres(codes: Tensor, components: int, chance: torch.Generator) -> Tensor:
    """Choose starting centres (K, D) among codes (N, D), each far from those before it.

    Source:
        Arthur and Vassilvitskii, k-means++, SODA 2007: the next centre is drawn with probability
        proportional to the squared distance from the nearest one so far; here the best of a few
        such draws (their greedy form).
    """
    squares = codes.square().sum(dim=1)
    rows = [int(torch.randint(len(codes), (), generator=chance))]
    distances = _squared_distances(codes, squares, codes[rows])[0]
    n_draws = 2 + int(math.log(components))
    while len(rows) < components:
        heights = distances.double().cpu().cumsum(dim=0)
        draws = torch.rand(n_draws, dtype=torch.float64, generator=chance) * heights[-1]
        drawn = torch.searchsorted(heights, draws, right=True).clamp_(max=len(codes) - 1)
        drawn = drawn.to(codes.device)
        left = torch.minimum(distances, _squared_distances(codes, squares, codes[drawn]))
        best = int(left.sum(dim=1).argmin())
        rows.append(int(drawn[best]))
        distances = left[best]
    return codes[rows]


def lloyd(codes: Tensor, centres: Tensor, most_iterations: int) -> tuple[Tensor, Tensor]:
    """Return centres (K, D) and groups (N,) of codes (N, D) after Lloyd's iterations.

    A centre that loses all its codes stays where it is.
    """
    groups = _nearest(codes, centres)
    for _ in range(most_iterations):
        sums = torch.zeros_like(centres).index_add_(0, groups, codes)
        counts = torch.bincount(groups, minlength=len(centres))[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
        before, groups = groups, _nearest(codes, centres)
        if torch.equal(before, groups):
            break
    return centres, groups


class _Fitted(NamedTuple):
    centres: Tensor  # (K, D)
    groups: Tensor  # (N,)
    inertias: Tensor  # (K,), summed squared distances of each group
    losses: Tensor  # (K,), what they would grow by without the centre
    inertia: float


def _fitted(codes: Tensor, centres: Tensor, iterations: int) -> _Fitted:
    centres = lloyd(codes, centres, iterations)[0]
    found = []
    for heights in _heights(codes, centres):
        nearest = heights.min(dim=1)
        others = heights.scatter(1, nearest.indices[:, None], math.inf)
        found.append((nearest.indices, nearest.values, others.amin(dim=1)))
    groups, nearest_heights, next_heights = (torch.cat(part) for part in zip(*found, strict=True))
    distances = (nearest_heights + codes.square().sum(dim=1)).clamp_(min=0)
    nothing = torch.zeros_like(centres[:, 0])
    inertias = nothing.index_add(0, groups, distances)
    losses = nothing.index_add(0, groups, next_heights - nearest_heights)
    return _Fitted(centres, groups, inertias, losses, float(inertias.double().sum()))


def _moved(codes: Tensor, fitted: _Fitted, count: int, chance: torch.Generator) -> Tensor:
    """Return the centres with the least missed moved: each halves one of the worst groups."""
    missed = fitted.losses.argsort()
    idle, others = missed[:count], missed[count:]
    worst = others[fitted.inertias[others].argsort(descending=True)[:count]]
    worst = worst[fitted.inertias[worst] > 0]  # of equal codes alone, or of none, there is no half
    idle = idle[: len(worst)]
    centres = fitted.centres.clone()
    halves = torch.empty_like(centres[idle])
    for half, group in zip(halves, worst, strict=True):
        members = (fitted.groups == group).nonzero().squeeze(1)
        chosen = members[int(torch.randint(len(members), (), generator=chance))]
        half.copy_((codes[chosen] - centres[group]) / 2)
    centres[idle] = centres[worst] + halves
    centres[worst] -= halves
    return centres


def _nearest(codes: Tensor, centres: Tensor) -> Tensor:
    return torch.cat([heights.min(dim=1).indices for heights in _heights(codes, centres)])


def _heights(codes: Tensor, centres: Tensor) -> Iterator[Tensor]:
    """Yield, chunk after chunk, the codes' squared distances (n, K) from centres less |code|^2."""
    squares = centres.square().sum(dim=1)
    for chunk in torch.split(codes, max(1, _CHUNK_NUMBERS // max(centres.shape))):
        yield torch.addmm(squares, chunk, centres.T, alpha=-2)


def _squared_distances(codes: Tensor, squares: Tensor, points: Tensor) -> Tensor:
    """Return squared distances (P, N) of points (P, D) from codes (N, D) of these squares (N,)."""
    lengths = points.square().sum(dim=1)[:, None]
    return torch.addmm(squares + lengths, points, codes.T, alpha=-2).clamp_(min=0)
