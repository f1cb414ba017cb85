"""A Gaussian mixture with full covariances, in float64 on any device, for the autoencoder's codes.

Expectation-maximisation from groups of k-means (`vgan.models.k_means`). Each covariance is kept
with the inverse of its Cholesky factor, so that a density is a matrix product; what is negligible
is left out (`vgan.models.densities`). Beside the codes a fit needs 4 bytes for each pair of a code
and a Gaussian, so that 256 Gaussians of 100 numbers fit beside hundreds of thousands of codes.
"""

import logging
import math
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from vgan.errors import TrainingError
from vgan.models.densities import Gaussians, Neighbours, Shares
from vgan.models.k_means import k_means

logger = logging.getLogger(__name__)

MAX_COMPONENTS = 256  # the paper's
CODES_PER_COMPONENT = 100


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
            raise TrainingError(
                "a covariance of the mixture is singular: the autoencoder's codes do not differ, "
                "or mixture.pt is damaged; train it again"
            )
        dimensions = means.shape[1]
        identity = torch.eye(dimensions, dtype=torch.float64, device=means.device)
        whiteners = torch.linalg.solve_triangular(factors, identity, upper=False)
        log_scales = whiteners.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        log_peaks = self.weights.log() + log_scales - dimensions / 2 * math.log(2 * math.pi)
        self._gaussians = Gaussians(self.means, factors, whiteners, log_peaks)

    @classmethod
    def fit(
        cls,
        codes: Tensor,
        components: int,
        *,
        seed: int = 0,
        reg_share: float = 1e-6,
        tolerance: float = 1e-3,
        most_iterations: int = 100,
    ) -> Self:
        """Fit by expectation-maximisation from k-means with a k-means++ start.

        Does what scikit-learn's `GaussianMixture` does, from a better optimum of k-means and with
        a regularisation that is relative.

        Args:
            codes: (N, D), finite.
            components: Gaussians, at most N.
            seed: of the start.
            reg_share: of the codes' mean variance, added to the diagonal of every covariance, so
                that codes of any scale are fitted alike; of 1 where they do not vary.
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
        variance = float(codes.var(dim=0, correction=0).mean())
        reg_covar = reg_share * (variance or 1.0)
        shares = Shares.whole(k_means(codes, components, seed), components)
        mixture = cls._maximise(codes, codes.mean(dim=0).expand(components, -1), shares, reg_covar)
        return mixture.refine(
            codes, reg_covar=reg_covar, tolerance=tolerance, most_iterations=most_iterations
        )

    def refine(
        self, codes: Tensor, *, reg_covar: float, tolerance: float, most_iterations: int
    ) -> Self:
        """Return this mixture after more expectation-maximisation.

        Args:
            codes: (N, D), float64.
            reg_covar: added to the diagonal of every covariance.
            tolerance: as `fit`.
            most_iterations: as `fit`.
        """
        mixture, history = self, list[float]()
        neighbours = Neighbours(codes, self._gaussians)
        for _ in range(most_iterations):
            log_densities, shares = neighbours.shares()
            history.append(float(log_densities.mean()))
            if len(history) > 1 and history[-1] - history[-2] < tolerance:
                mixture.converged = True
                break
            mixture = self._maximise(codes, mixture.means, shares, reg_covar)
            neighbours.move(mixture._gaussians)
        mixture.log_likelihoods = history
        return mixture

    def log_prob(self, codes: Tensor) -> Tensor:
        """Return the log-densities (N,), float64, of codes (N, D)."""
        return Neighbours(codes.double(), self._gaussians).shares()[0]

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
            codes[rows] = self.means[component] + noise[rows] @ self._gaussians.factors[component].T
        return codes.float()

    def state_dict(self) -> dict[str, Any]:
        """Return the mixture as tensors, on the CPU, and plain values."""
        return {
            "weights": self.weights.cpu(),
            "means": self.means.cpu(),
            "covariances": self.covariances.cpu(),
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
    def _maximise(cls, codes: Tensor, centres: Tensor, shares: Shares, reg_covar: float) -> Self:
        """Return the mixture of these shares; its sums are taken about centres (K, D) near it."""
        # As in scikit-learn: a component that lost all its codes must not divide by zero.
        least = 10 * torch.finfo(torch.float64).eps
        counts = codes.new_empty(len(centres))
        means = torch.empty_like(centres)
        covariances = codes.new_empty(*centres.shape, centres.shape[1])
        for k, (rows, share) in enumerate(shares.of_each()):
            away = codes[rows] - centres[k]
            shared = share[:, None] * away
            counts[k] = share.sum() + least
            shift = shared.sum(dim=0) / counts[k]
            means[k] = centres[k] + shift
            covariances[k] = shared.T @ away / counts[k] - torch.outer(shift, shift)
        covariances.diagonal(dim1=1, dim2=2).add_(reg_covar)
        return cls(counts / counts.sum(), means, covariances)
