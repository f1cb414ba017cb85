"""The commands about people: who may come in, and what is kept of them. No logic."""

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from evaluation.commands.crowd import money_text
from evaluation.commands.options import Asking, FiniteRange, asking_options, study_options
from evaluation.errors import EvaluationError
from evaluation.quantities import quantity

if TYPE_CHECKING:
    from evaluation.lookup import KnownSession


@click.command()
@study_options
def pause(db: str, study: str | None) -> None:
    """Let nobody new in until `vgan-eval resume`; who has started may finish and is paid.

    People who come meanwhile are told to come back later. Nothing is said to the platform: what is
    published stays on offer there (`vgan-eval expire` ends that).
    """
    _set_paused(db, study, paused=True)


@click.command()
@study_options
def resume(db: str, study: str | None) -> None:
    """Let people in again after `vgan-eval pause`, or a pause on the dashboard."""
    _set_paused(db, study, paused=False)


def _set_paused(db: str, study: str | None, *, paused: bool) -> None:
    from evaluation.clock import utc_now
    from evaluation.database import find_study, open_database
    from evaluation.publishing.pausing import set_paused

    with open_database(db) as database, database.write() as session:
        found = find_study(session, study)
        changed = set_paused(session, found, utc_now(), paused=paused)
    state = "paused: nobody new is let in" if paused else "running: people are let in"
    click.echo(f"{found.name} {'is' if changed else 'was already'} {state}")


@click.command()
@click.argument("who", metavar="ID|CODE|ASSIGNMENT|PSEUDONYM")
@study_options
def worker(who: str, db: str, study: str | None) -> None:
    """Show the sessions of one person, who writes that they finished and were not paid.

    The person is named by the platform's id, a completion code, the platform's id of an assignment,
    or a pseudonym of an export. Without --study it looks in every study of the database. It only
    reads, and asks no platform.
    """
    from evaluation.database import find_study, open_database
    from evaluation.lookup import known_sessions
    from evaluation.privacy.pseudonyms import key_place, known_key

    with open_database(db) as database, database.read() as session:
        found = known_sessions(
            session,
            who,
            key=known_key(database.url),
            study=find_study(session, study) if study else None,
        )
    if not found:
        where = f"study `{study}` has" if study else "the database has"
        raise EvaluationError(
            f"{where} no session of {who!r}: no such id, completion code, assignment, or "
            f"pseudonym by the key of {key_place(db)}"
        )
    for one in found:
        click.echo("\n".join(_session_lines(one)))


def _session_lines(one: "KnownSession") -> Iterator[str]:
    """Say what is known of a session."""
    gone = "(id taken away)"
    yield f"{one.study}, {one.crowd} ({one.environment}): {one.status}"
    known_as = f", pseudonym {one.pseudonym}" if one.pseudonym else ""
    yield f"  worker {one.worker or gone}{known_as}, assignment {one.assignment or gone}"
    yield f"  {one.answered} of {quantity(one.trials, 'trial')} answered"
    if one.accepted_at is not None:
        at = one.submitted_at
        finished = f"finished {at:%Y-%m-%d %H:%M} UTC" if at else "not finished"
        yield f"  accepted {one.accepted_at:%Y-%m-%d %H:%M} UTC, {finished}"
    yield f"  completion code {one.code or 'none'}"
    if one.review is None:
        yield "  not reviewed"
    else:
        done = one.review.done_at
        told = f"done {done:%Y-%m-%d %H:%M} UTC" if done else "the platform was not told yet"
        yield f"  review: {one.review.decision}, {told}"
    for paid in one.payments:
        yield f"  {paid.kind} {paid.state}: {money_text(paid.cents, paid.currency)}"
    if not one.payments:
        yield "  no payments"


@click.command()
@click.argument("worker")
@study_options
@click.option("--crowd", metavar="NAME", help="Where the id is used on several platforms.")
@asking_options
def withdraw(worker: str, db: str, study: str | None, crowd: str | None, asking: Asking) -> None:
    """Remove everything about WORKER: the platform's id, a personal link, or an export's pseudonym.

    Their trials are open to others again; the ledger keeps its amounts. Without --study it is done
    in every study of the database.
    """
    from evaluation.database import open_database
    from evaluation.privacy.pseudonyms import database_key, key_place
    from evaluation.publishing.invitations import link_end
    from evaluation.withdrawing import withdraw as run

    worker = link_end(worker) if "/link/" in worker else worker
    with open_database(db) as database:
        key = database_key(database)
        planned = run(database, worker, key=key, study_name=study, crowd=crowd, dry_run=True)
        if not planned.people:
            click.echo(
                "Nobody is stored under that id, or that pseudonym by the key of "
                f"{key_place(db)}; nothing was done."
            )
            return
        told = (
            f"Remove {quantity(planned.sessions, 'session')} with "
            f"{quantity(planned.judgments, 'judgment')}; "
            f"{quantity(planned.trials, 'trial is', 'trials are')} open to others again, "
            f"{quantity(planned.payments, 'row of the ledger stays', 'rows of the ledger stay')}."
        )
        if not asking.agreed(told):
            return
        done = run(database, worker, key=key, study_name=study, crowd=crowd)
    click.echo("Removed.")
    if done.owed:
        click.echo(
            f"{quantity(done.owed, 'session is', 'sessions are')} not paid yet, and until then the "
            "ids stay: run "
            f"{_settling(done.bonuses)}, then withdraw again."
        )


@click.command()
@study_options
@click.option(
    "--older-than",
    type=FiniteRange(0, 36500),
    metavar="DAYS",
    help="Since a person's last session (default: retention_days of the study file).",
)
@asking_options
def forget(db: str, study: str | None, older_than: float | None, asking: Asking) -> None:
    """Take away the platforms' ids of people who took part long ago; pseudonymous judgments stay.

    Who comes back after that is somebody new to the study.
    """
    from evaluation.database import open_database
    from evaluation.forgetting import forget as run
    from evaluation.privacy.pseudonyms import database_key

    with open_database(db) as database:
        key = database_key(database)
        planned = run(database, key=key, older_than_days=older_than, study_name=study, dry_run=True)
        if planned.owed:
            click.echo(
                f"{quantity(planned.owed, 'person has', 'people have')} pay to be settled first, "
                "and the ids stay: run "
                f"{_settling(planned.bonuses)}."
            )
        if planned.kept:
            click.echo(
                f"{quantity(planned.kept, 'person', 'people')} took part in "
                f"{', '.join(planned.keepers)} too, without "
                "retention_days, and the ids stay: write it there and run init, or give "
                "--older-than."
            )
        if not planned.people:
            click.echo("Nobody's ids are due; nothing was done.")
            return
        if asking.agreed(f"Forget the ids of {quantity(planned.people, 'person', 'people')}."):
            run(database, key=key, older_than_days=older_than, study_name=study)
            click.echo("Forgotten.")


def _settling(bonuses: Sequence[tuple[int, str]]) -> str:
    """Name what settles pay: a review, but where bonuses are written down and not made."""
    if not bonuses:
        return "`vgan-eval review`"
    pays = [f"`vgan-eval pay --cents {n} --reason {shlex.quote(why)}`" for n, why in bonuses]
    return f"{' and '.join(pays)} (with --cancel, if it is not to be paid)"


COMMANDS = (pause, resume, worker, withdraw, forget)
