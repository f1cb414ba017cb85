"""What the runnable modules share: where judgments come from, and how errors end."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from analysis.errors import EvaluationError

if TYPE_CHECKING:  # `vgan-eval --help` reads this file, and must not wait for pandas
    import pandas as pd

F = TypeVar("F", bound=Callable[..., Any])


class Command(click.Command):
    """A command whose own errors end as one line on stderr and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run, turning `EvaluationError` into a message."""
        try:
            return super().invoke(ctx)
        except EvaluationError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)


_OPTIONS = (
    click.option("--db", metavar="URL", help="Database of the study."),
    click.option(
        "--judgments",
        "file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="judgments.csv as `vgan-eval export` writes it.",
    ),
    click.option("--study", metavar="NAME", help="Which study, where there are several."),
    click.option("--question", metavar="ID", help="Which question, where there are several."),
    click.option(
        "--exclude",
        "rules",
        metavar="RULE",
        multiple=True,
        help="Exclusion rule, NAME or NAME:THRESHOLD: gold, side-bias, too-fast, repeats, paper, "
        "paper-as-published, duplicates; none for no rule. May be repeated. Default: what the "
        "study file declares.",
    ),
    click.option(
        "--include-simulated/--exclude-simulated",
        "simulated",
        default=None,
        help="What to do where simulated and real judgments are mixed; refused otherwise.",
    ),
)


def judgment_options(function: F) -> F:
    """Add the options that say which judgments; pass them on to `judgments_from`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def judgments_from(
    db: str | None,
    file: Path | None,
    study: str | None,
    question: str | None,
    rules: tuple[str, ...],
    simulated: bool | None,
) -> "pd.DataFrame":
    """Load judgments as the shared options say."""
    from analysis.load import load_judgments

    policy = {None: "refuse", True: "include", False: "exclude"}[simulated]
    return load_judgments(
        db,
        file,
        study,
        question=question,
        simulated=policy,
        duplicates="keep-first" if "duplicates" in rules else "refuse",
    )


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be written ({error.strerror})") from None
