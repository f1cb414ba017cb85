"""The commands about crowds: publish, watch, review, pay. No logic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from evaluation.errors import UsageError
from evaluation.options import study_options

if TYPE_CHECKING:
    from evaluation.crowd.base import Crowd
    from evaluation.database import Database
    from evaluation.offers import Publication
    from evaluation.schema import Environment

F = TypeVar("F", bound=Callable[..., Any])

SERVE_URL = "http://localhost:8000"  # where `vgan-eval serve` is on this machine

crowd_option = click.option(
    "--crowd",
    metavar="NAME",
    help="The platform (default: crowd in [recruit] of the study file, else mturk).",
)
environment_option = click.option(
    "--sandbox/--production",
    "sandbox",
    default=True,
    show_default=True,
    help="The bundled service or test platform, or real workers and money.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
url_option = click.option(
    "--url",
    metavar="URL",
    help="The web app's public address, https://HOST in production "
    f"(default in the sandbox: {SERVE_URL}).",
)


def crowd_options(function: F) -> F:
    """Add --db, --study, --crowd and --sandbox/--production."""

    @wraps(function)
    def with_crowd(**options: Any) -> Any:
        from evaluation.crowd.open import study_crowd

        crowd = options.pop("crowd") or study_crowd(options["db"], options["study"])
        return function(crowd=crowd, **options)

    return study_options(crowd_option(environment_option(cast(F, with_crowd))))


def environment_of(sandbox: bool) -> "Environment":
    """Return what --sandbox or --production means."""
    from evaluation.schema import Environment

    return Environment.SANDBOX if sandbox else Environment.PRODUCTION


@contextmanager
def _opened(db: str, crowd: str, sandbox: bool) -> Iterator[tuple["Database", "Crowd"]]:
    from evaluation.crowd.open import open_crowd
    from evaluation.database import open_database

    database = open_database(db)
    try:
        yield database, open_crowd(crowd, environment_of(sandbox), database)
    finally:
        database.close()


def agreed(text: str, yes: bool, dry_run: bool) -> bool:
    """Show what is about to happen; ask unless told not to."""
    click.echo(text)
    if dry_run or not (yes or click.confirm("Go on?", default=False)):
        click.echo("Nothing was done.")
        return False
    return True


def _money(cents: int, currency: str) -> str:
    return f"{cents / 100:,.2f} {currency}"


def checked_url(url: str | None, sandbox: bool) -> str:
    """Return the address of the web app; one that workers cannot reach is refused."""
    from evaluation.publish import check_public_url

    if url is None and not sandbox:
        raise UsageError("--url is missing: the address at which workers reach `vgan-eval serve`")
    check_public_url(url or SERVE_URL, environment_of(sandbox))
    return url or SERVE_URL


def publication_text(plan: "Publication", crowd: str, sandbox: bool) -> str:
    """Say what would be published, and what it costs."""
    hits = f"{len(plan.hits):,} {'HIT' if len(plan.hits) == 1 else 'HITs'}"
    if plan.grown:
        hits = f"the published HIT, which gets {plan.places:,} places"
    reward, fee = (_money(c, plan.currency) for c in (plan.reward_cents, plan.fee_cents))
    left = f" {plan.unfinished} HITs are left of an interrupted run." if plan.unfinished else ""
    if plan.kept_cents:
        kept = _money(plan.kept_cents, plan.currency)
        left += f" {kept} are kept for people who find nothing left."
    if plan.declared_cents is not None:
        declared = _money(plan.declared_cents, plan.currency)
        left += f" It keeps the reward it was published with; the study file says {declared} now."
    return (
        f"{plan.trials:,} trials lack a worker: {plan.sessions:,} sessions in "
        f"{hits}, {reward} and {fee} fee each."
        f"{left}\nIn all {_money(plan.total_cents, plan.currency)} on {crowd}, "
        f"{'sandbox' if sandbox else 'PRODUCTION'}."
    )


def publish_lacking(
    db: str,
    study: str | None,
    crowd: str,
    sandbox: bool,
    url: str | None,
    yes: bool,
    dry_run: bool,
    agreed_cents: int | None = None,
) -> None:
    """Publish what the plan lacks; the options are those of `publish`.

    Who agreed to a cost before is asked again only where it is more, or for an older reward.
    """
    from evaluation.publish import publish as run

    url = checked_url(url, sandbox)
    if crowd == "link":
        from evaluation.link_commands import publish_link

        publish_link(db, study, sandbox, url, yes, dry_run)
        return

    def confirm(plan: "Publication") -> bool:
        known = agreed_cents is not None and plan.total_cents <= agreed_cents
        if known and not dry_run and plan.declared_cents is None:
            return True
        return agreed(publication_text(plan, crowd, sandbox), yes, dry_run)

    with _opened(db, crowd, sandbox) as (database, platform):
        done = run(database, study, platform, url, confirm=confirm)
    if done is None:
        return
    if done.is_empty:
        click.echo("Nothing to publish: every planned judgment is given, being given or on offer.")
    else:
        click.echo(f"Published. Serve the pages with `vgan-eval serve` at {url}.")


@click.command()
@crowd_options
@url_option
@yes_option
@dry_run_option
def publish(**options: Any) -> None:
    """Publish what the plan still lacks on a crowd, for an exact cost that you confirm first.

    Interrupted at any point and run again, it publishes nothing twice.
    """
    publish_lacking(**options)


@click.command("publish-hits")
@study_options
@environment_option
@url_option
@yes_option
@dry_run_option
def publish_hits(**options: Any) -> None:
    """Publish HITs on a service that speaks the MTurk API: `publish --crowd mturk`."""
    publish_lacking(crowd="mturk", **options)


@click.command()
@crowd_options
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True, max=8760),
    required=True,
    metavar="H",
    help="Offer every HIT for so long from now.",
)
@yes_option
def extend(db: str, study: str | None, crowd: str, sandbox: bool, hours: float, yes: bool) -> None:
    """Offer the published HITs for longer, those that are over too.

    Where that puts places on offer again, what they cost is shown and confirmed first.
    """
    from evaluation.places import Extension
    from evaluation.publish import extend as run

    def confirm(plan: Extension) -> bool:
        return agreed(
            f"The plan lacks {plan.lacking:,} sessions; up to {plan.on_offer:,} would be on offer, "
            f"{plan.again:,} again, for at most {_money(plan.cents, plan.currency)} with fees, on "
            f"{crowd}, {'sandbox' if sandbox else 'PRODUCTION'}.",
            yes,
            dry_run=False,
        )

    with _opened(db, crowd, sandbox) as (database, platform):
        done = run(database, study, platform, timedelta(hours=hours), confirm=confirm)
    if done is None:
        return
    click.echo(
        f"{done.hits} HITs are on offer for {hours:g} hours from now, as far as they are not taken."
    )
    if done.gone:
        click.echo(f"{done.gone} HITs were skipped: the platform has them no more.")


@click.command()
@crowd_options
def expire(db: str, study: str | None, crowd: str, sandbox: bool) -> None:
    """Stop offering the published HITs; workers who have accepted may finish and are paid."""
    from evaluation.publish import expire as run

    with _opened(db, crowd, sandbox) as (database, platform):
        n = run(database, study, platform)
    click.echo(f"{n} HITs are no longer on offer.")


@click.command()
@crowd_options
@click.option(
    "--reject-unfinished",
    is_flag=True,
    help="Reject those who handed in without answering every trial; needs --reason.",
)
@click.option("--reason", default="", metavar="TEXT", help="What a rejected worker reads.")
@yes_option
@dry_run_option
def review(
    db: str,
    study: str | None,
    crowd: str,
    sandbox: bool,
    reject_unfinished: bool,
    reason: str,
    yes: bool,
    dry_run: bool,
) -> None:
    """Collect submitted assignments and approve everyone who finished, which pays them.

    Who is left out of a table is decided by the analysis, not here.
    """
    from evaluation.policy import Policy
    from evaluation.reviews import ReviewPlan
    from evaluation.reviews import review as run

    def confirm(plan: ReviewPlan) -> bool:
        if plan.is_empty:
            return not dry_run
        return agreed(
            f"Approve {plan.approve} assignments (rewards of {plan.reward_cents / 100:,.2f}), "
            f"reject {plan.reject}, note {plan.noted} that were decided on the platform.",
            yes or (sandbox and not plan.reject),
            dry_run,
        )

    policy = Policy(reject_unfinished=reject_unfinished, reason=reason)
    with _opened(db, crowd, sandbox) as (database, platform):
        plan = run(database, study, platform, policy, confirm=confirm)
    click.echo(f"{plan.already} were settled before.")
    if plan.unlisted:
        click.echo(f"{plan.unlisted} sessions finished here are not handed in on the platform")
    for assignment in plan.undecided:
        click.echo(f"undecided: {assignment} was handed in without a finished session here")


@click.command()
@crowd_options
@click.option(
    "--cents",
    type=click.IntRange(1),
    metavar="N",
    help="Of each bonus (default: bonus_cents of [pay]).",
)
@click.option(
    "--reason",
    default="Bonus. Thank you for your work.",
    show_default=True,
    metavar="TEXT",
    help="What the worker reads; one bonus is paid per assignment and reason.",
)
@yes_option
@dry_run_option
def pay(
    db: str,
    study: str | None,
    crowd: str,
    sandbox: bool,
    cents: int | None,
    reason: str,
    yes: bool,
    dry_run: bool,
) -> None:
    """Pay a bonus for every approved assignment, once; run again, it pays nobody twice."""
    from evaluation.payments import BonusPlan, declared_bonus
    from evaluation.payments import pay_bonuses as run

    def confirm(plan: BonusPlan) -> bool:
        return agreed(
            f"{plan.bonuses} bonuses of {_money(plan.cents, plan.currency)} together and "
            f"{_money(plan.fee_cents, plan.currency)} in fees: "
            f"{_money(plan.total_cents, plan.currency)} on {crowd}, "
            f"{'sandbox' if sandbox else 'PRODUCTION'}.",
            yes,
            dry_run,
        )

    with _opened(db, crowd, sandbox) as (database, platform):
        amount = cents or declared_bonus(database, study)
        plan = run(database, study, platform, cents=amount, reason=reason, confirm=confirm)
    if not plan.bonuses:
        click.echo("Nothing to pay: every approved assignment has had this bonus.")


COMMANDS = (publish, publish_hits, extend, expire, review, pay)
