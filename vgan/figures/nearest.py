"""Clips beside the training clips nearest to them: is anything copied?"""

from pathlib import Path

import numpy as np

from vgan.data.files import write_atomic
from vgan.data.videos import Frames
from vgan.errors import UsageError
from vgan.figures.drawing import block, captioned, png, stacked
from vgan.metrics.report import NearestPairs, RunMeasures

SHOWN = 6
_FRAMES = 3  # of each clip


def write_nearest(out: Path, runs: list[RunMeasures]) -> Path:
    """Write a PNG of the pairs that are most alike, of each run and of held-out clips.

    Raises:
        UsageError: the training clips of no run are at hand.
        WriteError: the file cannot be written.
    """
    blocks = [block for _, block in nearest_blocks(runs)]
    if not blocks:
        raise UsageError(f"{out}: there are no training clips here to draw nearest ones of")
    write_atomic(out, png(stacked(blocks)))
    return out


def nearest_blocks(runs: list[RunMeasures], shown: int = SHOWN) -> list[tuple[str, Frames]]:
    """Return a name and a picture for each run with training clips, then those of real clips.

    Runs trained on and compared with the same clips share one, as in the tables.
    """
    known = [run for run in runs if run.generated]
    blocks = []
    for run in known:
        assert run.generated is not None
        title = f"{run.name}: generated, and nearest training clip"
        blocks.append((run.name, nearest_block(run.generated, title, shown)))
    firsts: dict[str, RunMeasures] = {}
    for run in known:
        firsts.setdefault(run.against, run)
    for against, run in firsts.items():
        assert run.real is not None
        name, of = ("real", "") if len(firsts) == 1 else (f"real-{run.name}", f" ({against})")
        title = f"real, held out, and nearest training clip{of}"
        blocks.append((name, nearest_block(run.real, title, shown)))
    return blocks


def nearest_block(pairs: NearestPairs, title: str, shown: int = SHOWN) -> Frames:
    """Return the pairs with the lowest distance ratio, a clip left and its nearest right.

    Args:
        pairs: clips and their nearest training clips.
        title: over them.
        shown: pairs, at most.
    """
    near = pairs.nearest
    scores = np.where(np.isfinite(near.ratios), near.ratios, near.distances)
    rows, lines = [], []
    for place in np.argsort(scores, kind="stable")[:shown]:
        training = near.clips[place]
        rows.append(_spread(pairs.clips[place]) + _spread(pairs.training[training]))
        lines.append(
            f"clip {place} and training clip {training}: {near.distances[place]:.3f} apart, "
            f"{near.ratios[place]:.2f} of the next"
        )
    headings = ["clip", "", "", "nearest", "", ""]
    return captioned(block(rows, headings), title, *lines)


def _spread(clip: Frames) -> list[Frames]:
    places = np.linspace(0, len(clip) - 1, _FRAMES).round().astype(int)
    return [np.asarray(clip[place]) for place in places]
