"""Figure 6 of the paper: the real clips that activate a unit most, and where in them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vgan.clips_in_memory import run_names
from vgan.data.dataset import ClipDataset
from vgan.data.videos import Frames
from vgan.errors import UsageError
from vgan.figures.drawing import block, captioned, png, stacked, webp
from vgan.figures.highlight import SHARE, heat_over_pixels, highlighted
from vgan.figures.layers import Layer, Looker, load_looker
from vgan.figures.pages import Picture, Section, html_page, write_all
from vgan.figures.ranking import Ranking, activations, rank_units

EXPLAINED = (
    "Ranked by selectivity: mean peak activation of the clips shown, over the mean peak of all "
    "clips, in standard deviations of all peaks. Outlined: where the unit is at least "
    f"{SHARE:.0%} as active as at its highest in that clip; a frame that is dark all over does not "
    "activate it. The strip shows the frame of the highest activation."
)


@dataclass(frozen=True)
class UnitClips:
    """One unit with the clips that activate it most, drawn.

    Args:
        unit: its number.
        selectivity: see `Ranking`.
        clips: their paths, most activating first.
        peaks: their highest activations.
        strip: each clip at the frame of its peak, (H, W, 3).
        moving: (T, H, W, 3), all clips beside each other.
    """

    unit: int
    selectivity: float
    clips: list[str]
    peaks: list[float]
    strip: Frames
    moving: Frames

    def heading(self) -> str:
        """Say which unit and how selective."""
        if np.isnan(self.selectivity):
            return f"unit {self.unit}: the same in every clip"
        return f"unit {self.unit}: selectivity {self.selectivity:.2f}"


@dataclass(frozen=True)
class UnitsFigure:
    """The units of one layer, drawn.

    Args:
        name: of the files.
        caption: of which run and layer, and over how many clips.
        units: in the order shown.
        fps: of the clips.
    """

    name: str
    caption: str
    units: list[UnitClips]
    fps: float

    def still(self) -> Frames:
        """Return the strips under each other."""
        rows = [captioned(unit.strip, unit.heading()) for unit in self.units]
        return captioned(stacked(rows), self.caption)


def draw_units(
    runs: tuple[Path, ...],
    out: Path,
    *,
    layer: str | None = None,
    units: Sequence[int] | None = None,
    n: int = 12,
    top: int = 6,
    data: Path | None = None,
    split: str = "train",
    device: torch.device,
) -> list[Path]:
    """Draw the clips that activate the units of a layer most into a folder.

    Args:
        runs: run folders.
        out: folder of the figures.
        layer: its name; by default the third.
        units: their numbers; by default the n most selective.
        n: units shown where none are named.
        top: clips of each.
        data: the clip folder, each run's own by default.
        split: of its clips.
        device: where the network runs.

    Returns:
        The files: per run a page with animated clips, a PNG, and the ranking of all units as JSON.

    Raises:
        CheckpointError: a run cannot be loaded.
        DataError: the clips cannot be read, or have another size.
        UsageError: no such layer or unit; the message names those there are.
        WriteError: a file cannot be written.
    """
    lookers = [load_looker(run, device) for run in runs]
    for looker in lookers:
        check_units(looker.layer(layer), units)
    paths: list[Path] = []
    for looker, name in zip(lookers, run_names(runs), strict=True):
        chosen = looker.layer(layer)
        dataset = looker.clips(data, split)
        ranking = rank_units(chosen, dataset, top, device)
        shown = list(units) if units else ranking.order()[:n]
        figure = units_of(looker, chosen, dataset, ranking, shown, name, device)
        files = {
            f"{figure.name}.html": html_page(
                "What activates the units", f"{figure.caption}. {EXPLAINED}", _sections(figure)
            ),
            f"{figure.name}.png": png(figure.still()),
            f"{figure.name}.json": _as_json(chosen, dataset, ranking),
        }
        paths += write_all(out, files)
    return paths


def units_of(
    looker: Looker,
    layer: Layer,
    dataset: ClipDataset,
    ranking: Ranking,
    units: Sequence[int],
    name: str,
    device: torch.device,
    factor: int = 2,
) -> UnitsFigure:
    """Return the figure of some units; see `draw_units`.

    Args:
        looker: the network and its run.
        layer: of it.
        dataset: the clips that were ranked.
        ranking: of all units of the layer.
        units: to show, in this order.
        name: short name of the run.
        device: of the network.
        factor: by which frames are enlarged.
    """
    drawn = [
        UnitClips(
            unit,
            float(ranking.selectivity[unit]),
            [dataset.records[clip].clip for clip in ranking.clips[unit]],
            [float(peak) for peak in ranking.peaks[unit]],
            *_drawn(layer, dataset, ranking, unit, factor, device),
        )
        for unit in units
    ]
    config = looker.config
    caption = (
        f"{looker.part} of the {config.model} run on {config.category} (step {looker.step}, "
        f"training seed {config.seed}), {layer.name}: what activates its units most among "
        f"{len(dataset)} real clips"
    )
    return UnitsFigure(f"units-{name}-{layer.name}", caption, drawn, looker.data.fps)


def _drawn(
    layer: Layer, dataset: ClipDataset, ranking: Ranking, unit: int, factor: int,
    device: torch.device,
) -> tuple[Frames, Frames]:  # fmt: skip
    """Return a unit's clips at their peaks and moving, beside each other."""
    clips = [int(clip) for clip in ranking.clips[unit]]
    maps = activations(layer, dataset, clips, device)[:, unit].cpu().numpy()
    peaks, films = [], []
    for clip, activation in zip(clips, maps, strict=True):
        frames = np.asarray(dataset.clips[clip])
        heat = heat_over_pixels(activation, layer.axes, frames.shape[:3])
        highest = heat.max()
        least = SHARE * highest if highest > 0 else np.inf  # never active: nothing is outlined
        film = [highlighted(f, h, least, factor) for f, h in zip(frames, heat, strict=True)]
        peaks.append(film[int(heat.max(axis=(1, 2)).argmax())])
        films.append(film)
    moving = np.stack([block([list(row)]) for row in zip(*films, strict=True)])
    return block([peaks]), moving


def check_units(layer: Layer, units: Sequence[int] | None) -> None:
    """Check that a layer has the units.

    Raises:
        UsageError: it has not; the message says which it has.
    """
    wrong = [unit for unit in units or () if not 0 <= unit < layer.units]
    if wrong:
        raise UsageError(
            f"{layer.name} has no unit {wrong[0]}; its units are 0 to {layer.units - 1}"
        )


def _sections(figure: UnitsFigure) -> list[Section]:
    sections = []
    for unit in figure.units:
        peaks = [f"{p:.2f} ({c})" for c, p in zip(unit.clips, unit.peaks, strict=True)]
        alt = f"Clips that activate unit {unit.unit} most, where it is active outlined"
        data = webp(list(unit.moving), figure.fps, quality=60)
        pictures = [
            Picture(f"unit-{unit.unit}.png", png(unit.strip), f"{alt}, at their peaks"),
            Picture(f"unit-{unit.unit}.webp", data, alt),
        ]
        sections.append(Section(unit.heading(), "Peaks: " + ", ".join(peaks), pictures))
    return sections


def _as_json(layer: Layer, dataset: ClipDataset, ranking: Ranking) -> bytes:
    rows = [
        {
            "layer": layer.name,
            "unit": unit,
            "selectivity": None
            if np.isnan(ranking.selectivity[unit])
            else round(float(ranking.selectivity[unit]), 6),
            "clips": [dataset.records[clip].clip for clip in ranking.clips[unit]],
            "peaks": [round(float(peak), 6) for peak in ranking.peaks[unit]],
        }
        for unit in ranking.order()
    ]
    return (json.dumps(rows, indent=2) + "\n").encode()
