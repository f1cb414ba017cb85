"""Run a network over many clips, a batch at a time."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vgan.data.dataset import model_batches


def over_clips(
    function: Callable[[Tensor], Tensor],
    clips: NDArray[np.uint8],
    at_once: int,
    device: torch.device,
    *,
    title: str,
    leave: bool = False,
) -> NDArray[np.float32]:
    """Return what a function makes of clips, (N, D), without gradients.

    Args:
        function: gives (B, D) of clips (B, 3, T, H, W), RGB in [-1, 1], on the device.
        clips: (N, T, H, W, 3), uint8 RGB.
        at_once: clips in a batch.
        device: where the function runs.
        title: of the progress bar.
        leave: keep the bar on the screen.
    """
    batches = model_batches(clips, at_once, device, title=title, leave=leave)
    with torch.no_grad():
        found = [function(batch).float().cpu().numpy() for batch in batches]
    return np.concatenate(found)
