"""The commands that fill and read a study database: init, simulate, export. No logic."""

from pathlib import Path

import click

from evaluation.commands.options import (
    Folder,
    media_options,
    progress_bars,
    study_options,
)
from evaluation.errors import UsageError
from evaluation.locations import files_folder, media_store
from evaluation.quantities import quantity


@click.command()
@click.argument("study_file", type=Folder)
@study_options
@media_options
def init(
    study_file: Path, db: str, study: str | None, files: Path | None, media: str | None
) -> None:
    """Import the clips of STUDY_FILE, freeze its design, and plan every trial.

    Run again with the same file there is nothing to do; with new pay or recruiting, these change;
    with another design, it is refused once people have answered.
    """
    from evaluation.database import database_to_fill
    from evaluation.freeze import init_study
    from evaluation.storage import open_store
    from evaluation.study_file.reader import load_study

    if study is not None:
        raise UsageError("--study: init takes the name from the study file")
    loaded = load_study(study_file)
    folder = files_folder(db, files)
    store = open_store(media_store(db, files, media))
    with database_to_fill(db) as database, progress_bars() as progress:
        report = init_study(database, loaded, store, folder / "clips", progress)
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    cost = report.cost
    click.echo(
        f"{report.study}: {report.action}. {quantity(report.rows, 'comparison')} in "
        f"{', '.join(report.categories)}: {quantity(report.trials, 'trial')} of "
        f"{quantity(report.pairs, 'pair')} from {quantity(report.clips, 'clip')}, "
        f"{quantity(cost.sessions, 'session')}. "
        f"Design {report.design_hash[:12]}."
    )
    click.echo(f"Clips are shown as {report.shown}.")
    if cost.total_cents:
        click.echo(
            f"Filling it costs about {cost.total_cents / 100:,.2f} {cost.currency} (the last "
            "sessions may be short, at full pay); a worker earns "
            f"{cost.hourly_cents / 100:.2f} an hour."
        )


@click.command()
@study_options
@click.option("--workers", type=click.IntRange(1), metavar="N", help="How many simulated raters.")
@click.option("--mix", metavar="KIND=SHARE,...", help="Shares of the kinds of raters, see below.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all chance.")
@click.option("--judgments", type=click.IntRange(1), metavar="N", help="Stop after so many trials.")
def simulate(
    db: str,
    study: str | None,
    workers: int | None,
    mix: str | None,
    seed: int,
    judgments: int | None,
) -> None:
    """Fill a plan with simulated raters, labelled so in everything made from it.

    A database with simulated answers takes no people afterwards: give it one of its own.

    Kinds: careful, noisy, side-biased, random, fast-clicker, real-looks-fake.
    Run again with the same seed, it goes on where it was stopped.
    """
    from evaluation.database import open_database
    from evaluation.raters import DEFAULT_MIX
    from evaluation.simulate import simulate as run

    with open_database(db) as database, progress_bars() as progress:
        report = run(
            database,
            study,
            workers=workers,
            mix=_shares(mix) if mix else DEFAULT_MIX,
            seed=seed,
            limit=judgments,
            progress=progress,
        )
    click.echo(
        f"SIMULATED: {quantity(report.judgments, 'judgment')} by "
        f"{quantity(report.workers, 'simulated rater')} in "
        f"{quantity(report.sessions, 'session')}; "
        f"{quantity(report.left, 'trial is', 'trials are')} left"
    )


def _shares(text: str) -> dict[str, float]:
    try:
        return {
            kind.strip(): float(share)
            for kind, share in (part.split("=") for part in text.split(","))
        }
    except ValueError:
        raise UsageError(f"--mix {text}: write careful=0.7,random=0.3") from None


@click.command()
@study_options
@click.option("--out", type=Folder, required=True, metavar="DIR", help="The folder to write.")
@click.option("--unlinkable", is_flag=True, help="Pseudonyms that match no other study's.")
@click.option("--all", "all_judgments", is_flag=True, help="Late and returned judgments too.")
@click.option("--survey", is_flag=True, help="The survey's answers too.")
def export(
    db: str, study: str | None, out: Path, unlinkable: bool, all_judgments: bool, survey: bool
) -> None:
    """Write judgments, sessions and clips as CSV files, workers under pseudonyms."""
    from evaluation.database import open_database
    from evaluation.export import export_study

    with open_database(db) as database:
        report = export_study(
            database,
            study,
            out,
            unlinkable=unlinkable,
            all_judgments=all_judgments,
            survey=survey,
        )
    click.echo(
        f"{out}: {quantity(report.judgments, 'judgment')}, "
        f"{quantity(report.sessions, 'session')}, {quantity(report.clips, 'clip')}"
    )


COMMANDS = (init, simulate, export)
