"""A figure as every command here writes it: a still strip, an animation twice, and one page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from vgan.clips_in_memory import run_names
from vgan.data.videos import Frames
from vgan.figures.drawing import mp4, png, webp
from vgan.figures.pages import Picture, Section, html_page, write_all
from vgan.training.run import Run, load_run


@dataclass(frozen=True)
class Figure:
    """One figure, drawn.

    Args:
        name: of its files, without an ending.
        heading: over it on the page.
        caption: what it shows, and of which run, seed and step.
        still: (H, W, 3), the strip.
        moving: frames of the animation, all of one size.
        fps: of the animation.
    """

    name: str
    heading: str
    caption: str
    still: Frames
    moving: Sequence[Frames]
    fps: float

    def section(self) -> Section:
        """Return the figure as a section of a page, the animation first."""
        frames = f"Single frames of: {self.caption}"
        pictures = [
            Picture(f"{self.name}.webp", webp(self.moving, self.fps), self.caption),
            Picture(f"{self.name}.png", png(self.still), frames),
        ]
        return Section(self.heading, self.caption, pictures)


def write_figures(
    out: Path, page: str, title: str, intro: str, figures: Sequence[Figure]
) -> list[Path]:
    """Write figures into a folder: `NAME.png`, `NAME.webp` and `NAME.mp4` each, and `PAGE.html`.

    Raises:
        WriteError: a file cannot be written.
    """
    sections = [figure.section() for figure in figures]
    files = {p.name: p.data for section in sections for p in section.pictures}
    files |= {f"{figure.name}.mp4": mp4(figure.moving, figure.fps) for figure in figures}
    files[f"{page}.html"] = html_page(title, intro, sections)
    return write_all(out, files)


def each_run(
    runs: tuple[Path, ...], device: torch.device, draw: Callable[[Run, str], Figure]
) -> list[Figure]:
    """Load runs one after the other and draw a figure of each.

    Args:
        runs: run folders.
        device: where the networks run.
        draw: makes the figure of a run and its short name.

    Raises:
        CheckpointError: a run cannot be loaded; nothing has been written then.
    """
    bar = tqdm(list(zip(runs, run_names(runs), strict=True)), desc="figures", unit="run")
    return [draw(load_run(path, device), name) for path, name in bar]
