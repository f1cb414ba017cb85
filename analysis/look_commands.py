"""The commands that look at a running study, and add to it where a look says so."""

from pathlib import Path

import click

from analysis.command import SIMULATED, question_option, simulated_option
from evaluation.commands.crowd import publication_text, publish_lacking
from evaluation.commands.options import (
    Asking,
    Venue,
    asking_options,
    checked_address,
    crowd_options,
    media_options,
    progress_bars,
    study_options,
    url_option,
)
from evaluation.locations import media_store
from evaluation.quantities import quantity

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

    text = sequential_status_text(
        db, study, stop_when, question=question, simulated=SIMULATED[simulated]
    )
    click.echo(text, nl=False)


@click.command("top-up")
@crowd_options
@_stop_when
@click.option(
    "--per-cell",
    type=click.IntRange(2),
    metavar="N",
    help="Ask for so many new judgments in every cell of a row that is not done (default: as many "
    "as the rule seems to need, at most as many again). Needs a rule.",
)
@click.option(
    "--plan-only", is_flag=True, help="Plan the trials, and publish nothing. Needs a rule."
)
@media_options
@url_option
@asking_options
def top_up(
    venue: Venue,
    stop_when: str | None,
    per_cell: int | None,
    plan_only: bool,
    files: Path | None,
    media: str | None,
    url: str | None,
    asking: Asking,
) -> None:
    """Ask for more judgments where the stopping rule says so, and publish what the plan lacks.

    With a rule (--stop-when, or stop_when of the study file) the rows that are done are handed out
    no longer, and the others get one more plan batch. Without a rule this is `publish`: it asks
    again for the judgments of people who left. Run again, it adds and publishes nothing twice.
    """
    from analysis.needs import Proposal, decide_and_add
    from analysis.stopping import declared_rule

    def confirm(proposal: Proposal) -> bool:
        text, then = proposal.text, proposal.then
        if then is not None and address is not None:
            told = publication_text(then, venue, address)
            text += f"Then: {told}"
        return asking.agreed(text.rstrip())

    db, study = venue.db, venue.study
    address = None if plan_only else checked_address(venue, url)
    cents = None
    if stop_when or declared_rule(db, study):
        where = None if plan_only else (venue.crowd, venue.environment)
        store = media_store(db, files, media)
        with progress_bars() as progress:
            done = decide_and_add(
                db, study, stop_when, store,
                per_cell=per_cell, place=where, confirm=confirm, progress=progress,
            )  # fmt: skip
        if done is None:
            return
        proposal, added = done
        if added.is_empty:  # so nobody was asked
            click.echo(proposal.text, nl=False)
        if added.batch is not None:
            click.echo(f"Planned {quantity(added.trials, 'trial')} as batch {added.batch}.")
        cents = proposal.then.total_cents if proposal.then else None
    elif plan_only or per_cell:
        raise click.UsageError("--plan-only and --per-cell need a stopping rule: --stop-when RULE")
    if not plan_only:
        publish_lacking(venue, url, asking, cents)


COMMANDS = (looks, top_up)
