"""The scene network is the published one: its size, its names, its strides."""

import pytest
import torch

from vgan.models.resnet import ResNet, resnet_shape


@pytest.mark.parametrize(
    ("blocks", "bottleneck", "parameters"),
    # torchvision states 11,689,512 and 25,557,032 for 1000 classes; 365 have 635 rows fewer.
    [((2, 2, 2, 2), False, 11_689_512 - 635 * 513), ((3, 4, 6, 3), True, 25_557_032 - 635 * 2049)],
)
def test_parameters_are_as_many_as_in_the_published_networks(blocks, bottleneck, parameters):
    with torch.device("meta"):
        network = ResNet(blocks, bottleneck=bottleneck)

    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network(torch.empty(1, 3, 224, 224, device="meta")).shape == (1, 365)


def test_layers_bear_the_published_names():
    with torch.device("meta"):
        names = ResNet((3, 4, 6, 3), bottleneck=True).state_dict().keys()

    published = {
        "conv1.weight", "bn1.running_var", "layer1.0.downsample.0.weight", "layer1.2.conv3.weight",
        "layer2.0.downsample.1.running_mean", "layer3.5.bn3.bias", "layer4.2.bn2.weight", "fc.bias",
    }  # fmt: skip
    assert published <= names
    assert not any(name.startswith(("layer1.1.downsample", "layer5")) for name in names)


def test_shape_is_read_back_from_the_names():
    with torch.device("meta"):
        names = list(ResNet((1, 2, 3, 1), 8, bottleneck=True).state_dict())

    assert resnet_shape(names, 8) == ([1, 2, 3, 1], 8, True)


def test_stride_of_a_bottleneck_lies_in_its_middle_convolution():
    with torch.device("meta"):
        first = ResNet((1, 1, 1, 1), 8, bottleneck=True).get_submodule("layer2.0")

    strides = [first.get_submodule(f"conv{n}").stride for n in (1, 2, 3)]
    assert strides == [(1, 1), (2, 2), (1, 1)]


def test_an_identity_block_adds_its_input():
    network = ResNet((1, 1, 1, 1), 4)
    block = network.get_submodule("layer1.0").eval()
    torch.nn.init.zeros_(block.get_submodule("bn2").weight)
    x = torch.rand(1, 4, 5, 5)

    assert torch.equal(block(x), x)
