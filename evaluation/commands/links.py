"""The commands about links: links for one person each, and completion codes. No logic."""

from datetime import UTC, datetime
from pathlib import Path

import click

from evaluation.commands.options import (
    Address,
    Folder,
    agreed,
    check_published,
    environment_of,
    environment_option,
    study_options,
)
from evaluation.errors import UsageError
from evaluation.quantities import quantity

NOTHING_LACKING = "Nothing to publish: every planned judgment is given, being given or on offer."


def publish_link(
    db: str, study: str | None, sandbox: bool, address: Address, yes: bool, dry_run: bool
) -> None:
    """`publish --crowd link`: open the study's link, and say what to paste where."""
    from evaluation.database import open_database
    from evaluation.links import LinkPlan, link_instructions
    from evaluation.links import publish_link as run

    environment = environment_of(sandbox)

    def confirm(plan: LinkPlan) -> bool:
        cost = f"{plan.open * plan.reward_cents / 100:,.2f} {plan.currency}"
        owed = f"{cost} for you to pay where they come from"
        return agreed(
            f"{quantity(plan.trials, 'trial lacks', 'trials lack')} a worker. The link lets in "
            f"{quantity(plan.open, 'more person', 'more people')} "
            f"until {plan.until:%Y-%m-%d %H:%M} UTC ({environment}). "
            f"Cost here: 0; {owed if plan.reward_cents else 'no reward is promised'}. "
            f"{address.line()}",
            yes or (sandbox and not dry_run),
            dry_run,
        )

    with open_database(db) as database:
        done = run(database, study, environment, address.url, confirm=confirm)
        if done is not None and done.is_empty:
            click.echo(NOTHING_LACKING)
        if done is not None and done.places:
            with database.read() as session:
                click.echo("\n".join(link_instructions(session, study, done, environment)))


@click.command()
@study_options
@environment_option
@click.option("--n", type=click.IntRange(1, 100_000), metavar="N", help="Make so many links.")
@click.option("--out", type=Folder, metavar="FILE", help="The CSV file to write them to.")
@click.option(
    "--revoke", "revoked", multiple=True, metavar="LINK", help="Take a link back; may be repeated."
)
@click.option("--revoke-unused", is_flag=True, help="Take back every link that nobody has used.")
def links(
    db: str,
    study: str | None,
    sandbox: bool,
    n: int | None,
    out: Path | None,
    revoked: tuple[str, ...],
    revoke_unused: bool,
) -> None:
    """Make links for one person each, for a mailing list, or take such links back.

    The link itself is opened by `publish --crowd link`. Nothing is stored about who gets which.
    """
    from evaluation.database import open_database
    from evaluation.links import CROWD
    from evaluation.publishing.invitations import make_invitations, revoke

    if (n is None) != (out is None):
        raise UsageError("--n N and --out FILE go together")
    if n is None and not (revoked or revoke_unused):
        raise UsageError("nothing to do: give --n N --out FILE, --revoke LINK or --revoke-unused")
    environment, now = environment_of(sandbox), datetime.now(UTC)
    with open_database(db) as database:
        check_published(database, study, CROWD, sandbox)
        if revoked or revoke_unused:
            gone = revoke(database, study, environment, revoked, now, unused=revoke_unused)
            click.echo(f"{quantity(gone, 'link')} revoked.")
        if n is not None and out is not None:
            made = make_invitations(database, study, environment, n, out, now)
            click.echo(f"{out}: {quantity(made, 'link')}, one person each.")


@click.command()
@study_options
@environment_option
@click.option("--out", type=Folder, required=True, metavar="FILE", help="The CSV file to write.")
def codes(db: str, study: str | None, sandbox: bool, out: Path) -> None:
    """Write who came by the link, or a room's, with which completion code, to approve them by it.

    The file has the participants' ids there: it is for approving, not for sharing.
    """
    from evaluation.database import open_database
    from evaluation.links import CROWD
    from evaluation.publishing.codes import write_codes

    with open_database(db) as database:
        check_published(database, study, CROWD, sandbox)
        counts = write_codes(database, study, environment_of(sandbox), out)
    told = ", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "nobody came yet"
    click.echo(f"{out}: {told}.")


COMMANDS = (links, codes)
