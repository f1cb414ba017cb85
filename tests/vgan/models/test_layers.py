import pytest
import torch
from torch import nn
from torch.nn import functional

from vgan.models.layers import (
    LatentMap,
    Readout,
    ShapeError,
    activate,
    composite,
    lay_out,
    shrink3d,
)


def test_composite_of_known_values_is_the_weighted_mean():
    mask = torch.full((1, 1, 2, 1, 1), 0.25)
    foreground = torch.tensor([1.0, -1.0]).view(1, 1, 2, 1, 1).expand(1, 3, 2, 1, 1)
    background = torch.tensor([0.6, -0.2, 0.0]).view(1, 3, 1, 1, 1)

    clip = composite(mask, foreground, background)

    expected = torch.tensor([[0.70, 0.20], [0.10, -0.40], [0.25, -0.25]])
    assert torch.allclose(clip.view(3, 2), expected)


@pytest.mark.parametrize(("value", "shown"), [(1.0, 0.5), (0.0, -0.5)])
def test_composite_with_a_hard_mask_shows_one_stream_only(value, shown):
    foreground, background = torch.full((2, 3, 4, 5, 6), 0.5), torch.full((2, 3, 1, 5, 6), -0.5)

    clip = composite(torch.full((2, 1, 4, 5, 6), value), foreground, background)

    assert torch.equal(clip, torch.full((2, 3, 4, 5, 6), shown))


def test_composite_holds_the_background_still():
    background = torch.rand(2, 3, 1, 4, 4)

    clip = composite(torch.zeros(2, 1, 5, 4, 4), torch.rand(2, 3, 5, 4, 4), background)

    assert torch.equal(clip, background.expand(2, 3, 5, 4, 4))


def test_composite_gradients_equal_finite_differences():
    torch.manual_seed(0)
    shapes = [(2, 1, 3, 2, 2), (2, 3, 3, 2, 2), (2, 3, 1, 2, 2)]
    parts = [torch.rand(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]

    assert torch.autograd.gradcheck(composite, parts)


def test_composite_of_bfloat16_streams_is_float32():
    parts = [torch.rand(1, c, t, 4, 4).bfloat16() for c, t in ((1, 2), (3, 2), (3, 1))]

    assert composite(*parts).dtype == torch.float32


@pytest.mark.parametrize(
    ("mask", "foreground", "background", "named"),
    [
        ((2, 1, 4, 8, 8), (2, 3, 4, 8, 8), (2, 3, 4, 8, 8), "background"),
        ((2, 1, 4, 8, 8), (2, 3, 4, 8, 8), (1, 3, 1, 8, 8), "background"),
        ((2, 3, 4, 8, 8), (2, 3, 4, 8, 8), (2, 3, 1, 8, 8), "mask"),
        ((2, 1, 4, 8, 9), (2, 3, 4, 8, 8), (2, 3, 1, 8, 8), "mask"),
        ((2, 1, 3, 8, 8), (2, 3, 4, 8, 8), (2, 3, 1, 8, 8), "mask"),
        ((2, 1, 8, 8), (2, 3, 8, 8), (2, 3, 8, 8), "foreground"),
    ],
)
def test_composite_of_misshapen_streams_names_the_stream(mask, foreground, background, named):
    with pytest.raises(ShapeError, match=f"^{named} must be"):
        composite(torch.zeros(mask), torch.zeros(foreground), torch.zeros(background))


@pytest.mark.parametrize("size", [(2, 4, 4), (4, 4)])
def test_latent_map_equals_the_transposed_convolution_of_a_point(size):
    torch.manual_seed(0)
    layer = LatentMap(5, 6, size)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    z = torch.randn(3, 5)
    convolve = functional.conv_transpose3d if len(size) == 3 else functional.conv_transpose2d

    expected = convolve(z.view(3, 5, *(1 for _ in size)), layer.weight, layer.bias)

    assert torch.allclose(layer(z), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 4), (3, 5, 1, 1), (5,)])
def test_latent_map_of_other_latents_is_refused(shape):
    with pytest.raises(ShapeError, match=r"latents must be \(B, 5\)"):
        LatentMap(5, 6, (4, 4))(torch.zeros(shape))


def test_readout_equals_the_convolution_over_the_whole_map():
    torch.manual_seed(0)
    layer = Readout(7, (2, 4, 4), 2)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    maps = torch.randn(3, 7, 2, 4, 4).to(memory_format=torch.channels_last_3d)

    expected = functional.conv3d(maps, layer.weight, layer.bias).view(3, 2)

    assert torch.allclose(layer(maps), expected, atol=1e-5)


def test_channels_last_weights_give_the_same_result():
    torch.manual_seed(0)
    layer, clip = shrink3d(3, 4), torch.randn(2, 3, 4, 8, 8)
    before = layer(clip)

    lay_out(layer, channels_last=True)

    assert layer.weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.allclose(layer(clip), before, atol=1e-5)


def test_a_normed_layer_is_laid_out_without_a_power_iteration():
    layer = nn.utils.parametrizations.spectral_norm(nn.Conv3d(4, 6, 4))
    before = {name: value.clone() for name, value in layer.state_dict().items()}

    lay_out(layer, channels_last=True)

    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert layer.weight.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("offset", [0.0, -3.0])
def test_a_head_is_activated_with_the_gradients_of_autograd(offset):
    torch.manual_seed(0)
    head = torch.randn(2, 4, 3, 2, 2, dtype=torch.float64, requires_grad=True)

    foreground, mask = activate(head, offset)

    assert torch.equal(foreground, torch.tanh(head[:, :3]))
    assert torch.equal(mask, torch.sigmoid(head[:, 3:] + offset))
    assert torch.autograd.gradcheck(lambda head: activate(head, offset), [head])


def test_a_bfloat16_head_is_activated_in_float32():
    foreground, mask = activate(torch.randn(1, 4, 2, 2, 2, dtype=torch.bfloat16))

    assert foreground.dtype == mask.dtype == torch.float32
