"""The report of a study: one HTML page that needs no network, figures, tables, and files for R.

python -m analysis.report --db sqlite:///study.db --out report/
python analysis/report.py --judgments judgments.csv --clips clips/ --out report/
"""

import sys
from pathlib import Path

if not __package__:  # run as a file: import from the checkout, not from analysis/ itself
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import click
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.figure import Figure

from analysis import figures
from analysis.command import Command, judgment_options, judgments_from, write_text
from analysis.errors import AnalysisError, ConvergenceError, EvaluationError
from analysis.examples import examples
from analysis.exclusions import Rule, exclude
from analysis.layout import (
    BANNER,
    Grid,
    details,
    lay_out,
    p_text,
    sensitivity_remarks,
    sensitivity_rows,
    tests_and_effects,
)
from analysis.methods import CITATIONS, methods
from analysis.preference import table_preferences
from analysis.published import display
from analysis.quality import funnel_steps, quality
from analysis.ranking import Ranking, rank
from analysis.render import GRIDS, html_grid, render, to_html
from analysis.rexport import write_r
from analysis.sensitivity import sensitivity
from analysis.sessions import devices, read_sessions, session_funnel, survey_answers
from analysis.table import Table, build_table, rules_for
from evaluation.columns import JUDGMENT_COLUMNS


def report(
    judgments: pd.DataFrame,
    out: Path,
    rules: Sequence[Rule] = (),
    *,
    paper: bool = False,
    find_clip: Callable[[str], Path | None] | None = None,
    sessions: pd.DataFrame | None = None,
) -> Path:
    """Write the report into a folder, made if needed.

    Args:
        judgments: from `load_judgments`.
        out: the folder; `report.html`, `figures/`, `tables/` and `r/` are written into it.
        rules: the exclusions in force, from `rules_for`.
        paper: print the published Table 1 beside ours.
        find_clip: gives the file of a clip id; None: no example pairs.
        sessions: from `read_sessions`; None: nothing is said of drop-outs, devices and survey.

    Returns:
        The HTML file.

    Raises:
        AnalysisError: there is nothing to report.
        EvaluationError: a file cannot be written.
    """
    table = build_table(judgments, rules)
    kept, _ = exclude(judgments, rules)
    preferences = table_preferences(kept)
    ranking, no_ranking = _ranking(preferences)
    found = sensitivity(judgments, rules)
    drawn = _figures(table, ranking, judgments, rules, paper=paper)
    svgs = {name: figures.to_svg(made) for name, made in drawn.items()}
    grids: dict[str, Grid] = {
        "tests": tests_and_effects(table),
        "details": details(table),
        "sensitivity": sensitivity_rows(found),
    }
    if ranking is not None:
        grids["ranking"] = ranking_rows(ranking)
    about = _session_grids(sessions)
    grids |= {name.lower(): grid for name, grid in about.items()}
    shown, unseen = examples(preferences, find_clip) if find_clip else ([], [])
    page = _template().render(
        study=table.study,
        question=table.question,
        banner=BANNER if table.simulated else "",
        facts=_facts(judgments, table),
        table=Markup(to_html(replace(lay_out(table, paper=paper), banner=""))),  # noqa: S704 (escaped there)
        figures={
            name: Markup(figures.unique_ids(svg, name))  # noqa: S704 (drawn here)
            for name, svg in svgs.items()
        },
        tests=_grid("Tests of each Mean against 50, and effect sizes", grids["tests"]),
        ranking=_grid("Leaderboard", grids["ranking"]) if ranking else "",
        fit=_fit_text(ranking),
        no_ranking=no_ranking,
        sensitivity=_grid("The Means under every exclusion rule", grids["sensitivity"]),
        sensitivity_remarks=sensitivity_remarks(found),
        quality=[*quality(judgments), *unseen],
        sessions=[_grid(name, grid) for name, grid in about.items()],
        examples=shown,
        methods=methods(table, ranking, _share_left(preferences)),
        citations=CITATIONS,
        details=_grid("", grids["details"]),
        dictionary=JUDGMENT_COLUMNS,
    )
    _write_figures(out, drawn, svgs)
    _write_tables(out, table, grids, paper=paper)
    write_r(kept, out / "r")
    write_text(out / "report.html", page)
    return out / "report.html"


def _session_grids(sessions: pd.DataFrame | None) -> dict[str, Grid]:
    """The tables about sessions that have anything to say, by title."""
    if sessions is None or sessions.empty:
        return {}
    made = {
        "Sessions": session_funnel(sessions),
        "Devices": devices(sessions),
        "Survey": survey_answers(sessions),
    }
    return {name: grid for name, grid in made.items() if grid[1]}


def _share_left(preferences: pd.DataFrame) -> float:
    return float((preferences["a"] == preferences["left_source"]).mean())


def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template("report.html")


def _grid(title: str, grid: Grid) -> Markup:
    return Markup(html_grid(title, *grid))  # noqa: S704 (escaped there)


def _ranking(preferences: pd.DataFrame) -> tuple[Ranking | None, str]:
    try:
        return rank(preferences), ""
    except (ConvergenceError, AnalysisError) as error:
        return None, f"No ranking: {error}."


def ranking_rows(ranking: Ranking) -> Grid:
    """Return header and rows of the leaderboard."""
    header = ("source", "strength", "interval", "rank", "rank range")
    rows: list[tuple[str, ...]] = [
        (
            display(s.source),
            f"{s.strength:.2f}",
            f"{s.low:.2f} to {s.high:.2f}",
            str(s.rank),
            str(s.best) if s.best == s.worst else f"{s.best}–{s.worst}",
        )
        for s in ranking.standings
    ]
    return header, rows


def _fit_text(ranking: Ranking | None) -> str:
    p = ranking.fit.p if ranking else None
    if ranking is None or p is None:
        return ""
    fit, says = ranking.fit, "describes the rows" if p > 0.05 else "does not describe all rows"
    return (
        f"One strength per source {says}: deviance {fit.scaled:.1f} on {fit.df} degrees of "
        f"freedom after the design effect, p = {p_text(p)}."
    )


def _facts(judgments: pd.DataFrame, table: Table) -> str:
    """Say how many judgments count, whose, and from when to when."""
    judgments = judgments[judgments["counted"]]
    first, last = judgments["answered_at"].min(), judgments["answered_at"].max()
    crowds = ", ".join(sorted(judgments["crowd"].unique()))
    text = f"{table.judgments:,} judgments by {table.workers:,} workers ({crowds}), "
    text += "at unknown times." if pd.isna(first) else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}."
    return text + (f" Design {table.study_hash[:16]}." if table.study_hash else "")


def _figures(
    table: Table,
    ranking: Ranking | None,
    judgments: pd.DataFrame,
    rules: Sequence[Rule],
    *,
    paper: bool,
) -> dict[str, Figure]:
    drawn = {
        "forest": figures.forest(table, paper=paper),
        "funnel": figures.funnel(funnel_steps(judgments, rules), table.simulated),
        "side_bias": figures.side_bias(judgments, table.simulated),
        "response_times": figures.response_times(judgments, table.simulated),
    }
    if ranking is not None:
        drawn["ranking"] = figures.leaderboard(ranking, table.simulated)
    return drawn


def _write_figures(out: Path, drawn: Mapping[str, Figure], svgs: Mapping[str, str]) -> None:
    try:
        for folder in ("figures", "tables", "r"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        for name, made in drawn.items():
            _write_bytes(out / "figures" / f"{name}.pdf", figures.to_pdf(made))
    except OSError as error:
        raise EvaluationError(f"{out}: cannot be written ({error.strerror})") from None
    for name, svg in svgs.items():
        write_text(out / "figures" / f"{name}.svg", svg)


def _write_tables(out: Path, table: Table, grids: Mapping[str, Grid], *, paper: bool) -> None:
    for form, ending in (("latex", "tex"), ("csv", "csv"), ("markdown", "md"), ("json", "json")):
        write_text(out / "tables" / f"table1.{ending}", render(table, form, paper=paper))
    for name, grid in grids.items():
        write_text(out / "tables" / f"{name}.tex", GRIDS["latex"](name.capitalize(), *grid))


def _write_bytes(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def clips_in(folder: Path) -> Callable[[str], Path | None]:
    """Look clips up in a folder that holds `SOURCE/relative-path`; sources may be links."""

    def find(clip: str) -> Path | None:
        # By name: whoever made the folder may link to elsewhere, an id from a file may not.
        inside = not Path(clip).is_absolute() and ".." not in Path(clip).parts
        path = folder / clip
        return path if inside and path.is_file() else None

    return find


def clip_finder(
    db: str | None, study: str, clips: Path | None
) -> Callable[[str], Path | None] | None:
    """Return what finds the file of a clip: in a folder, else where the database has it."""
    if clips is not None:
        return clips_in(clips)
    if db is None:
        return None
    from analysis.database import clips_of

    return clips_of(db, study)


@click.command(cls=Command)
@judgment_options
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--paper", is_flag=True, help="Print the published Table 1 beside ours.")
@click.option(
    "--clips",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with SOURCE/... clips, to show example pairs. With --db they are found.",
)
@click.option("--survey", is_flag=True, help="Tabulate the survey's answers too.")
def main(
    db: str | None,
    file: Path | None,
    study: str | None,
    question: str | None,
    rules: tuple[str, ...],
    simulated: bool | None,
    out: Path,
    paper: bool,
    clips: Path | None,
    survey: bool,
) -> None:
    """Write the report of a study: HTML, figures, tables, files for R."""
    judgments = judgments_from(db, file, study, question, rules, simulated)
    find = clip_finder(db, judgments.attrs["study"], clips)
    sessions = read_sessions(db, file, judgments.attrs["study"], survey=survey)
    chosen = rules_for(judgments, rules)
    written = report(judgments, out, chosen, paper=paper, find_clip=find, sessions=sessions)
    click.echo(f"wrote {written}")


if __name__ == "__main__":
    main()
