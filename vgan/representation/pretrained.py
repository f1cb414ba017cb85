"""Where the pre-trained discriminator comes from: a finished run, of the paper's networks."""

from dataclasses import dataclass
from pathlib import Path

from vgan.errors import CheckpointError
from vgan.models.discriminator import Discriminator
from vgan.training.checkpoint import fitting, load_checkpoint
from vgan.training.folder import RunFolder


@dataclass(frozen=True)
class PretrainedDiscriminator:
    """A discriminator that has learnt to tell clips from generated ones.

    Args:
        network: in evaluation mode.
        width: of it.
        sha256: of the checkpoint, which names the weights.
    """

    network: Discriminator
    width: int
    sha256: str


def load_discriminator(run: Path, width: int | None = None) -> PretrainedDiscriminator:
    """Load the discriminator of a run's newest checkpoint.

    Args:
        run: the run folder.
        width: that it must have; None takes any.

    Raises:
        CheckpointError: not a run, no checkpoint yet, a run without the paper's discriminator or
            with one that has learnt nothing, or of another width.
    """
    from vgan.data.manifest import sha256_of

    folder = RunFolder(run)
    config = folder.read_config()
    if config.model not in ("two-stream", "one-stream") or config.recipe != "paper":
        raise CheckpointError(
            f"{run}: a {config.recipe} {config.model} run has no discriminator of the paper's "
            "layers; train one with `vgan train two-stream --recipe paper`"
        )
    folder.check_discriminator()
    if width is not None and config.width != width:
        raise CheckpointError(
            f"{run}: its discriminator has width {config.width}, not {width}; "
            f"say --width {config.width} or train another run"
        )
    steps = folder.saved_steps()
    if not steps:
        raise CheckpointError(f"{run}: no checkpoint yet; let the run write one first")
    file = folder.checkpoint(steps[-1])
    state = load_checkpoint(file)
    network = Discriminator(config.width)
    with fitting(file):
        network.load_state_dict(state["trainer"]["discriminator"]["network"])
    network.eval().requires_grad_(False)
    return PretrainedDiscriminator(network, config.width, sha256_of(file))
