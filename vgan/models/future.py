"""Future prediction: 32 frames from one picture. The paper's text and its code are two networks.

- `paper_future` is the text: five 2-D convolutions turn the picture into the 100 numbers that the
  two-stream generator starts from.
- `CodeFuture` is the authors' main_conditional.lua (https://github.com/cvondrick/videogan at
  88c0c4d), layer by layer: four convolutions of twice the width, and both streams start from
  their 4x4 map; there is no code of 100 numbers.
- `small_future` and `SmallCodeFuture` are the same two in the stabilised recipe's layers. The
  second adds its background onto the given picture, as the unconditional one adds its own onto the
  mean frame, so that 8 channels need not remember what is given anyway.

None has a latent: the same picture always has the same future. The discriminator is the
unconditional one and sees the clip only; that a clip begins with the picture is a term of the loss
(`vgan.training.losses.first_frame_l1`).
"""

from torch import Tensor, nn

from vgan.models.generator import (
    TwoStreamGenerator,
    background_layers,
    blend,
    foreground_trunk,
)
from vgan.models.layers import (
    CLIP_SIZE,
    Generator,
    Readout,
    ShapeError,
    Stack,
    Streams,
    enlarge3d,
    initialise_paper,
    shrink2d,
)
from vgan.models.small import (
    SmallBackground,
    SmallTwoStreamGenerator,
    before_tanh,
    blend_small,
    initialise_small,
    small_trunk,
)

_PICTURE = (3, CLIP_SIZE, CLIP_SIZE)
_ENCODER_EPS = 1e-3  # of the authors' encoder and discriminator; their generators keep 1e-5


class Future(Generator):
    """Encode a picture to a code and decode the code to a clip.

    Args:
        encoder: maps pictures (B, 3, 64, 64) to codes (B, latent).
        decoder: a two-stream generator with `streams`.
    """

    def __init__(self, encoder: nn.Module, decoder: Generator) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def streams(self, picture: Tensor) -> Streams:
        """Predict clips with their streams from pictures (B, 3, 64, 64), RGB in [-1, 1].

        Raises:
            ShapeError: the pictures have another size.
        """
        return self.decoder.streams(self.encoder(_checked(picture)))


class CodeFuture(Generator):
    """The authors' released network; at its width of 128 it has 68,216,455 parameters.

    Args:
        width: channels before the heads and after the encoder's first layer.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.encoder = Stack(*_halvings(width, nn.ReLU(inplace=True)))
        self.foreground = foreground_trunk(_Hold(8 * width), width)
        self.head = enlarge3d(width, 4)  # channels 0-2 foreground, 3 mask
        self.background = Stack(*background_layers(width))
        initialise_paper(self)

    def streams(self, picture: Tensor) -> Streams:
        """Predict clips with their streams; see `Future.streams`."""
        maps = self.encoder(_checked(picture))  # (B, 8W, 4, 4)
        return blend(self.head(self.foreground(maps)), self.background(maps))


class SmallCodeFuture(Generator):
    """The stabilised reading of the released network: the background starts as the picture.

    Args:
        width: channels before the heads; 8 is the small preset's.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.encoder = Stack(*_halvings(width, nn.LeakyReLU(0.2, inplace=True)))
        self.foreground = small_trunk(_Hold(8 * width), width)
        self.head = nn.Conv3d(width, 4, 3, padding=1)
        self.background = SmallBackground(nn.Identity(), width, None)
        initialise_small(self)

    def streams(self, picture: Tensor) -> Streams:
        """Predict clips with their streams; see `Future.streams`."""
        maps = self.encoder(_checked(picture))  # (B, 8W, 4, 4)
        background = self.background(maps, onto=before_tanh(picture))
        return blend_small(self.head(self.foreground(maps)), background)


class _Hold(nn.ConvTranspose3d):
    """Turn a map (B, C, 4, 4) into (B, C, 2, 4, 4): the same place at two times."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, kernel_size=(2, 1, 1))

    def forward(self, maps: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(maps.unsqueeze(2), output_size)


def paper_future(width: int = 64, latent: int = 100) -> Future:
    """Build the paper's text: five convolutions to a code, then the two-stream generator."""
    encoder = Stack(*_halvings(width, nn.ReLU(inplace=True)), Readout(8 * width, (4, 4), latent))
    initialise_paper(encoder)
    return Future(encoder, TwoStreamGenerator(width, latent))


def small_future(width: int = 8, latent: int = 100, mean_frame: Tensor | None = None) -> Future:
    """Build the same in the stabilised recipe's layers; backgrounds start from the mean frame."""
    readout = Readout(8 * width, (4, 4), latent)
    encoder = Stack(*_halvings(width, nn.LeakyReLU(0.2, inplace=True)), readout)
    initialise_small(encoder)
    nn.init.normal_(readout.weight, 0.0, readout.weight[0].numel() ** -0.5)
    return Future(encoder, SmallTwoStreamGenerator(width, latent, mean_frame))


def _halvings(width: int, activation: nn.Module) -> list[nn.Module]:
    """Four convolutions from pictures to (B, 8W, 4, 4), batch norm from the second on."""
    layers: list[nn.Module] = [shrink2d(3, width), activation]
    for factor in (2, 4, 8):
        layers += [shrink2d(factor * width // 2, factor * width)]
        layers += [nn.BatchNorm2d(factor * width, eps=_ENCODER_EPS), activation]
    return layers


def _checked(picture: Tensor) -> Tensor:
    if picture.shape[1:] != _PICTURE:
        raise ShapeError(
            f"pictures must be (B, {', '.join(map(str, _PICTURE))}), not {tuple(picture.shape)}"
        )
    return picture
