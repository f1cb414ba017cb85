"""Log-densities of codes under many Gaussians, only where they are not negligible.

Among 256 Gaussians of 100 numbers a code is near to a few; the others' shares of it are smaller
than rounding. The distance in the first third of the dimensions costs a tenth of the whole one and
bounds it from below, so that most pairs of a code and a Gaussian are never worked out.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

# Shares under exp(-50) = 2e-22 of the largest are left out: 256 of them are below rounding.
NEGLIGIBLE = 50.0


class Near(NamedTuple):
    """The codes that one Gaussian has a share in.

    Args:
        component: its number.
        rows: (m,), which codes.
        joint: (m,), log(weight times density) of each.
    """

    component: int
    rows: Tensor
    joint: Tensor


def near_pairs(
    codes: Tensor, means: Tensor, whiteners: Tensor, log_peaks: Tensor
) -> Iterator[Near]:
    """Yield, for each Gaussian, the codes whose density under it counts.

    Args:
        codes: (N, D), float64.
        means: (K, D).
        whiteners: (K, D, D), inverses of the covariances' Cholesky factors: lower triangular, so
            that their first rows whiten the first dimensions alone.
        log_peaks: (K,), log of weight times density at the mean.
    """
    few = max(1, codes.shape[1] // 3)
    bounds = torch.stack(
        [
            peak - 0.5 * _distances(codes[:, :few] - mean[:few], whitener[:few, :few])
            for mean, whitener, peak in zip(means, whiteners, log_peaks, strict=True)
        ]
    )  # (K, N), at least the joint
    floor = _joint_of(codes, bounds.argmax(dim=0), means, whiteners, log_peaks) - NEGLIGIBLE
    for k, bound in enumerate(bounds):
        rows = (bound >= floor).nonzero().squeeze(1)
        away = codes[rows] - means[k]
        yield Near(k, rows, log_peaks[k] - 0.5 * _distances(away, whiteners[k]))


def _joint_of(
    codes: Tensor, chosen: Tensor, means: Tensor, whiteners: Tensor, log_peaks: Tensor
) -> Tensor:
    """Return each code's joint with one chosen Gaussian, (N,): no more than its largest."""
    found = torch.empty_like(codes[:, 0])
    for k in torch.unique(chosen).tolist():
        rows = (chosen == k).nonzero().squeeze(1)
        found[rows] = log_peaks[k] - 0.5 * _distances(codes[rows] - means[k], whiteners[k])
    return found


def _distances(away: Tensor, whitener: Tensor) -> Tensor:
    """Return squared Mahalanobis distances (n,) of differences (n, d)."""
    return (away @ whitener.T).square().sum(dim=1)
