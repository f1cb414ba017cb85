"""The commands that make clip folders from drawings and from videos. No logic."""

from pathlib import Path
from typing import Any

import click

from vgan.errors import DataError
from vgan.options import Folder, GroupedCommand, Number, option, options, seed_option
from vgan.wording import number_of


@click.command(cls=GroupedCommand)
@option("--out", type=Folder, required=True, metavar="DIR", help="The clip folder to make.")
@option("--clips", type=click.IntRange(1), required=True, metavar="N", help="Per category.")
@seed_option
@option(
    "--categories",
    metavar="NAME,...",
    default="beach,golf,train,baby",
    help="Which scenes.",
)
def scenes(out: Path, clips: int, seed: int, categories: str) -> None:
    """Draw moving scenes over a still background, with their true foreground masks."""
    from vgan.data.scenes import draw_scenes

    names = [name.strip() for name in categories.split(",") if name.strip()]
    records = draw_scenes(out, clips=clips, seed=seed, categories=names)
    click.echo(f"{out}: {len(records)} clips of {', '.join(names)}")


@click.command(cls=GroupedCommand)
@click.argument("videos", nargs=-1, required=True, type=Folder)
@options(
    "Input and output",
    option("--out", type=Folder, required=True, metavar="DIR", help="The clip folder to make."),
    option(
        "--category",
        metavar="NAME",
        help="Of all clips (default: the first folder below each of VIDEOS, or its own name).",
    ),
)
@options(
    "How videos are cut",
    option("--fps", type=Number, metavar="HZ", help="Of the clips (default: each video's own)."),
    option("--frames", type=int, default=32, metavar="N", help="In each clip."),
    option("--size", type=int, default=64, metavar="PIXELS", help="Of a clip's side."),
    option(
        "--test-share",
        type=Number,
        default=0.2,
        metavar="SHARE",
        help="Of the videos in the test split; no video is in both.",
    ),
)
@options(
    "Stabilising",
    option(
        "--stabilize",
        type=click.Choice(("none", "similarity", "homography", "paper")),
        default="none",
        help="Take the camera's motion out; paper is the authors' procedure.",
    ),
    option(
        "--preview",
        type=click.IntRange(0),
        default=0,
        metavar="N",
        help="Show a clip before and after, for so many of the videos.",
    ),
)
@options(
    "What is dropped",
    option(
        "--min-motion",
        type=Number,
        default=0.3,
        metavar="LEVELS",
        help="Mean change from frame to frame (of 255) under which a clip is still.",
    ),
    option(
        "--min-light",
        type=Number,
        default=8.0,
        metavar="LEVELS",
        help="Mean level (of 255) under which a clip is black.",
    ),
    option(
        "--forget-missing",
        is_flag=True,
        help="Delete the clips of earlier videos whose files are gone, as after a takedown.",
    ),
)
@options(
    "Machines",
    option("--workers", type=int, metavar="N", help="Processes (default: one per core)."),
    option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster to use instead of processes."),
)
def ingest(videos: tuple[Path, ...], out: Path, **settings: Any) -> None:
    """Cut VIDEOS (files, or folders of them) into clips, split by video into train and test."""
    from vgan.data.clips import ingest as ingest_videos
    from vgan.data.ledger import REJECTED_NAME

    report = ingest_videos(videos, out, **settings)
    click.echo(
        f"{out}: {number_of(report.clips, 'clip')} ({report.test_clips} for testing) of "
        f"{number_of(report.videos, 'video')}"
    )
    for line in report.details():
        click.echo(line)
    if report.failed:
        raise DataError(
            f"{number_of(report.failed, 'video')} could not be used (the others are in {out}); "
            f"why: {out / REJECTED_NAME}"
        )


COMMANDS = (scenes, ingest)
