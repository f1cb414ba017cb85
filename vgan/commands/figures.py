"""The commands that draw a run: figures samples, streams, future, units; gallery. No logic."""

from pathlib import Path

import click

from vgan.errors import UsageError
from vgan.options import Folder, GroupedCommand, choose_device, device_option, option, seed_option

out_option = option(
    "--out", type=Folder, required=True, metavar="DIR", help="Folder of the figures."
)
runs_argument = click.argument("runs", nargs=-1, required=True, type=Folder, metavar="RUN...")


@click.group()
def figures() -> None:
    """Draw the paper's Figures 2, 3, 5 and 6 from trained runs."""


@figures.command(cls=GroupedCommand)
@runs_argument
@out_option
@option("--n", "n", type=click.IntRange(1), default=8, metavar="N", help="Clips of each run.")
@option("--frames", default="1,16,32", metavar="N,...", help="Frames on the strip, counted from 1.")
@seed_option
@device_option
def samples(runs: tuple[Path, ...], out: Path, n: int, frames: str, seed: int, device: str) -> None:
    """Draw generated clips of each RUN, with arrows where they move (Figure 2)."""
    from vgan.figures.samples import draw_samples

    shown = _numbers("--frames", frames)
    _say(draw_samples(runs, out, n=n, seed=seed, frames=shown, device=choose_device(device)))


@figures.command(cls=GroupedCommand)
@runs_argument
@out_option
@option("--n", "n", type=click.IntRange(1), default=4, metavar="N", help="Clips of each run.")
@seed_option
@device_option
def streams(runs: tuple[Path, ...], out: Path, n: int, seed: int, device: str) -> None:
    """Draw foreground, mask, background and clip of each RUN side by side (Figure 3)."""
    from vgan.figures.streams import draw_streams

    _say(draw_streams(runs, out, n=n, seed=seed, device=choose_device(device)))


@figures.command(cls=GroupedCommand)
@click.argument("sources", nargs=-1, required=True, type=Folder, metavar="RUN_OR_CLIPS...")
@out_option
@option("--n", "n", type=click.IntRange(1), default=6, metavar="N", help="Pictures of each.")
@option("--data", type=Folder, metavar="DIR", help="Clips to predict (default: RUN's own, test).")
@device_option
def future(sources: tuple[Path, ...], out: Path, n: int, data: Path | None, device: str) -> None:
    """Draw input pictures and what was predicted from them (Figure 5).

    Takes future runs, which predict from the first frames of test clips, or folders of clips that
    `vgan predict` made.
    """
    from vgan.figures.future import draw_future

    _say(draw_future(sources, out, n=n, data=data, device=choose_device(device)))


@figures.command(cls=GroupedCommand)
@runs_argument
@out_option
@option("--layer", metavar="NAME", help="Which layer (default: the third).")
@option("--units", metavar="N,...", help="Which units (default: the most selective ones).")
@option("--n", "n", type=click.IntRange(1), default=12, metavar="N", help="Units, where unnamed.")
@option("--top", type=click.IntRange(1), default=6, metavar="K", help="Clips of each unit.")
@option("--data", type=Folder, metavar="DIR", help="Clips to look at (default: RUN's own).")
@option("--split", type=click.Choice(("train", "test")), default="train", help="Of these clips.")
@device_option
def units(
    runs: tuple[Path, ...],
    out: Path,
    layer: str | None,
    units: str | None,
    n: int,
    top: int,
    data: Path | None,
    split: str,
    device: str,
) -> None:
    """Draw the real clips that activate each unit of RUN's discriminator or encoder (Figure 6)."""
    from vgan.figures.units import draw_units

    chosen = _numbers("--units", units) if units else None
    place = choose_device(device)
    _say(
        draw_units(
            runs, out, layer=layer, units=chosen, n=n, top=top, data=data, split=split, device=place
        )
    )


@click.command(cls=GroupedCommand)
@runs_argument
@out_option
@option("--n", "n", type=click.IntRange(2), default=64, metavar="N", help="Clips measured.")
@seed_option
@device_option
def gallery(runs: tuple[Path, ...], out: Path, n: int, seed: int, device: str) -> None:
    """Build one page of every RUN: samples, streams, units and measures, kept small."""
    from vgan.figures.gallery import build_gallery

    _say(build_gallery(runs, out, n=n, seed=seed, device=choose_device(device)))


def _numbers(name: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{name} takes whole numbers with commas between, not {text!r}") from None


def _say(paths: list[Path]) -> None:
    for path in paths:
        click.echo(path)


COMMANDS = (figures, gallery)
