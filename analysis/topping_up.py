"""Which rows of a running study need more judgments, and how many: a top-up only where needed.

The rule is the one of `looks`: its intervals hold at all looks together, so a study may be looked
at and topped up as often as one likes. The decision is made here from the judgments and handed to
`evaluation.topup`, which plans and writes it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis.errors import UsageError
from analysis.layout import BANNER
from analysis.preference import Comparison
from analysis.sequential import MOST_GROWTH, growth
from analysis.stopping import QuestionLook, look_at_question, look_text, questions_of
from evaluation import study as plan
from evaluation.progress import CellProgress
from evaluation.topup import Need, TopUp


@dataclass(frozen=True)
class Decision:
    """What a look says should be done.

    Args:
        need: for `evaluation.topup`.
        text: the look itself, as `vgan-eval looks` prints it.
        rows: those that are not done.
        simulated: whether any judgment is simulated.
    """

    need: Need
    text: str
    rows: tuple[Comparison, ...]
    simulated: bool


def decide(
    db: str,
    study: str | None,
    rule: str | None,
    *,
    per_cell: int | None = None,
    simulated: str = "refuse",
) -> Decision:
    """Look at every question of a study and say which cells need how many judgments.

    A row is settled when the rule holds for all questions. Every cell of another row is brought
    to the same number of judgments, because every category counts the same in the Mean.

    Args:
        db: database URL.
        study: which study, where there are several.
        rule: as in `looks`; None: what the study file declares.
        per_cell: judgments to ask for in every cell of such a row; None: as many as the rule
            seems to need, at most as many again as there are.
        simulated: as in `load_judgments`.

    Raises:
        UsageError: there is no rule, it cannot be read, or `per_cell` is odd.
        DatabaseError: the database is missing or of another version.
    """
    if per_cell is not None and per_cell % 2:
        raise UsageError(f"--per-cell {per_cell}: write an even number, to balance the sides")
    seen = [
        look_at_question(db, study, rule, question=question, simulated=simulated)
        for question in questions_of(db, study)
    ]
    rows = seen[0].rows
    unsettled = [row for row in rows if any(_factor(s, row) > 0 for s in seen)]
    unanswered: dict[tuple[plan.Comparison, str], int] = {}
    for each in seen:
        for row in unsettled:
            for category, n in _cells(each, row, per_cell).items():
                key = _planned(row), category
                unanswered[key] = max(unanswered.get(key, 0), n)
    settled = frozenset(_planned(row) for row in rows if row not in unsettled)
    reason = _reason(seen, unsettled)
    texts = [look_text(each) for each in seen]
    marked = any(each.simulated for each in seen)
    return Decision(Need(settled, unanswered, reason), "\n".join(texts), tuple(unsettled), marked)


def _planned(row: Comparison) -> plan.Comparison:
    """The row as the study file has it."""
    return plan.Comparison(row.source_a, row.source_b)


def _factor(look: QuestionLook, row: Comparison) -> float:
    """How many times its judgments a row should have; 0: it is done."""
    for state in look.states:
        if state.row == row.label:
            return 0.0 if look.stop.done(state) else growth(state, look.stop)
    return MOST_GROWTH  # nobody has judged it, or only people who were left out


def _cells(look: QuestionLook, row: Comparison, per_cell: int | None) -> dict[str, int]:
    """How many trials without an answer every category of a row shall have."""
    cells: list[CellProgress] = [
        cell
        for cell in look.cells
        if (cell.source_a, cell.source_b) == (row.source_a, row.source_b)
    ]
    if per_cell is not None:
        return {cell.category: per_cell for cell in cells}
    counted = sum(cell.counted for cell in cells)
    goal = math.ceil(_factor(look, row) * counted / len(cells))
    return {cell.category: max(goal - cell.counted, 0) for cell in cells}


def _reason(seen: Sequence[QuestionLook], unsettled: Sequence[Comparison]) -> str:
    """What is stored with the batch: the rule, and where each row that is not done stood."""
    parts = []
    for each in seen:
        for state in each.states:
            if state.low is None or state.high is None:
                where = "no interval yet"
            else:
                where = f"{state.percent:.1f} ({state.low:.1f} to {state.high:.1f})"
            if any(row.label == state.row for row in unsettled):
                parts.append(f"{state.row} {where} after {state.n} judgments")
    return f"stop when {seen[0].stop.text}; not done: {'; '.join(parts) or 'none'}"


def _names(rows: Iterable[plan.Comparison]) -> str:
    return "; ".join(sorted(f"{row.source_a} over {row.source_b}" for row in rows))


def top_up_text(decision: Decision, found: TopUp) -> str:
    """Say what a top-up would do.

    Args:
        decision: from `decide`.
        found: from `evaluation.topup.preview`.
    """
    lines = [decision.text.rstrip()]
    for row in decision.rows:
        added = {c: n for (r, c), n in found.added.items() if r == _planned(row)}
        if added:
            cells = ", ".join(f"{category} {n:,}" for category, n in sorted(added.items()))
            lines.append(f"To add, {row.label}: {cells}")
    if decision.rows and not found.added:
        lines.append("Nothing to add: the rows that are not done have enough trials to be judged.")
    if found.closed or found.stopped:
        names = f" ({_names(found.closed)})" if found.closed else ""
        lines.append(
            f"{found.stopped:,} unanswered trials of the rows that are done{names} will not be "
            "handed out."
        )
    if found.opened:
        lines.append(f"Handed out again: {_names(found.opened)}.")
    if decision.simulated:
        lines.append(BANNER)
    return "\n".join(lines) + "\n"
