"""What the commands share: which judgments, and how the errors of a runnable module end."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from analysis.errors import EvaluationError
from evaluation.commands.options import Folder, study_option
from evaluation.exclusion_rules import THRESHOLDS
from evaluation.signals import sigterm_as_ctrl_c

if TYPE_CHECKING:  # `vgan-eval --help` reads this file, and must not wait for pandas
    import pandas as pd

F = TypeVar("F", bound=Callable[..., Any])


class Command(click.Command):
    """A command whose own errors end as one line on stderr and their exit code."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run as a program of its own; a full disk or a file that cannot be read is one line."""
        try:
            with sigterm_as_ctrl_c():
                return super().main(*args, **extra)
        except OSError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(EvaluationError.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run, turning `EvaluationError` into a message."""
        try:
            return super().invoke(ctx)
        except EvaluationError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)


def one_file(ctx: click.Context, option: click.Parameter, files: tuple[Path, ...]) -> Path | None:
    """Take one file at most: of several, click would silently keep the last."""
    if len(files) > 1:
        raise click.UsageError(
            f"give one --judgments FILE, not {len(files)}: a table is of one study, whose export "
            "is one file; two studies are set side by side by `vgan-eval compare A B`",
            ctx,
        )
    return files[0] if files else None


file_option = click.option(
    "--judgments",
    "file",
    metavar="FILE",
    type=Folder,
    multiple=True,
    callback=one_file,
    help="judgments.csv of `vgan-eval export` or `vgan-eval import`, in place of a database.",
)
question_option = click.option(
    "--question", metavar="ID", help="Which question, where several are asked."
)
rules_option = click.option(
    "--exclude",
    "rules",
    metavar="RULE",
    multiple=True,
    help=f"Exclusion rule, NAME or NAME:THRESHOLD: {', '.join(THRESHOLDS)}, duplicates; none for "
    "no rule. May be repeated. Default: what the study file declares.",
)
simulated_option = click.option(
    "--include-simulated/--exclude-simulated",
    "simulated",
    default=None,
    help="What to do where simulated and real judgments are mixed; refused otherwise.",
)


SIMULATED = {None: "refuse", True: "include", False: "exclude"}  # for `load_judgments`


@dataclass(frozen=True)
class Wanted:
    """Which judgments, as the shared options say; `rules` are the exclusions asked for."""

    db: str | None
    file: Path | None
    study: str | None
    question: str | None
    rules: tuple[str, ...]
    simulated: bool | None

    def load(self) -> "pd.DataFrame":
        """Load them."""
        from analysis.load import load_judgments

        return load_judgments(
            self.db,
            self.file,
            self.study,
            question=self.question,
            simulated=SIMULATED[self.simulated],
            duplicates="keep-first" if "duplicates" in self.rules else "refuse",
        )


def judgment_options(
    database: Callable[[F], F], chosen: Callable[[Any, Path | None], str | None] = lambda db, _: db
) -> Callable[[F], F]:
    """Return what adds the options that say which judgments, as `Wanted`.

    Args:
        database: the option --db.
        chosen: the database to read, of what --db and --judgments say.
    """
    options = (database, file_option, study_option, question_option, rules_option, simulated_option)

    def add(function: F) -> F:
        @wraps(function)
        def with_wanted(**options: Any) -> Any:
            asked = {one.name: options.pop(one.name) for one in fields(Wanted)}
            asked["db"] = chosen(asked["db"], asked["file"])
            return function(wanted=Wanted(**asked), **options)

        command = cast(F, with_wanted)
        for option in reversed(options):
            command = option(command)
        return command

    return add
