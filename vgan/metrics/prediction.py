"""Does predicting the future beat repeating the frame? Measured against what really happened.

The clips of the test split are cut from videos that were not trained on, and begin with the frame
that is given, so their other frames are the true future. The error is the mean absolute difference
from it, as a share of the full range, at several horizons; beside it stands the error of the
simplest forecast, the given frame again. Absolute differences forgive blur and punish a movement
to the wrong place twice: a low error is not a realistic clip, and only people say which that is.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit
from tabulate import tabulate
from tqdm import tqdm

from vgan.data.dataset import open_dataset, to_uint8
from vgan.data.pictures import clip_origin
from vgan.data.videos import Frames
from vgan.errors import UsageError
from vgan.metrics.spread import evenly_spaced
from vgan.metrics.stillness import motion
from vgan.prediction import load_future, predict_streams

# Frames after the given one, whose own number is 0: there the error is that of the reconstruction.
HORIZONS = (0, 1, 2, 4, 8, 16, 31)
# Fewer videos say too little about other videos; their mean is shown without an interval.
FEWEST_VIDEOS = 5
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over clips with its 95 % interval over videos; no bounds from too few videos."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class HorizonError:
    """Errors at one horizon, each a share of the full range.

    Args:
        frame: number of the frame, the given one being 0; None for the mean over all later ones.
        prediction: of the run.
        repeated: of repeating the given frame.
        difference: of the two, clip by clip; below 0 the prediction is the better.
    """

    frame: int | None
    prediction: Interval
    repeated: Interval
    difference: Interval


@dataclass(frozen=True)
class PredictionReport:
    """How well a run predicts.

    Args:
        errors: by horizon, the mean over all later frames last.
        clips: number of clips.
        videos: number of source videos they come from.
        motion: mean change from frame to frame of the predictions, share of the full range.
        true_motion: the same of the true clips.
    """

    errors: list[HorizonError]
    clips: int
    videos: int
    motion: Interval
    true_motion: Interval

    @property
    def verdict(self) -> str:
        """Say plainly whether the prediction beats repeating the frame."""
        overall = self.errors[-1].difference
        if overall.low is None or overall.high is None:
            return (
                f"Cannot be told from {self.videos} source videos whether it beats repeating the "
                f"frame: at least {FEWEST_VIDEOS} are needed."
            )
        if overall.high < 0:
            return "It beats repeating the frame."
        if overall.low > 0:
            return "It does not beat repeating the frame: it is worse."
        return "It does not beat repeating the frame: no difference can be told."


def measure_prediction(
    run: Path,
    data: Path | None = None,
    *,
    n: int = 32,
    device: torch.device | None = None,
) -> PredictionReport:
    """Predict the clips of a test split from their first frames and compare.

    Args:
        run: the run folder of a future model.
        data: the clip folder, the run's own by default.
        n: number of clips, at most; spread evenly over the split.
        device: where the network runs, the CPU by default.

    Raises:
        UsageError: the run is of another model, or fewer than two clips are asked for.
        CheckpointError: it cannot be loaded.
        DataError: the clips cannot be read, or there is no test split.
    """
    if n < 2:
        raise UsageError(f"n must be at least 2, not {n}")
    device = device or torch.device("cpu")
    loaded = load_future(run, device)
    real = open_dataset(loaded.data.clips_in(data), loaded.config.category, "test")
    rows = evenly_spaced(len(real), n)
    errors, still, moves, true_moves = [], [], [], []
    for row in tqdm(rows.tolist(), desc="predicting", unit="clip", leave=False):
        true = np.array(real.clips[row])  # torch wants its own copy of a read-only file
        predicted = to_uint8(predict_streams(loaded, true[:1], device).clip)[0]
        errors.append(frame_errors(predicted, true))
        still.append(frame_errors(np.broadcast_to(true[:1], true.shape), true))
        moves.append(motion(predicted))
        true_moves.append(motion(true))
    videos = [clip_origin(real.records[row]).video for row in rows]
    return PredictionReport(
        compare(np.array(errors), np.array(still), videos),
        len(rows),
        len(set(videos)),
        mean_by_video(np.array(moves), videos),
        mean_by_video(np.array(true_moves), videos),
    )


def frame_errors(predicted: Frames, true: Frames) -> NDArray[np.float64]:
    """Return the mean absolute difference of every frame, (T,), as a share of the full range.

    Args:
        predicted: (T, H, W, 3), 0..255.
        true: the same.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != true.shape:
        raise ValueError(f"clips of different shape: {predicted.shape} and {true.shape}")
    difference = np.abs(predicted.astype(np.int16) - true)
    return np.asarray(difference.mean(axis=(1, 2, 3)) / 255)


def compare(
    predicted: NDArray[np.float64], repeated: NDArray[np.float64], videos: Sequence[str]
) -> list[HorizonError]:
    """Compare two forecasts' errors, (clips, T) each, horizon by horizon and in the mean."""
    columns = [(frame, predicted[:, frame], repeated[:, frame])
               for frame in HORIZONS if frame < predicted.shape[1]]  # fmt: skip
    later = (None, predicted[:, 1:].mean(axis=1), repeated[:, 1:].mean(axis=1))
    return [
        HorizonError(
            frame,
            mean_by_video(ours, videos),
            mean_by_video(theirs, videos),
            mean_by_video(ours - theirs, videos),
        )
        for frame, ours, theirs in [*columns, later]
    ]


def mean_by_video(values: NDArray[np.float64], videos: Sequence[str]) -> Interval:
    """Return the mean over clips, with an interval that counts videos, not clips.

    The delete-one jackknife over videos, and Student's t with as many degrees of freedom as there
    are videos less one.

    Args:
        values: (clips,).
        videos: which video each clip was cut from.
    """
    mean = float(values.mean())
    names, group = np.unique(np.asarray(videos), return_inverse=True)
    count = len(names)
    if count < FEWEST_VIDEOS:
        return Interval(mean, None, None)
    sums = np.bincount(group, values, count)
    sizes = np.bincount(group, minlength=count)
    without = (values.sum() - sums) / (len(values) - sizes)
    error = math.sqrt((count - 1) / count * float(((without - mean) ** 2).sum()))
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * error
    return Interval(mean, mean - half, mean + half)


def as_text(report: PredictionReport) -> str:
    """Return the report as a table for the terminal, with the verdict under it."""
    headers = ("frame", "prediction", "repeated frame", "difference")
    rows = [
        (_named(e.frame), _shown(e.prediction), _shown(e.repeated), _shown(e.difference))
        for e in report.errors
    ]
    table = tabulate(rows, headers, disable_numparse=True, colalign=("right",) * 4)
    lines = [
        f"Mean absolute difference from the true future, share of the full range; {report.clips} "
        f"test clips of {report.videos} source videos, 95 % intervals over videos.",
        table,
        f"Motion, mean change between frames: prediction {_shown(report.motion)}, "
        f"true {_shown(report.true_motion)}.",
        report.verdict,
    ]
    return "\n".join(lines)


def to_json(report: PredictionReport) -> str:
    """Return the report as JSON; null where there is no bound."""
    return json.dumps(asdict(report) | {"verdict": report.verdict}, indent=2)


def _named(frame: int | None) -> str:
    return "1 to last" if frame is None else f"{frame} (given)" if frame == 0 else str(frame)


def _shown(value: Interval) -> str:
    bounds = "" if value.low is None else f" [{value.low:.4f}, {value.high:.4f}]"
    return f"{value.mean:.4f}{bounds}"
