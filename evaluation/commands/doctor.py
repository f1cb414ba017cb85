"""The commands of whoever runs the server: doctor, backup and upgrade. No logic."""

from pathlib import Path

import click

from evaluation.commands.options import FiniteRange, Folder, database_option, served_study_option
from evaluation.errors import EvaluationError


@click.command()
@click.option(
    "--url", required=True, metavar="URL", help="Where raters reach the study: https://HOST."
)
@click.option(
    "--db",
    metavar="URL",
    envvar="VGAN_EVAL_DB",
    help="The running study's database; without it clips, the proxy and a session are not looked "
    "at. [env: VGAN_EVAL_DB]",
)
@served_study_option
@click.option(
    "--frame-ancestor",
    "frame_ancestors",
    multiple=True,
    metavar="ORIGIN",
    help="A site that has to be able to show the pages in a frame.",
)
@click.option(
    "--http-port",
    type=click.IntRange(1, 65535),
    metavar="N",
    help="Where plain http would answer (default: 80, if --url names no port).",
)
@click.option(
    "--ca",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Certificates to trust besides the system's (PEM).",
)
@click.option(
    "--timeout",
    type=FiniteRange(0.1, 120),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="For each answer.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(
    url: str,
    db: str | None,
    study: str | None,
    frame_ancestors: tuple[str, ...],
    http_port: int | None,
    ca: Path | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Look at a running study from outside, and say what to mend; nothing is written.

    With --db a whole session is opened, rated and finished on the running app, which undoes it
    before it answers. Exit code 1 when something has to be mended.
    """
    from evaluation.doctor.examine import Options, examine
    from evaluation.doctor.findings import count_failed
    from evaluation.doctor.report import report_json, report_lines
    from evaluation.doctor.site import open_site

    site = open_site(url, ca_file=ca, timeout_s=timeout)
    usual = 80 if site.has_usual_port else None
    options = Options(http_port or usual, frame_ancestors, db, study)
    findings = examine(site, options)
    click.echo(report_json(url, findings) if as_json else "\n".join(report_lines(findings)))
    if n_failed := count_failed(findings):
        raise EvaluationError(
            f"{url}: {n_failed} of {len(findings)} checks failed; mend them first"
        )


@click.command()
@click.argument("out", type=Folder, metavar="FILE")
@database_option
def backup(out: Path, db: str) -> None:
    """Copy an SQLite study database to FILE, whole, while people rate.

    Its key and its folder of files are yours to copy too.
    """
    from evaluation.backup import back_up

    back_up(db, out)
    click.echo(f"{out}: the database as it is now; its .key and .files are not in it")


@click.command()
@database_option
def upgrade(db: str) -> None:
    """Bring a study database to this version's schema; make a backup before.

    One transaction: it is done whole or not at all. Again changes nothing.
    """
    from evaluation.upgrading import upgrade_database

    done = upgrade_database(db)
    if done.before == done.after:
        click.echo(f"The database is at revision {done.after} already.")
    else:
        click.echo(f"Upgraded from revision {done.before} to {done.after}.")


COMMANDS = (doctor, backup, upgrade)
