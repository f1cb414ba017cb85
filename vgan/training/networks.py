"""Which networks a run has, by its recipe, model and variant."""

from collections.abc import Callable

from torch import Tensor, nn

from vgan.models.autoencoder import paper_autoencoder
from vgan.models.discriminator import Discriminator
from vgan.models.future import CodeFuture, SmallCodeFuture, paper_future, small_future
from vgan.models.generator import OneStreamGenerator, TwoStreamGenerator
from vgan.models.layers import Generator
from vgan.models.small import (
    SmallDiscriminator,
    SmallOneStreamGenerator,
    SmallTwoStreamGenerator,
    small_autoencoder,
)
from vgan.training.config import TrainConfig


def build_network(config: TrainConfig, mean_frame: Tensor | None = None) -> Generator:
    """Build the network that samples: a generator, or the autoencoder.

    Draws its weights from torch's global generator.
    """
    size = (config.width, config.latent)
    builders: dict[tuple[str, str], Callable[[], Generator]] = {
        ("paper", "two-stream"): lambda: TwoStreamGenerator(*size),
        ("paper", "one-stream"): lambda: OneStreamGenerator(*size),
        ("paper", "autoencoder"): lambda: paper_autoencoder(*size),
        ("stabilised", "two-stream"): lambda: SmallTwoStreamGenerator(*size, mean_frame),
        ("stabilised", "one-stream"): lambda: SmallOneStreamGenerator(*size, mean_frame),
        ("stabilised", "autoencoder"): lambda: small_autoencoder(*size, mean_frame),
        ("paper", "future-paper"): lambda: paper_future(*size),
        ("paper", "future-code"): lambda: CodeFuture(config.width),
        ("stabilised", "future-paper"): lambda: small_future(*size, mean_frame),
        ("stabilised", "future-code"): lambda: SmallCodeFuture(config.width),
    }
    name = f"{config.model}-{config.variant}" if config.variant else config.model
    return builders[config.recipe, name]()


def build_discriminator(config: TrainConfig) -> nn.Module:
    """Build the network that judges clips; draws as `build_network` does."""
    if config.recipe == "stabilised":
        return SmallDiscriminator(config.width)
    return Discriminator(config.width)
