import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from vgan.models import densities
from vgan.models.densities import Gaussians, Neighbours, Shares
from vgan.models.mixture import GaussianMixture


def mixture_of(
    spread: float, components: int = 12, numbers: int = 9, drift: float = 0.0
) -> GaussianMixture:
    """A mixture whose parameters, all of them, go another way the more `drift` it has."""
    chance = torch.Generator().manual_seed(1)

    def draw(*shape):
        here, there = torch.randn(2, *shape, generator=chance, dtype=torch.float64)
        return here + drift * there

    roots = draw(components, numbers, numbers)
    covariances = roots @ roots.mT + 0.1 * torch.eye(numbers, dtype=torch.float64)
    means = spread * draw(components, numbers)
    return GaussianMixture(draw(components).softmax(dim=0), means, covariances)


def gaussians_of(mixture: GaussianMixture) -> Gaussians:
    factors = torch.linalg.cholesky(mixture.covariances)
    normal = MultivariateNormal(mixture.means, scale_tril=factors)
    log_peaks = mixture.weights.log() + normal.log_prob(mixture.means)
    return Gaussians(mixture.means, factors, torch.linalg.inv(factors), log_peaks)


def codes_of(mixture: GaussianMixture, n: int = 500) -> torch.Tensor:
    return mixture.sample(n, torch.Generator().manual_seed(2)).double()


def all_shares(mixture: GaussianMixture, codes: torch.Tensor) -> torch.Tensor:
    normal = MultivariateNormal(mixture.means, mixture.covariances)
    return (mixture.weights.log() + normal.log_prob(codes[:, None])).softmax(dim=1)


def exact_log_densities(mixture: GaussianMixture, codes: torch.Tensor) -> torch.Tensor:
    normal = MultivariateNormal(mixture.means, mixture.covariances)
    return MixtureSameFamily(Categorical(mixture.weights), normal).log_prob(codes)


def spread_out(shares: Shares, codes: torch.Tensor) -> torch.Tensor:
    """Shares as a table (N, K), NaN for the pairs left out."""
    table = torch.full((len(codes), len(shares.sizes)), torch.nan, dtype=torch.float64)
    for k, (rows, share) in enumerate(shares.of_each()):
        table[rows, k] = share
    return table


@pytest.mark.parametrize("spread", [0.5, 5.0, 50.0])
def test_log_densities_equal_those_of_all_pairs(spread):
    mixture = mixture_of(spread)
    codes = codes_of(mixture)

    found = mixture.log_prob(codes)

    torch.testing.assert_close(found, exact_log_densities(mixture, codes), rtol=0, atol=1e-10)


@pytest.mark.parametrize("spread", [0.5, 5.0, 20.0])
def test_only_pairs_of_a_negligible_share_are_left_out(spread):
    mixture = mixture_of(spread)
    codes = codes_of(mixture)
    exact = all_shares(mixture, codes)

    found = spread_out(Neighbours(codes, gaussians_of(mixture)).shares()[1], codes)

    left_out = found.isnan()
    torch.testing.assert_close(found[~left_out], exact[~left_out], rtol=1e-9, atol=1e-12)
    assert not left_out.any() or float(exact[left_out].max()) < math.exp(-36)


def test_most_pairs_of_far_gaussians_are_left_out():
    mixture = mixture_of(20.0)
    codes = codes_of(mixture)

    _, shares = Neighbours(codes, gaussians_of(mixture)).shares()

    assert sum(shares.sizes) < 0.2 * len(codes) * len(mixture.weights)


@pytest.mark.parametrize("drift", [0.001, 0.1, 3.0])
def test_shares_after_moves_equal_those_worked_out_anew(drift):
    codes = codes_of(mixture_of(5.0))
    followed = Neighbours(codes, gaussians_of(mixture_of(5.0)))
    for step in range(1, 4):
        followed.shares()
        moved = mixture_of(5.0, drift=step * drift)
        followed.move(gaussians_of(moved))

        log_densities, shares = followed.shares()

        fresh = spread_out(Neighbours(codes, gaussians_of(moved)).shares()[1], codes)
        found = spread_out(shares, codes)
        torch.testing.assert_close(found.nan_to_num(), fresh.nan_to_num(), rtol=1e-9, atol=1e-15)
        exact = exact_log_densities(moved, codes)
        torch.testing.assert_close(log_densities, exact, rtol=1e-12, atol=1e-10)


def test_a_small_move_leaves_few_distances_to_work_out(monkeypatch):
    mixture = mixture_of(20.0)
    codes = codes_of(mixture)
    followed = Neighbours(codes, gaussians_of(mixture))
    followed.shares()
    worked_out = []
    distances = Neighbours._distances

    def counted(self, k, rows):
        worked_out.append(len(rows))
        return distances(self, k, rows)

    monkeypatch.setattr(Neighbours, "_distances", counted)
    followed.move(gaussians_of(mixture_of(20.0, drift=0.001)))

    _, shares = followed.shares()

    assert sum(worked_out) < 1.5 * (len(codes) + sum(shares.sizes))  # once for the floors


def test_pieces_do_not_change_the_shares(monkeypatch):
    mixture = mixture_of(5.0)
    codes = codes_of(mixture)
    whole = Neighbours(codes, gaussians_of(mixture)).shares()
    monkeypatch.setattr(densities, "_PIECE_NUMBERS", 9 * 37)

    parts = Neighbours(codes, gaussians_of(mixture)).shares()

    assert torch.equal(whole[0], parts[0])
    assert torch.equal(whole[1].rows, parts[1].rows)


def test_nearly_singular_gaussians_far_from_zero_keep_the_pairs_that_count():
    chance = torch.Generator().manual_seed(4)
    means = 1e3 + torch.randn(6, 20, generator=chance, dtype=torch.float64)
    roots = torch.randn(6, 20, 4, generator=chance, dtype=torch.float64)
    covariances = roots @ roots.mT + 1e-6 * torch.eye(20, dtype=torch.float64)
    mixture = GaussianMixture(torch.full((6,), 1 / 6), means, covariances)
    codes = means.repeat(50, 1) + torch.randn(300, 20, generator=chance, dtype=torch.float64)

    found = mixture.log_prob(codes)

    torch.testing.assert_close(found, exact_log_densities(mixture, codes), rtol=1e-9, atol=0)


def test_whole_shares_give_each_code_to_its_group():
    groups = torch.tensor([2, 0, 2, 2])

    parts = [rows.tolist() for rows, _ in Shares.whole(groups, 4).of_each()]

    assert parts == [[1], [], [0, 2, 3], []]


def test_norm_bounds_are_above_the_largest_singular_values_and_near_them():
    chance = torch.Generator().manual_seed(5)
    noise = torch.randn(50, 30, 30, generator=chance, dtype=torch.float64).tril()
    scales = torch.logspace(-6, 3, 50, dtype=torch.float64)[:, None, None]
    matrices = torch.eye(30, dtype=torch.float64) + scales * noise
    exact = torch.linalg.matrix_norm(matrices, 2)

    bounds = densities._norm_bounds(matrices)

    assert (bounds >= exact * (1 - 1e-9)).all()
    assert (bounds <= exact * 1.02).all()
