"""Every model under every recipe, at tiny width."""

import io
import math

import pytest
import torch
from torch import nn

from vgan.models.layers import CLIP_FRAMES, LatentMap
from vgan.training import samplers
from vgan.training.averaging import AveragedWeights, calibrate
from vgan.training.config import learning_rate_factor, resolve_config
from vgan.training.networks import build_network
from vgan.training.samplers import load_sampler
from vgan.training.trainers import build_trainer

CPU = torch.device("cpu")
GAMES = [
    (model, recipe) for model in ("two-stream", "one-stream") for recipe in ("paper", "stabilised")
]
EVERY = [*GAMES, ("autoencoder", "paper"), ("autoencoder", "stabilised")]
BATCH = 2


@pytest.fixture(autouse=True)
def few_latents_for_statistics(monkeypatch):
    """Measuring the statistics of averaged weights takes most of the time, and less will do."""
    monkeypatch.setattr(samplers, "_BATCHES", 2)
    monkeypatch.setattr(samplers, "_BATCH", 4)


def tiny(model="two-stream", recipe="stabilised", **overrides):
    settings = {"width": 2, "latent": 8, "batch": BATCH, "steps": 8, "dtype": "float32"}
    return resolve_config(model, "small", recipe, **settings | overrides)


FUTURE = [
    tiny("future", recipe, variant=variant)
    for recipe in ("paper", "stabilised")
    for variant in ("paper", "code")
]


def named(config):
    return "-".join(filter(None, (config.model, config.variant, config.recipe)))


def mean_frame():
    return torch.linspace(-0.5, 0.5, 3 * 64 * 64).view(3, 64, 64)


def real(step):
    chance = torch.Generator().manual_seed(step)
    return torch.rand(BATCH, 3, 32, 64, 64, generator=chance) * 2 - 1


def through_a_file(state):
    """Save and load as a checkpoint does."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def flat(state, path=""):
    if isinstance(state, torch.Tensor):
        yield path, state
    elif isinstance(state, dict):
        for key, value in state.items():
            yield from flat(value, f"{path}/{key}")
    elif isinstance(state, list | tuple):
        for key, value in enumerate(state):
            yield from flat(value, f"{path}/{key}")
    else:
        yield path, torch.tensor(float(state) if state is not None else -1.0)


def assert_same(first, second):
    first, second = dict(flat(first)), dict(flat(second))
    assert first.keys() == second.keys()
    for path, value in first.items():
        assert torch.equal(value, second[path]), path


@pytest.mark.parametrize(
    ("config"),
    [
        *(tiny(model, recipe) for model, recipe in EVERY),
        tiny("two-stream", "paper", generator_step="alternating"),
        tiny("two-stream", "stabilised", generator_step="simultaneous", dtype="bfloat16"),
    ],
    ids=lambda c: f"{c.model}-{c.recipe}-{c.generator_step}-{c.dtype}",
)
def test_two_steps_saved_and_two_more_equal_four(config):
    whole = build_trainer(config, mean_frame(), CPU)
    for step in range(4):
        whole.step(real(step))
    first = build_trainer(config, mean_frame(), CPU)
    for step in range(2):
        first.step(real(step))
    state = through_a_file(first.state_dict())

    resumed = build_trainer(config, None, CPU)
    resumed.load_state_dict(state)
    for step in range(2, 4):
        resumed.step(real(step))

    assert_same(resumed.state_dict(), whole.state_dict())


@pytest.mark.parametrize(("model", "recipe"), EVERY)
def test_sampler_is_a_frozen_copy_that_leaves_training_alone(model, recipe):
    trainer = build_trainer(tiny(model, recipe), mean_frame(), CPU)
    trainer.step(real(0))
    before = through_a_file(trainer.state_dict())

    sampler = trainer.sampler()
    clip = sampler.streams(torch.randn(3, 8)).clip

    assert clip.shape == (3, 3, 32, 64, 64)
    assert not clip.requires_grad
    assert not any(module.training for module in sampler.modules())
    assert_same(trainer.state_dict(), before)


@pytest.mark.parametrize(("model", "recipe"), EVERY)
def test_a_latent_gives_the_same_clip_whatever_its_batch(model, recipe):
    trainer = build_trainer(tiny(model, recipe), mean_frame(), CPU)
    trainer.step(real(0))
    sampler = trainer.sampler()
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    others = torch.cat([z[:1], 5 + z[1:]])

    assert torch.allclose(sampler.streams(z).clip[0], sampler.streams(others).clip[0], atol=1e-6)


@pytest.mark.parametrize(("model", "recipe"), EVERY)
def test_sampler_is_a_function_of_the_state(model, recipe):
    trainer = build_trainer(tiny(model, recipe), mean_frame(), CPU)
    trainer.step(real(0))
    other = build_trainer(tiny(model, recipe), None, CPU)
    other.load_state_dict(through_a_file(trainer.state_dict()))

    assert_same(other.sampler().state_dict(), trainer.sampler().state_dict())


@pytest.mark.parametrize("config", [*(tiny(*kind) for kind in EVERY), *FUTURE], ids=named)
def test_the_sampler_of_a_state_is_its_trainers(config):
    trainer = build_trainer(config, mean_frame(), CPU)
    for step in range(2):
        trainer.step(real(step))
    expected = trainer.sampler()

    loaded = load_sampler(config, through_a_file(trainer.state_dict()), CPU)

    assert_same(loaded.state_dict(), expected.state_dict())
    assert not any(module.training for module in loaded.modules())
    assert not any(weight.requires_grad for weight in loaded.parameters())


@pytest.mark.parametrize("model", ["two-stream", "autoencoder"])
def test_a_rehearsal_changes_nothing_and_training_goes_on(model):
    trainer = build_trainer(tiny(model, "paper"), mean_frame(), CPU)
    before = through_a_file(trainer.state_dict())

    trainer.rehearse(real(0))

    assert_same(trainer.state_dict(), before)
    assert all(m.training for network in trainer.networks().values() for m in network.modules())


def test_a_sampler_is_loaded_without_touching_torchs_chance():
    state = build_trainer(tiny(), mean_frame(), CPU).state_dict()
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)

    load_sampler(tiny(), state, CPU)

    assert torch.equal(torch.rand(1), expected)


def test_a_sampler_saved_by_its_own_state_is_the_same_sampler():
    trainer = build_trainer(tiny(), mean_frame(), CPU)
    trainer.step(real(0))
    sampler, z = trainer.sampler(), torch.randn(2, 8)

    loaded = build_network(tiny())
    loaded.load_state_dict(sampler.state_dict())

    assert torch.equal(loaded.eval().streams(z).clip, sampler.streams(z).clip)


def test_the_same_seed_gives_the_same_weights_and_leaves_torchs_chance_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)

    first, second = (build_trainer(tiny(seed=3), mean_frame(), CPU) for _ in range(2))

    assert torch.equal(torch.rand(1), expected)
    assert_same(first.state_dict(), second.state_dict())


def test_another_seed_gives_other_weights_and_latents():
    first, second = (build_trainer(tiny(seed=s), mean_frame(), CPU).state_dict() for s in (0, 1))

    assert not torch.equal(first["chance"], second["chance"])
    name = "foreground.0.0.weight"
    assert not torch.equal(
        first["generator"]["network"][name], second["generator"]["network"][name]
    )


def test_latents_are_drawn_from_the_standard_normal_distribution():
    drawn = samplers.draw_latents(1000, 100, torch.Generator().manual_seed(0), CPU)

    assert drawn.mean().item() == pytest.approx(0, abs=0.01)  # three standard errors
    assert drawn.std().item() == pytest.approx(1, abs=0.01)
    assert (drawn > 1.96).float().mean().item() == pytest.approx(0.025, abs=0.002)


def test_steps_draw_new_latents_and_frames():
    trainer = build_trainer(tiny(), mean_frame(), CPU)
    network = trainer.game.generator.network
    latents, frames = [], []
    first = next(m for m in network.modules() if isinstance(m, LatentMap))
    first.register_forward_pre_hook(lambda _, inputs: latents.append(inputs[0].clone()))

    for step in range(4):
        trainer.step(real(step))
        frames.append(trainer.game.discriminator.network.frames)

    assert not torch.equal(latents[0], latents[1])
    assert len(set(frames)) > 1
    assert max(map(max, frames)) >= CLIP_FRAMES / 2  # of the whole clip


# Logits of a discriminator that knows nothing are near 0: two cross-entropies of ln 2, two hinges
# of 1.
@pytest.mark.parametrize(("recipe", "loss"), [("paper", 2 * math.log(2)), ("stabilised", 2)])
def test_each_recipe_starts_from_the_loss_of_its_own_game(recipe, loss):
    metrics = build_trainer(tiny(recipe=recipe), mean_frame(), CPU).step(real(0))

    assert metrics["loss_d"].item() == pytest.approx(loss, abs=0.2)


def test_the_paper_recipe_trains_with_the_papers_constants():
    trainer = build_trainer(resolve_config("two-stream", "small", "paper", width=2), None, CPU)
    for player in (trainer.game.generator, trainer.game.discriminator):
        group = player.optimizer.param_groups[0]
        assert (group["lr"], group["betas"], group["eps"]) == (2e-4, (0.5, 0.999), 1e-8)
        assert group["weight_decay"] == 0

    assert trainer.game.mask_weight == 0.1
    assert trainer.config.generator_step == "simultaneous"


def test_the_learning_rate_follows_the_config_to_the_floor():
    config = tiny(steps=4)
    trainer = build_trainer(config, mean_frame(), CPU)
    rates = []
    for step in range(4):
        trainer.step(real(step))
        rates.append(trainer.game.generator.optimizer.param_groups[0]["lr"])

    full = config.learning_rate_generator
    assert rates == pytest.approx([full * learning_rate_factor(config, s) for s in range(4)])
    assert rates[-1] < rates[0] == full


def test_the_autoencoder_learns_a_clip():
    trainer = build_trainer(tiny("autoencoder", learning_rate_generator=0.01), None, CPU)
    clip = mean_frame().sign()[None, :, None].expand(BATCH, 3, 32, 64, 64)

    losses = [trainer.step(clip)["loss"].item() for _ in range(15)]

    assert losses[0] > 0.9  # mid-grey is 1 away from every pixel
    assert losses[-1] < 0.5


def test_an_autoencoder_asked_to_keep_its_mask_small_learns_that_too():
    metrics = build_trainer(tiny("autoencoder", mask_weight=0.5), None, CPU).step(real(0))

    assert metrics["loss_mask"].item() == pytest.approx(0.5 * metrics["mask_mean"].item()) != 0
    assert metrics["loss"] == metrics["loss_reconstruction"] + metrics["loss_mask"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_autoencoder_codes_are_float32(dtype):
    trainer = build_trainer(tiny("autoencoder", dtype=dtype), mean_frame(), CPU)
    trainer.step(real(0))

    assert trainer.sampler().encode(real(0)).dtype == torch.float32


def test_a_state_of_another_shape_does_not_load():
    state = build_trainer(tiny(width=4), mean_frame(), CPU).state_dict()

    with pytest.raises(RuntimeError, match="size mismatch"):
        build_trainer(tiny(), None, CPU).load_state_dict(state)


def test_average_follows_its_warm_up_and_then_its_decay():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0.0)
    average = AveragedWeights(network, 0.5)
    nn.init.constant_(network.weight, 1.0)

    average.update(network, step=1)
    assert average.network.weight.item() == pytest.approx(0.9)  # decay 1 / 10
    average.update(network, step=1_000)
    assert average.network.weight.item() == pytest.approx(0.95)


def test_a_trainer_tells_its_average_how_many_steps_it_has_taken():
    trainer = build_trainer(tiny(), mean_frame(), CPU)
    expected = [weight.detach().clone() for weight in trainer.generator.parameters()]
    for step in (1, 2, 3):
        trainer.step(real(step))
        torch._foreach_lerp_(expected, list(trainer.generator.parameters()), 1 - step / (9 + step))

    for weight, averaged in zip(expected, trainer.average.network.parameters(), strict=True):
        assert torch.allclose(weight, averaged, atol=1e-6)


def test_calibration_measures_the_statistics_of_the_latents():
    class Named(nn.Sequential):
        def streams(self, z):
            return self(z)

    network = Named(nn.BatchNorm1d(2))
    batches = [torch.randn(50, 2) * 3 + 1 for _ in range(4)]

    calibrate(network, batches)

    mean = torch.stack([batch.mean(dim=0) for batch in batches]).mean(dim=0)
    variance = torch.stack([batch.var(dim=0) for batch in batches]).mean(dim=0)
    assert torch.allclose(network[0].running_mean, mean, atol=1e-5)
    assert torch.allclose(network[0].running_var, variance, atol=1e-4)
    assert network[0].momentum == 0.1
    assert not network.training
