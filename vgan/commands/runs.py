"""The commands that make, use and measure a run: train, generate, measure. No logic."""

from pathlib import Path
from typing import Any

import click

from vgan.errors import UsageError
from vgan.options import (
    Folder,
    GroupedCommand,
    choose_device,
    device_option,
    option,
    options,
    seed_option,
)
from vgan.training.config import TrainConfig, resolve_config
from vgan.training.presets import (
    DEFAULT_RECIPE,
    DTYPES,
    GENERATOR_STEPS,
    MODELS,
    PRESETS,
    RECIPES,
    VARIANTS,
    settings_of,
)


def _by_preset(name: str) -> str:
    """Say what a setting is by default, in each preset."""
    small, paper = (
        settings_of("two-stream", preset, DEFAULT_RECIPE[preset], None)[name]
        for preset in ("small", "paper")
    )
    return f"(default: {small:,}; {paper:,} for the paper preset)."


@click.command(cls=GroupedCommand)
@click.argument("model", type=click.Choice(MODELS))
@options(
    "Data and run folder",
    option("--data", type=Folder, metavar="DIR", help="The clip folder to train on."),
    option(
        "--root",
        type=Folder,
        metavar="DIR",
        help="Where --data is a list of stacked clips: the folder its paths lie below.",
    ),
    option("--category", metavar="NAME", help="Which of its categories (default: the only one)."),
    option(
        "--out",
        type=Folder,
        metavar="RUN",
        help="The run folder (default: runs/MODEL-CATEGORY).",
    ),
    option("--resume", is_flag=True, help="Go on with the run in RUN, or start it."),
)
@options(
    "What is trained",
    option("--preset", type=click.Choice(PRESETS), help="How large a run is (default: small)."),
    option(
        "--recipe",
        type=click.Choice(RECIPES),
        help="How it learns (default: paper for the paper preset, stabilised for small).",
    ),
    option(
        "--variant",
        type=click.Choice(VARIANTS),
        help="Of future: the network of the paper's text (default) or of its code.",
    ),
    option(
        "--generator-step",
        type=click.Choice(GENERATOR_STEPS),
        help="Both gradients before either update, or the generator after the discriminator "
        "(default: simultaneous for the paper recipe, alternating for stabilised).",
    ),
    option(
        "--width",
        type=int,
        metavar="CHANNELS",
        help=f"Of the generator's last layer {_by_preset('width')}",
    ),
    option("--steps", type=int, metavar="N", help=f"Updates of each network {_by_preset('steps')}"),
    option("--batch", type=int, metavar="CLIPS", help=f"Clips per step {_by_preset('batch')}"),
    option(
        "--seed",
        type=int,
        metavar="N",
        help="Of weights, latents and the clips' order (default: 0).",
    ),
)
@options(
    "Machine",
    device_option,
    option(
        "--dtype",
        type=click.Choice(DTYPES),
        help="Arithmetic (default: bfloat16 where the hardware has it).",
    ),
    option(
        "--sync-batch-norm/--no-sync-batch-norm",
        default=None,
        help="Share batch-norm statistics among the processes of torchrun (default: no).",
    ),
    option(
        "--compile/--no-compile",
        default=None,
        help="Compile batch norms and activations, a minute at the start (default: no).",
    ),
)
@options(
    "What is written",
    option(
        "--sample-every",
        type=int,
        metavar="STEPS",
        help=f"Between sample sheets {_by_preset('sample_every')}",
    ),
    option(
        "--checkpoint-every",
        type=int,
        metavar="STEPS",
        help=f"Between checkpoints {_by_preset('checkpoint_every')}",
    ),
)
def train(
    model: str,
    data: Path | None,
    root: Path | None,
    out: Path | None,
    resume: bool,
    device: str,
    **asked: Any,
) -> None:
    """Train MODEL on one category of a clip folder; Ctrl-C saves, --resume goes on."""
    from vgan.training.folder import RunFolder
    from vgan.training.opening import nothing_to_do, only_category, open_folder, resumed_config

    begun = resume and out is not None and RunFolder(out).config.is_file()
    if asked["category"] is None and data is not None and not begun:
        asked["category"] = only_category(data)
    out = out or Path("runs") / f"{model}-{asked['category'] or 'all'}"
    folder = RunFolder(out)
    config: TrainConfig
    begun = resume and folder.config.is_file()
    if begun:
        config = resumed_config(folder.read_config(), model=model, **asked)
        config = open_folder(folder, config, resume)
        saved = folder.read_data()
        data = data or Path(saved.folder)
        root = root or saved.list_root
        if nothing_to_do(folder, config, data, root):
            return

    from vgan.training.distributed import joined, local_device
    from vgan.training.loop import train as train_network

    place = local_device(choose_device(device))
    if not begun:
        preset, recipe = asked.pop("preset") or "small", asked.pop("recipe")
        config = resolve_config(model, preset, recipe, device=str(place), **asked)
    if data is None:
        raise UsageError("--data is missing: the clip folder to train on")
    with joined(place) as world:
        train_network(config, data, out, resume=resume, device=place, root=root, world=world)


@click.command(cls=GroupedCommand)
@click.argument("run", type=Folder)
@option("--n", "n", type=click.IntRange(1), required=True, metavar="N", help="Number of clips.")
@seed_option
@option("--out", type=Folder, required=True, metavar="DIR", help="The clip folder to make.")
@option("--streams", is_flag=True, help="Also write foreground, mask and background as clips.")
@option("--category", metavar="NAME", help="In the manifest (default: what RUN was trained on).")
@option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Processes that make clips, or encode a GPU's (default: one per core for many clips).",
)
@device_option
def generate(
    run: Path,
    n: int,
    seed: int,
    out: Path,
    streams: bool,
    category: str | None,
    workers: int | None,
    device: str,
) -> None:
    """Generate clips from the trained run in folder RUN; the same seed gives the same bytes."""
    from vgan.generated_folder import nothing_to_do, order_clips

    order = order_clips(run, out, n, seed, streams=streams, category=category)
    if nothing_to_do(order):
        return

    from vgan.sampling import generate as generate_clips

    generate_clips(order, device=choose_device(device), workers=workers)


@click.command(cls=GroupedCommand)
@click.argument("runs", nargs=-1, required=True, type=Folder, metavar="RUN...")
@option("--data", type=Folder, metavar="DIR", help="Clips to compare with (default: RUN's own).")
@option("--n", "n", type=click.IntRange(2), default=64, metavar="N", help="Clips to generate.")
@seed_option
@option(
    "--embedder",
    type=Folder,
    metavar="FILE",
    help="TorchScript network for the Fréchet distance (default: a fixed random one).",
)
@option("--pairs", type=Folder, metavar="PNG", help="Draw the nearest training clips here.")
@option("--json", "as_json", is_flag=True, help="Print JSON.")
@device_option
def measure(
    runs: tuple[Path, ...],
    data: Path | None,
    n: int,
    seed: int,
    embedder: Path | None,
    pairs: Path | None,
    as_json: bool,
    device: str,
) -> None:
    """Measure the clips of each RUN: stillness, diversity, Fréchet distance, copies, masks.

    A future run is measured, on its own, by how far it is from what really happened.
    """
    from vgan.measuring import report_measures

    place = choose_device(device)
    report_measures(
        runs, data, say=click.echo, n=n, seed=seed, embedder=embedder, pairs=pairs,
        as_json=as_json, device=place,
    )  # fmt: skip


COMMANDS = (train, generate, measure)
