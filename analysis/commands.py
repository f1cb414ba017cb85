"""The analysis as `vgan-eval` commands; `evaluation/cli.py` adds them to its group.

Pandas, SciPy and Matplotlib are imported by the command that runs, so that --help stays fast.
"""

from pathlib import Path

import click
from click.core import ParameterSource

from analysis.command import (
    Wanted,
    judgment_options,
    one_file,
    question_option,
    rules_option,
    simulated_option,
)
from evaluation.commands.options import FiniteRange, Folder, database_option
from evaluation.crowd.terms import TERMS
from evaluation.errors import UsageError
from evaluation.quantities import quantity


def _database(db: str, file: Path | None) -> str | None:
    """Return the database to read, or None where a file was named instead.

    Raises:
        UsageError: both were named.
    """
    if file is None:
        return db
    if click.get_current_context().get_parameter_source("db") is ParameterSource.COMMANDLINE:
        raise UsageError("give either --db URL or --judgments FILE, not both")
    return None


_judgment_options = judgment_options(database_option, _database)


@click.command()
@_judgment_options
@click.option("--out", required=True, type=Folder, metavar="DIR", help="Folder to write.")
@click.option("--paper", is_flag=True, help="Print the published Table 1 beside ours.")
@click.option(
    "--clips",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with SOURCE/... clips, to show example pairs; a database knows where they are.",
)
@click.option("--survey", is_flag=True, help="Tabulate the survey's answers too.")
def report(wanted: Wanted, out: Path, paper: bool, clips: Path | None, survey: bool) -> None:
    """Write the report of a study: one HTML page, figures, tables, files for R."""
    from analysis.examples import clip_finder
    from analysis.exclusions import rules_for
    from analysis.report import report as run
    from analysis.sessions import read_sessions

    judgments = wanted.load()
    study = judgments.attrs["study"]
    find = clip_finder(wanted.db, study, clips)
    sessions = read_sessions(wanted.db, wanted.file, study, survey=survey)
    chosen = rules_for(judgments, wanted.rules)
    written = run(judgments, out, chosen, paper=paper, find_clip=find, sessions=sessions)
    click.echo(f"wrote {written}")


@click.command()
@click.argument("scores", type=Folder)
@_judgment_options
@click.option("--lower-is-better", is_flag=True, help="A small score is a good one.")
def agreement(scores: Path, wanted: Wanted, lower_is_better: bool) -> None:
    """Compare automatic SCORES (a CSV file: clip,score or source,score) with people's choices.

    Prints the share of choices that the scores predict, and how well people predict each other.
    """
    from analysis.agreement import agreement_text

    text = agreement_text(wanted.load(), scores, wanted.rules, lower_is_better=lower_is_better)
    click.echo(text, nl=False)


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--study-a", metavar="NAME", help="Which study of A, where it holds several.")
@click.option("--study-b", metavar="NAME", help="Which study of B, where it holds several.")
@question_option
@rules_option
@simulated_option
def compare(
    first: str,
    second: str,
    study_a: str | None,
    study_b: str | None,
    question: str | None,
    rules: tuple[str, ...],
    simulated: bool | None,
) -> None:
    """Compare the rows of two studies, A and B: do they differ?

    Each is a judgments.csv or the URL of a database. Their workers and clips are taken to be
    different, and both must ask the same question.
    """
    from analysis.replication import comparison_text

    studies = [
        Wanted(*_place(place), study, question, rules, simulated).load()
        for place, study in ((first, study_a), (second, study_b))
    ]
    click.echo(comparison_text(studies, rules, simulated), nl=False)


def _place(text: str) -> tuple[str | None, Path | None]:
    """Tell a database URL from a file."""
    return (text, None) if "://" in text else (None, Path(text))


@click.command("import")
@click.argument("table", type=Folder)
@click.option(
    "--map",
    "columns",
    metavar="COLUMN=THEIRS",
    multiple=True,
    help="A column of judgments.csv (or left_chosen, or winner) and the column of TABLE that has "
    "it; may be repeated.",
)
@click.option(
    "--set",
    "constants",
    metavar="COLUMN=VALUE",
    multiple=True,
    help="One value for all rows, such as crowd=lab; may be repeated.",
)
@click.option(
    "--answer",
    "answers",
    metavar="THEIRS=CHOICE",
    multiple=True,
    help="What the column mapped to choice has for left, right or tie, such as model_a=left; may "
    "be repeated.",
)
@click.option(
    "--ratings",
    metavar="A,B,...",
    default="",
    help="Columns of a rating matrix, one per source: each two make a judgment, equal ones a tie.",
)
@click.option("--study", metavar="NAME", required=True, help="Name of the study.")
@click.option(
    "--out",
    type=Folder,
    metavar="FILE",
    default=Path("judgments.csv"),
    show_default=True,
    help="The file to write.",
)
def import_(
    table: Path,
    columns: tuple[str, ...],
    constants: tuple[str, ...],
    answers: tuple[str, ...],
    ratings: str,
    study: str,
    out: Path,
) -> None:
    """Turn TABLE, one row per judgment of a published study, into judgments.csv.

    Needed: worker, left_source, right_source; the clips (left_clip and right_clip) or what they
    show (item); and who won: choice (left, right, tie), left_chosen (1, 0) or winner (a source).

    Nothing is guessed: what is missing is left empty and said, or refused.
    """
    from analysis.importing import import_table, parse_answers, parse_assignments

    found = import_table(
        table,
        out,
        study,
        parse_assignments("--map", columns),
        parse_assignments("--set", constants),
        answers=parse_answers(answers),
        ratings=[name.strip() for name in ratings.split(",") if name.strip()],
    )
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(
        f"{out}: {quantity(found.judgments, 'judgment')} by {quantity(found.workers, 'worker')}"
    )


@click.command()
@click.argument("study_file", metavar="STUDY.TOML", type=Folder)
@click.option(
    "--crowd",
    type=click.Choice(tuple(TERMS)),
    help="Cost on this crowd only (default: on all).",
)
@click.option(
    "--difference",
    type=FiniteRange(0, 50, min_open=True, max_open=True),
    default=5.0,
    show_default=True,
    metavar="POINTS",
    help="True distance from 50 % whose power is shown.",
)
@click.option(
    "--clips",
    type=click.IntRange(1),
    metavar="N",
    help="Clips per source and category, before there are folders.",
)
@click.option(
    "--judgments",
    "file",
    type=Folder,
    metavar="FILE",
    multiple=True,
    callback=one_file,
    help="A pilot's judgments.csv.",
)
@click.option("--pilot-db", metavar="URL", help="The database of a pilot.")
@click.option("--pilot-study", metavar="NAME", help="Which study is the pilot, of several.")
@click.option("--pilot-question", metavar="ID", help="Which question of the pilot, of several.")
def plan(
    study_file: Path,
    crowd: str | None,
    difference: float,
    clips: int | None,
    file: Path | None,
    pilot_db: str | None,
    pilot_study: str | None,
    pilot_question: str | None,
) -> None:
    """Say what STUDY.TOML will cost and what it can tell, before anything is frozen.

    Judgments, workers, sessions and cost by crowd; half-widths and power with clustering; why more
    workers beat more judgments. A pilot re-estimates correlations and splits judgments better.
    """
    from analysis.forecast import planned_rows, read_pilot
    from analysis.load import load_judgments
    from analysis.study_plan import plan_text
    from evaluation.study_file.reader import load_study

    if file is not None and pilot_db is not None:
        raise UsageError("give either --judgments FILE or --pilot-db URL, not both")
    study = load_study(study_file)
    rows = planned_rows(study, clips)
    pilot = None
    if file is not None or pilot_db is not None:
        judgments = load_judgments(
            pilot_db, file, pilot_study, question=pilot_question, options="--pilot-"
        )
        pilot = read_pilot(judgments, rows)
    text = plan_text(study, rows, crowd=crowd, difference=difference, pilot=pilot)
    click.echo(text, nl=False)


COMMANDS = (plan, report, agreement, compare, import_)
