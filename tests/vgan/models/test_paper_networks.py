"""The paper's networks against the authors' layer table."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from vgan.models.autoencoder import paper_autoencoder
from vgan.models.discriminator import Discriminator
from vgan.models.generator import OneStreamGenerator, TwoStreamGenerator
from vgan.models.layers import ShapeError


def count(network):
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (OneStreamGenerator, 12_663_619),
        (TwoStreamGenerator, 16_245_383),
        (Discriminator, 11_057_858),
        (paper_autoencoder, 28_908_971),
    ],
)
def test_full_width_has_the_papers_number_of_parameters(build, parameters):
    with torch.device("meta"):
        assert count(build()) == parameters


@pytest.fixture
def two_stream():
    torch.manual_seed(0)
    return TwoStreamGenerator(width=4)


def test_two_stream_shapes_and_ranges(two_stream):
    streams = two_stream.streams(torch.randn(3, 100))

    assert streams.clip.shape == streams.foreground.shape == (3, 3, 32, 64, 64)
    assert streams.mask.shape == (3, 1, 32, 64, 64)
    assert streams.background.shape == (3, 3, 1, 64, 64)
    assert all(part.dtype == torch.float32 for part in streams)
    assert streams.clip.abs().max() <= 1
    assert 0 <= streams.mask.min() <= streams.mask.max() <= 1


def test_two_stream_clip_is_the_composite_of_its_streams(two_stream):
    clip, foreground, mask, background = two_stream.streams(torch.randn(2, 100))

    assert torch.allclose(clip, mask * foreground + (1 - mask) * background, atol=1e-6)


def test_masks_start_at_one_half():
    torch.manual_seed(0)
    mask = TwoStreamGenerator(width=16).streams(torch.randn(4, 100)).mask

    assert mask.mean().item() == pytest.approx(0.5, abs=0.01)
    assert mask.std().item() < 0.05


def test_merged_head_equals_a_foreground_and_a_mask_head(two_stream):
    head, z = two_stream.head, torch.randn(2, 100)
    foreground_head, mask_head = (
        nn.ConvTranspose3d(4, 3, 4, 2, 1),
        nn.ConvTranspose3d(4, 1, 4, 2, 1),
    )
    with torch.no_grad():
        foreground_head.weight.copy_(head.weight[:, :3])
        foreground_head.bias.copy_(head.bias[:3])
        mask_head.weight.copy_(head.weight[:, 3:])
        mask_head.bias.copy_(head.bias[3:])
    maps = two_stream.foreground(z)

    streams = two_stream.streams(z)

    assert torch.allclose(streams.foreground, foreground_head(maps).tanh(), atol=1e-6)
    assert torch.allclose(streams.mask, mask_head(maps).sigmoid(), atol=1e-6)


def test_one_stream_has_a_clip_and_no_parts():
    streams = OneStreamGenerator(width=4).streams(torch.randn(2, 100))

    assert streams.clip.shape == (2, 3, 32, 64, 64)
    assert streams[1:] == (None, None, None)


@pytest.mark.parametrize("build", [OneStreamGenerator, TwoStreamGenerator])
def test_generators_forward_is_the_clip_of_their_streams(build):
    network, z = build(width=2).eval(), torch.randn(2, 100)

    assert torch.equal(network(z), network.streams(z).clip)


def test_latents_of_another_length_are_refused():
    with pytest.raises(ShapeError, match=r"\(B, 100\)"):
        TwoStreamGenerator(width=2)(torch.randn(2, 64))


def test_discriminator_gives_two_logits_per_clip():
    assert Discriminator(width=2)(torch.zeros(3, 3, 32, 64, 64)).shape == (3, 2)


def test_discriminator_features_are_the_fourth_map():
    assert Discriminator(width=2).features(torch.zeros(3, 3, 32, 64, 64)).shape == (3, 16, 2, 4, 4)


@pytest.mark.parametrize("shape", [(2, 3, 16, 64, 64), (2, 1, 32, 64, 64), (2, 3, 32, 32, 32)])
def test_clips_of_another_size_are_refused(shape):
    with pytest.raises(ShapeError, match=r"clips must be \(B, 3, 32, 64, 64\)"):
        Discriminator(width=2)(torch.zeros(shape))


def test_discriminator_equals_the_authors_convolutions():
    torch.manual_seed(0)
    network = Discriminator(width=2)
    clip = torch.randn(2, 3, 32, 64, 64)
    weights = [layer for layer in network.trunk if isinstance(layer, nn.Conv3d)]
    maps = functional.leaky_relu(functional.conv3d(clip, weights[0].weight, None, 2, 1), 0.2)
    norms = [layer for layer in network.trunk if isinstance(layer, nn.BatchNorm3d)]
    for layer, norm in zip(weights[1:], norms, strict=True):
        maps = functional.conv3d(maps, layer.weight, None, stride=2, padding=1)
        maps = functional.batch_norm(maps, None, None, norm.weight, training=True, eps=1e-3)
        maps = functional.leaky_relu(maps, 0.2)
    expected = functional.conv3d(maps, network.readout.weight).view(2, 2)

    assert torch.allclose(network(clip), expected, atol=1e-5)


def test_batch_norm_has_the_authors_constants():
    of_d = {m.eps for m in Discriminator(2).modules() if isinstance(m, nn.BatchNorm3d)}
    of_g = {
        (m.eps, m.momentum)
        for m in TwoStreamGenerator(2).modules()
        if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)
    }

    assert of_d == {1e-3}
    assert of_g == {(1e-5, 0.1)}


@pytest.mark.parametrize("build", [TwoStreamGenerator, Discriminator])
def test_weights_start_as_the_authors_drew_them(build):
    torch.manual_seed(0)
    network = build(width=32)
    gammas, kernels = [], []
    for name, weight in network.named_parameters():
        if name.endswith("bias"):
            assert not weight.any()
        else:
            (gammas if weight.ndim == 1 else kernels).append(weight)

    for kernel in kernels:
        assert kernel.std().item() == pytest.approx(0.01, rel=0.1)
    gamma = torch.cat(gammas)
    assert gamma.mean().item() == pytest.approx(1.0, abs=0.01)
    assert gamma.std().item() == pytest.approx(0.02, rel=0.25)


def test_autoencoder_codes_a_clip_in_a_hundred_numbers_and_decodes_a_clip():
    network = paper_autoencoder(width=2)
    clip = torch.zeros(2, 3, 32, 64, 64)

    code = network.encode(clip)

    assert code.shape == (2, network.latent) == (2, 100)
    assert network.streams(code).mask.shape == (2, 1, 32, 64, 64)
    assert network(clip).shape == clip.shape


def test_codes_have_no_final_activation():
    torch.manual_seed(0)
    network = paper_autoencoder(width=2)
    with torch.no_grad():
        network.encoder.readout.bias.copy_(torch.linspace(-5, 5, 100))

    code = network.encode(torch.rand(4, 3, 32, 64, 64))

    assert code.min() < -4
    assert code.max() > 4
