"""The `vgan` command: draw or cut clips, train a generator, generate with it, measure it.

No logic here, and nothing heavy is imported before a command needs it, so that help is instant.
Every error a user can cause becomes one line and an exit code in `main`, and only there.
"""

import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vgan.data.manifest import ManifestError
from vgan.errors import UsageError, VganError
from vgan.options import GroupedCommand, option, options
from vgan.training.config import (
    DTYPES,
    GENERATOR_STEPS,
    MODELS,
    PRESETS,
    RECIPES,
    TrainConfig,
    resolve_config,
)

if TYPE_CHECKING:
    import torch

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell has it

Folder = click.Path(path_type=Path)

seed_option = option("--seed", type=click.IntRange(0), default=0, help="Of everything random.")
device_option = option(
    "--device",
    metavar="cpu|cuda",
    default="auto",
    help="Where the network runs; auto takes a GPU when there is one.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("vgan-eval"), prog_name="vgan")
def cli() -> None:
    """Train the generators of 'Generating Videos with Scene Dynamics' and generate clips."""


@cli.command(cls=GroupedCommand)
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


@cli.command(cls=GroupedCommand)
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
    option("--fps", type=float, metavar="HZ", help="Of the clips (default: each video's own)."),
    option("--frames", type=int, default=32, metavar="N", help="In each clip."),
    option("--size", type=int, default=64, metavar="PIXELS", help="Of a clip's side."),
    option(
        "--test-share",
        type=float,
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
        type=float,
        default=0.3,
        metavar="LEVELS",
        help="Mean change from frame to frame (of 255) under which a clip is still.",
    ),
    option(
        "--min-light",
        type=float,
        default=8.0,
        metavar="LEVELS",
        help="Mean level (of 255) under which a clip is black.",
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
        f"{out}: {report.clips} clips ({report.test_clips} for testing) of {report.videos} videos"
    )
    for line in report.details():
        click.echo(line)
    if report.rejects:
        click.echo(
            f"{len(report.rejects)} videos could not be used: see {out / REJECTED_NAME}", err=True
        )


@cli.command(cls=GroupedCommand)
@click.argument("model", type=click.Choice(MODELS))
@options(
    "Data and run folder",
    option("--data", type=Folder, metavar="DIR", help="The clip folder to train on."),
    option("--category", metavar="NAME", help="Which of its categories (default: all)."),
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
        "--generator-step",
        type=click.Choice(GENERATOR_STEPS),
        help="Both gradients before either update, or the generator after the discriminator.",
    ),
    option("--width", type=int, metavar="CHANNELS", help="Of the generator's last layer."),
    option("--steps", type=int, metavar="N", help="Updates of each network."),
    option("--batch", type=int, metavar="CLIPS", help="Clips per step."),
    option("--seed", type=int, metavar="N", help="Of weights, latents and the clips' order."),
)
@options(
    "Machine",
    device_option,
    option(
        "--dtype",
        type=click.Choice(DTYPES),
        help="Arithmetic (default: bfloat16 where the hardware has it).",
    ),
)
@options(
    "What is written",
    option("--sample-every", type=int, metavar="STEPS", help="Between sample sheets."),
    option("--checkpoint-every", type=int, metavar="STEPS", help="Between checkpoints."),
)
def train(
    model: str, data: Path | None, out: Path | None, resume: bool, device: str, **asked: Any
) -> None:
    """Train MODEL on one category of a clip folder; Ctrl-C saves, --resume goes on."""
    from vgan.training.checkpoint import RunFolder
    from vgan.training.loop import train as train_network
    from vgan.training.opening import resumed_config

    out = out or Path("runs") / f"{model}-{asked['category'] or 'all'}"
    folder = RunFolder(out)
    place = _device(device)
    config: TrainConfig
    if resume and folder.config.is_file():
        config = resumed_config(folder.read_config(), model=model, **asked)
        data = data or Path(folder.read_data().folder)
    else:
        preset, recipe = asked.pop("preset") or "small", asked.pop("recipe")
        config = resolve_config(model, preset, recipe, device=str(place), **asked)
    if data is None:
        raise UsageError("--data is missing: the clip folder to train on")
    train_network(config, data, out, resume=resume, device=place)


@cli.command(cls=GroupedCommand)
@click.argument("run", type=Folder)
@option("--n", "n", type=click.IntRange(1), required=True, metavar="N", help="Number of clips.")
@seed_option
@option("--out", type=Folder, required=True, metavar="DIR", help="The clip folder to make.")
@option("--streams", is_flag=True, help="Also write foreground, mask and background as clips.")
@option("--category", metavar="NAME", help="In the manifest (default: what RUN was trained on).")
@device_option
def generate(
    run: Path, n: int, seed: int, out: Path, streams: bool, category: str | None, device: str
) -> None:
    """Generate clips from the trained run in folder RUN; the same seed gives the same bytes."""
    from vgan.sampling import generate as generate_clips

    generate_clips(run, out, n, seed, streams=streams, category=category, device=_device(device))


@cli.command(cls=GroupedCommand)
@click.argument("run", type=Folder)
@option("--data", type=Folder, metavar="DIR", help="Clips to compare with (default: RUN's own).")
@option("--n", "n", type=click.IntRange(2), default=32, metavar="N", help="Clips to generate.")
@seed_option
@option("--json", "as_json", is_flag=True, help="Print JSON.")
@device_option
def measure(run: Path, data: Path | None, n: int, seed: int, as_json: bool, device: str) -> None:
    """Measure the clips of folder RUN: stillness, diversity, and masks where the truth is known."""
    from vgan.metrics.report import as_text, measure_run, to_json

    found = measure_run(run, data, n=n, seed=seed, device=_device(device))
    click.echo(to_json(found) if as_json else as_text(found))


def _device(name: str) -> "torch.device":
    """Return the device of that name, `auto` being a GPU when there is one.

    Raises:
        UsageError: there is no such device here.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"no device called {name!r}; there are cpu and cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch finds no GPU on this machine; use --device cpu")
    return device


class _Messages(logging.Handler):
    """Show the program's messages above its progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message to stderr."""
        from tqdm import tqdm

        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        tqdm.write(prefix + record.getMessage(), file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `vgan`; return its exit code: 0, 1 failed, 2 wrong usage, 130 interrupted."""
    handler = _Messages()
    logger = logging.getLogger("vgan")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        cli.main(arguments, prog_name="vgan", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted; run the same command again to go on", EXIT_INTERRUPTED)
    except VganError as error:
        return _fail(str(error), error.exit_code)
    except (ManifestError, OSError) as error:
        return _fail(str(error), VganError.exit_code)
    finally:
        logger.removeHandler(handler)
    return 0


def _fail(message: str, code: int) -> int:
    click.echo(f"vgan: {message}", err=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
