"""One page of several runs: samples, streams, predictions, units and measures, kept small.

The page is written twice: `index.html` for a browser and `gallery.md`, which code hosts show; both
use the pictures beside them.
"""

from pathlib import Path

import torch

from vgan.clips_in_memory import run_names
from vgan.figures.drawing import webp
from vgan.figures.figure import Figure
from vgan.figures.future import future_of
from vgan.figures.layers import load_looker
from vgan.figures.nearest import nearest_blocks
from vgan.figures.pages import Picture, Section, html_page, markdown_page, write_all
from vgan.figures.ranking import rank_units
from vgan.figures.samples import ARROWS_MEAN, samples_of
from vgan.figures.streams import streams_of
from vgan.figures.units import EXPLAINED, units_of
from vgan.metrics.embedding import random_embedder
from vgan.metrics.report import RunMeasures, measure_runs
from vgan.metrics.tables import as_text
from vgan.training.folder import RunFolder
from vgan.training.run import load_run

_QUALITY, _STILL_QUALITY = 40, 70
_CLIPS, _STREAM_CLIPS, _PICTURES = 8, 3, 3
_UNITS, _TOP = 5, 6
_PAIRS = 3
_EVERY = 2  # frames of an animation that are kept


def build_gallery(
    runs: tuple[Path, ...], out: Path, *, n: int = 64, seed: int = 0, device: torch.device
) -> list[Path]:
    """Build the page of some runs; run again, it is built anew.

    Args:
        runs: run folders, of any models.
        out: folder of the page.
        n: clips measured of each run.
        seed: of the latents and of everything random.
        device: where the networks run.

    Returns:
        The files.

    Raises:
        CheckpointError: a run cannot be loaded.
        DataError: its clips cannot be read.
        WriteError: a file cannot be written.
    """
    names = run_names(runs)
    futures = [RunFolder(run).read_config().model == "future" for run in runs]
    sections: list[Section] = []
    for run, name, predicts in zip(runs, names, futures, strict=True):
        if predicts:
            figure = future_of(run, name, _PICTURES, None, device, factor=2)
            sections.append(_section(f"{name}: predicted futures", figure))
        else:
            sections += _run_sections(run, name, seed, device)
        sections.append(_units_section(run, name, device))
    measured = tuple(run for run, predicts in zip(runs, futures, strict=True) if not predicts)
    if measured:
        found = measure_runs(measured, n=n, seed=seed, embedder=random_embedder(), device=device)
        sections.append(Section("Measures", "What the rows mean: docs/measures.md.",
                                table=as_text(found)))  # fmt: skip
        sections.append(_nearest_section(found))
    title = "Gallery"
    listed = " ".join(f"{run.as_posix()}" for run in runs)
    intro = f"Made by `vgan gallery {listed} --out {out.as_posix()}`. {ARROWS_MEAN}"
    files = {picture.name: picture.data for section in sections for picture in section.pictures}
    files["index.html"] = html_page(title, intro, sections, inside=False)
    files["gallery.md"] = markdown_page(title, intro, sections)
    return write_all(out, files)


def _run_sections(run: Path, name: str, seed: int, device: torch.device) -> list[Section]:
    loaded = load_run(run, device)
    samples = samples_of(loaded, name, _CLIPS, seed, (1,), device, factor=2)
    streams = streams_of(loaded, name, _STREAM_CLIPS, seed, device, factor=2)
    return [
        _section(f"{name}: samples", samples),
        _section(f"{name}: streams", streams),
    ]


def _section(heading: str, figure: Figure) -> Section:
    frames = list(figure.moving)[::_EVERY]
    data = webp(frames, figure.fps / _EVERY, quality=_QUALITY)
    return Section(heading, figure.caption, [Picture(f"{figure.name}.webp", data, figure.caption)])


def _units_section(run: Path, name: str, device: torch.device) -> Section:
    looker = load_looker(run, device)
    layer = looker.layer(None)
    dataset = looker.clips(None, "train")
    ranking = rank_units(layer, dataset, _TOP, device)
    units = ranking.order()[:_UNITS]
    figure = units_of(looker, layer, dataset, ranking, units, name, device, factor=2)
    picture = Picture(
        f"{figure.name}.webp", webp([figure.still()], 1.0, _STILL_QUALITY), figure.caption
    )
    return Section(f"{name}: units", f"{figure.caption}. {EXPLAINED}", [picture])


def _nearest_section(runs: list[RunMeasures]) -> Section:
    pictures = [
        Picture(
            f"nearest-{name}.webp",
            webp([block], 1.0, _STILL_QUALITY),
            f"Nearest training clips: {name}",
        )
        for name, block in nearest_blocks(runs, _PAIRS)
    ]
    text = "The pairs most alike: a clip on the left, the training clip nearest to it on the right."
    return Section("Nearest training clips", text, pictures)
