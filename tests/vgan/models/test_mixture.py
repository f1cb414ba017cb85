import itertools
import logging

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture as SklearnMixture

from vgan.errors import TrainingError
from vgan.models.mixture import GaussianMixture, components_for

KNOWN_MEANS = torch.tensor([[0.0, 0.0, 0.0], [6.0, 0.0, 2.0], [-5.0, 4.0, 0.0]])
KNOWN_WEIGHTS = torch.tensor([0.5, 0.3, 0.2])


def known_mixture():
    mixing = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.8, 0.0], [0.0, -0.3, 0.5]])
    covariances = torch.stack([mixing @ mixing.T, torch.eye(3), 0.25 * torch.eye(3)])
    return GaussianMixture(KNOWN_WEIGHTS, KNOWN_MEANS, covariances)


def draw(n, seed=0):
    return known_mixture().sample(n, torch.Generator().manual_seed(seed))


def overlapping_codes():
    chance = torch.Generator().manual_seed(3)
    centres = torch.randn(4, 6, generator=chance)
    codes = torch.randn(400, 6, generator=chance) + centres[torch.arange(400) % 4]
    return codes.double()


def test_log_prob_of_one_gaussian_equals_the_closed_form():
    covariance = torch.tensor([[2.0, 0.6], [0.6, 1.0]])
    mean = torch.tensor([1.0, -1.0])
    codes = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    oracle = torch.distributions.MultivariateNormal(mean.double(), covariance.double())

    mixture = GaussianMixture(torch.ones(1), mean[None], covariance[None])

    assert torch.allclose(mixture.log_prob(codes), oracle.log_prob(codes.double()))


def test_one_gaussian_fitted_has_the_codes_mean_and_covariance():
    codes = draw(500)

    mixture = GaussianMixture.fit(codes, 1, reg_share=0.0)

    assert torch.allclose(mixture.means[0], codes.double().mean(dim=0))
    assert np.allclose(mixture.covariances[0], np.cov(codes.double().numpy().T, bias=True))


def test_a_share_of_the_codes_mean_variance_is_added_to_every_variance():
    corners = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0], [2.0, 4.0]])

    mixture = GaussianMixture.fit(corners, 1, reg_share=0.1)

    # Variances of 1 and 4, and a tenth of their mean.
    assert torch.allclose(mixture.covariances[0], torch.diag(torch.tensor([1.25, 4.25]).double()))


def test_fit_recovers_a_known_mixture():
    mixture = GaussianMixture.fit(draw(20_000), 3, tolerance=1e-8)
    order = mixture.weights.argsort(descending=True)

    assert mixture.converged
    assert torch.allclose(mixture.weights[order].float(), KNOWN_WEIGHTS, atol=0.02)
    assert torch.allclose(mixture.means[order].float(), KNOWN_MEANS, atol=0.06)
    assert torch.allclose(mixture.covariances[order], known_mixture().covariances, atol=0.06)


def test_expectation_maximisation_equals_sklearn_from_the_same_start():
    codes = overlapping_codes()
    start = GaussianMixture.fit(codes, 4, most_iterations=1)
    with pytest.warns(UserWarning, match="did not converge"):
        oracle = SklearnMixture(
            4,
            weights_init=start.weights.numpy(),
            means_init=start.means.numpy(),
            precisions_init=torch.linalg.inv(start.covariances).numpy(),
            max_iter=15,
            tol=0.0,
        ).fit(codes.numpy())

    ours = start.refine(codes, reg_covar=1e-6, tolerance=-1.0, most_iterations=15)

    assert torch.allclose(ours.means, torch.from_numpy(oracle.means_))
    assert torch.allclose(ours.weights, torch.from_numpy(oracle.weights_))
    assert torch.allclose(ours.covariances, torch.from_numpy(oracle.covariances_))
    assert np.allclose(ours.log_prob(codes), oracle.score_samples(codes.numpy()))


def test_log_likelihood_rises_at_every_iteration():
    mixture = GaussianMixture.fit(
        overlapping_codes(), 4, tolerance=1e-9, reg_share=1e-12, most_iterations=60
    )

    assert len(mixture.log_likelihoods) > 5
    for before, after in itertools.pairwise(mixture.log_likelihoods):
        assert after >= before - 1e-10


def test_a_fit_ends_with_the_first_gain_below_its_tolerance():
    mixture = GaussianMixture.fit(overlapping_codes(), 4, tolerance=1e-3)
    *before, last = np.diff(mixture.log_likelihoods)

    assert mixture.converged
    assert last < 1e-3 <= min(before)


def test_fit_with_the_same_seed_is_the_same():
    codes = overlapping_codes()

    first, second = (GaussianMixture.fit(codes, 4, seed=5) for _ in range(2))

    assert torch.equal(first.means, second.means)


def test_fit_with_fewer_codes_than_dimensions_samples_finite_codes():
    codes = torch.randn(60, 100, generator=torch.Generator().manual_seed(0))

    sampled = GaussianMixture.fit(codes, 2).sample(50, torch.Generator().manual_seed(0))

    assert sampled.shape == (50, 100)
    assert sampled.isfinite().all()


@pytest.mark.parametrize("scale", [2.0**20, 2.0**-20])
def test_codes_of_any_scale_are_fitted_alike(scale):
    codes = torch.randn(60, 100, generator=torch.Generator().manual_seed(0))
    mixture = GaussianMixture.fit(codes, 2)

    scaled = GaussianMixture.fit(codes * scale, 2)

    assert torch.allclose(scaled.means / scale, mixture.means)
    assert torch.allclose(scaled.covariances / scale**2, mixture.covariances)


def test_codes_that_do_not_vary_are_fitted():
    assert GaussianMixture.fit(torch.ones(10, 2), 1).covariances.diagonal(dim1=1, dim2=2).min() > 0


def test_samples_have_the_mixtures_mean_and_covariance():
    codes = draw(100_000).double()
    mixture = known_mixture()
    mean = mixture.weights @ mixture.means
    away = mixture.means - mean
    covariance = torch.einsum("k,kij->ij", mixture.weights, mixture.covariances)
    covariance += torch.einsum("k,ki,kj->ij", mixture.weights, away, away)

    assert torch.allclose(codes.mean(dim=0), mean, atol=0.05)
    assert torch.allclose(codes.T.cov(), covariance, atol=0.2)


def test_samples_depend_on_the_generator_alone():
    assert torch.equal(draw(10, seed=1), draw(10, seed=1))
    assert not torch.equal(draw(10, seed=1), draw(10, seed=2))


def test_a_mixture_saved_and_loaded_is_the_same(tmp_path):
    mixture = GaussianMixture.fit(overlapping_codes(), 3)
    torch.save(mixture.state_dict(), tmp_path / "mixture.pt")

    loaded = GaussianMixture.from_state_dict(torch.load(tmp_path / "mixture.pt"))

    assert torch.equal(loaded.log_prob(overlapping_codes()), mixture.log_prob(overlapping_codes()))
    assert loaded.log_likelihoods == mixture.log_likelihoods


@pytest.mark.parametrize(
    ("codes", "components"),
    [(25_600, 256), (100_000, 256), (25_599, 255), (512, 5), (99, 1), (2, 1)],
)
def test_components_are_at_most_one_per_hundred_codes(codes, components):
    assert components_for(codes) == components


def test_fewer_components_than_wanted_are_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        components_for(512)

    assert "512 codes are few for 256 Gaussians (at least 25600): fitting 5" in caplog.text


def test_enough_codes_are_not_warned_of(caplog):
    components_for(25_600)

    assert not caplog.records


@pytest.mark.parametrize(("codes", "strict"), [(25_599, True), (1, False), (0, False)])
def test_too_few_codes_are_refused(codes, strict):
    with pytest.raises(TrainingError, match="at least"):
        components_for(codes, strict=strict)


def test_codes_that_are_not_finite_are_refused():
    codes = torch.randn(10, 2)
    codes[3, 1] = torch.nan

    with pytest.raises(TrainingError, match="not finite"):
        GaussianMixture.fit(codes, 2)


def test_more_components_than_codes_are_refused():
    with pytest.raises(TrainingError, match="cannot fit 5 Gaussians"):
        GaussianMixture.fit(torch.randn(4, 2), 5)


def test_singular_covariances_are_refused():
    with pytest.raises(TrainingError, match="singular"):
        GaussianMixture.fit(torch.zeros(10, 2), 1, reg_share=0.0)
