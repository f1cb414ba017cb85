"""The paper's autoencoder baseline: a clip to a short code and back.

The encoder is the discriminator with as many outputs as the code has numbers and no activation
after them; the decoder is the two-stream generator. No code of it was released: the layers follow
the paper's one sentence ("similar to the discriminator", a 100-d code).
"""

from typing import cast

from torch import Tensor, nn

from vgan.models.discriminator import Discriminator
from vgan.models.generator import TwoStreamGenerator
from vgan.models.layers import Generator, Streams


class Autoencoder(Generator):
    """Encode clips to codes and decode codes to clips.

    Args:
        encoder: maps clips (B, 3, 32, 64, 64) to codes (B, latent).
        decoder: a generator with `latent` and `streams`.
    """

    latent: int

    def __init__(self, encoder: nn.Module, decoder: Generator) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.latent = cast(int, decoder.latent)

    def encode(self, clip: Tensor) -> Tensor:
        """Return codes (B, latent), float32, of clips (B, 3, 32, 64, 64)."""
        return cast(Tensor, self.encoder(clip)).float()

    def streams(self, code: Tensor) -> Streams:
        """Decode codes (B, latent) to clips with their foreground, mask and background."""
        return self.decoder.streams(code)

    def reconstruct(self, clip: Tensor) -> Streams:
        """Return the reconstructions of clips (B, 3, 32, 64, 64) with their streams."""
        return self.streams(self.encode(clip))

    def forward(self, clip: Tensor) -> Tensor:
        """Return the reconstructions of clips, (B, 3, 32, 64, 64)."""
        return self.reconstruct(clip).clip


def paper_autoencoder(width: int = 64, latent: int = 100) -> Autoencoder:
    """Build the paper's baseline; at full width it has 28,908,971 parameters."""
    return Autoencoder(Discriminator(width, outputs=latent), TwoStreamGenerator(width, latent))
