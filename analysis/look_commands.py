"""The commands that look at a running study, and add to it where a look says so. No logic."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.commands import question_option, simulated_option
from evaluation.crowd_commands import (
    agreed,
    checked_url,
    crowd_options,
    dry_run_option,
    environment_of,
    publication_text,
    publish_lacking,
    url_option,
    yes_option,
)
from evaluation.options import media_options, media_store, study_options

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from evaluation.database import Database
    from evaluation.offers import Publication
    from evaluation.schema import Study
    from evaluation.topup import Need, TopUp

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

    cents = None
    if stop_when or declared_rule(db, study):
        if not plan_only:
            checked_url(url, sandbox)
        store = media_store(db, files, media)
        place = None if plan_only else (crowd, sandbox)
        go_on, cents = _plan_more(db, study, (stop_when, per_cell), store, place, (yes, dry_run))
        if not go_on:
            return
    elif plan_only or per_cell:
        raise click.UsageError("--plan-only and --per-cell need a stopping rule: --stop-when RULE")
    if not plan_only:
        publish_lacking(db, study, crowd, sandbox, url, yes, dry_run, cents)


def _plan_more(
    db: str,
    study: str | None,
    rule: tuple[str | None, int | None],
    media: str,
    place: tuple[str, bool] | None,
    consent: tuple[bool, bool],
) -> tuple[bool, int | None]:
    """Plan the batch that a look asks for.

    Returns:
        Whether to go on, and the cost of publishing that was agreed to, where it was asked for.
    """
    from analysis.topping_up import decide, top_up_text
    from evaluation.database import open_database
    from evaluation.storage import open_store
    from evaluation.topup import rehearse
    from evaluation.topup import top_up as run

    decision = decide(db, study, rule[0], per_cell=rule[1])
    database = open_database(db)
    try:
        seen = _seen(database, study, decision.need, place)
        text = top_up_text(decision, seen)
        if seen.is_empty:
            click.echo(text, nl=False)
            return True, None
        # The price and the batch are of what is shown here, whoever answers meanwhile.
        need = replace(decision.need, most=seen.added)
        cents = None
        if place is not None and place[0] != "link":  # which says by itself what is owed
            then = rehearse(database, study, need, datetime.now(UTC), _publication(place))
            text, cents = f"{text}Then: {publication_text(then, *place)}", then.total_cents
        if not agreed(text.rstrip(), *consent):
            return False, None
        done = run(database, study, need, open_store(media), datetime.now(UTC))
    finally:
        database.close()
    if done.batch is not None:
        click.echo(f"Planned {done.trials:,} trials as batch {done.batch}.")
    return True, cents


def _seen(
    database: "Database", study: str | None, need: "Need", place: tuple[str, bool] | None
) -> "TopUp":
    """What the batch would be; refused where it could not be published afterwards."""
    from evaluation.database import find_study
    from evaluation.offers import check_publishable
    from evaluation.topup import preview

    with database.read() as session:
        found = find_study(session, study)
        if place is not None:
            check_publishable(session, found, place[0], environment_of(place[1]))
        return preview(session, found, need)


def _publication(place: tuple[str, bool]) -> "Callable[[Session, Study], Publication]":
    """Return what says of a study what would be published there, now."""
    from evaluation.offers import plan_publication

    crowd, environment = place[0], environment_of(place[1])
    return lambda session, found: plan_publication(
        session, found, crowd, environment, datetime.now(UTC)
    )


COMMANDS = (looks, top_up)
