"""The residual network that the published Places365 weights were trained with.

Layers bear the names that those files use (`layer1.0.conv1`, `fc`). torchvision has the same
network, but each of its releases fits one release of torch only.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torch.nn import functional

_STAGES = 4
_BOTTLENECK = 4  # a bottleneck block puts out four times the channels it works on


def _shortcut(into: int, out: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and into == out:
        return None
    return nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, into: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(into, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        kept = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + kept)


class _BottleneckBlock(nn.Module):
    """1x1, 3x3 (which carries the stride, as in torchvision) and 1x1 around a shortcut."""

    def __init__(self, into: int, width: int, stride: int) -> None:
        super().__init__()
        out = _BOTTLENECK * width
        self.conv1 = nn.Conv2d(into, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = _shortcut(into, out, stride)

    def forward(self, x: Tensor) -> Tensor:
        kept = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)))
        return functional.relu(self.bn3(self.conv3(x)) + kept)


class ResNet(nn.Module):
    """A residual network for pictures.

    Args:
        blocks: in each of the four stages; (2, 2, 2, 2) is ResNet-18, (3, 4, 6, 3) with
            bottlenecks ResNet-50.
        width: channels of the first layer; 64 in the published networks.
        classes: that are told apart.
        bottleneck: blocks of three convolutions (ResNet-50 and deeper) instead of two.

    Source:
        He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016; the
        stride of a bottleneck lies in its middle convolution, as in the published weights.
    """

    def __init__(
        self, blocks: Sequence[int], width: int = 64, classes: int = 365, bottleneck: bool = False
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self._channels = width
        for stage, count in enumerate(blocks):
            made = self._stage(width * 2**stage, count, 1 if stage == 0 else 2, bottleneck)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
        self.fc = nn.Linear(self._channels, classes)

    def _stage(self, width: int, count: int, stride: int, bottleneck: bool) -> Iterator[nn.Module]:
        block = _BottleneckBlock if bottleneck else _BasicBlock
        for number in range(count):
            yield block(self._channels, width, stride if number == 0 else 1)
            self._channels = width * (_BOTTLENECK if bottleneck else 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the classes' logits.

        Args:
            pictures: (B, 3, H, W), normalised as the weights ask for it.

        Returns:
            (B, classes).
        """
        x = functional.relu(self.bn1(self.conv1(pictures)))  # (B, width, H/2, W/2)
        x = functional.max_pool2d(x, 3, 2, 1)  # (B, width, H/4, W/4)
        for stage in range(_STAGES):
            x = self.get_submodule(f"layer{stage + 1}")(x)  # (B, width 2^stage, H/2^(stage+2), ...)
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


def resnet_shape(names: Sequence[str], width: int) -> tuple[list[int], int, bool]:
    """Return `blocks`, `width` and `bottleneck` of the network whose layers bear these names."""
    blocks = []
    for stage in range(1, _STAGES + 1):
        numbers = {n.split(".")[1] for n in names if n.startswith(f"layer{stage}.")}
        blocks.append(max(len(numbers), 1))
    return blocks, width, any(name.startswith("layer1.0.conv3") for name in names)
