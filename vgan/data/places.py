"""Which scene a clip shows: probabilities of the 365 scenes of Places365, and the rule on them.

The rule reads stored probabilities, so that another threshold does not need the network again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vgan.data.manifest import SLUG
from vgan.data.place_weights import CLASSES
from vgan.data.videos import Frames
from vgan.errors import DataError, UsageError

Scores = NDArray[np.float64]

SCORES_KEY = "places"
# Index and name in categories_places365.txt. The paper's babies were filmed in hospital rooms.
PAPER_SCENES = {
    "beach": (48, "/b/beach"),
    "golf": (164, "/g/golf_course"),
    "train": (337, "/t/train_station/platform"),
    "baby": (179, "/h/hospital_room"),
}
_PICTURE, _CROP = 256, 224
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures
# Smaller probabilities decide nothing, and most of the 365 are smaller.
_DECIMALS = 4
_CLASSES_OF = re.compile(r"(?P<name>[^=]+)=(?P<classes>\d+(\+\d+)*)")


@dataclass(frozen=True)
class SceneCategory:
    """A category of clips, and the scenes that belong to it.

    Args:
        name: a slug; the category in the manifest.
        classes: indices in Places365's list, each from 0 to 364.
    """

    name: str
    classes: tuple[int, ...]


def parse_categories(text: str) -> list[SceneCategory]:
    """Read `beach,golf,snow=305+309`: the paper's names, or a name and its classes.

    Raises:
        UsageError: an unknown name without classes, a class that does not exist or belongs to two
            categories, or nothing at all.
    """
    found: list[SceneCategory] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        match = _CLASSES_OF.fullmatch(item)
        if match is not None:
            name, classes = match["name"].strip(), tuple(map(int, match["classes"].split("+")))
        elif item in PAPER_SCENES:
            name, classes = item, (PAPER_SCENES[item][0],)
        else:
            raise UsageError(
                f"category {item!r}: is none of {', '.join(PAPER_SCENES)}; give its classes by "
                "their number in categories_places365.txt, as in snow=305+309"
            )
        if not SLUG.fullmatch(name):
            raise UsageError(f"category {name!r}: use lower-case letters, digits, - and .")
        found.append(SceneCategory(name, classes))
    _check_apart(found)
    return found


def _check_apart(categories: Sequence[SceneCategory]) -> None:
    owner: dict[int, str] = {}
    for category in categories:
        for number in category.classes:
            if number >= CLASSES:
                raise UsageError(
                    f"category {category.name}: class {number} is not one of 0 to {CLASSES - 1}"
                )
            if number in owner:
                raise UsageError(f"class {number} is in {owner[number]} and in {category.name}")
            owner[number] = category.name
    if not categories:
        raise UsageError("no category is named: give one or more of " + ", ".join(PAPER_SCENES))
    if len({c.name for c in categories}) < len(categories):
        raise UsageError("a category is named twice")


def decide(
    scores: Scores, categories: Sequence[SceneCategory], threshold: float | None
) -> str | None:
    """Return the category that something with these probabilities is kept for, or None.

    Args:
        scores: (365,), probabilities.
        categories: to choose from.
        threshold: None keeps what has its likeliest scene in a category; a number keeps what has
            at least this probability in one, the category's scenes together, for the likeliest.
    """
    if threshold is None:
        top = int(scores.argmax())
        return next((c.name for c in categories if top in c.classes), None)
    # The first named wins a tie, as `max` has it.
    best = max(categories, key=lambda c: scores[list(c.classes)].sum())
    return best.name if scores[list(best.classes)].sum() >= threshold else None


def sampled_frames(count: int, wanted: int) -> list[int]:
    """Indices of `wanted` frames spread evenly over `count`: the middles of equal stretches."""
    wanted = min(count, wanted)
    return [int((n + 0.5) * count / wanted) for n in range(wanted)]


def to_pictures(frames: Frames, device: torch.device) -> Tensor:
    """Prepare frames as the published weights ask for it: squashed to 256x256, the centre 224x224.

    Args:
        frames: (N, H, W, 3), uint8 RGB.
        device: where the pictures go.

    Returns:
        (N, 3, 224, 224), normalised by ImageNet's mean and spread.

    Source:
        Zhou, Lapedriza, Khosla, Oliva and Torralba, Places365-CNNs, their PyTorch example.
    """
    pictures = torch.from_numpy(np.ascontiguousarray(frames)).to(device)
    planar = pictures.permute(0, 3, 1, 2).to(torch.float32)
    size = (_PICTURE, _PICTURE)
    squashed = functional.interpolate(
        planar, size, mode="bilinear", align_corners=False, antialias=True
    )
    edge = (_PICTURE - _CROP) // 2
    cropped = squashed[:, :, edge : edge + _CROP, edge : edge + _CROP] / 255
    mean, spread = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (_MEAN, _SPREAD))
    return (cropped - mean) / spread


@torch.inference_mode()
def score_frames(network: torch.nn.Module, frames: Frames, device: torch.device) -> Scores:
    """Return the scenes' probabilities, the mean over frames, (365,), rounded as they are stored.

    Args:
        network: gives logits (B, 365); on `device`, in evaluation mode.
        frames: (N, H, W, 3), uint8 RGB.
        device: where the network is.

    Raises:
        DataError: the network gives numbers that are not finite.
    """
    shares = functional.softmax(network(to_pictures(frames, device)).double(), dim=1).mean(dim=0)
    scores: Scores = shares.cpu().numpy()
    if not np.isfinite(scores).all():
        raise DataError("the network gives no probabilities (its weights overflow)")
    return scores.round(_DECIMALS)


def stored_scores(scores: Scores) -> list[float]:
    """Return the scores as a manifest holds them: most of them a plain 0."""
    return [float(s) if s else 0 for s in scores]


def read_scores(raw: Any, where: str) -> Scores:
    """Check scores that were stored.

    Raises:
        DataError: they are not 365 probabilities; the message begins with `where`.
    """
    numbers = isinstance(raw, list) and all(isinstance(s, int | float) for s in raw)
    if not numbers or len(raw) != CLASSES:
        raise DataError(f"{where}: key `{SCORES_KEY}` must be a list of {CLASSES} numbers")
    scores = np.asarray(raw, np.float64)
    if not (np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1):
        raise DataError(f"{where}: key `{SCORES_KEY}` must hold numbers from 0 to 1")
    return scores
