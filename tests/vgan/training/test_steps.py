"""The training step on the paper's networks at tiny width."""

import copy

import pytest
import torch
from torch import nn

from vgan.models.discriminator import Discriminator
from vgan.models.generator import TwoStreamGenerator
from vgan.training.losses import TWO_LOGIT, mask_prior, two_logit_fake, two_logit_real
from vgan.training.steps import (
    Game,
    Player,
    discriminator_loss,
    frozen,
    generator_loss,
    step_alternating,
    step_discriminator,
    step_generator,
    step_simultaneous,
)

STEPS = [step_simultaneous, step_alternating]


def player(network):
    adam = torch.optim.Adam(network.parameters(), lr=1e-2, betas=(0.5, 0.999))
    return Player(network, adam, getattr(network, "streams", network))


@pytest.fixture
def game():
    torch.manual_seed(0)
    return Game(
        player(TwoStreamGenerator(width=2, latent=8)),
        player(Discriminator(width=2)),
        TWO_LOGIT,
        0.1,
    )


@pytest.fixture
def real():
    return torch.rand(3, 3, 32, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture
def latent():
    return torch.randn(3, 8, generator=torch.Generator().manual_seed(2))


def gradients(network):
    return [weight.grad.clone() for weight in network.parameters()]


def weights(network):
    return [weight.detach().clone() for weight in network.parameters()]


def all_close(first, second):
    return all(
        torch.allclose(a, b, rtol=1e-4, atol=1e-7) for a, b in zip(first, second, strict=True)
    )


def unchanged(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def calls_of(network):
    """Record the input of every forward of a network."""
    seen = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    return seen


def test_discriminators_gradient_is_the_sum_of_its_two_branches(game, real, latent):
    network = game.discriminator.network
    fake = game.generate(latent).clip.detach()
    alone = []
    for clip, loss in ((real, two_logit_real), (fake, two_logit_fake)):
        network.zero_grad()
        loss(network(clip)).backward()
        alone.append(gradients(network))

    step_discriminator(game, real, fake)

    summed = [a + b for a, b in zip(*alone, strict=True)]
    assert all_close(gradients(network), summed)


def test_the_margin_grows_with_how_much_more_real_the_discriminator_finds_real_clips(game):
    sure, wrong = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 1.0]])

    # ln(1 + e) - ln(1 + 1 / e^3): the cross-entropies as real of either.
    assert discriminator_loss(game, sure, wrong)[1]["margin"].item() == pytest.approx(1.264674)
    assert discriminator_loss(game, wrong, sure)[1]["margin"].item() == pytest.approx(-1.264674)


def test_generator_loss_is_the_cross_entropy_as_real_plus_the_mask_prior(game, latent):
    streams = game.generate(latent)
    logits = game.judge(streams.clip)

    loss, metrics = generator_loss(game, logits, streams.mask)

    expected = two_logit_real(logits) + mask_prior(streams.mask, 0.1)
    assert torch.allclose(loss, expected)
    assert metrics["mask_mean"] == streams.mask.mean()


def test_generator_loss_without_a_mask_has_no_mask_term(game, latent):
    logits = game.judge(game.generate(latent).clip)

    loss, metrics = generator_loss(game, logits, None)

    assert torch.equal(loss, two_logit_real(logits))
    assert not {"loss_g_mask", "mask_mean"} & set(metrics)


def test_simultaneous_takes_both_gradients_at_the_old_weights(game, real, latent):
    before = copy.deepcopy(game)
    streams = before.generate(latent)
    real_logits, fake_logits = before.judge(real), before.judge(streams.clip)
    loss_d, _ = discriminator_loss(before, real_logits, fake_logits)
    loss_g, _ = generator_loss(before, fake_logits, streams.mask)
    of_d = torch.autograd.grad(
        loss_d, list(before.discriminator.network.parameters()), retain_graph=True
    )
    of_g = torch.autograd.grad(loss_g, list(before.generator.network.parameters()))

    step_simultaneous(game, real, latent)

    assert all_close(gradients(game.discriminator.network), of_d)
    assert all_close(gradients(game.generator.network), of_g)


def test_alternating_takes_the_generators_gradient_from_the_moved_discriminator(game, real, latent):
    before = copy.deepcopy(game)
    streams = before.generate(latent)
    step_discriminator(before, real, streams.clip.detach())
    loss, _ = generator_loss(before, before.judge(streams.clip), streams.mask)
    expected = torch.autograd.grad(loss, list(before.generator.network.parameters()))

    step_alternating(game, real, latent)

    assert unchanged(weights(game.discriminator.network), weights(before.discriminator.network))
    assert all_close(gradients(game.generator.network), expected)


def test_the_two_orders_move_the_generator_differently(game, real, latent):
    other = copy.deepcopy(game)

    step_simultaneous(game, real, latent)
    step_alternating(other, real, latent)

    assert all_close(weights(game.discriminator.network), weights(other.discriminator.network))
    assert not all_close(weights(game.generator.network), weights(other.generator.network))


def test_simultaneous_generates_once_and_judges_the_fakes_once(game, real, latent):
    generated, judged = [], calls_of(game.discriminator.network)
    game.generator.network.head.register_forward_hook(lambda *_: generated.append(1))

    step_simultaneous(game, real, latent)

    assert len(generated) == 1
    assert len(judged) == 2


def test_alternating_generates_once_and_judges_the_fakes_twice(game, real, latent):
    generated, judged = [], calls_of(game.discriminator.network)
    game.generator.network.head.register_forward_hook(lambda *_: generated.append(1))

    step_alternating(game, real, latent)

    assert len(generated) == 1
    assert len(judged) == 3
    assert torch.equal(judged[1], judged[2])


@pytest.mark.parametrize("step", STEPS)
def test_real_and_fake_never_share_a_batch(game, real, latent, step):
    judged = calls_of(game.discriminator.network)

    step(game, real, latent)

    assert torch.equal(judged[0], real)
    assert all(len(clip) == len(real) for clip in judged)
    assert not any(torch.equal(row, clip_row) for row in real for clip_row in judged[1])


@pytest.mark.parametrize("step", STEPS)
def test_a_step_moves_every_weight_of_both_networks(game, real, latent, step):
    networks = (game.generator.network, game.discriminator.network)
    before = [weights(network) for network in networks]

    step(game, real, latent)

    for network, old in zip(networks, before, strict=True):
        for (name, new), was in zip(network.named_parameters(), old, strict=True):
            assert not torch.equal(new, was), name


def test_the_generators_step_leaves_the_discriminator_alone(game, latent):
    network = game.discriminator.network
    before = weights(network)

    step_generator(game, game.generate(latent))

    assert unchanged(weights(network), before)
    assert all(weight.grad is None for weight in network.parameters())
    assert all(weight.requires_grad for weight in network.parameters())


def test_the_discriminators_step_leaves_the_generator_alone(game, real, latent):
    network = game.generator.network
    before = weights(network)

    step_discriminator(game, real, game.generate(latent).clip.detach())

    assert unchanged(weights(network), before)
    assert all(weight.grad is None for weight in network.parameters())


def test_frozen_freezes_inside_and_thaws_after_an_error():
    network, inside = nn.Linear(2, 2), []

    def failing():
        with frozen(network):
            inside.append(network.weight.requires_grad)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()

    assert inside == [False]
    assert network.weight.requires_grad


@pytest.mark.parametrize("step", STEPS)
def test_metrics_are_detached_scalars_that_add_up(game, real, latent, step):
    metrics = step(game, real, latent)

    assert all(value.ndim == 0 and not value.requires_grad for value in metrics.values())
    assert metrics["loss_d"] == metrics["loss_d_real"] + metrics["loss_d_fake"]
    assert metrics["loss_g"] == metrics["loss_g_fool"] + metrics["loss_g_mask"]


def test_bfloat16_keeps_losses_clips_and_statistics_in_float32(game, real, latent):
    half = Game(game.generator, game.discriminator, TWO_LOGIT, 0.1, torch.bfloat16)

    streams = half.generate(latent)
    metrics = step_simultaneous(half, real, latent)

    assert half.judge(real).dtype == torch.bfloat16
    assert {part.dtype for part in streams} == {torch.float32}
    assert {value.dtype for value in metrics.values()} == {torch.float32}
    buffers = dict(game.discriminator.network.named_buffers())
    assert {b.dtype for n, b in buffers.items() if "running" in n} == {torch.float32}


def test_bfloat16_is_near_float32(game, real, latent):
    half = Game(
        copy.deepcopy(game.generator), copy.deepcopy(game.discriminator), TWO_LOGIT, 0.1,
        torch.bfloat16,
    )  # fmt: skip

    exact, rounded = step_simultaneous(game, real, latent), step_simultaneous(half, real, latent)

    for name, value in exact.items():
        assert rounded[name].item() == pytest.approx(value.item(), abs=0.02), name
