"""Where a running study stands by its stopping rule, as text: which rows still need judgments."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
    found = look_at_question(db, study, rule, question=question, simulated=simulated)
    text = look_text(found)
    return f"{BANNER}\n{text}{BANNER}\n" if found.simulated else text


@dataclass(frozen=True)
class QuestionLook:
    """Where a study stands at one look, for one question.

    Args:
        study: its name.
        cells: its progress, of the question.
        states: the rows that have judgments.
        stop: the rule.
        notes: what the exclusions left out.
        simulated: whether any judgment is simulated.
    """

    study: str
    cells: tuple[CellProgress, ...]
    states: tuple[Look, ...]
    stop: StopRule
    notes: tuple[str, ...]
    simulated: bool

    @property
    def rows(self) -> list[Comparison]:
        """The planned rows, in the order of the plan."""
        return list(dict.fromkeys(Comparison(c.source_a, c.source_b) for c in self.cells))


def declared_rule(db: str, study: str | None) -> str | None:
    """Return `stop_when` of the study file's [analysis], or None where there is none."""
    with _reading(db, study) as (_, found):
        rule = found.design.get("analysis", {}).get("stop_when")
    return None if rule is None else str(rule)


def questions_of(db: str, study: str | None) -> list[str]:
    """Return the names of a study's questions, in order."""
    with _reading(db, study) as (_, found):
        return [question.name for question in found.questions]


@contextmanager
def _reading(db: str, study: str | None) -> Iterator[tuple[Session, Study]]:
    database = open_database(db)
    try:
        with database.read() as session:
            yield session, find_study(session, study)
    finally:
        database.close()


def look_at_question(
    db: str,
    study: str | None,
    rule: str | None,
    *,
    question: str | None = None,
    simulated: str = "refuse",
) -> QuestionLook:
    """Look at a study; the arguments and errors are those of `sequential_status_text`."""
    asked = parse_stop(rule) if rule else None
    declared = declared_rule(db, study)
    if asked is None and not declared:
        raise UsageError(
            "no stopping rule: say --stop-when 'decided or half-width 3', or write stop_when under "
            "[analysis] of the study file"
        )
    stop = asked or parse_stop(str(declared))
    with _reading(db, study) as (session, found):
        name = found.name
        cells = _of_question(study_progress(session, found), question)
        planned = first_plan(session, found)
    if not any(cell.counted for cell in cells):
        return QuestionLook(name, tuple(cells), (), stop, (), False)
    judgments = load_judgments(db, study=name, question=question, simulated=simulated)
    kept, dropped = exclude(judgments, rules_for(judgments, ()))
    notes = tuple(f"left out by {d.rule}: {d.judgments:,} judgments" for d in dropped)
    categories = planned_categories(cells)
    states = tuple(looks(table_preferences(kept), planned, categories=categories))
    return QuestionLook(name, tuple(cells), states, stop, notes, judgments.attrs["simulated"])


def first_plan(session: Session, study: Study) -> dict[str, int]:
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


def planned_categories(cells: Iterable[CellProgress]) -> dict[str, set[str]]:
    """Return the categories that each row is planned in, by its name in data."""
    found: dict[str, set[str]] = {}
    for cell in cells:
        label = Comparison(cell.source_a, cell.source_b).label
        found.setdefault(label, set()).add(cell.category)
    return found


def _of_question(cells: list[CellProgress], question: str | None) -> list[CellProgress]:
    names = list(dict.fromkeys(cell.question for cell in cells))
    if question is None and len(names) > 1:
        raise UsageError(f"several questions ({', '.join(names)}); choose by --question NAME")
    if question is not None and question not in names:
        raise UsageError(f"no question {question!r}; there is {', '.join(names)}")
    return [cell for cell in cells if question in (None, cell.question)]


def look_text(found: QuestionLook) -> str:
    """Return a look as text, without the banner of simulated raters."""
    planned: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for cell in found.cells:
        label = Comparison(cell.source_a, cell.source_b).label
        planned[label] += cell.planned
        counted[label] += cell.counted
    by_row, stop = {state.row: state for state in found.states}, found.stop
    grid = [
        (
            row.label,
            *_numbers(by_row.get(row.label)),
            f"{counted[row.label]:,}",
            f"{planned[row.label]:,}",
            _state(by_row.get(row.label), stop),
        )
        for row in found.rows
    ]
    header = ("row", "percent", "at all looks", "half-width", "counted", "planned", "state")
    title = f"{found.study}: 95 % confidence sequences, stop when {stop.text}"
    text = text_grid(title, header, grid) + "".join(f"{note}\n" for note in found.notes)
    needy = [row.label for row in rows_to_top_up(found.states, stop, found.rows)]
    if not needy:
        return text + "Every row is done: the study may stop.\n"
    return text + f"Rows that still need judgments: {'; '.join(needy)}.\n"


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
        return "too few workers, or an empty category"
    if not stop.done(state):
        return "needs judgments"
    return "done: decided" if stop.decided and state.decided else "done: short enough"
