"""The stabilised recipe's networks."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from vgan.models.layers import LatentMap
from vgan.models.measuring import error_beside_float32
from vgan.models.small import (
    MEAN_FRAME_LIMIT,
    ShuffleConv3d,
    SmallBackground,
    SmallDiscriminator,
    SmallOneStreamGenerator,
    SmallTwoStreamGenerator,
    small_autoencoder,
)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_small_two_stream_shapes_and_ranges():
    streams = SmallTwoStreamGenerator(width=2).streams(torch.randn(3, 100))

    assert streams.clip.shape == streams.foreground.shape == (3, 3, 32, 64, 64)
    assert streams.mask.shape == (3, 1, 32, 64, 64)
    assert streams.background.shape == (3, 3, 1, 64, 64)
    assert streams.clip.abs().max() <= 1


def test_small_masks_start_mostly_off():
    mask = SmallTwoStreamGenerator(width=8).streams(torch.randn(4, 100)).mask

    assert mask.mean().item() == pytest.approx(0.05, abs=0.02)


def test_small_one_stream_has_a_clip_and_no_parts():
    streams = SmallOneStreamGenerator(width=2).streams(torch.randn(2, 100))

    assert streams.clip.shape == (2, 3, 32, 64, 64)
    assert streams[1:] == (None, None, None)


def test_shuffle_puts_each_value_in_its_corner_and_averages_it_with_those_before():
    layer = ShuffleConv3d(1, 1)
    corners = torch.tensor([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0])
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(corners)

    enlarged = layer(torch.zeros(1, 1, 1, 1, 1)).flatten()

    grid = corners.view(2, 2, 2)
    expected = [
        grid[: t + 1, : h + 1, : w + 1].mean() for t in (0, 1) for h in (0, 1) for w in (0, 1)
    ]
    assert torch.allclose(enlarged, torch.stack(expected))


def test_shuffle_starts_as_nearest_enlargement():
    layer, maps = ShuffleConv3d(3, 2), torch.randn(2, 3, 2, 4, 4)
    layer.start_as_nearest()
    with torch.no_grad():
        layer.bias.zero_()
    one = functional.conv3d(maps, layer.weight[:2], padding=1)

    nearest = functional.interpolate(one, scale_factor=2.0, mode="nearest")

    # The second place of each pair sees its own pair only, so the blur leaves it as it is.
    assert torch.allclose(
        layer(maps)[..., 1::2, 1::2, 1::2], nearest[..., ::2, ::2, ::2], atol=1e-5
    )


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("frames", [1, 2, 3])
def test_an_enlargement_and_its_gradients_are_right_in_bfloat16(frames, channels_last):
    shape = torch.Size((2, 8, frames, 4, 4))

    assert error_beside_float32(ShuffleConv3d(8, 4), shape, torch.bfloat16, channels_last) < 0.02


def test_shuffle_cannot_make_a_grid_of_period_two():
    layer = ShuffleConv3d(1, 1)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor([1.0, -1, -1, 1, -1, 1, 1, -1]))  # alternating in T, H and W

    enlarged = layer(torch.zeros(1, 1, 4, 4, 4))

    assert not enlarged[:, :, 1:, 1:, 1:].any()


def test_small_generators_shuffles_start_as_nearest():
    shuffles = [
        layer for layer in SmallTwoStreamGenerator(2).modules() if isinstance(layer, ShuffleConv3d)
    ]

    assert len(shuffles) == 3
    for layer in shuffles:
        first, *others = layer.weight.chunk(8)
        assert all(torch.equal(first, other) for other in others)


def test_background_starts_from_the_mean_frame():
    mean = torch.linspace(-0.9, 0.9, 3 * 64 * 64).view(3, 64, 64)
    network = SmallBackground(LatentMap(10, 16, (4, 4)), 2, mean)
    for layer in [*network.to_rgb, network.last[1]]:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)

    assert torch.allclose(network(torch.randn(2, 10)), mean.expand(2, 3, 64, 64), atol=1e-5)


def test_one_stream_starts_from_the_mean_frame():
    mean = torch.linspace(-0.9, 0.9, 3 * 64 * 64).view(3, 64, 64)
    network = SmallOneStreamGenerator(2, 10, mean)
    for layer in [*network.to_rgb, network.head]:
        nn.init.zeros_(layer.weight)

    clip = network(torch.randn(2, 10))

    assert torch.allclose(clip, mean[:, None].expand(2, 3, 32, 64, 64), atol=1e-5)


def test_background_from_a_saturated_mean_frame_is_finite():
    network = SmallBackground(LatentMap(10, 16, (4, 4)), 2, torch.ones(3, 64, 64))

    assert torch.allclose(network.mean.tanh(), torch.full((), MEAN_FRAME_LIMIT))


def test_small_discriminator_gives_one_motion_and_two_picture_logits():
    assert SmallDiscriminator(2)(torch.rand(3, 3, 32, 64, 64)).shape == (3, 3)


def test_the_motion_network_sees_half_sized_clips_and_four_times_what_changed_before_each_frame():
    clip = torch.zeros(1, 3, 32, 64, 64)
    clip[:, :, 5:] = 0.1
    clip[:, :, 5:, ::2] += 0.2  # every other row; both are 0.2 at half size

    seen = SmallDiscriminator(2).motion_input(clip)

    expected = torch.zeros(6, 32)
    expected[:3, 5:], expected[3:, 5] = 0.2, 0.8
    assert torch.allclose(seen, expected[None, :, :, None, None].expand(1, 6, 32, 32, 32))


def test_picture_logits_see_only_the_frames_chosen():
    network = SmallDiscriminator(2).eval()
    clip = torch.rand(2, 3, 32, 64, 64)
    network.frames = (5, 20)
    before = network(clip)
    changed = clip.clone()
    changed[:, :, 20] = 0

    after = network(changed)

    assert torch.equal(before[:, 1], after[:, 1])
    assert not torch.equal(before[:, 2], after[:, 2])
    assert not torch.equal(before[:, 0], after[:, 0])


def test_small_discriminator_layers_have_spectral_norm_one():
    network = SmallDiscriminator(2).train()
    for _ in range(50):
        network(torch.rand(2, 3, 32, 64, 64))
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Conv3d | nn.Linear)]

    assert len(layers) == 10
    for layer in layers:
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item()
        assert norm == pytest.approx(1.0, abs=0.02)


def test_small_autoencoder_codes_and_decodes():
    network = small_autoencoder(width=2)
    clip = torch.rand(2, 3, 32, 64, 64)

    assert network.encode(clip).shape == (2, 100)
    assert network(clip).shape == clip.shape
