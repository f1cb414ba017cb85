"""The commands about money: review and pay. No logic."""

from typing import TYPE_CHECKING

import click

from evaluation.commands.crowd import money_text, opened_published
from evaluation.commands.options import Asking, Venue, asking_options, crowd_options
from evaluation.quantities import quantity

if TYPE_CHECKING:
    from evaluation.payments import BonusPlan
    from evaluation.reviews import ReviewPlan

_NAMED = 10  # of those that a review leaves open; the others are only counted


@click.command()
@crowd_options
@click.option(
    "--reject-unfinished",
    is_flag=True,
    help="Reject those who handed in without answering every trial; needs --reason.",
)
@click.option("--reason", default="", metavar="TEXT", help="What a rejected worker reads.")
@asking_options
def review(venue: Venue, reject_unfinished: bool, reason: str, asking: Asking) -> None:
    """Collect submitted assignments and approve everyone who finished, which pays them.

    Who is left out of a table is decided by the analysis, not here.
    """
    from evaluation.money.policy import Policy
    from evaluation.reviews import review as run

    done = False

    def confirm(plan: "ReviewPlan") -> bool:
        nonlocal done
        if plan.is_empty:
            return not asking.dry_run
        done = asking.agreed(
            f"Approve {quantity(plan.approve, 'assignment')} (rewards of "
            f"{money_text(plan.reward_cents, plan.currency)}), reject {plan.reject}, note "
            f"{plan.noted} decided on the platform.",
            unasked=venue.sandbox and not plan.reject,
        )
        return done

    policy = Policy(reject_unfinished=reject_unfinished, reason=reason)
    with opened_published(venue) as (database, platform):
        plan = run(database, venue.study, platform, policy, confirm=confirm)
    if not plan.hits:
        click.echo(f"Nothing has been published on {venue.crowd} in {venue.name}.")
        return
    if done:
        click.echo(f"Approved {plan.approve}, rejected {plan.reject}, noted {plan.noted}.")
    click.echo(f"{plan.already} were settled before.")
    if plan.screen_outs.paid:
        click.echo(
            f"Booked {quantity(plan.screen_outs.paid, 'paid screen-out')}, "
            f"{money_text(plan.screen_outs.cents, plan.currency)} with fees."
        )
    if plan.ended:
        was = quantity(plan.ended, "HIT was", "HITs were")
        click.echo(
            f"{was} paused or stopped on {venue.crowd}: nobody new comes. `vgan-eval publish` "
            "offers what the plan lacks."
        )
    _show_left_open(plan)


@click.command()
@crowd_options
@click.option(
    "--cents",
    type=click.IntRange(1),
    metavar="N",
    help="Of each bonus (default: bonus_cents of [pay]; with --cancel, any amount).",
)
@click.option(
    "--reason",
    default="Bonus. Thank you for your work.",
    show_default=True,
    metavar="TEXT",
    help="What the worker reads; one bonus is paid per assignment and reason.",
)
@click.option(
    "--cancel",
    is_flag=True,
    help="Take back the bonuses that an interrupted run wrote down and the platform was never "
    "asked for, instead of paying.",
)
@asking_options
def pay(venue: Venue, cents: int | None, reason: str, cancel: bool, asking: Asking) -> None:
    """Pay a bonus for every approved assignment, once; run again, it pays nobody twice."""
    from evaluation.payments import declared_bonus
    from evaluation.payments import pay_bonuses as run

    if cancel:
        _cancel(venue, cents, reason, asking)
        return

    done = False

    def confirm(plan: "BonusPlan") -> bool:
        nonlocal done
        done = asking.agreed(
            f"{quantity(plan.bonuses, 'bonus', 'bonuses')} of "
            f"{money_text(plan.cents, plan.currency)} together and "
            f"{money_text(plan.fee_cents, plan.currency)} in fees: "
            f"{money_text(plan.total_cents, plan.currency)} on {venue.warning}."
            f"{_left_out_text(plan)}"
        )
        return done

    with opened_published(venue) as (database, platform):
        amount = cents or declared_bonus(database, venue.study)
        plan = run(database, venue.study, platform, cents=amount, reason=reason, confirm=confirm)
    if done:
        click.echo(f"Paid {quantity(plan.bonuses, 'bonus', 'bonuses')}.")
    left_out = _left_out_text(plan)
    if not (plan.approved or left_out):
        click.echo(
            f"Nothing to pay: no assignment that can be paid is approved on {venue.crowd} in "
            f"{venue.name}; `vgan-eval review` approves."
        )
    elif not plan.bonuses:
        had = left_out or " Every approved assignment has had this bonus."
        click.echo(f"Nothing to pay.{had}")


def _show_left_open(plan: "ReviewPlan") -> None:
    """Name the sessions that are left for a person to look at, and say what to do."""
    for what, sessions, advice in (
        (
            "finished here and not on the platform",
            plan.unlisted,
            "These were never handed in there, or too late, or are on their way: nothing is to be "
            "approved. Who writes that it was their work is paid by hand, on the platform.",
        ),
        (
            "undecided, without a finished session here",
            plan.undecided,
            "Approve, reject or ask back what is undecided on the platform, where it is approved "
            "by itself in the end; `vgan-eval review --reject-unfinished --reason TEXT` rejects "
            "it.",
        ),
    ):
        for one in sessions[:_NAMED]:
            answers = f"{one.answered} of {quantity(one.trials, 'trial')} answered"
            click.echo(f"{what}: worker {one.worker}, assignment {one.assignment}, {answers}")
        if len(sessions) > _NAMED:
            click.echo(f"{what}: {len(sessions) - _NAMED} more")
        if sessions:
            click.echo(advice)


def _left_out_text(plan: "BonusPlan") -> str:
    """Say which approved assignments get no bonus now, and why."""
    told = ""
    if plan.others:
        had = " and ".join(
            f"{n} have had {money_text(cents, plan.currency)}" for cents, n in plan.others.items()
        )
        told = f" {had} under this reason; for a further bonus give another --reason."
    if plan.gone:
        ids = quantity(plan.gone, "approved assignment")
        told += f" {ids} cannot be paid any more: the ids were forgotten or withdrawn."
    return told


def _cancel(venue: Venue, cents: int | None, reason: str, asking: Asking) -> None:
    from evaluation.money.cancelling import Cancellation, cancel_bonuses

    def confirm(plan: Cancellation) -> bool:
        return asking.agreed(
            f"Take back {quantity(plan.cancelled, 'bonus', 'bonuses')} of "
            f"{plan.cents / 100:,.2f} together, and tick off "
            f"{plan.paid} that the platform shows as paid."
        )

    with opened_published(venue) as (database, platform):
        plan = cancel_bonuses(
            database, venue.study, platform, reason=reason, cents=cents, confirm=confirm
        )
    if plan.asked:
        click.echo(
            f"{quantity(plan.asked, 'bonus stays', 'bonuses stay')}, as the platform was asked: "
            "`vgan-eval pay` with the same reason and amount looks whether that was paid."
        )
    elif not (plan.cancelled or plan.paid):
        click.echo("Nothing to take back: no bonus of this reason is left of an interrupted run.")


COMMANDS = (review, pay)
