"""The commands about links: links for one person each, and completion codes. No logic."""

from datetime import UTC, datetime
from pathlib import Path

import click

from evaluation.commands.options import (
    Address,
    Asking,
    Folder,
    Venue,
    check_published,
    venue_options,
)
from evaluation.errors import UsageError
from evaluation.quantities import quantity

_CROWD = "link"  # as `evaluation.links` has it, which --help need not wait for
NOTHING_LACKING = "Nothing to publish: every planned judgment is given, being given or on offer."


def publish_link(venue: Venue, address: Address, asking: Asking) -> None:
    """`publish --crowd link`: open the study's link, and say what to paste where."""
    from evaluation.database import open_database
    from evaluation.links import LinkPlan, link_instructions
    from evaluation.links import publish_link as run

    environment = venue.environment

    def confirm(plan: LinkPlan) -> bool:
        cost = f"{plan.open * plan.reward_cents / 100:,.2f} {plan.currency}"
        owed = f"{cost} for you to pay where they come from"
        older = ""
        if plan.older is not None:
            cents, currency = plan.older
            older = (
                f" The link had {cents / 100:,.2f} {currency} each: who has started or finished is "
                f"reckoned at {plan.reward_cents / 100:,.2f} {plan.currency} from now on, but for "
                "sessions that `vgan-eval review` has noted before."
            )
        return asking.agreed(
            f"{quantity(plan.trials, 'trial lacks', 'trials lack')} a worker. The link lets in "
            f"{quantity(plan.open, 'more person', 'more people')} "
            f"until {plan.until:%Y-%m-%d %H:%M} UTC ({environment}). "
            f"Cost here: 0; {owed if plan.reward_cents else 'no reward is promised'}.{older} "
            f"{address.line()}",
            unasked=venue.sandbox,
        )

    with open_database(venue.db) as database:
        done = run(database, venue.study, environment, address.url, confirm=confirm)
        if done is not None and done.is_empty:
            click.echo(NOTHING_LACKING)
        if done is not None and done.places:
            with database.read() as session:
                click.echo("\n".join(link_instructions(session, venue.study, done, environment)))


@click.command()
@venue_options(_CROWD)
@click.option("--n", type=click.IntRange(1, 100_000), metavar="N", help="Make so many links.")
@click.option("--out", type=Folder, metavar="FILE", help="The CSV file to write them to.")
@click.option(
    "--revoke", "revoked", multiple=True, metavar="LINK", help="Take a link back; may be repeated."
)
@click.option("--revoke-unused", is_flag=True, help="Take back every link that nobody has used.")
def links(
    venue: Venue, n: int | None, out: Path | None, revoked: tuple[str, ...], revoke_unused: bool
) -> None:
    """Make links for one person each, for a mailing list, or take such links back.

    The link itself is opened by `publish --crowd link`. Nothing is stored about who gets which.
    """
    from evaluation.database import open_database
    from evaluation.publishing.invitations import make_invitations, revoke

    if (n is None) != (out is None):
        raise UsageError("--n N and --out FILE go together")
    if n is None and not (revoked or revoke_unused):
        raise UsageError("nothing to do: give --n N --out FILE, --revoke LINK or --revoke-unused")
    study, environment, now = venue.study, venue.environment, datetime.now(UTC)
    with open_database(venue.db) as database:
        check_published(database, venue)
        if revoked or revoke_unused:
            gone = revoke(database, study, environment, revoked, now, unused=revoke_unused)
            click.echo(f"{quantity(gone, 'link')} revoked.")
        if n is not None and out is not None:
            made, over = make_invitations(database, study, environment, n, out, now)
            click.echo(f"{out}: {quantity(made, 'link')}, one person each.")
            if over:
                click.echo(
                    "They let nobody in yet, as the study's link is over: "
                    "`vgan-eval extend --crowd link --hours N` opens it again."
                )


@click.command()
@venue_options(_CROWD)
@click.option("--out", type=Folder, required=True, metavar="FILE", help="The CSV file to write.")
def codes(venue: Venue, out: Path) -> None:
    """Write who came by the link, or a room's, with which completion code, to approve them by it.

    The file has the participants' ids there: it is for approving, not for sharing.
    """
    from evaluation.database import open_database
    from evaluation.publishing.codes import write_codes

    with open_database(venue.db) as database:
        check_published(database, venue)
        counts = write_codes(database, venue.study, venue.environment, out)
    told = ", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "nobody came yet"
    click.echo(f"{out}: {told}.")


COMMANDS = (links, codes)
