"""Every loss term of every recipe, by name.

Logits come in any float type and leave as float32 scalars: cross-entropies and means over millions
of mask values are not to be summed in bfloat16.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vgan.models.discriminator import FAKE, REAL


def two_logit_cross_entropy(logits: Tensor, label: int) -> Tensor:
    """Softmax cross-entropy of the discriminator's two logits with one label for the whole batch.

    Its value is the binary cross-entropy of the margin, logits[:, 0] - logits[:, 1], but not its
    training: two rows of weights move in opposite directions under Adam.

    Args:
        logits: (B, 2), real first.
        label: `REAL` (0) or `FAKE` (1).

    Source:
        main.lua of https://github.com/cvondrick/videogan at 88c0c4d.
    """
    labels = torch.full((len(logits),), label, dtype=torch.long, device=logits.device)
    return functional.cross_entropy(logits.float(), labels)


def two_logit_real(logits: Tensor) -> Tensor:
    """Discriminator's cross-entropy on real clips, logits (B, 2)."""
    return two_logit_cross_entropy(logits, REAL)


def two_logit_fake(logits: Tensor) -> Tensor:
    """Discriminator's cross-entropy on generated clips, logits (B, 2)."""
    return two_logit_cross_entropy(logits, FAKE)


def two_logit_fool(logits: Tensor) -> Tensor:
    """Generator's cross-entropy: its clips under the label real (non-saturating), logits (B, 2)."""
    return two_logit_cross_entropy(logits, REAL)


def hinge_real(logits: Tensor) -> Tensor:
    """Discriminator's hinge on real clips: mean of max(0, 1 - logit)."""
    return functional.relu(1.0 - logits.float()).mean()


def hinge_fake(logits: Tensor) -> Tensor:
    """Discriminator's hinge on generated clips: mean of max(0, 1 + logit)."""
    return functional.relu(1.0 + logits.float()).mean()


def hinge_fool(logits: Tensor) -> Tensor:
    """Generator's side of the hinge: minus the mean logit of its clips."""
    return -logits.float().mean()


def mask_prior(mask: Tensor, weight: float) -> Tensor:
    """Weight times the mean of the mask, so that what can be background is background.

    The mean is over batch, time and space: the gradient at every mask value is weight / numel.

    Args:
        mask: (B, 1, T, H, W), in [0, 1]; being positive, its mean is its mean absolute value.
        weight: 0.1 in the paper's recipe.

    Source:
        main.lua of https://github.com/cvondrick/videogan at 88c0c4d: nn.L1Penalty(0.1, true), whose
        second argument averages. A summed penalty would be millions of times stronger.
    """
    return weight * mask.float().mean()


def reconstruction_l2(reconstruction: Tensor, clip: Tensor) -> Tensor:
    """Mean squared error of the autoencoder: our choice, the paper does not name its loss."""
    return functional.mse_loss(reconstruction.float(), clip.float())


def first_frame_l1(clip: Tensor, picture: Tensor) -> Tensor:
    """Mean absolute difference between predicted clips' first frames and the pictures given.

    Args:
        clip: (B, 3, T, H, W), RGB in [-1, 1].
        picture: (B, 3, H, W), likewise.

    Source:
        main_conditional.lua of https://github.com/cvondrick/videogan at 88c0c4d (AbsCriterion, a
        mean, times 10). The paper's text says L1 too; its equation is said to square.
    """
    return functional.l1_loss(clip[:, :, 0].float(), picture.float())


@dataclass(frozen=True)
class AdversarialLoss:
    """The three terms of an adversarial game; D minimises `real` + `fake`, G minimises `fool`.

    Args:
        real: of D's logits on real clips.
        fake: of D's logits on generated clips.
        fool: of D's logits on generated clips, for G.
    """

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    fool: Callable[[Tensor], Tensor]


TWO_LOGIT = AdversarialLoss(two_logit_real, two_logit_fake, two_logit_fool)
HINGE = AdversarialLoss(hinge_real, hinge_fake, hinge_fool)
