"""The command that runs a bundled service in a crowd's place. No logic."""

import click


@click.command()
@click.option(
    "--crowd",
    type=click.Choice(["mturk", "prolific"]),
    default="mturk",
    show_default=True,
    help="Whose place it takes.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Its port (default: 8900; prolific: 8910)."
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
    """Run a bundled service: its API, and a site where people work.

    It keeps the books of what is owed and moves no money. By default it speaks the MTurk requester
    API; boto3 programs find it by AWS_ENDPOINT_URL_MTURK=http://127.0.0.1:8900. As prolific, it is
    a fake of Prolific's REST API, found by PROLIFIC_API_URL=http://127.0.0.1:8910/api/v1/.
    """
    if crowd == "prolific":
        from evaluation.prolific_sandbox.service import serve_prolific_sandbox

        port = port or 8910
        click.echo(f"Participants and the API: http://{host}:{port}\nPress Ctrl-C to stop.")
        serve_prolific_sandbox(host, port, db or "sqlite:///vgan-eval-prolific.db")
        return
    from evaluation.sandbox.service import serve_sandbox

    port = port or 8900
    click.echo(f"Workers and the requester API: http://{host}:{port}\nPress Ctrl-C to stop.")
    serve_sandbox(host, port, db or "sqlite:///vgan-eval-sandbox.db", public_url=public_url)


COMMANDS = (sandbox,)
