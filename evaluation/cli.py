"""The `vgan-eval` command: one short command per stage of a study, no logic in it.

The composition root: it may import any layer, inside the command that needs it, and nothing
imports it. Every error a user can cause becomes one line and an exit code in `main`.
"""

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click

from analysis.commands import COMMANDS as ANALYSIS_COMMANDS
from evaluation.crowd_commands import COMMANDS
from evaluation.errors import EvaluationError, UsageError
from evaluation.options import (
    Folder,
    files_folder,
    media_options,
    media_store,
    port_option,
    study_options,
)
from vgan.data.manifest import ManifestError

# Where workers of the bundled service (`vgan-eval sandbox`) are, on this machine.
SANDBOX_SITES = ("http://127.0.0.1:8900", "http://localhost:8900")
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell has it


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("vgan-eval"), prog_name="vgan-eval")
def cli() -> None:
    """Ask people which video is more realistic, and count the answers honestly."""


for command in (*COMMANDS, *ANALYSIS_COMMANDS):
    cli.add_command(command)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function (stage, done, total) that draws one progress bar per stage."""
    from tqdm import tqdm

    bars: dict[str, tqdm] = {}  # type: ignore[type-arg] # a bar that counts has no items

    def show(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            bars[stage] = tqdm(total=total, desc=stage, unit="", leave=False, disable=None)
        bars[stage].update(done - bars[stage].n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()


@cli.command()
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
    from evaluation.study import load_study

    if study is not None:
        raise UsageError("--study: init takes the name from the study file")
    loaded = load_study(study_file)
    folder = files_folder(db, files)
    store = open_store(media_store(db, files, media))
    with database_to_fill(db) as database, _progress() as progress:
        report = init_study(database, loaded, store, folder / "clips", progress)
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    cost = report.cost
    click.echo(
        f"{report.study}: {report.action}. {report.rows} comparisons in "
        f"{', '.join(report.categories)}: {report.trials:,} trials of {report.pairs:,} pairs "
        f"from {report.clips:,} clips, {cost.sessions:,} sessions. "
        f"Design {report.design_hash[:12]}."
    )
    if cost.total_cents:
        click.echo(
            f"Filling it costs {cost.total_cents / 100:,.2f} {cost.currency} at most; a worker "
            f"earns {cost.hourly_cents / 100:.2f} an hour."
        )


@cli.command()
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

    Kinds: careful, noisy, side-biased, random, fast-clicker, real-looks-fake.
    Run again with the same seed, it goes on where it was stopped.
    """
    from evaluation.database import open_database
    from evaluation.raters import DEFAULT_MIX
    from evaluation.simulate import simulate as run

    database = open_database(db)
    try:
        with _progress() as progress:
            report = run(
                database,
                study,
                workers=workers,
                mix=_shares(mix) if mix else DEFAULT_MIX,
                seed=seed,
                limit=judgments,
                progress=progress,
            )
    finally:
        database.close()
    click.echo(
        f"SIMULATED: {report.judgments:,} judgments by {report.workers} simulated raters in "
        f"{report.sessions} sessions; {report.left:,} trials are left"
    )


def _shares(text: str) -> dict[str, float]:
    try:
        return {
            kind.strip(): float(share)
            for kind, share in (part.split("=") for part in text.split(","))
        }
    except ValueError:
        raise UsageError(f"--mix {text}: write careful=0.7,random=0.3") from None


@cli.command()
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

    database = open_database(db)
    try:
        report = export_study(
            database,
            study,
            out,
            unlinkable=unlinkable,
            all_judgments=all_judgments,
            survey=survey,
        )
    finally:
        database.close()
    click.echo(
        f"{out}: {report.judgments:,} judgments, {report.sessions:,} sessions, "
        f"{report.clips:,} clips"
    )


@cli.command()
@study_options
@media_options
@click.option("--rater", metavar="NAME", help="Who rates (default: a new id each time).")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@port_option
@click.option("--no-browser", is_flag=True, help="Print the address instead of opening it.")
def rate(
    db: str,
    study: str | None,
    files: Path | None,
    media: str | None,
    rater: str | None,
    host: str,
    port: int,
    no_browser: bool,
) -> None:
    """Rate on this machine: serve the study and open the rating page in the browser."""
    from urllib.parse import urlencode

    path = "/local" + (f"?{urlencode({'rater': rater})}" if rater else "")
    _serve(db, study, (files, media), host, port, path=path, open_browser=not no_browser)


@cli.command()
@study_options
@media_options
@click.option("--host", default="0.0.0.0", show_default=True, help="127.0.0.1: this machine.")  # noqa: S104 (a room of raters comes from outside)
@port_option
@click.option(
    "--frame-ancestor",
    "frame_ancestors",
    multiple=True,
    metavar="ORIGIN",
    default=SANDBOX_SITES,
    show_default=True,
    help="A site that may show the pages in a frame and receive finished sessions.",
)
def serve(
    db: str,
    study: str | None,
    files: Path | None,
    media: str | None,
    host: str,
    port: int,
    frame_ancestors: tuple[str, ...],
) -> None:
    """Serve a room of raters: everyone who opens the printed link rates one session."""
    _serve(db, study, (files, media), host, port, path=None, frame_ancestors=frame_ancestors)


def _serve(
    db: str,
    study: str | None,
    places: tuple[Path | None, str | None],
    host: str,
    port: int,
    *,
    path: str | None,
    open_browser: bool = False,
    frame_ancestors: tuple[str, ...] = (),
) -> None:
    """Run the web application; `path` None lets people in by the join link only."""
    from evaluation.storage import S3Store, open_store
    from webapp import create_app
    from webapp.local import join_address
    from webapp.server import listen

    store = open_store(media_store(db, *places))
    app = create_app(
        db,
        store,
        study=study,
        open_door=path is not None,
        frame_ancestors=frame_ancestors,
        form_hosts=frame_ancestors,
    )
    with listen(app, host, port) as server:
        address = f"{server.url}{path or join_address(app)}"
        click.echo(f"Rating page: {address}\nPress Ctrl-C to stop.")
        if isinstance(store, S3Store):
            rule = json.dumps(store.cors_rule(server.url))
            click.echo(f"The bucket's CORS rule, with the address that raters use: {rule}")
        if open_browser:
            click.launch(address)
        server.run()


@cli.command()
@study_options
@click.option(
    "--stop-when",
    metavar="RULE",
    help="Also show which rows need more judgments by this rule, as `vgan-eval looks` does.",
)
def status(db: str, study: str | None, stop_when: str | None) -> None:
    """Show judgments against the plan, HITs, sessions, and the ledger."""
    from analysis.stopping import sequential_status_text
    from evaluation.database import find_study, open_database
    from evaluation.status import status_lines, study_status

    database = open_database(db)
    try:
        with database.read() as session:
            found = study_status(session, find_study(session, study), datetime.now(UTC))
    finally:
        database.close()
    click.echo("\n".join(status_lines(found)))
    if stop_when:
        click.echo("\n" + sequential_status_text(db, study, stop_when))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `vgan-eval`; return its exit code: 0, 1 failed, 2 wrong usage, 130 interrupted."""
    warnings.simplefilter("default", UserWarning)
    try:
        cli.main(arguments, prog_name="vgan-eval", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted; run the same command again to go on", EXIT_INTERRUPTED)
    except EvaluationError as error:
        return _fail(str(error), error.exit_code)
    except (ManifestError, OSError) as error:
        return _fail(str(error), EvaluationError.exit_code)
    return 0


def _fail(message: str, code: int) -> int:
    click.echo(f"vgan-eval: {message}", err=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
