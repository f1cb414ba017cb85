"""Where a running study stands by its stopping rule, as text: which rows still need judgments."""

from collections import Counter

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from analysis.errors import UsageError
from analysis.exclusions import exclude
from analysis.layout import BANNER, NONE, percent_text
from analysis.load import load_judgments
from analysis.preference import Comparison, table_preferences
from analysis.render import text_grid
from analysis.sequential import Look, StopRule, looks, parse_stop, rows_to_top_up
from analysis.table import rules_for
from evaluation.database import find_study, open_database
from evaluation.progress import CellProgress, study_progress
from evaluation.schema import Pair, PlanBatch, Study, Trial, TrialKind


def sequential_status_text(
    db: str,
    study: str | None,
    rule: str | None,
    *,
    question: str | None = None,
    simulated: str = "refuse",
) -> str:
    """Return the confidence sequence of every row now, and what the stopping rule says of it.

    Args:
        db: database URL.
        study: which study, where there are several.
        rule: `decided`, `half-width 3` or both joined by `or`; None: what the study file declares
            in [analysis] stop_when.
        question: which question, where there are several.
        simulated: as in `load_judgments`.

    Raises:
        UsageError: there is no rule, or it cannot be read, or the study or question must be named.
        DatabaseError: the database is missing or of another version.
    """
    asked = parse_stop(rule) if rule else None
    database = open_database(db)
    try:
        with database.read() as session:
            found = find_study(session, study)
            name = found.name
            declared = found.design.get("analysis", {}).get("stop_when")
            cells = study_progress(session, found)
            planned = _first_plan(session, found)
    finally:
        database.close()
    if asked is None and not declared:
        raise UsageError(
            "no stopping rule: say --stop-when 'decided or half-width 3', or write stop_when under "
            "[analysis] of the study file"
        )
    stop = asked or parse_stop(declared)
    cells = _of_question(cells, question)
    states: list[Look] = []
    notes: list[str] = []
    marked = False
    if any(cell.counted for cell in cells):
        judgments = load_judgments(db, study=name, question=question, simulated=simulated)
        kept, dropped = exclude(judgments, rules_for(judgments, ()))
        notes = [f"left out by {d.rule}: {d.judgments:,} judgments" for d in dropped]
        states = looks(table_preferences(kept), planned)
        marked = judgments.attrs["simulated"]
    text = _text(name, cells, states, stop, notes)
    return f"{BANNER}\n{text}{BANNER}\n" if marked else text


def _first_plan(session: Session, study: Study) -> dict[str, int]:
    """Judgments of each row in the first plan: what was fixed before the first look."""
    test = (Trial.study_id == study.id, Trial.kind == TrialKind.TEST)
    rows = session.execute(
        select(Pair.source_a, Pair.source_b, PlanBatch.number, func.count())
        .join(Trial, Trial.pair_id == Pair.id)
        .join(PlanBatch, PlanBatch.id == Trial.batch_id)
        .where(*test)
        .group_by(Pair.source_a, Pair.source_b, PlanBatch.number)
        .order_by(PlanBatch.number.desc())
    )
    return {Comparison(a, b).label: int(n) for a, b, _, n in rows}


def _of_question(cells: list[CellProgress], question: str | None) -> list[CellProgress]:
    names = list(dict.fromkeys(cell.question for cell in cells))
    if question is None and len(names) > 1:
        raise UsageError(f"several questions ({', '.join(names)}); choose by --question NAME")
    if question is not None and question not in names:
        raise UsageError(f"no question {question!r}; there is {', '.join(names)}")
    return [cell for cell in cells if question in (None, cell.question)]


def _text(
    name: str, cells: list[CellProgress], states: list[Look], stop: StopRule, notes: list[str]
) -> str:
    planned: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    rows = list(dict.fromkeys(Comparison(c.source_a, c.source_b) for c in cells))
    for cell in cells:
        label = Comparison(cell.source_a, cell.source_b).label
        planned[label] += cell.planned
        counted[label] += cell.counted
    by_row = {state.row: state for state in states}
    grid = [
        (
            row.label,
            *_numbers(by_row.get(row.label)),
            f"{counted[row.label]:,}",
            f"{planned[row.label]:,}",
            _state(by_row.get(row.label), stop),
        )
        for row in rows
    ]
    header = ("row", "percent", "at all looks", "half-width", "counted", "planned", "state")
    text = text_grid(f"{name}: 95 % confidence sequences, stop when {_words(stop)}", header, grid)
    needy = [row.label for row in rows_to_top_up(states, stop, rows)]
    notes = [f"{note}\n" for note in notes]
    if not needy:
        return text + "".join(notes) + "Every row is done: the study may stop.\n"
    return text + "".join(notes) + f"Rows that still need judgments: {'; '.join(needy)}.\n"


def _numbers(state: Look | None) -> tuple[str, str, str]:
    if state is None:
        return NONE, NONE, NONE
    bounds = NONE
    if state.low is not None:
        bounds = f"{percent_text(state.low)}–{percent_text(state.high)}"
    return percent_text(state.percent), bounds, percent_text(state.half_width)


def _state(state: Look | None, stop: StopRule) -> str:
    if state is None:
        return "no judgments yet"
    if state.low is None:
        return "too few workers"
    if not stop.done(state):
        return "needs judgments"
    return "done: decided" if stop.decided and state.decided else "done: short enough"


def _words(stop: StopRule) -> str:
    parts = ["decided"] if stop.decided else []
    if stop.half_width is not None:
        parts.append(f"half-width at most {stop.half_width:g} points")
    return " or ".join(parts)
