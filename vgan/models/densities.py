"""Which Gaussians of a mixture have a share in each code, without working out all the densities.

Among 256 Gaussians of 100 numbers a code is near to a few; the others' shares of it are smaller
than rounding. The distance of every code from every Gaussian is bounded from below: at first by
working it out in float32, then, as a fit moves its Gaussians a little at each iteration, by what
the move can have taken from it. Only the pairs that their bound does not rule out are worked out,
in float64.
"""

from collections.abc import Iterator
from typing import NamedTuple, Self

import torch
from torch import Tensor

from vgan.models.measuring import exact_float32

# Shares under exp(-37) = 9e-17 of the largest are left out: float64 would round each of them away.
NEGLIGIBLE = 37.0
_FINE = torch.finfo(torch.float32).eps
_PIECE_NUMBERS = 1 << 19  # in a temporary of the first pass, so that it stays in the cache
_DOUBLINGS = 7  # of the power of a matrix that bounds its norm


class Gaussians(NamedTuple):
    """The components of a mixture as their densities need them, float64.

    Args:
        means: (K, D).
        factors: (K, D, D), the covariances' Cholesky factors, lower triangular.
        whiteners: (K, D, D), the factors' inverses; the distance of x is |whitener (x - mean)|.
        log_peaks: (K,), log of weight times density at the mean.
    """

    means: Tensor
    factors: Tensor
    whiteners: Tensor
    log_peaks: Tensor


class Shares(NamedTuple):
    """The pairs of a code and a Gaussian that count, sorted by Gaussian.

    Args:
        sizes: how many pairs each of the K Gaussians has.
        rows: (P,), the codes of the pairs.
        shares: (P,), the posterior probability of the Gaussian given the code.
    """

    sizes: list[int]
    rows: Tensor
    shares: Tensor

    @classmethod
    def whole(cls, groups: Tensor, components: int) -> Self:
        """Give each code to one Gaussian alone, groups (N,) in 0..components-1."""
        sizes = torch.bincount(groups, minlength=components).tolist()
        shares = torch.ones(len(groups), dtype=torch.float64, device=groups.device)
        return cls(sizes, groups.argsort(stable=True), shares)

    def of_each(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each Gaussian's rows and shares, (m,) and (m,)."""
        rows, shares = (torch.split(part, self.sizes) for part in (self.rows, self.shares))
        yield from zip(rows, shares, strict=True)


class Neighbours:
    """The Gaussians that codes are near to, followed from one iteration of a fit to the next.

    Keeps a float32 for each pair of a code and a Gaussian: 100 MB for 100,000 codes and 256.

    Args:
        codes: (N, D), float64.
        gaussians: of the mixture.
    """

    def __init__(self, codes: Tensor, gaussians: Gaussians) -> None:
        self._codes, self._gaussians = codes, gaussians
        bounds = [_rough_distances(piece, gaussians) for piece in _pieces(codes)]
        self._bounds = torch.cat(bounds, dim=1)  # (K, N), at most the distances
        peaks = gaussians.log_peaks.float()[:, None]
        self._nearest = torch.cat([(peaks - b.square() / 2).argmax(dim=0) for b in bounds])  # (N,)

    def shares(self) -> tuple[Tensor, Shares]:
        """Return the codes' log-densities (N,) and the shares that count."""
        floor = self._nearest_joints() - NEGLIGIBLE
        reach = -2 * floor.float()
        parts = [self._near(k, floor, reach) for k in range(len(self._bounds))]
        sizes = [len(rows) for rows, _ in parts]
        rows, joints = (torch.cat(part) for part in zip(*parts, strict=True))

        largest = floor.scatter_reduce(0, rows, joints, "amax")
        total = torch.zeros_like(largest).index_add_(0, rows, (joints - largest[rows]).exp())
        log_densities = total.log() + largest
        best = joints == largest[rows]
        numbers = torch.arange(len(sizes), device=rows.device)
        components = numbers.repeat_interleave(torch.tensor(sizes, device=rows.device))
        self._nearest[rows[best]] = components[best]
        return log_densities, Shares(sizes, rows, (joints - log_densities[rows]).exp())

    def move(self, to: Gaussians) -> None:
        """Follow the Gaussians to where a fit has moved them.

        With W and L a whitener and its inverse, |W (x - m)| <= |W L'| |W' (x - m')| + |W (m' - m)|.
        """
        here = self._gaussians
        stretches = _norm_bounds(here.whiteners @ to.factors)
        shifts = _lengths((here.whiteners @ (to.means - here.means)[:, :, None]).squeeze(2))
        rounded = (1 - 8 * _FINE) / stretches
        self._bounds.sub_(shifts.float()[:, None]).mul_(rounded.float()[:, None]).clamp_(min=0)
        self._gaussians = to

    def _nearest_joints(self) -> Tensor:
        """Return each code's joint with the Gaussian thought the nearest, (N,): <= its largest."""
        joints = torch.empty_like(self._codes[:, 0])
        grouped = Shares.whole(self._nearest, len(self._bounds))
        for k, (rows, _) in enumerate(grouped.of_each()):
            joints[rows] = self._joints(k, self._distances(k, rows))
        return joints

    def _near(self, k: int, floor: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
        """Return the codes whose joint with a Gaussian is at least their floor, and the joints."""
        bounds = self._bounds[k]
        limit = reach + 2 * self._gaussians.log_peaks[k].float()
        rows = (bounds.square() <= limit).nonzero().squeeze(1)
        distances = self._distances(k, rows)
        bounds[rows] = distances.float() * (1 - 8 * _FINE)
        joints = self._joints(k, distances)
        counts = joints >= floor[rows]
        return rows[counts], joints[counts]

    def _distances(self, k: int, rows: Tensor) -> Tensor:
        """Return the Mahalanobis distances (m,) of some codes from one Gaussian."""
        away = self._codes[rows] - self._gaussians.means[k]
        return _lengths(away @ self._gaussians.whiteners[k].T)

    def _joints(self, k: int, distances: Tensor) -> Tensor:
        """Return log(weight times density), (m,)."""
        return self._gaussians.log_peaks[k] - distances.square() / 2


def _lengths(vectors: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
    return lengths


def _pieces(codes: Tensor) -> tuple[Tensor, ...]:
    return torch.split(codes, max(1, _PIECE_NUMBERS // codes.shape[1]))


@exact_float32()
def _rough_distances(codes: Tensor, gaussians: Gaussians) -> Tensor:
    """Return at most the distances of codes (n, D) from all Gaussians, (K, n), float32.

    A product of float32 is off by no more than D units in the last place of the product of the
    norms, which is why it has to be a full one: TF32 is not.
    """
    rounding = 2 * codes.shape[1] * _FINE
    bounds = codes.new_empty((len(gaussians.means), len(codes)), dtype=torch.float32)
    for bound, mean, whitener in zip(
        bounds, gaussians.means, gaussians.whiteners.float(), strict=True
    ):
        away = (codes - mean).float()
        rough = _lengths(away @ whitener.T)
        error = rounding * (rough + _lengths(whitener.flatten()) * _lengths(away))
        torch.sub(rough, error, out=bound).clamp_(min=0)
    return bounds


def _norm_bounds(matrices: Tensor) -> Tensor:
    """Return at least the largest singular values (K,) of matrices (K, D, D), by 1 % for D = 100.

    The square of the largest is at most the 128th root of the Frobenius norm of (A'A)^128. Only
    products, so that a GPU need not go through the matrices one by one for their eigenvalues.
    """
    power = matrices.mT @ matrices
    logs = torch.zeros_like(power[:, 0, 0])
    for doubling in range(_DOUBLINGS + 1):
        norms = _lengths(power.flatten(1))
        logs += norms.log() / 2**doubling
        power /= norms[:, None, None]
        power = power @ power
    return (logs / 2).exp()
