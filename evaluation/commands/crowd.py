"""The commands about crowds: publish, extend, expire. No logic."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from evaluation.commands.links import NOTHING_LACKING, publish_link
from evaluation.commands.options import (
    Address,
    Asking,
    FiniteRange,
    Venue,
    asking_options,
    check_published,
    checked_address,
    crowd_options,
    url_option,
    venue_options,
)
from evaluation.crowd.terms import terms_of
from evaluation.quantities import quantity

if TYPE_CHECKING:
    from evaluation.crowd.base import Crowd
    from evaluation.database import Database
    from evaluation.publishing.offers import Publication


@contextmanager
def opened(venue: Venue) -> Iterator[tuple["Database", "Crowd"]]:
    """Yield the study database and the crowd of a command."""
    from evaluation.crowd.open import open_crowd
    from evaluation.database import open_database

    with open_database(venue.db) as database:
        yield database, open_crowd(venue.crowd, venue.environment, database)


@contextmanager
def opened_published(venue: Venue) -> Iterator[tuple["Database", "Crowd"]]:
    """Yield the same, for a command about what the study has published there.

    Looked at before the crowd, whose sandbox need not be up where production is meant.
    """
    from evaluation.crowd.open import open_crowd
    from evaluation.database import find_study, open_database
    from evaluation.publishing.environments import other_crowds

    with open_database(venue.db) as database:
        with database.read() as session:
            others = other_crowds(session, find_study(session, venue.study), venue.crowd)
        if others:
            click.echo(f"Published on {' and '.join(others)} too; this is about {venue.crowd}.")
        check_published(database, venue)
        yield database, open_crowd(venue.crowd, venue.environment, database)


def money_text(cents: int, currency: str) -> str:
    """Write an amount as people read it."""
    return f"{cents / 100:,.2f} {currency}"


def older_rewards_text(plan: "Publication") -> str:
    """Say which places on offer keep another reward than the study file's, and what to do."""
    if plan.declared_cents is not None:
        return (
            " The published HIT keeps the reward that it was published with; the study file says "
            f"{money_text(plan.declared_cents, plan.currency)} now. For that, give the study "
            "another name and init it again."
        )
    if not plan.older_rewards:
        return ""
    older = " and ".join(money_text(cents, plan.currency) for cents in plan.older_rewards)
    return (
        f" HITs with free places keep the {older} that they were published with; the study file "
        f"says {money_text(plan.reward_cents, plan.currency)} now. To offer those places at that, "
        "run `vgan-eval expire`, then publish again."
    )


def publication_text(plan: "Publication", venue: Venue, address: Address) -> str:
    """Say what would be published, where it sends workers, and what it costs."""
    hits = quantity(len(plan.hits), "HIT")
    if plan.grown:
        hits = f"the published HIT, which gets {quantity(plan.places, 'place')}"
    reward, fee = (money_text(c, plan.currency) for c in (plan.reward_cents, plan.fee_cents))
    if plan.sessions_cents != plan.sessions * (plan.reward_cents + plan.fee_cents):
        fee = f"up to {fee}"  # no whole cents
    unfinished = quantity(plan.unfinished, "HIT is", "HITs are")
    left = ""
    if plan.unfinished:
        left = f" {unfinished} left of a run that was interrupted or is still at work."
    if plan.kept_cents:
        kept = money_text(plan.kept_cents, plan.currency)
        left += f" {kept} are kept for people who find nothing left."
    left += older_rewards_text(plan)
    new = "No trial lacks a worker."
    if plan.grown and not plan.sessions:
        new = (
            f"{quantity(plan.trials, 'trial lacks', 'trials lack')} a worker: the published HIT, "
            "which is paused, goes on with its free places, which are paid for."
        )
    elif plan.sessions:
        new = (
            f"{quantity(plan.trials, 'trial lacks', 'trials lack')} a worker: "
            f"{quantity(plan.sessions, 'session')} in {hits}, {reward} and {fee} fee each."
        )
    return (
        f"{new}{left}\nIn all {money_text(plan.total_cents, plan.currency)} on {venue.warning}. "
        f"{address.line(grown=bool(plan.grown))}"
    )


def publish_lacking(
    venue: Venue, url: str | None, asking: Asking, agreed_cents: int | None = None
) -> None:
    """Publish what the plan lacks; the options are those of `publish`.

    Who agreed to a cost before is asked again only where it is more, or for an older reward.
    """
    from evaluation.publish import publish as run

    address = checked_address(venue, url)
    if terms_of(venue.crowd).by_link:
        publish_link(venue, address, asking)
        return

    def confirm(plan: "Publication") -> bool:
        known = agreed_cents is not None and plan.total_cents <= agreed_cents
        if known and not asking.dry_run and plan.declared_cents is None:
            return True
        return asking.agreed(publication_text(plan, venue, address))

    with opened(venue) as (database, platform):
        done = run(database, venue.study, platform, address.url, confirm=confirm)
    if done is None:
        return
    if done.is_empty:
        click.echo(NOTHING_LACKING + older_rewards_text(done))
    else:
        at = address.before if done.grown else address.url
        click.echo(f"Published. Serve the pages with `vgan-eval serve` at {at}.")


@click.command()
@crowd_options
@url_option
@asking_options
def publish(**options: Any) -> None:
    """Publish what the plan still lacks on a crowd, for an exact cost that you confirm first.

    Interrupted at any point and run again, it publishes nothing twice.
    """
    publish_lacking(**options)


@click.command("publish-hits")
@venue_options("mturk")
@url_option
@asking_options
def publish_hits(**options: Any) -> None:
    """Publish HITs on a service that speaks the MTurk API: `publish --crowd mturk`."""
    publish_lacking(**options)


@click.command()
@crowd_options
@click.option(
    "--hours",
    type=FiniteRange(min=0, min_open=True, max=8760),
    required=True,
    metavar="H",
    help="Offer every HIT for so long from now (on Prolific: until `vgan-eval expire`).",
)
@asking_options
def extend(venue: Venue, hours: float, asking: Asking) -> None:
    """Offer the published HITs for longer, those that are over too.

    Where that puts places on offer again, what they cost is shown and confirmed first.
    """
    from evaluation.publish import extend as run
    from evaluation.publishing.places import Extension

    def confirm(plan: Extension) -> bool:
        if not (plan.again or asking.dry_run):
            return True
        return asking.agreed(
            f"The plan lacks {quantity(plan.lacking, 'session')}; up to {plan.on_offer:,} would be "
            f"on offer, {plan.again:,} again, for at most "
            f"{money_text(plan.cents, plan.currency)} with fees, on {venue.warning}."
        )

    with opened_published(venue) as (database, platform):
        done = run(database, venue.study, platform, timedelta(hours=hours), confirm=confirm)
    if done is None:
        return
    time = f"for {hours:g} hours from now"
    if terms_of(venue.crowd).grows:
        why = f"{venue.crowd} has no end by time, so --hours means nothing"
        time = f"until `vgan-eval expire` ({why})"
    if done.hits:
        on_offer = quantity(done.hits, "HIT is", "HITs are")
        click.echo(f"{on_offer} on offer {time}, as far as not taken.")
    else:
        click.echo("No HIT can be offered again; `vgan-eval publish` makes new ones.")
    if done.gone:
        click.echo(
            f"{quantity(done.gone, 'HIT is', 'HITs are')} skipped, as the platform has none such."
        )


@click.command()
@crowd_options
def expire(venue: Venue) -> None:
    """Stop offering the published HITs; workers who have accepted may finish and are paid."""
    from evaluation.publish import expire as run

    with opened_published(venue) as (database, platform):
        ended = run(database, venue.study, platform)
    click.echo(f"{quantity(ended, 'HIT is', 'HITs are')} no longer on offer.")


COMMANDS = (publish, publish_hits, extend, expire)
