import pytest
import torch
from torch import nn
from torch.nn import functional

from vgan.models import forms, strided
from vgan.models.forms import (
    COLOURS,
    DOUBLE,
    Form,
    Forms,
    add_bias,
    double,
    layout_of_phases,
    sum_over_places,
    weight_gradient,
)
from vgan.models.generator import OneStreamGenerator, TwoStreamGenerator
from vgan.models.strided import (
    DoublingConv3d,
    HalvingConv3d,
    sample_in_phases,
    strided_layers,
)

WAYS = {form.value: Forms(form, form, form) for form in Form}
LAYERS = {"halving": (HalvingConv3d, nn.Conv3d), "doubling": (DoublingConv3d, nn.ConvTranspose3d)}


def results(layer, maps, dtype):
    """Return a layer's output and its gradients by input, weights and bias, in float32."""
    given = maps.clone().requires_grad_()
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        output = layer(given)
    layer.zero_grad()
    torch.manual_seed(1)
    (output.float() * torch.randn(output.shape)).sum().backward()
    return [
        found.detach().float() for found in (output, given.grad, layer.weight.grad, layer.bias.grad)
    ]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_every_form_equals_the_convolution_and_its_gradients(
    name, way, dtype, tolerance, channels_last
):
    torch.manual_seed(0)
    ours, plain = (kind(5, 3, **k) for kind, k in zip(
        LAYERS[name], ({}, {"kernel_size": 4, "stride": 2, "padding": 1}), strict=True
    ))  # fmt: skip
    plain.load_state_dict(ours.state_dict())  # the same names and shapes
    ours.forms = WAYS[way]
    maps = torch.randn(2, 5, 2, 4, 6)
    if channels_last:
        ours.weight.data = ours.weight.data.contiguous(memory_format=torch.channels_last_3d)
        maps = maps.contiguous(memory_format=torch.channels_last_3d)

    found, expected = results(ours, maps, dtype), results(plain, maps, torch.float32)

    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert (one - other).abs().max() <= tolerance * other.abs().max()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_every_form_equal_finite_differences(name, way):
    torch.manual_seed(0)
    layer = LAYERS[name][0](2, 3).double()
    layer.forms = WAYS[way]
    maps = torch.randn(1, 2, 2, 2, 2, dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(lambda maps, *_: layer(maps), [maps, layer.weight, layer.bias])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_come_in_the_type_of_the_weights_under_autocast(name, way):
    layer = LAYERS[name][0](4, 6)
    layer.forms = WAYS[way]
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(torch.randn(1, 4, 2, 4, 4))
    output.float().sum().backward()

    assert output.dtype == torch.bfloat16
    assert layer.weight.grad.dtype == layer.bias.grad.dtype == torch.float32


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_keeps_its_own_arithmetic_under_autocast(name):
    layer = LAYERS[name][0](4, 6)
    layer.forms = Forms(dtype="float32")
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(torch.randn(1, 4, 2, 4, 4))

    assert output.dtype == torch.float32


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_both_maps_of_a_gradient_lie_as_the_weights_do(name, way, layout, monkeypatch):
    seen = []

    def noted(large, small, form):
        seen.extend((large, small))
        return weight_gradient(large, small, form)

    monkeypatch.setattr(strided, "weight_gradient", noted)
    layer = LAYERS[name][0](5, 6)
    layer.forms = WAYS[way]
    layer.weight.data = layer.weight.data.contiguous(memory_format=layout)
    for given in (torch.contiguous_format, torch.channels_last_3d):
        maps = torch.randn(2, 5, 2, 4, 6).contiguous(memory_format=given)
        output = layer(maps)
        output.backward(torch.randn(output.shape).contiguous(memory_format=given))

        assert output.is_contiguous(memory_format=layout)

    assert len(seen) == 4
    assert all(maps.is_contiguous(memory_format=layout) for maps in seen)


@pytest.mark.parametrize("way", WAYS)
def test_colours_are_planar_as_clips_are(way):
    layer = DoublingConv3d(6, 4)
    layer.forms = WAYS[way]
    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last_3d)

    assert layer(torch.randn(2, 6, 2, 4, 6)).is_contiguous()


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_that_a_backward_pass_is_not_for_are_not_worked_out(name, monkeypatch):
    done = []
    for operation in ("halve", "double", "weight_gradient"):
        plain = getattr(strided, operation)

        def noted(*given, operation=operation, plain=plain):
            done.append(operation)
            return plain(*given)

        monkeypatch.setattr(strided, operation, noted)
    layer = LAYERS[name][0](4, 6)
    layer.forms = Forms()
    maps = torch.randn(1, 4, 2, 4, 4, requires_grad=True)
    forward, backward = ("halve", "double") if name == "halving" else ("double", "halve")

    loss = layer(maps).sum()
    torch.autograd.backward(loss, inputs=[layer.weight], retain_graph=True)
    torch.autograd.backward(loss, inputs=[maps], retain_graph=True)

    assert done == [forward, "weight_gradient", backward]
    assert layer.bias.grad is None

    loss.backward()

    assert sorted(done[3:]) == sorted([backward, "weight_gradient"])
    assert torch.equal(layer.bias.grad, torch.full((6,), float(layer(maps)[0, 0].numel())))


def test_phases_are_channels_last_on_a_gpu_and_planar_on_a_cpu():
    assert layout_of_phases(torch.device("cuda", 1)) is torch.channels_last_3d
    assert layout_of_phases(torch.device("cpu")) is torch.contiguous_format


@pytest.mark.parametrize("channels", [COLOURS, COLOURS + 1])
@pytest.mark.parametrize("weights", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_the_library_is_given_phases_in_the_devices_layout_and_says_the_same(
    channels, weights, layout, monkeypatch
):
    torch.manual_seed(0)
    maps = torch.randn(2, channels, 4, 8, 6), torch.randn(2, 6, 2, 4, 3)
    large, small = (one.contiguous(memory_format=weights) for one in maps)
    weight = torch.randn(6, channels, 4, 4, 4).contiguous(memory_format=weights)
    expected = double(small, weight), weight_gradient(large, small)
    given = []
    doubled, gradient = functional.conv_transpose3d, forms._convolution_gradient

    def noted_doubled(phases, weight):
        given.extend((phases, weight))
        return doubled(phases, weight)

    def noted_gradient(phases, shape, small):
        given.append(phases)
        return gradient(phases, shape, small)

    monkeypatch.setattr(forms, "layout_of_phases", lambda device: layout)
    monkeypatch.setattr(functional, "conv_transpose3d", noted_doubled)
    monkeypatch.setattr(forms, "_convolution_gradient", noted_gradient)

    found = DOUBLE[Form.PHASES](small, weight), weight_gradient(large, small, Form.PHASES)

    assert len(given) == 3
    assert all(maps.is_contiguous(memory_format=layout) for maps in given)
    planar = channels <= COLOURS
    assert found[0].is_contiguous(memory_format=torch.contiguous_format if planar else layout)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * float(other.abs().max()))


def test_strided_layers_are_found_by_name():
    network = nn.Sequential(HalvingConv3d(1, 1), nn.ReLU(), nn.Sequential(DoublingConv3d(1, 1)))

    assert list(strided_layers(network)) == ["0", "2.0"]


def test_forms_survive_as_plain_values():
    forms = Forms(Form.PHASES, Form.LIBRARY, Form.PRODUCT, "float32")

    assert Forms.from_dict(forms.to_dict()) == forms
    assert Forms.from_dict(Forms().to_dict()) == Forms()
    with pytest.raises(ValueError, match="sideways"):
        Forms.from_dict({"halve": "sideways"})


@pytest.mark.parametrize("generator", [TwoStreamGenerator, OneStreamGenerator])
def test_colours_are_sampled_in_phases_and_come_out_the_same(generator):
    torch.manual_seed(0)
    network = generator(8, 8).eval().requires_grad_(False)
    latent = torch.randn(2, 8)
    plain = network(latent)

    sample_in_phases(network)

    assert network.head.forms == Forms(double=Form.PHASES)
    assert {layer.forms for layer in strided_layers(network.foreground).values()} == {None}
    assert (network(latent) - plain).abs().max() <= 1e-6


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("frames", [1, 3, 4])
def test_a_bias_and_its_gradient_do_not_depend_on_how_maps_lie(frames, layout):
    torch.manual_seed(0)
    maps = torch.randn(2, 6, frames, 4, 4).contiguous(memory_format=layout)
    bias, sums = torch.randn(6), maps.sum(dim=(0, 2, 3, 4))
    expected = maps + bias.view(6, 1, 1, 1)

    assert torch.allclose(sum_over_places(maps, torch.float32), sums, atol=1e-5)
    assert torch.equal(add_bias(maps, bias), expected)
