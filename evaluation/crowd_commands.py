"""The commands about crowds: publish, watch, review, pay, and the bundled service. No logic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from evaluation.errors import UsageError
from evaluation.options import study_options

if TYPE_CHECKING:
    from evaluation.crowd.base import Crowd
    from evaluation.database import Database
    from evaluation.schema import Environment

F = TypeVar("F", bound=Callable[..., Any])

SERVE_URL = "http://localhost:8000"  # where `vgan-eval serve` is on this machine

crowd_option = click.option(
    "--crowd", default="mturk", show_default=True, metavar="NAME", help="The platform."
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


def _crowd_options(function: F) -> F:
    """Add --db, --study, --crowd and --sandbox/--production."""
    return study_options(crowd_option(environment_option(function)))


def _environment(sandbox: bool) -> "Environment":
    from evaluation.schema import Environment

    return Environment.SANDBOX if sandbox else Environment.PRODUCTION


@contextmanager
def _opened(db: str, crowd: str, sandbox: bool) -> Iterator[tuple["Database", "Crowd"]]:
    from evaluation.crowd.open import open_crowd
    from evaluation.database import open_database

    database = open_database(db)
    try:
        yield database, open_crowd(crowd, _environment(sandbox))
    finally:
        database.close()


def _agreed(text: str, yes: bool, dry_run: bool) -> bool:
    """Show what is about to happen; ask unless told not to."""
    click.echo(text)
    if dry_run or not (yes or click.confirm("Go on?", default=False)):
        click.echo("Nothing was done.")
        return False
    return True


def _money(cents: int, currency: str) -> str:
    return f"{cents / 100:,.2f} {currency}"


def _publish(
    db: str,
    study: str | None,
    crowd: str,
    sandbox: bool,
    url: str | None,
    yes: bool,
    dry_run: bool,
) -> None:
    from evaluation.offers import Publication
    from evaluation.publish import check_public_url
    from evaluation.publish import publish as run

    if url is None and not sandbox:
        raise UsageError("--url is missing: the address at which workers reach `vgan-eval serve`")
    check_public_url(url or SERVE_URL, _environment(sandbox))

    def confirm(plan: Publication) -> bool:
        hits = "HIT" if len(plan.hits) == 1 else "HITs"
        reward, fee = (_money(c, plan.currency) for c in (plan.reward_cents, plan.fee_cents))
        left = f" {plan.unfinished} HITs are left of an interrupted run." if plan.unfinished else ""
        return _agreed(
            f"{plan.trials:,} trials lack a worker: {plan.sessions:,} sessions in "
            f"{len(plan.hits):,} {hits}, {reward} and {fee} fee each."
            f"{left}\nIn all {_money(plan.total_cents, plan.currency)} on {crowd}, "
            f"{'sandbox' if sandbox else 'PRODUCTION'}.",
            yes,
            dry_run,
        )

    with _opened(db, crowd, sandbox) as (database, platform):
        done = run(database, study, platform, url or SERVE_URL, confirm=confirm)
    if done is None:
        return
    if done.is_empty:
        click.echo("Nothing to publish: every planned judgment is given, being given or on offer.")
    else:
        click.echo(f"Published. Serve the pages with `vgan-eval serve` at {url or SERVE_URL}.")


@click.command()
@_crowd_options
@url_option
@yes_option
@dry_run_option
def publish(**options: Any) -> None:
    """Publish what the plan still lacks on a crowd, for an exact cost that you confirm first.

    Interrupted at any point and run again, it publishes nothing twice.
    """
    _publish(**options)


@click.command("publish-hits")
@study_options
@environment_option
@url_option
@yes_option
@dry_run_option
def publish_hits(**options: Any) -> None:
    """Publish HITs on a service that speaks the MTurk API: `publish --crowd mturk`."""
    _publish(crowd="mturk", **options)


@click.command("top-up")
@_crowd_options
@url_option
@yes_option
@dry_run_option
def top_up(**options: Any) -> None:
    """Publish again to exactly the judgments that the plan still lacks, after people left."""
    _publish(**options)


@click.command()
@_crowd_options
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True, max=8760),
    required=True,
    metavar="H",
    help="Offer every HIT for so long from now.",
)
def extend(db: str, study: str | None, crowd: str, sandbox: bool, hours: float) -> None:
    """Offer the published HITs for longer, those that are over too."""
    from evaluation.publish import extend as run

    with _opened(db, crowd, sandbox) as (database, platform):
        n = run(database, study, platform, timedelta(hours=hours))
    click.echo(f"{n} HITs are on offer for {hours:g} hours from now, as far as they are not taken.")


@click.command()
@_crowd_options
def expire(db: str, study: str | None, crowd: str, sandbox: bool) -> None:
    """Stop offering the published HITs; workers who have accepted may finish and are paid."""
    from evaluation.publish import expire as run

    with _opened(db, crowd, sandbox) as (database, platform):
        n = run(database, study, platform)
    click.echo(f"{n} HITs are no longer on offer.")


@click.command()
@_crowd_options
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
        return _agreed(
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
@_crowd_options
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
        return _agreed(
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


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8900, show_default=True, help="Its port."
)
@click.option(
    "--db",
    metavar="URL",
    default="sqlite:///vgan-eval-sandbox.db",
    show_default=True,
    help="The service's own database: sqlite:///FILE or postgresql://USER@HOST/NAME.",
)
@click.option("--public-url", metavar="URL", help="Where workers reach it, if not there.")
def sandbox(host: str, port: int, db: str, public_url: str | None) -> None:
    """Run the bundled service: the MTurk requester API and a site where workers work.

    It keeps the books of what is owed and moves no money. boto3 programs find it by
    AWS_ENDPOINT_URL_MTURK=http://127.0.0.1:8900.
    """
    from evaluation.sandbox.service import serve_sandbox

    click.echo(f"Workers and the requester API: http://{host}:{port}\nPress Ctrl-C to stop.")
    serve_sandbox(host, port, db, public_url=public_url)


COMMANDS = (publish, publish_hits, top_up, extend, expire, review, pay, sandbox)
