import pytest
import torch
from torch.nn import functional

from vgan.models.discriminator import FAKE, REAL
from vgan.training.losses import (
    HINGE,
    TWO_LOGIT,
    mask_prior,
    reconstruction_l2,
    two_logit_cross_entropy,
)


@pytest.mark.parametrize(("label", "target"), [(REAL, 1.0), (FAKE, 0.0)])
def test_two_logit_cross_entropy_equals_binary_cross_entropy_of_the_margin(label, target):
    logits = torch.randn(9, 2, generator=torch.Generator().manual_seed(0)) * 3
    margin = logits[:, REAL] - logits[:, FAKE]

    expected = functional.binary_cross_entropy_with_logits(margin, torch.full((9,), target))

    assert torch.allclose(two_logit_cross_entropy(logits, label), expected)


def test_two_logit_rows_get_opposite_gradients():
    logits = torch.randn(5, 2, requires_grad=True)

    two_logit_cross_entropy(logits, REAL).backward()

    assert torch.allclose(logits.grad[:, REAL], -logits.grad[:, FAKE])


def test_two_logit_terms_of_a_known_margin():
    logits = torch.tensor([[2.0, 0.0]])

    assert TWO_LOGIT.real(logits).item() == pytest.approx(0.126928, abs=1e-6)
    assert TWO_LOGIT.fake(logits).item() == pytest.approx(2.126928, abs=1e-6)
    assert TWO_LOGIT.fool(logits).item() == TWO_LOGIT.real(logits).item()


def test_hinge_terms_of_known_logits():
    logits = torch.tensor([[-2.0], [0.5], [3.0]])

    assert HINGE.real(logits).item() == pytest.approx((3.0 + 0.5 + 0.0) / 3)
    assert HINGE.fake(logits).item() == pytest.approx((0.0 + 1.5 + 4.0) / 3)
    assert HINGE.fool(logits).item() == pytest.approx(-0.5)


def test_hinge_terms_weigh_all_logits_of_a_clip_alike():
    logits = torch.tensor([[-2.0, 0.5, 3.0], [0.0, 0.0, 0.0]])

    assert HINGE.real(logits).item() == pytest.approx((3.0 + 0.5 + 0.0 + 3.0) / 6)
    assert HINGE.fake(logits).item() == pytest.approx((0.0 + 1.5 + 4.0 + 3.0) / 6)
    assert HINGE.fool(logits).item() == pytest.approx(-1.5 / 6)


def test_mask_priors_gradient_is_its_weight_over_the_number_of_values():
    mask = torch.rand(2, 1, 4, 8, 8, requires_grad=True)

    mask_prior(mask, 0.1).backward()

    assert torch.allclose(mask.grad, torch.full_like(mask, 0.1 / mask.numel()))


def test_mask_prior_of_half_a_mask_is_half_its_weight():
    assert mask_prior(torch.full((3, 1, 2, 4, 4), 0.5), 0.1).item() == pytest.approx(0.05)


def test_reconstruction_is_the_mean_squared_error():
    clip = torch.zeros(1, 3, 2, 2, 2)
    off = clip.clone()
    off[0, 0, 0, 0, 0] = 2.0

    assert reconstruction_l2(off, clip).item() == pytest.approx(4.0 / 24)


@pytest.mark.parametrize("loss", [TWO_LOGIT, HINGE])
def test_losses_of_bfloat16_logits_are_float32(loss):
    logits = torch.zeros(3, 2, dtype=torch.bfloat16)

    assert {term(logits).dtype for term in (loss.real, loss.fake, loss.fool)} == {torch.float32}
