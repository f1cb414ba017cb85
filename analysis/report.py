"""The report of a study: one HTML page that needs no network, figures, tables, and files for R.

python -m analysis.report --db sqlite:///study.db --out report/
python analysis/report.py --judgments judgments.csv --clips clips/ --out report/
"""

import sys
from pathlib import Path

if not __package__:  # run as a file: import from the checkout, not from analysis/ itself
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.figure import Figure

from analysis import figures
from analysis.command import Command
from analysis.commands import report as command
from analysis.declared import declared_of
from analysis.errors import AnalysisError, ConvergenceError
from analysis.examples import examples
from analysis.exclusions import Rule, exclude
from analysis.layout import (
    details,
    lay_out,
    sensitivity_remarks,
    sensitivity_rows,
    tests_and_effects,
)
from analysis.methods import CITATIONS, methods
from analysis.names import Names
from analysis.preference import table_preferences
from analysis.quality import funnel_steps, quality
from analysis.ranking import Ranking, rank
from analysis.render import html_grid, latex_grid, render, to_html
from analysis.rexport import write_r
from analysis.sensitivity import sensitivity
from analysis.sessions import devices, session_funnel, survey_answers
from analysis.table import Table, build_table
from analysis.text import BANNER, NONE, Grid, p_text
from evaluation.exporting.columns import JUDGMENT_COLUMNS
from evaluation.files import write_atomic
from evaluation.quantities import quantity


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
    # First: a folder that cannot be written is known before anything is drawn.
    write_r(kept, out / "r")
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
        grids["ranking"] = ranking_rows(ranking, table.names, one_look=table.stop_when is not None)
    about = _session_grids(sessions)
    grids |= {name.lower(): grid for name, grid in about.items()}
    shown, unseen = examples(preferences, find_clip, table.names) if find_clip else ([], [])
    wording = declared_of(judgments).wordings.get(table.question)
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
        ranking_note=ranking.note if ranking else "",
        fit=_fit_text(ranking),
        no_ranking=no_ranking,
        sensitivity=_grid("The Means under every exclusion rule", grids["sensitivity"]),
        sensitivity_remarks=sensitivity_remarks(found),
        quality=[*quality(judgments), *unseen],
        sessions={name: _grid(name, grid) for name, grid in about.items()},
        examples=shown,
        methods=methods(table, ranking, _share_left(preferences), wording),
        citations=CITATIONS,
        details=_grid("", grids["details"]),
        dictionary=JUDGMENT_COLUMNS,
    )
    for name, made in drawn.items():
        write_atomic(out / "figures" / f"{name}.svg", svgs[name].encode())
        write_atomic(out / "figures" / f"{name}.pdf", figures.to_pdf(made))
    _write_tables(out, table, grids, paper=paper)
    write_atomic(out / "report.html", page.encode())
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


def ranking_rows(ranking: Ranking, names: Names, *, one_look: bool = False) -> Grid:
    """Return header and rows of the leaderboard.

    Args:
        ranking: from `rank`.
        names: for print.
        one_look: say that the intervals hold for one look, as the study may be stopped early.
    """
    scope = ranking.scope(one_look=one_look)
    interval = f"interval, {scope}" if scope else "interval"
    header = ("source", "strength", interval, "rank", "rank range")
    rows: list[tuple[str, ...]] = [
        (
            names.source(s.source),
            f"{s.strength:.2f}",
            NONE if s.low is None else f"{s.low:.2f} to {s.high:.2f}",
            str(s.rank),
            NONE if s.best is None else _range_text(s.best, s.worst),
        )
        for s in ranking.standings
    ]
    return header, rows


def _range_text(best: int, worst: int | None) -> str:
    return str(best) if best == worst else f"{best}–{worst}"


def _fit_text(ranking: Ranking | None) -> str:
    fit = ranking.fit if ranking else None
    if fit is None or fit.p is None:
        return ""
    says = "describes the rows" if fit.p > 0.05 else "does not describe all rows"
    return (
        f"One strength per source {says}: deviance {fit.scaled:.1f} on "
        f"{quantity(fit.df, 'degree')} of freedom after the design effect, p = {p_text(fit.p)}."
    )


def _facts(judgments: pd.DataFrame, table: Table) -> str:
    """Say how many judgments count, whose, and from when to when."""
    judgments = judgments[judgments["counted"]]
    first, last = judgments["answered_at"].min(), judgments["answered_at"].max()
    crowds = ", ".join(sorted(judgments["crowd"].unique()))
    text = f"{quantity(table.judgments, 'judgment')} by {quantity(table.workers, 'worker')} "
    text += f"({crowds}), "
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
        drawn["ranking"] = figures.leaderboard(
            ranking, table.names, table.simulated, one_look=table.stop_when is not None
        )
    return drawn


def _write_tables(out: Path, table: Table, grids: Mapping[str, Grid], *, paper: bool) -> None:
    banner = f"{BANNER}. " if table.simulated else ""
    texts = {
        f"{name}.tex": latex_grid(f"{banner}{name.capitalize()}", *grid)
        for name, grid in grids.items()
    }
    for form, ending in (("latex", "tex"), ("csv", "csv"), ("markdown", "md"), ("json", "json")):
        texts[f"table1.{ending}"] = render(table, form, paper=paper)
    for name, text in texts.items():
        write_atomic(out / "tables" / name, text.encode())


# The same options and the same body as the command of `vgan-eval`.
main = Command("report", callback=command.callback, params=command.params, help=command.help)


if __name__ == "__main__":
    main()
