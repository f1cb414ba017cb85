"""The `vgan-eval` command: one short command per stage of a study, no logic in it.

The composition root: it may import any layer, inside the command that needs it, and nothing
imports it. Every error a user can cause becomes one line and an exit code in `main`.
"""

import json
import sys
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

import click

from analysis.commands import COMMANDS as ANALYSIS_COMMANDS
from analysis.look_commands import COMMANDS as LOOK_COMMANDS
from evaluation.commands import crowd, doctor, links, money, people, sandbox, study
from evaluation.commands.options import (
    database_option,
    media_options,
    port_option,
    served_study_option,
    study_options,
)
from evaluation.crowd.addresses import SANDBOX_PORT, SANDBOX_URL
from evaluation.errors import EvaluationError
from evaluation.locations import media_store
from evaluation.signals import sigterm_as_ctrl_c
from vgan.data.manifest import ManifestError

# Where workers of the bundled service (`vgan-eval sandbox`) are, on this machine.
SANDBOX_SITES = (SANDBOX_URL, f"http://localhost:{SANDBOX_PORT}")
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell has it
# A checkout can be run without having been installed.
VERSION = next(
    (found.version for found in distributions(name="vgan-eval")), "unknown (not installed)"
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="vgan-eval")
def cli() -> None:
    """Ask people which video is more realistic, and count the answers honestly."""


for command in (
    *study.COMMANDS,
    *crowd.COMMANDS,
    *money.COMMANDS,
    *sandbox.COMMANDS,
    *ANALYSIS_COMMANDS,
    *LOOK_COMMANDS,
    *links.COMMANDS,
    *people.COMMANDS,
    *doctor.COMMANDS,
):
    cli.add_command(command)


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
@database_option
@served_study_option
@media_options
@click.option("--host", default="0.0.0.0", show_default=True, help="127.0.0.1: this machine.")  # noqa: S104 (a room of raters comes from outside)
@port_option
@click.option(
    "--frame-ancestor",
    "frame_ancestors",
    multiple=True,
    metavar="ORIGIN",
    envvar="VGAN_EVAL_FRAME_ANCESTORS",
    default=SANDBOX_SITES,
    show_default=True,
    help="A site that may show the pages in a frame and receive finished sessions. "
    "[env: VGAN_EVAL_FRAME_ANCESTORS]",
)
@click.option(
    "--dashboard",
    is_flag=True,
    help="Also print the address of a live dashboard; its token is VGAN_EVAL_DASHBOARD_TOKEN, "
    "or a new one each time.",
)
@click.option(
    "--trusted-proxies",
    type=click.IntRange(0, 5),
    metavar="N",
    envvar="VGAN_EVAL_TRUSTED_PROXIES",
    default=0,
    show_default=True,
    help="How many proxies of yours are in front; their X-Forwarded-For and -Proto are believed. "
    "[env: VGAN_EVAL_TRUSTED_PROXIES]",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    metavar="N",
    envvar="VGAN_EVAL_THREADS",
    default=8,
    show_default=True,
    help="Requests answered at once. [env: VGAN_EVAL_THREADS]",
)
def serve(
    db: str,
    study: str | None,
    files: Path | None,
    media: str | None,
    host: str,
    port: int,
    frame_ancestors: tuple[str, ...],
    dashboard: bool,
    trusted_proxies: int,
    threads: int,
) -> None:
    """Serve the rating pages: to a room of raters by the printed link, or to a study's crowd.

    Everyone who opens the printed link rates one session. A study that is published on a crowd, or
    names one in its file, has no such link: its workers come by what is published.
    """
    from webapp.dashboard import dashboard_token

    token = dashboard_token() if dashboard else None
    _serve(
        db,
        study,
        (files, media),
        host,
        port,
        path=None,
        frame_ancestors=frame_ancestors,
        token=token,
        trusted_proxies=trusted_proxies,
        threads=threads,
    )


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
    token: str | None = None,
    trusted_proxies: int = 0,
    threads: int = 8,
) -> None:
    """Run the web application; `path` None lets people in by the join link only."""
    from evaluation.storage import S3Store, open_store
    from webapp import create_app
    from webapp.local import is_anything_published, join_address
    from webapp.media import check_clips
    from webapp.server import listen

    store = open_store(media_store(db, *places))
    app = create_app(
        db,
        store,
        study=study,
        open_door=path is not None,
        frame_ancestors=frame_ancestors,
        form_hosts=frame_ancestors,
        dashboard_token=token,
        trusted_proxies=trusted_proxies,
    )
    with ExitStack() as stack:
        stack.callback(app.extensions["vgan_eval"].database.close)
        check_clips(app)
        behind = trusted_proxies > 0
        server = stack.enter_context(listen(app, host, port, threads=threads, behind_proxy=behind))
        door = path or join_address(app)
        address = f"{server.url}{door}"
        if token is not None:
            click.echo(
                f"Dashboard (keep this address to yourself): {server.url}/dashboard/{token}/"
            )
        if "rating" not in app.blueprints:
            click.echo("The raters of this study are simulated: nobody is let in beside them.")
        elif door is None:
            click.echo(
                f"Serving a crowd's workers at {server.url}: they come by what is published."
            )
            if not is_anything_published(app):
                click.echo("Nothing is published yet: run `vgan-eval publish`.")
        else:
            click.echo(f"Rating page: {address}")
        click.echo("Press Ctrl-C to stop.")
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
    """Show judgments against the plan, HITs, sessions, and the money.

    Without --study, a database of several studies is shown in a line each.
    """
    from analysis.stopping import questions_of, sequential_status_text
    from evaluation.database import open_database
    from evaluation.status import lines

    with open_database(db) as database, database.read() as session:
        click.echo("\n".join(lines(session, study, datetime.now(UTC))))
    if not stop_when:
        return
    names = questions_of(db, study)
    for name in names:
        head = f"question {name}\n" if len(names) > 1 else ""
        click.echo("\n" + head + sequential_status_text(db, study, stop_when, question=name))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `vgan-eval`; return its exit code: 0, 1 failed, 2 wrong usage, 130 interrupted."""
    warnings.simplefilter("default", UserWarning)
    try:
        with sigterm_as_ctrl_c():
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
