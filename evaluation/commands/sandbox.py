"""The command that runs a bundled service in a crowd's place. No logic."""

import click

from evaluation.crowd.addresses import (
    PROLIFIC_SANDBOX_PORT,
    PROLIFIC_SANDBOX_URL,
    SANDBOX_PORT,
    SANDBOX_URL,
)
from evaluation.errors import UsageError

_HELP = f"""Run a bundled service: its API, and a site where people work.

It keeps the books of what is owed and moves no money. By default it speaks the MTurk requester
API; boto3 programs find it by AWS_ENDPOINT_URL_MTURK={SANDBOX_URL}. As prolific, it is
a fake of Prolific's REST API, found by PROLIFIC_API_URL={PROLIFIC_SANDBOX_URL}.
"""


@click.command(help=_HELP)
@click.option(
    "--crowd",
    type=click.Choice(["mturk", "prolific"]),
    default="mturk",
    show_default=True,
    help="Whose place it takes.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"Its port (default: {SANDBOX_PORT}; prolific: {PROLIFIC_SANDBOX_PORT}).",
)
@click.option(
    "--db",
    metavar="URL",
    help="The service's own database: sqlite:///FILE, or postgresql://USER@HOST/NAME for mturk "
    "(default: sqlite:///vgan-eval-sandbox.db; prolific: sqlite:///vgan-eval-prolific.db).",
)
@click.option("--public-url", metavar="URL", help="Where mturk's workers reach it, if not there.")
def sandbox(
    crowd: str, host: str, port: int | None, db: str | None, public_url: str | None
) -> None:
    """Run a bundled service; the help has its address and stands above."""
    if crowd == "prolific":
        from evaluation.prolific_sandbox.service import serve_prolific_sandbox

        port = port or PROLIFIC_SANDBOX_PORT
        click.echo(f"Participants and the API: http://{host}:{port}\nPress Ctrl-C to stop.")
        serve_prolific_sandbox(host, port, db or "sqlite:///vgan-eval-prolific.db")
        return
    try:
        from evaluation.sandbox.service import serve_sandbox
    except ImportError:
        raise UsageError(
            "the MTurk API's model comes with boto3: python -m pip install 'vgan-eval[aws]'"
        ) from None
    port = port or SANDBOX_PORT
    click.echo(f"Workers and the requester API: http://{host}:{port}\nPress Ctrl-C to stop.")
    serve_sandbox(host, port, db or "sqlite:///vgan-eval-sandbox.db", public_url=public_url)


COMMANDS = (sandbox,)
