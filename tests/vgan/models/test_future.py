"""Both readings of future prediction, against the authors' layer table and the paper's text."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from vgan.models.discriminator import Discriminator
from vgan.models.future import CodeFuture, SmallCodeFuture, paper_future, small_future
from vgan.models.generator import TwoStreamGenerator
from vgan.models.layers import ShapeError

EVERY = [paper_future, CodeFuture, small_future, SmallCodeFuture]


def count(network):
    return sum(weight.numel() for weight in network.parameters())


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def pictures():
    return torch.rand(2, 3, 64, 64) * 2 - 1


@pytest.mark.parametrize(
    ("build", "parameters"),
    [(CodeFuture, 68_216_455), (lambda: Discriminator(128), 44_135_810)],
    ids=["generator", "discriminator"],
)
def test_the_released_networks_have_the_authors_numbers_of_parameters(build, parameters):
    with torch.device("meta"):
        assert count(build()) == parameters


def test_the_texts_network_is_five_convolutions_and_the_two_stream_generator():
    with torch.device("meta"):
        network = paper_future()
        # 3-64-128-256-512 with kernels of 16 pixels and biases, batch norm from the second on,
        # then 512 maps of 4x4 to the 100 numbers of the code.
        encoder = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 64 + 3 * (128 + 256 + 512)
        encoder += 16 * 512 * 100 + 100

        assert count(network.encoder) == encoder
        assert count(network) == encoder + 16_245_383
    assert isinstance(network.decoder, TwoStreamGenerator)


def test_the_texts_encoder_ends_in_a_code_without_an_activation(pictures):
    network = paper_future(width=2)
    with torch.no_grad():
        network.encoder[-1].bias.copy_(torch.linspace(-5, 5, 100))

    code = network.encoder(pictures)

    assert code.shape == (2, 100)
    assert code.min() < -4


def test_the_released_encoder_equals_the_authors_convolutions(pictures):
    network = CodeFuture(width=2)
    layers = [layer for layer in network.encoder if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in network.encoder if isinstance(layer, nn.BatchNorm2d)]
    maps = functional.relu(functional.conv2d(pictures, layers[0].weight, None, 2, 1))
    for layer, norm in zip(layers[1:], norms, strict=True):
        maps = functional.conv2d(maps, layer.weight, None, stride=2, padding=1)
        maps = functional.batch_norm(maps, None, None, norm.weight, training=True, eps=1e-3)
        maps = functional.relu(maps)

    assert len(layers) == 4
    assert torch.allclose(network.encoder(pictures), maps, atol=1e-5)
    assert maps.shape == (2, 16, 4, 4)


def test_both_released_streams_start_from_the_encoders_map(pictures):
    network = CodeFuture(width=2).eval()
    maps = network.encoder(pictures)
    first, norm = network.foreground[0], network.foreground[1]
    held = functional.conv_transpose3d(maps.unsqueeze(2), first.weight, first.bias)

    assert held.shape == (2, 16, 2, 4, 4)
    assert torch.allclose(network.foreground[:2](maps), norm(held), atol=1e-6)
    assert torch.allclose(
        network.streams(pictures).background[:, :, 0], network.background(maps).tanh(), atol=1e-6
    )


@pytest.mark.parametrize("build", EVERY)
def test_every_reading_gives_clips_with_streams_from_pictures(build, pictures):
    network = build(width=2).eval()
    clip, foreground, mask, background = network.streams(pictures)

    assert clip.shape == foreground.shape == (2, 3, 32, 64, 64)
    assert mask.shape == (2, 1, 32, 64, 64)
    assert background.shape == (2, 3, 1, 64, 64)
    assert torch.allclose(clip, mask * foreground + (1 - mask) * background, atol=1e-6)
    assert torch.equal(network(pictures), clip)


@pytest.mark.parametrize("build", EVERY)
def test_the_same_picture_has_the_same_future_and_another_one_another(build, pictures):
    network = build(width=2).eval()
    # Starting weights of 0.01 leave a difference too small to see.
    for weight in network.parameters():
        if weight.ndim > 1:
            weight.data *= 10

    assert torch.equal(network(pictures), network(pictures))
    assert (network(pictures[:1]) - network(pictures[1:])).abs().max() > 1e-3


@pytest.mark.parametrize("build", EVERY)
def test_pictures_of_another_size_are_refused(build):
    with pytest.raises(
        ShapeError, match=r"pictures must be \(B, 3, 64, 64\), not \(1, 3, 32, 32\)"
    ):
        build(width=2).streams(torch.zeros(1, 3, 32, 32))


def test_the_small_released_reading_starts_from_the_picture_itself(pictures):
    network = SmallCodeFuture(width=2)
    for layer in [*network.background.to_rgb, network.background.last[1]]:
        nn.init.zeros_(layer.weight)

    background = network.streams(0.9 * pictures).background[:, :, 0]

    assert torch.allclose(background, 0.9 * pictures, atol=1e-5)


def test_the_small_reading_of_the_text_starts_from_the_mean_frame(pictures):
    mean = torch.linspace(-0.9, 0.9, 3 * 64 * 64).view(3, 64, 64)
    network = small_future(width=2, mean_frame=mean)
    for layer in [*network.decoder.background.to_rgb, network.decoder.background.last[1]]:
        nn.init.zeros_(layer.weight)

    background = network.streams(pictures).background[:, :, 0]

    assert torch.allclose(background, mean.expand(2, 3, 64, 64), atol=1e-5)


@pytest.mark.parametrize("build", [small_future, SmallCodeFuture])
def test_small_masks_start_mostly_off(build, pictures):
    assert build(width=8).streams(pictures).mask.mean() < 0.1


@pytest.mark.parametrize("build", [paper_future, CodeFuture])
def test_weights_start_as_the_authors_drew_them(build):
    for weight in build(width=16).parameters():
        if weight.ndim > 1 and weight.numel() > 5_000:
            assert weight.std().item() == pytest.approx(0.01, rel=0.1)
