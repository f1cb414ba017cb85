"""The commands for what the paper's authors released. No logic."""

from pathlib import Path

import click

from vgan.options import Folder, GroupedCommand, option


@click.command(cls=GroupedCommand)
@click.argument("file", type=Folder)
@option("--out", type=Folder, required=True, metavar="RUN", help="The run folder to make.")
@option("--category", metavar="NAME", default="all", help="What the generator's clips show.")
@option(
    "--steps",
    type=click.IntRange(1),
    metavar="N",
    help="It was trained for (default: N of a file called iterN_net.t7).",
)
def convert(file: Path, out: Path, category: str, steps: int | None) -> None:
    """Turn FILE, a .t7 generator of the authors, into a run that `vgan generate` takes."""
    from vgan.training.conversion import convert as convert_file

    found = convert_file(file, out, category=category, steps=steps)
    click.echo(f"{out}: a {found.model} generator of width {found.width}, latent {found.latent}")


COMMANDS = (convert,)
