"""Predict the future of pictures with a trained run: a folder of clips and its manifest.

A clip depends on the run's weights and its picture and on nothing else: pictures go through the
network one at a time, so that the same picture gives the same bytes in any company.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from vgan.data.dataset import to_model_range, to_uint8
from vgan.data.files import claim_folder, write_atomic
from vgan.data.joining import join_manifest, listed_clips
from vgan.data.manifest import SLUG, ClipRecord
from vgan.data.pictures import GivenPicture, find_pictures, left_out, read_picture
from vgan.data.videos import Frames, write_clip
from vgan.errors import DataError, UsageError
from vgan.metrics.spread import evenly_spaced
from vgan.models.layers import CLIP_FRAMES, CLIP_SIZE, Streams
from vgan.training.run import Run, load_run
from vgan.training.sheets import png_bytes, predicted_sheet
from vgan.wording import number_of

logger = logging.getLogger(__name__)

PARAMETERS_NAME = "predict.json"
SHEET_NAME = "sheet.png"
SHEET_ROWS = 24
FIRST_FRAME_ERROR = "first_frame_error"  # the manifest's name for it
PICTURE_SHA256 = "picture_sha256"  # the same, of the picture's 64x64 pixels


@dataclass(frozen=True)
class Prediction:
    """One predicted clip.

    Args:
        path: the picture's file.
        clip: path of the clip in its folder.
        first_frame_error: mean absolute difference between the picture, 64x64, and the clip's
            first frame, as a share of the full range.
    """

    path: Path
    clip: str
    first_frame_error: float


@dataclass(frozen=True)
class Predictions:
    """What came of some pictures.

    Args:
        made: a prediction per picture, in the order of their names.
        unread: why a picture could not be read, in a line each that names it.
    """

    made: list[Prediction]
    unread: list[str]


def predict(
    run: Path,
    inputs: Sequence[Path],
    out: Path,
    *,
    frame: int = 0,
    split: str | None = None,
    category: str | None = None,
    device: torch.device | None = None,
) -> Predictions:
    """Write the predicted future of pictures into a clip folder, with a sheet to look at.

    All pictures are read before the first clip is written; those that cannot be are left out.

    Args:
        run: the run folder of a future model.
        inputs: pictures, videos, folders of them, or glob patterns.
        out: the clip folder; more pictures may be added by later calls with the same run.
        frame: of each video or animation that is given, from 0.
        split: of the clips taken from folders with a manifest; all by default.
        category: of the clips; by default what the run was trained on.
        device: where the network runs, the CPU by default.

    Raises:
        UsageError: the run is of another model, the frame or the category is impossible, or `out`
            holds other clips, or a clip of the same name from another picture.
        CheckpointError: the run cannot be loaded, or has no checkpoint yet.
        DataError: none of the pictures can be read, or a clip cannot be written.
    """
    if frame < 0:
        raise UsageError(f"the frame must be at least 0, not {frame}")
    device = device or torch.device("cpu")
    loaded = load_future(run, device)
    category = category or loaded.config.category
    if not SLUG.fullmatch(category):
        raise UsageError(f"category {category!r} is not a slug (lower-case letters, digits, - .)")
    settings = {
        "source": loaded.config.source,
        "checkpoint_sha256": loaded.checkpoint_sha256,  # while the run, if it trains on, has it
        "frame": frame,
    }
    pictures = find_pictures(inputs, category=loaded.config.category, frame=frame, split=split)
    claim_folder(out, PARAMETERS_NAME, settings)
    squares, unread = _read(pictures, frame)
    _refuse_others(out, squares, category)
    made, records, rows = [], [], []
    shown = set(evenly_spaced(len(squares), SHEET_ROWS).tolist())
    bar = tqdm(squares, desc=f"future of {category}", unit="clip")
    for number, (picture, given) in enumerate(bar):
        frames = to_uint8(predict_streams(loaded, given[None], device).clip)[0]
        record = _written(out, picture, category, given, frames, loaded)
        records.append(record)
        made.append(Prediction(picture.path, record.clip, first_frame_error(given, frames)))
        if number in shown:
            rows.append((given, frames))
    _finish(out, records, rows)
    logger.info("%s: %s of %s", out, number_of(len(made), "clip"), loaded.config.source)
    if said := left_out(inputs):
        logger.info("%s", said)
    return Predictions(made, unread)


def _read(
    pictures: Sequence[GivenPicture], frame: int
) -> tuple[list[tuple[GivenPicture, Frames]], list[str]]:
    """Read pictures as small squares, 12 KB each; return also why some cannot be read."""
    squares, unread = [], []
    for picture in tqdm(pictures, desc="reading pictures", unit="picture"):
        try:
            squares.append((picture, read_picture(picture.path, CLIP_SIZE, frame)))
        except DataError as error:
            unread.append(str(error))
            logger.warning("%s", error)
    if not squares:
        of = f"none of {len(unread)} pictures can be used; the first, " if len(unread) > 1 else ""
        raise DataError(f"{of}{unread[0]}")
    return squares, unread


def load_future(run: Path, device: torch.device) -> Run:
    """Load a future model's newest checkpoint; say so where training goes on.

    Raises:
        UsageError: the run is of another model.
        CheckpointError: it cannot be loaded, or has no checkpoint yet.
    """
    loaded = load_run(run, device)
    if loaded.config.model != "future":
        raise UsageError(
            f"{run}: a {loaded.config.model} run, which needs no picture; only future runs "
            f"predict: for its clips use `vgan generate {run}`"
        )
    if loaded.step < loaded.config.steps:
        logger.info(
            "%s: not finished, uses the checkpoint at step %d of %d",
            run, loaded.step, loaded.config.steps,
        )  # fmt: skip
    return loaded


def predict_streams(run: Run, pictures: Frames, device: torch.device) -> Streams:
    """Predict clips with their streams from pictures (B, 64, 64, 3), uint8 RGB."""
    given = to_model_range(torch.from_numpy(pictures[:, None]).to(device))[:, :, 0]
    with torch.no_grad():
        return run.network.streams(given)


def first_frame_error(picture: Frames, frames: Frames) -> float:
    """Return how far a clip begins from its picture: mean absolute difference, share of the range.

    Args:
        picture: (H, W, 3), 0..255.
        frames: (T, H, W, 3), 0..255.
    """
    return float(np.abs(frames[0].astype(np.int16) - picture).mean()) / 255


def as_text(made: Sequence[Prediction]) -> str:
    """Return the first-frame errors as lines, the mean last."""
    lines = [f"{p.first_frame_error:.4f}  {p.clip}  (from {p.path})" for p in made]
    mean = float(np.mean([p.first_frame_error for p in made]))
    return "\n".join(
        ["first-frame error, share of the full range:", *lines, f"{mean:.4f}  mean of {len(made)}"]
    )


def picture_digest(given: Frames) -> str:
    """Return what the manifest calls `picture_sha256`."""
    return sha256(given.tobytes()).hexdigest()


def _refuse_others(
    out: Path, squares: Sequence[tuple[GivenPicture, Frames]], category: str
) -> None:
    """Refuse what would replace the clip of another picture.

    Raises:
        UsageError: the message names picture and clip.
    """
    listed = {record.clip: record for record in listed_clips(out)}
    for picture, given in squares:
        clip = f"{category}/{picture.name}.mp4"
        if clip in listed and not _is_of(listed[clip], picture, given):
            raise UsageError(
                f"{picture.path}: would become {clip}, which {out} already holds from another "
                "picture: rename it, or give another --out"
            )


def _is_of(record: ClipRecord, picture: GivenPicture, given: Frames) -> bool:
    digest = picture_digest(given)
    return record.origin == picture.origin and record.extra.get(PICTURE_SHA256, digest) == digest


def _written(
    out: Path, picture: GivenPicture, category: str, given: Frames, frames: Frames, run: Run
) -> ClipRecord:
    clip = f"{category}/{picture.name}.mp4"
    return ClipRecord(
        clip=clip,
        sha256=write_clip(out / clip, frames, run.data.fps),
        source=run.config.source,
        category=category,
        frames=CLIP_FRAMES,
        fps=run.data.fps,
        width=CLIP_SIZE,
        height=CLIP_SIZE,
        origin=picture.origin,
        split=picture.split,
        extra={
            FIRST_FRAME_ERROR: round(first_frame_error(given, frames), 6),
            PICTURE_SHA256: picture_digest(given),
        },
    )


def _finish(out: Path, records: list[ClipRecord], rows: list[tuple[Frames, Frames]]) -> None:
    """List the clips beside those that were there, and draw the sheet of these."""
    given, frames = (np.stack(part) for part in zip(*rows, strict=True))
    write_atomic(out / SHEET_NAME, png_bytes(predicted_sheet(given, frames)))
    join_manifest(out, records)
