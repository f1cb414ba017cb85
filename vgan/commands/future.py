"""The commands of future prediction and of its control: predict, static. No logic."""

from pathlib import Path

import click

from vgan.errors import DataError
from vgan.options import Folder, GroupedCommand, choose_device, device_option, option, seed_option


@click.command(cls=GroupedCommand)
@click.argument("run", type=Folder)
@click.argument("pictures", nargs=-1, required=True, type=Folder)
@option("--out", type=Folder, required=True, metavar="DIR", help="The clip folder to make.")
@option(
    "--frame",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Of each video or animation, from 0.",
)
@option("--split", metavar="NAME", help="Of clips in folders with a manifest (default: all).")
@option("--category", metavar="NAME", help="In the manifest (default: what RUN was trained on).")
@device_option
def predict(
    run: Path,
    pictures: tuple[Path, ...],
    out: Path,
    frame: int,
    split: str | None,
    category: str | None,
    device: str,
) -> None:
    """Predict 32 frames from each of PICTURES (pictures, videos, folders, patterns) with RUN."""
    from vgan.prediction import as_text
    from vgan.prediction import predict as predict_clips

    found = predict_clips(
        run, pictures, out, frame=frame, split=split, category=category,
        device=choose_device(device),
    )  # fmt: skip
    click.echo(as_text(found.made))
    if found.unread:
        raise DataError(
            f"{len(found.unread)} of {len(found.unread) + len(found.made)} pictures could not be "
            f"used (named above; the others are in {out})"
        )


@click.command(cls=GroupedCommand)
@click.argument("clips", type=Folder)
@option("--out", type=Folder, required=True, metavar="DIR", help="The clip folder to make.")
@seed_option
@option("--split", metavar="NAME", help="Only clips of this split (default: all).")
@option("--category", metavar="NAME", help="Only clips of this category (default: all).")
def static(clips: Path, out: Path, seed: int, split: str | None, category: str | None) -> None:
    """Hold, for every clip of folder CLIPS, the first frame of a different one: source static."""
    from vgan.data.statics import make_statics

    records = make_statics(clips, out, seed, split=split, category=category)
    click.echo(f"{out}: {len(records)} static clips")


COMMANDS = (predict, static)
