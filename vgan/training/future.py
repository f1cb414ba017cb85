"""What training future prediction needs besides the other models: the pictures that are given."""

from collections.abc import Iterator

import torch
from torch import Tensor

from vgan.models.layers import CLIP_SIZE
from vgan.training.distributed import ALONE, World


class FirstFrames:
    """The first frames of the clips trained on, the last of which are kept.

    Averaged weights need pictures to measure their batch-norm statistics over, and what a sampler
    shows may depend on the trainer's state alone: so the state has them.

    Args:
        keep: how many; 0 for none.
        device: where they are kept.

    Attributes:
        kept: (at most `keep`, 3, 64, 64), uint8, newest last.
    """

    def __init__(self, keep: int, device: torch.device) -> None:
        self.keep = keep
        shape = (0, 3, CLIP_SIZE, CLIP_SIZE)
        self.kept = torch.empty(shape, dtype=torch.uint8, device=device)

    def take(self, real: Tensor, world: World = ALONE) -> Tensor:
        """Return the first frames (B, 3, H, W) of clips (B, 3, T, H, W), RGB in [-1, 1].

        Those of all processes' clips are kept, so that the state is the run's own.
        """
        frames = real[:, :, 0].contiguous()
        if self.keep:
            levels = world.gathered(((frames + 1) * 127.5).round().to(torch.uint8))
            self.kept = torch.cat([self.kept, levels])[-self.keep :].clone()
        return frames

    def batches(self, size: int) -> Iterator[Tensor]:
        """Yield the kept frames, RGB in [-1, 1], in batches of at most `size`."""
        for start in range(0, len(self.kept), size):
            yield self.kept[start : start + size].float() / 127.5 - 1
