import pytest
import torch
from torch import nn

from vgan.models import strided
from vgan.models.strided import DoublingConv3d, HalvingConv3d, gains_by_products

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


@pytest.fixture
def always_products(monkeypatch):
    monkeypatch.setattr(strided, "gains_by_products", lambda weight, places: True)


@pytest.mark.usefixtures("always_products")
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_products_equal_the_convolution_and_its_gradients(name, dtype, tolerance, channels_last):
    torch.manual_seed(0)
    ours, plain = (kind(5, 3, **k) for kind, k in zip(
        LAYERS[name], ({}, {"kernel_size": 4, "stride": 2, "padding": 1}), strict=True
    ))  # fmt: skip
    plain.load_state_dict(ours.state_dict())  # the same names and shapes
    maps = torch.randn(2, 5, 2, 4, 6)
    if channels_last:
        ours.weight.data = ours.weight.data.contiguous(memory_format=torch.channels_last_3d)
        maps = maps.contiguous(memory_format=torch.channels_last_3d)

    found, expected = results(ours, maps, dtype), results(plain, maps, torch.float32)

    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert (one - other).abs().max() <= tolerance * other.abs().max()


@pytest.mark.usefixtures("always_products")
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_products_equal_finite_differences(name):
    torch.manual_seed(0)
    layer = LAYERS[name][0](2, 3).double()
    maps = torch.randn(1, 2, 2, 2, 2, dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(lambda maps, *_: layer(maps), [maps, layer.weight, layer.bias])


@pytest.mark.usefixtures("always_products")
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_products_come_in_the_type_and_layout_of_the_weights(name):
    layer = LAYERS[name][0](4, 6)
    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last_3d)
    maps = torch.randn(1, 4, 2, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(maps)
    output.float().sum().backward()

    assert output.dtype == torch.bfloat16
    assert layer.weight.grad.dtype == torch.float32
    assert layer.weight.grad.stride() == layer.weight.stride()


def test_products_are_chosen_by_shape_where_they_were_measured_to_gain():
    last = torch.empty(512, 256, 4, 4, 4, device="meta")
    for places, expected in ((256, True), (512, True), (513, False)):
        assert gains_by_products(torch.empty(512, 1, 4, 4, 4), places) is expected

    assert not gains_by_products(torch.empty(128, 64, 4, 4, 4), 64)  # small width
    assert not gains_by_products(last, 256)  # not on a CPU


@pytest.mark.parametrize("name", LAYERS)
def test_a_wide_layer_of_few_places_takes_products_and_a_narrow_one_does_not(name, monkeypatch):
    taken = []
    gather = strided.weight_gradient
    monkeypatch.setattr(
        strided, "weight_gradient", lambda *maps: taken.append(maps) or gather(*maps)
    )
    for channels in (256, 8):
        counts = (1, channels) if name == "halving" else (channels, 1)
        maps = torch.randn(2, counts[0], 2, 2, 2)
        LAYERS[name][0](*counts)(maps).sum().backward()

    assert len(taken) == 1
