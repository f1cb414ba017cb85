"""A Gaussian mixture with full covariances, in float64 on any device, for the autoencoder's codes.

Expectation-maximisation, started by k-means from k-means++ centres. Each covariance is kept with
the inverse of its Cholesky factor, so that a density is a matrix product; the E-step goes through
the codes in chunks, so that 256 Gaussians of 100 numbers fit beside hundreds of thousands of codes,
and leaves out what is negligible (`vgan.models.densities`).
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from vgan.errors import TrainingError
from vgan.models.densities import Near, near_pairs

logger = logging.getLogger(__name__)

MAX_COMPONENTS = 256  # the paper's
CODES_PER_COMPONENT = 100
_CHUNK_NUMBERS = 1 << 24  # of float64 in the largest temporary: 128 MiB


def components_for(n_codes: int, *, most: int = MAX_COMPONENTS, strict: bool = False) -> int:
    """Return how many Gaussians to fit to so many codes: min(most, n_codes // 100), at least 1.

    Args:
        n_codes: codes to fit to.
        most: components wanted.
        strict: refuse fewer instead of warning; the paper preset's way.

    Raises:
        TrainingError: fewer than 2 codes, or `strict` and too few for `most` components.
    """
    if n_codes < 2:
        raise TrainingError(f"a mixture needs at least 2 codes, there are {n_codes}: add clips")
    components = max(1, min(most, n_codes // CODES_PER_COMPONENT))
    if components == most:
        return components
    needed = most * CODES_PER_COMPONENT
    if strict:
        raise TrainingError(
            f"{most} Gaussians need at least {needed} training clips, there are {n_codes}: "
            "add clips, or use the small preset"
        )
    logger.warning(
        "%d codes are few for %d Gaussians (at least %d): fitting %d",
        n_codes, most, needed, components,
    )  # fmt: skip
    return components


class _Expected(NamedTuple):
    """Sums over the codes that the next M-step needs, about the centres of this one."""

    log_likelihood: Tensor  # (), mean per code
    centres: Tensor  # (K, D)
    counts: Tensor  # (K,)
    sums: Tensor  # (K, D)
    squares: Tensor  # (K, D, D)


class GaussianMixture:
    """Weighted Gaussians over codes.

    Args:
        weights: (K,), positive, sum 1.
        means: (K, D).
        covariances: (K, D, D), symmetric, positive definite.

    Attributes:
        log_likelihoods: mean log-likelihood per code at each iteration of the fit, rising.
        converged: whether the last gain of the fit was below its tolerance.

    Raises:
        TrainingError: a covariance is not positive definite.
    """

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        self.weights = weights.double()
        self.means = means.double()
        self.covariances = covariances.double()
        self.log_likelihoods: list[float] = []
        self.converged = False
        factors, info = torch.linalg.cholesky_ex(self.covariances)
        if bool(info.any()):
            raise TrainingError("a covariance of the mixture is singular: raise `reg_covar`")
        self._factors = factors
        identity = torch.eye(means.shape[1], dtype=torch.float64, device=means.device)
        self._whiteners = torch.linalg.solve_triangular(factors, identity, upper=False)
        self._log_scales: Tensor = self._whiteners.diagonal(dim1=1, dim2=2).log().sum(dim=1)

    @classmethod
    def fit(
        cls,
        codes: Tensor,
        components: int,
        *,
        seed: int = 0,
        reg_covar: float = 1e-6,
        tolerance: float = 1e-3,
        most_iterations: int = 100,
    ) -> Self:
        """Fit by expectation-maximisation from k-means with a k-means++ start.

        Args:
            codes: (N, D), finite.
            components: Gaussians, at most N.
            seed: of the start.
            reg_covar: added to the diagonal of every covariance.
            tolerance: stop when the mean log-likelihood per code gains less.
            most_iterations: stop after so many.

        Raises:
            TrainingError: too few codes, or codes that are not finite.
        """
        if codes.ndim != 2 or not 1 <= components <= len(codes):
            raise TrainingError(f"cannot fit {components} Gaussians to codes {tuple(codes.shape)}")
        codes = codes.detach().double()
        if not bool(codes.isfinite().all()):
            raise TrainingError("the codes are not finite: the autoencoder has diverged")
        groups = k_means(codes, plus_plus_centres(codes, components, seed))
        mixture = cls._first(codes, groups, components, reg_covar)
        return mixture.refine(
            codes, reg_covar=reg_covar, tolerance=tolerance, most_iterations=most_iterations
        )

    def refine(
        self, codes: Tensor, *, reg_covar: float, tolerance: float, most_iterations: int
    ) -> Self:
        """Return this mixture after more expectation-maximisation; arguments as `fit`."""
        mixture, history = self, list[float]()
        for _ in range(most_iterations):
            expected = mixture._expect(codes)
            history.append(float(expected.log_likelihood))
            if len(history) > 1 and history[-1] - history[-2] < tolerance:
                mixture.converged = True
                break
            mixture = self._maximise(expected, reg_covar)
        mixture.log_likelihoods = history
        return mixture

    def log_prob(self, codes: Tensor) -> Tensor:
        """Return the log-densities (N,), float64, of codes (N, D)."""
        found = [
            _log_sums(chunk, list(self._near(chunk))) for chunk in self._chunks(codes.double())
        ]
        return torch.cat(found)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw codes (n, D), float32.

        Args:
            n: how many.
            generator: on the CPU, so that every device draws the same.
        """
        chosen = torch.multinomial(self.weights.cpu(), n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], dtype=torch.float64, generator=generator)
        chosen, noise = chosen.to(self.means.device), noise.to(self.means.device)
        codes = torch.empty_like(noise)
        for component in torch.unique(chosen):
            rows = chosen == component
            codes[rows] = self.means[component] + noise[rows] @ self._factors[component].T
        return codes.float()

    def state_dict(self) -> dict[str, Any]:
        """Return the mixture as tensors and plain values."""
        return {
            "weights": self.weights,
            "means": self.means,
            "covariances": self.covariances,
            "log_likelihoods": self.log_likelihoods,
            "converged": self.converged,
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Build the mixture that `state_dict` was taken from."""
        mixture = cls(state["weights"], state["means"], state["covariances"])
        mixture.log_likelihoods = list(state["log_likelihoods"])
        mixture.converged = bool(state["converged"])
        return mixture

    @classmethod
    def _first(cls, codes: Tensor, groups: Tensor, components: int, reg_covar: float) -> Self:
        """Return the mixture of a partition of the codes, groups (N,) in 0..components-1."""
        centres = codes.mean(dim=0).expand(components, -1)
        members = [codes[groups == k] - centres[k] for k in range(components)]
        counts = torch.stack([codes.new_tensor(len(away)) for away in members])
        sums = torch.stack([away.sum(dim=0) for away in members])
        squares = torch.stack([away.T @ away for away in members])
        nothing = codes.new_zeros(())
        return cls._maximise(_Expected(nothing, centres, counts, sums, squares), reg_covar)

    @classmethod
    def _maximise(cls, expected: _Expected, reg_covar: float) -> Self:
        # As in scikit-learn: a component that lost all its codes must not divide by zero.
        counts = expected.counts + 10 * torch.finfo(torch.float64).eps
        shifts = expected.sums / counts[:, None]
        spreads = expected.squares / counts[:, None, None]
        covariances = spreads - shifts[:, :, None] * shifts[:, None, :]
        covariances.diagonal(dim1=1, dim2=2).add_(reg_covar)
        return cls(counts / counts.sum(), expected.centres + shifts, covariances)

    def _expect(self, codes: Tensor) -> _Expected:
        components, dimensions = self.means.shape
        total = codes.new_zeros(())
        counts, sums = codes.new_zeros(components), codes.new_zeros(components, dimensions)
        squares = codes.new_zeros(components, dimensions, dimensions)
        for chunk in self._chunks(codes):
            near = list(self._near(chunk))
            log_densities = _log_sums(chunk, near)
            total += log_densities.sum()
            for k, rows, joint in near:
                shares = (joint - log_densities[rows]).exp()
                away = chunk[rows] - self.means[k]
                shared = shares[:, None] * away
                counts[k] += shares.sum()
                sums[k] += shared.sum(dim=0)
                squares[k] += shared.T @ away
        return _Expected(total / len(codes), self.means, counts, sums, squares)

    def _near(self, codes: Tensor) -> Iterator[Near]:
        constant = self.means.shape[1] * math.log(2 * math.pi)
        log_peaks = self.weights.log() + self._log_scales - 0.5 * constant
        return near_pairs(codes, self.means, self._whiteners, log_peaks)

    def _chunks(self, codes: Tensor) -> tuple[Tensor, ...]:
        return torch.split(codes, max(1, _CHUNK_NUMBERS // max(self.means.shape)))


def _log_sums(codes: Tensor, near: Sequence[Near]) -> Tensor:
    """Return the logarithm of the sum over components of exp(joint), (N,)."""
    largest = codes.new_full((len(codes),), -math.inf)
    for _, rows, joint in near:
        largest[rows] = torch.maximum(largest[rows], joint)
    total = torch.zeros_like(largest)
    for _, rows, joint in near:
        total[rows] += (joint - largest[rows]).exp()
    return total.log() + largest


def plus_plus_centres(codes: Tensor, components: int, seed: int) -> Tensor:
    """Choose starting centres (K, D) among codes (N, D), each far from those before it.

    Source:
        Arthur and Vassilvitskii, k-means++, SODA 2007: the next centre is drawn with probability
        proportional to the squared distance from the nearest one so far; here the best of a few
        such draws (their greedy form).
    """
    chance = torch.Generator().manual_seed(seed)
    rows = [int(torch.randint(len(codes), (), generator=chance))]
    distances = (codes - codes[rows[0]]).square().sum(dim=1)
    n_draws = 2 + int(math.log(components))
    while len(rows) < components:
        heights = distances.cpu().cumsum(dim=0)
        draws = torch.rand(n_draws, dtype=torch.float64, generator=chance) * heights[-1]
        drawn = torch.searchsorted(heights, draws, right=True).clamp_(max=len(codes) - 1)
        drawn = drawn.to(codes.device)
        left = torch.minimum(distances, torch.cdist(codes[drawn], codes).square())  # (draws, N)
        best = int(left.sum(dim=1).argmin())
        rows.append(int(drawn[best]))
        distances = left[best]
    return codes[rows]


def k_means(codes: Tensor, centres: Tensor, most_iterations: int = 20) -> Tensor:
    """Return groups (N,) of codes (N, D) after Lloyd's iterations from centres (K, D).

    A centre that loses all its codes stays where it is.
    """
    groups = torch.cdist(codes, centres).argmin(dim=1)
    for _ in range(most_iterations):
        sums = torch.zeros_like(centres).index_add_(0, groups, codes)
        counts = torch.bincount(groups, minlength=len(centres))[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
        before, groups = groups, torch.cdist(codes, centres).argmin(dim=1)
        if torch.equal(before, groups):
            break
    return groups
