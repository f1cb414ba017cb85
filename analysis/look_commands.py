"""The commands that look at a running study, and add to it where a look says so. No logic."""

from datetime import UTC, datetime
from pathlib import Path

import click

from analysis.commands import question_option, simulated_option
from evaluation.crowd_commands import (
    agreed,
    crowd_options,
    dry_run_option,
    environment_of,
    publish_lacking,
    url_option,
    yes_option,
)
from evaluation.options import media_options, media_store, study_options

_stop_when = click.option(
    "--stop-when",
    metavar="RULE",
    help="'decided' (50 % is excluded), 'half-width 3' (points), or both joined by 'or'. Default: "
    "what the study file declares.",
)


@click.command()
@study_options
@_stop_when
@question_option
@simulated_option
def looks(
    db: str, study: str | None, stop_when: str | None, question: str | None, simulated: bool | None
) -> None:
    """Look at a running study: intervals that hold at all looks together, rows not yet done.

    Looking every day, or after every session, raises no false alarms.
    """
    from analysis.stopping import sequential_status_text

    policy = {None: "refuse", True: "include", False: "exclude"}[simulated]
    text = sequential_status_text(db, study, stop_when, question=question, simulated=policy)
    click.echo(text, nl=False)


@click.command("top-up")
@crowd_options
@_stop_when
@click.option(
    "--per-cell",
    type=click.IntRange(2),
    metavar="N",
    help="Ask for so many new judgments in every cell of a row that is not done (default: as many "
    "as the rule seems to need, at most as many again).",
)
@click.option("--plan-only", is_flag=True, help="Plan the trials, and publish nothing.")
@media_options
@url_option
@yes_option
@dry_run_option
def top_up(
    db: str,
    study: str | None,
    crowd: str,
    sandbox: bool,
    stop_when: str | None,
    per_cell: int | None,
    plan_only: bool,
    files: Path | None,
    media: str | None,
    url: str | None,
    yes: bool,
    dry_run: bool,
) -> None:
    """Ask for more judgments where the stopping rule says so, and publish what the plan lacks.

    With a rule (--stop-when, or stop_when of the study file) the rows that are done are handed out
    no longer, and the others get one more plan batch. Without a rule this is `publish`: it asks
    again for the judgments of people who left. Run again, it adds and publishes nothing twice.
    """
    from analysis.stopping import declared_rule

    if stop_when or declared_rule(db, study):
        store = media_store(db, files, media)
        place = None if plan_only else (crowd, sandbox)
        if not _plan_more(db, study, (stop_when, per_cell), store, place, (yes, dry_run)):
            return
    elif plan_only or per_cell:
        raise click.UsageError("--plan-only and --per-cell need a stopping rule: --stop-when RULE")
    if not plan_only:
        publish_lacking(db, study, crowd, sandbox, url, yes, dry_run)


def _plan_more(
    db: str,
    study: str | None,
    rule: tuple[str | None, int | None],
    media: str,
    place: tuple[str, bool] | None,
    consent: tuple[bool, bool],
) -> bool:
    """Plan the batch that a look asks for; False where the user said no."""
    from analysis.topping_up import decide, top_up_text
    from evaluation.database import find_study, open_database
    from evaluation.offers import check_publishable
    from evaluation.storage import open_store
    from evaluation.topup import preview
    from evaluation.topup import top_up as run

    decision = decide(db, study, rule[0], per_cell=rule[1])
    database = open_database(db)
    try:
        with database.read() as session:
            found = find_study(session, study)
            if place is not None:  # before a batch is planned that could not be published
                check_publishable(session, found, place[0], environment_of(place[1]))
            seen = preview(session, found, decision.need)
        text = top_up_text(decision, seen)
        if seen.is_empty:
            click.echo(text, nl=False)
            return True
        if not agreed(text.rstrip(), *consent):
            return False
        done = run(database, study, decision.need, open_store(media), datetime.now(UTC))
    finally:
        database.close()
    if done.batch is not None:
        click.echo(f"Planned {done.trials:,} trials as batch {done.batch}.")
    return True


COMMANDS = (looks, top_up)
