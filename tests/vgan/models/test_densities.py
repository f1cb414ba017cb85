import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from vgan.models.densities import near_pairs
from vgan.models.mixture import GaussianMixture


def mixture_of(spread: float, components: int = 12, numbers: int = 9) -> GaussianMixture:
    chance = torch.Generator().manual_seed(1)
    shape = (components, numbers, numbers)
    roots = torch.randn(shape, generator=chance, dtype=torch.float64)
    covariances = roots @ roots.mT + 0.1 * torch.eye(numbers, dtype=torch.float64)
    means = spread * torch.randn(components, numbers, generator=chance, dtype=torch.float64)
    weights = torch.rand(components, generator=chance, dtype=torch.float64)
    return GaussianMixture(weights / weights.sum(), means, covariances)


@pytest.mark.parametrize("spread", [0.5, 5.0, 50.0])
def test_log_densities_equal_those_of_all_pairs(spread):
    mixture = mixture_of(spread)
    codes = mixture.sample(500, torch.Generator().manual_seed(2)).double()
    normal = MultivariateNormal(mixture.means, mixture.covariances)
    exact = MixtureSameFamily(Categorical(mixture.weights), normal).log_prob(codes)

    torch.testing.assert_close(mixture.log_prob(codes), exact, rtol=0, atol=1e-10)


def test_only_pairs_of_a_negligible_share_are_left_out():
    mixture = mixture_of(20.0)
    codes = mixture.sample(300, torch.Generator().manual_seed(3)).double()
    normal = MultivariateNormal(mixture.means, mixture.covariances)
    log_peaks = mixture.weights.log() + normal.log_prob(mixture.means)
    shares = (mixture.weights.log() + normal.log_prob(codes[:, None])).softmax(dim=1)
    whiteners = torch.linalg.inv(torch.linalg.cholesky(mixture.covariances))
    seen = torch.zeros_like(shares, dtype=torch.bool)
    for k, rows, joint in near_pairs(codes, mixture.means, whiteners, log_peaks):
        seen[rows, k] = True
        exact = mixture.weights[k].log() + normal.log_prob(codes[rows][:, None])[:, k]
        torch.testing.assert_close(joint, exact, rtol=0, atol=1e-9)

    assert float(shares[~seen].max()) < math.exp(-49)
    assert float(seen.float().mean()) < 0.5  # and that was most of the work
