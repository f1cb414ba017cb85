"""Figure 5 of the paper: a picture, what was predicted from it, and what really happened."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from vgan.clips_in_memory import run_names
from vgan.data.dataset import open_dataset, to_uint8
from vgan.data.manifest import MANIFEST_NAME, ClipRecord, read_manifest
from vgan.data.pictures import read_picture
from vgan.data.videos import Frames, read_video
from vgan.errors import DataError, UsageError
from vgan.figures.drawing import block, captioned, enlarge
from vgan.figures.figure import Figure, write_figures
from vgan.figures.samples import ARROWS_MEAN, with_arrows
from vgan.metrics.spread import evenly_spaced
from vgan.prediction import PICTURE_SHA256, load_future, picture_digest, predict_streams
from vgan.training.folder import RunFolder

logger = logging.getLogger(__name__)

_FRAMES = (1, 8, 16, 32)
_FACTOR = 2


@dataclass(frozen=True)
class Forecast:
    """One prediction.

    Args:
        frames: (T, H, W, 3), predicted.
        given: (H, W, 3), the picture it was made from; None where it is not at hand.
        true: (T, H, W, 3), what really happened; None where that is not known.
    """

    frames: Frames
    given: Frames | None = None
    true: Frames | None = None


def draw_future(
    sources: tuple[Path, ...],
    out: Path,
    *,
    n: int = 6,
    data: Path | None = None,
    device: torch.device,
) -> list[Path]:
    """Draw predictions into a folder, arrows marking where things move.

    Args:
        sources: run folders of future models, which predict from the first frames of test clips;
            or clip folders that `vgan predict` made.
        out: folder of the figures.
        n: predictions of each source.
        data: for runs, the clip folder predicted (the run's own by default); for clip folders,
            where the pictures, clips or videos lie that they were predicted from; shown is only
            the very picture, by its checksum.
        device: where the networks run.

    Returns:
        The files: per source a PNG strip, an animated WebP and an MP4; `future.html` with all.

    Raises:
        CheckpointError: a run cannot be loaded.
        DataError: clips cannot be read, or a folder holds none.
        UsageError: a run of another model.
        WriteError: a file cannot be written.
    """
    figures = [
        future_of(source, name, n, data, device)
        for source, name in tqdm(
            list(zip(sources, run_names(sources), strict=True)), desc="figures", unit="source"
        )
    ]
    intro = f"What was predicted from one picture each. {ARROWS_MEAN}"
    return write_figures(out, "future", "Predicted futures", intro, figures)


def future_of(
    source: Path, name: str, n: int, data: Path | None, device: torch.device, factor: int = _FACTOR
) -> Figure:
    """Return the figure of one run or folder; see `draw_future`.

    Args:
        source: run folder or clip folder.
        name: its short name.
        n: predictions shown.
        data: clips to predict, or where the pictures lie.
        device: where the network runs.
        factor: by which frames are enlarged.
    """
    if RunFolder(source).config.is_file():
        forecasts, said, fps = _of_run(source, n, data, device)
    elif (source / MANIFEST_NAME).is_file():
        forecasts, said, fps = _of_clips(source, n, data)
    else:
        raise UsageError(f"{source}: neither a run folder nor a folder of predicted clips")
    length = len(forecasts[0].frames)
    shown = [frame for frame in _FRAMES if frame <= length]
    films = [_films(forecast, factor) for forecast in forecasts]
    kinds = list(films[0])
    moving = [
        captioned(block([[film[kind][t] for kind in kinds] for film in films], kinds), said)
        for t in range(length)
    ]
    columns = [(kind, f) for kind in kinds for f in (shown[:1] if kind == "given" else shown)]
    rows = [[film[kind][f - 1] for kind, f in columns] for film in films]
    headings = [
        "given" if kind == "given" else f"{kind}, {f}" if f == shown[0] else f"frame {f}"
        for kind, f in columns
    ]
    still = captioned(block(rows, headings), said, ARROWS_MEAN)
    return Figure(f"future-{name}", name, said, still, moving, fps)


def _films(forecast: Forecast, factor: int) -> dict[str, Frames]:
    """Return what stands beside each other: (T, H, W, 3) by heading."""
    films = {}
    if forecast.given is not None:
        still = enlarge(forecast.given, factor)
        films["given"] = np.broadcast_to(still, (len(forecast.frames), *still.shape))
    films["predicted"] = with_arrows(forecast.frames, factor)
    if forecast.true is not None:
        films["true"] = with_arrows(forecast.true, factor)
    return films


def _of_run(
    path: Path, n: int, data: Path | None, device: torch.device
) -> tuple[list[Forecast], str, float]:
    run = load_future(path, device)
    folder = run.data.clips_in(data)
    test = open_dataset(folder, run.config.category, "test")
    places = evenly_spaced(len(test), n)
    forecasts = []
    for place in places:
        true = np.array(test.clips[place])
        frames = to_uint8(predict_streams(run, true[:1], device).clip)[0]
        forecasts.append(Forecast(frames, true[0], true))
    said = (
        f"{run.config.source} ({run.config.variant}), {run.config.category}: step {run.step}, "
        f"training seed {run.config.seed}; from the first frames of {len(places)} clips that were "
        "not trained on"
    )
    return forecasts, said, run.data.fps


def _of_clips(folder: Path, n: int, data: Path | None) -> tuple[list[Forecast], str, float]:
    records = read_manifest(folder)
    if not records:
        raise DataError(f"{folder}: its manifest lists no clips")
    chosen = [records[place] for place in evenly_spaced(len(records), n)]
    films = [read_video(folder / record.clip) for record in chosen]
    sizes = {film.frames.shape for film in films}
    if len(sizes) > 1:
        raise DataError(f"{folder}: clips of different sizes cannot stand in one figure: {sizes}")
    pictures = _all_given(chosen, data, films[0].frames.shape[1])
    names = ", ".join(record.video for record in chosen)
    said = f"{chosen[0].source}, {chosen[0].category}: predicted from {names}"
    forecasts = [Forecast(film.frames, picture)
                 for film, picture in zip(films, pictures, strict=True)]  # fmt: skip
    return forecasts, said, films[0].fps


def _all_given(records: list[ClipRecord], data: Path | None, size: int) -> list[Frames | None]:
    """Return the pictures that clips were predicted from; none should one of them be missing."""
    nothing: list[Frames | None] = [None] * len(records)
    if data is None:
        return nothing
    pictures = [_given(record, data, size) for record in records]
    missing = [r.clip for r, picture in zip(records, pictures, strict=True) if picture is None]
    if missing:
        named = ", ".join(missing)
        logger.warning("given picture not found under %s, so none is shown: of %s", data, named)
    return nothing if missing else pictures


def _given(record: ClipRecord, data: Path, size: int) -> Frames | None:
    """Return the picture a clip was predicted from: a file or clip of its name, or its video."""
    places = [(record.clip, 0)]
    if record.origin:
        places.append((record.origin.video, record.origin.start_frame))
    for name, frame in places:
        with suppress(DataError):
            picture = read_picture(data / name, size, frame)
            if picture_digest(picture) == record.extra.get(PICTURE_SHA256):
                return picture
    return None
