"""The commands that ask what a discriminator has learnt: represent, features. No logic."""

from pathlib import Path

import click

from vgan.errors import UsageError
from vgan.options import (
    Folder,
    GroupedCommand,
    Number,
    choose_device,
    device_option,
    option,
    options,
)
from vgan.representation.names import BUDGETS, METHODS


@click.command(cls=GroupedCommand)
@click.argument("methods", nargs=-1, required=True, type=click.Choice((*METHODS, "all")))
@options(
    "Labelled videos",
    option("--data", type=Folder, required=True, metavar="DIR", help="Of CLASS/VIDEO."),
    option("--splits", type=Folder, metavar="PATH", help="UCF101's lists, or a split.csv."),
    option("--folds", type=click.IntRange(2), metavar="K", help="Folds of the groups instead."),
    option(
        "--group-pattern",
        metavar="REGEX",
        help="Finds a video's group in its name: '^([a-z]+)_' for anna_3.mp4 (default: UCF101's).",
    ),
    option("--split", "only", multiple=True, metavar="NAME", help="Only this one; repeatable."),
    option(
        "--fraction",
        "fractions",
        multiple=True,
        type=Number,
        default=(1.0,),
        metavar="F",
        help="Share of the labels to learn from; repeatable.",
    ),
    option(
        "--seed",
        "seeds",
        multiple=True,
        type=click.IntRange(0),
        default=(0,),
        metavar="N",
        help="Of all chance; repeatable.",
    ),
)
@options(
    "Pre-training",
    option("--run", type=Folder, metavar="RUN", help="With the paper's discriminator."),
    option(
        "--unlabelled",
        type=Folder,
        metavar="CLIPS",
        help="A clip folder; the frame methods learn from it (default: the training videos), and "
        "a VGAN where no --run is given.",
    ),
    option("--imagenet", type=Folder, metavar="FILE", help="Weights of a ResNet, for `imagenet`."),
    option("--width", type=click.IntRange(1), default=64, metavar="CHANNELS", help="Of the VGAN."),
    option(
        "--budget",
        type=click.Choice(BUDGETS),
        default="full",
        help="How long everything trains: minutes on a laptop, or a day on a GPU.",
    ),
)
@option("--out", type=Folder, required=True, metavar="DIR", help="Of results.jsonl.")
@device_option
def represent(
    methods: tuple[str, ...],
    data: Path,
    splits: Path | None,
    folds: int | None,
    group_pattern: str | None,
    only: tuple[str, ...],
    fractions: tuple[float, ...],
    seeds: tuple[int, ...],
    run: Path | None,
    unlabelled: Path | None,
    imagenet: Path | None,
    width: int,
    budget: str,
    out: Path,
    device: str,
) -> None:
    """Measure METHODS (or `all`) on labelled videos: accuracy on groups never seen.

    Stopped and run again, it goes on; `python analysis/table_a.py DIR` prints the table.
    """
    from tqdm import tqdm

    from vgan.representation.rows import Sources, budget_of, build_methods, check_sources
    from vgan.representation.run import Plan, measure, open_actions, open_data, tasks

    if splits is not None and folds is not None:
        raise UsageError("--splits and --folds: take the published splits, or make folds")
    place = choose_device(device)
    sources = Sources(run, unlabelled, imagenet, width, place, out)
    names = list(dict.fromkeys(METHODS if "all" in methods else methods))
    if "all" in methods:
        for name in [n for n in names if sources.lacking(n)]:
            click.echo(f"left out: {name} {sources.lacking(name)}", err=True)
            names.remove(name)
    check_sources(names, sources)
    plan = Plan(tuple(dict.fromkeys(fractions)), tuple(dict.fromkeys(seeds)), only)
    actions = open_actions(data, splits, folds, group_pattern)
    list(tasks(actions, plan))  # one that cannot be is refused before videos are decoded
    opened = open_data(actions, out, place)
    for record in measure(opened, build_methods(names, sources, budget_of(budget)), plan, out):
        tqdm.write(
            f"{record.method:22} split {record.split:8} {record.fraction:6.3g} of the labels: "
            f"{100 * record.accuracy:5.1f} % of {record.test_videos} videos "
            f"({record.seconds:,.0f} s)"
        )


@click.command(cls=GroupedCommand)
@click.argument("run", type=Folder)
@click.argument("clips", type=Folder)
@option(
    "--layer",
    default="layer4",
    metavar="NAME",
    help="layer1 to layer4, or code (autoencoders only).",
)
@option("--out", type=Folder, required=True, metavar="FILE", help=".csv, .csv.gz or .parquet.")
@device_option
def features(run: Path, clips: Path, layer: str, out: Path, device: str) -> None:
    """Write what RUN's network makes of CLIPS: one row per clip, for any other program.

    RUN is a two-stream or one-stream run of --recipe paper, or an autoencoder of any recipe.
    """
    from vgan.representation.features import write_features

    count = write_features(run, clips, layer, out, device=choose_device(device))
    click.echo(f"{out}: {count} clips")


COMMANDS = (represent, features)
