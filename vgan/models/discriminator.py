"""The paper's discriminator: five convolutions over a clip, two logits.

Layer by layer as the authors' main.lua (https://github.com/cvondrick/videogan at 88c0c4d), batch
norm with their eps of 1e-3. The last layer's kernel covers its whole map: it is a matrix product.
"""

from typing import cast

from torch import Tensor, nn

from vgan.models.layers import (
    CLIP_FRAMES,
    CLIP_SIZE,
    Readout,
    ShapeError,
    Stack,
    initialise_paper,
    shrink3d,
)

REAL, FAKE = 0, 1  # the two logits' places, and the labels of the cross-entropy
_CLIP = (3, CLIP_FRAMES, CLIP_SIZE, CLIP_SIZE)


class Discriminator(nn.Module):
    """Tell real clips from generated ones; also, with other outputs, the paper's clip encoder.

    Args:
        width: channels of the first layer; the paper's is 64 (64-128-256-512).
        outputs: numbers per clip: 2 logits here (0 real, 1 fake).
    """

    def __init__(self, width: int = 64, outputs: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = [shrink3d(3, width), nn.LeakyReLU(0.2, inplace=True)]
        for factor in (2, 4, 8):
            layers += [
                shrink3d(factor * width // 2, factor * width),
                nn.BatchNorm3d(factor * width, eps=1e-3),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.trunk = Stack(*layers)
        self.readout = Readout(8 * width, (2, 4, 4), outputs)
        initialise_paper(self)

    def features(self, clip: Tensor) -> Tensor:
        """Return the fourth layer's map, (B, 8 width, 2, 4, 4), of clips (B, 3, 32, 64, 64).

        Raises:
            ShapeError: the clips have another size.
        """
        if clip.shape[1:] != _CLIP:
            raise ShapeError(
                f"clips must be (B, {', '.join(map(str, _CLIP))}), not {tuple(clip.shape)}"
            )
        return cast(Tensor, self.trunk(clip))

    def forward(self, clip: Tensor) -> Tensor:
        """Return logits (B, outputs) of clips (B, 3, 32, 64, 64), RGB in [-1, 1]."""
        return cast(Tensor, self.readout(self.features(clip)))
