"""Where a running study stands by its stopping rule, as text: which rows still need judgments."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from analysis.errors import NothingLeft, UsageError
from analysis.exclusions import rules_for
from analysis.intervals import NOTHING, Estimate
from analysis.load import load_judgments
from analysis.sequential import is_done
from analysis.table import build_table
from analysis.text import BANNER, interval_text, percent_text, text_grid
from evaluation import frozen
from evaluation.database import find_study, open_database
from evaluation.planning.progress import CellProgress, study_progress
from evaluation.quantities import quantity
from evaluation.schema import Study
from evaluation.study import Comparison
from evaluation.study_file.stop_rule import StopRule, parse_stop


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
        means: of the rows by their names in data, with intervals that hold at all looks together.
        stop: the rule.
        notes: what the exclusions left out.
        simulated: whether any judgment is simulated.
    """

    study: str
    cells: tuple[CellProgress, ...]
    means: Mapping[str, Estimate]
    stop: StopRule
    notes: tuple[str, ...] = ()
    simulated: bool = False

    @property
    def rows(self) -> list[Comparison]:
        """The planned rows, in the order of the plan."""
        return list(dict.fromkeys(cell.comparison for cell in self.cells))

    def mean(self, row: Comparison) -> Estimate:
        """Return a row's Mean; `NOTHING` where nobody judged it."""
        return self.means.get(row.label, NOTHING)

    def done(self, row: Comparison) -> bool:
        """Whether a row may stop."""
        return is_done(self.mean(row), self.stop)


def declared_rule(db: str, study: str | None) -> str | None:
    """Return `stop_when` of the study file's [analysis], or None where there is none."""
    with _reading(db, study) as (_, found):
        return frozen.analysis(found).stop_when


def questions_of(db: str, study: str | None) -> list[str]:
    """Return the names of a study's questions, in order."""
    with _reading(db, study) as (_, found):
        return [question.name for question in found.questions]


@contextmanager
def _reading(db: str, study: str | None) -> Iterator[tuple[Session, Study]]:
    with open_database(db) as database, database.read() as session:
        yield session, find_study(session, study)


def look_at_question(
    db: str,
    study: str | None,
    rule: str | None,
    *,
    question: str | None = None,
    simulated: str = "refuse",
) -> QuestionLook:
    """Look at a study; the arguments and errors are those of `sequential_status_text`."""
    with _reading(db, study) as (session, found):
        stop_when = rule or frozen.analysis(found).stop_when
        name, cells = found.name, tuple(_of_question(study_progress(session, found), question))
    if stop_when is None:
        raise UsageError(
            "no stopping rule: say --stop-when 'decided or half-width 3', or write stop_when under "
            "[analysis] of the study file"
        )
    stop = parse_stop(stop_when)
    if not any(cell.counted for cell in cells):
        return QuestionLook(name, cells, {}, stop)
    judgments = load_judgments(db, study=name, question=question, simulated=simulated)
    marked = bool(judgments.attrs["simulated"])
    rules = rules_for(judgments, ())
    try:
        # What there is of a row that lacks a category is shown too, without an interval.
        table = build_table(judgments, rules, partial_mean=True, stop_when=stop_when)
    except NothingLeft as error:
        return QuestionLook(name, cells, {}, stop, (str(error),), marked)
    means = {row.comparison.label: row.mean for row in table.rows}
    notes = tuple(
        f"left out by {d.rule}: {quantity(d.judgments, 'judgment')}" for d in table.dropped
    )
    return QuestionLook(name, cells, means, stop, notes, marked)


def _of_question(cells: list[CellProgress], question: str | None) -> list[CellProgress]:
    names = list(dict.fromkeys(cell.question for cell in cells))
    if question is None and len(names) > 1:
        raise UsageError(f"several questions ({', '.join(names)}); choose by --question NAME")
    if question is not None and question not in names:
        raise UsageError(f"no question {question!r}; there is {', '.join(names)}")
    return [cell for cell in cells if question in (None, cell.question)]


def look_text(found: QuestionLook) -> str:
    """Return a look as text, without the banner of simulated raters."""
    planned: Counter[Comparison] = Counter()
    counted: Counter[Comparison] = Counter()
    for cell in found.cells:
        planned[cell.comparison] += cell.planned
        counted[cell.comparison] += cell.counted
    grid = [
        (
            row.label,
            percent_text(mean.percent),
            interval_text(mean),
            percent_text(mean.half_width),
            f"{counted[row]:,}",
            f"{planned[row]:,}",
            _state(mean, found.stop),
        )
        for row in found.rows
        for mean in [found.mean(row)]
    ]
    header = ("row", "percent", "at all looks", "half-width", "counted", "planned", "state")
    title = f"{found.study}: 95 % confidence sequences, stop when {found.stop.text}"
    text = text_grid(title, header, grid) + "".join(f"{note}\n" for note in found.notes)
    needy = [row.label for row in found.rows if not found.done(row)]
    if not needy:
        return text + "Every row is done: the study may stop.\n"
    return text + f"Rows that still need judgments: {'; '.join(needy)}.\n"


def _state(mean: Estimate, stop: StopRule) -> str:
    if not mean.n:
        return "no judgments yet"
    if mean.half_width is None:
        return "too few workers, or an empty category"
    if not is_done(mean, stop):
        return "needs judgments"
    return "done: decided" if stop.decided and mean.decided else "done: short enough"
