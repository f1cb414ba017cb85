"""Which rows of a running study need more judgments, and how many: a top-up only where needed.

The rule is the one of `looks`: its intervals hold at all looks together, so a study may be looked
at and topped up as often as one likes. The decision is made here from the judgments and handed to
`evaluation.topup`, which plans and writes it.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from analysis.errors import UsageError
from analysis.intervals import Estimate
from analysis.sequential import growth
from analysis.stopping import QuestionLook, look_at_question, look_text, questions_of
from analysis.text import BANNER
from evaluation import schema, topup
from evaluation.clock import utc_now
from evaluation.crowd.terms import terms_of
from evaluation.database import find_study, open_database
from evaluation.publishing.offers import Publication, check_publishable, plan_publication
from evaluation.quantities import quantity
from evaluation.schema import Environment
from evaluation.storage import open_store
from evaluation.study import Comparison
from evaluation.threads import Progress
from evaluation.topup import Cell, Need, TopUp


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
) -> Decision:
    """Look at every question of a study and say which cells need how many judgments.

    A row is done when the rule holds for all questions. Every cell of another row is brought to
    the same number of judgments, because every category counts the same in the Mean.

    Args:
        db: database URL.
        study: which study, where there are several.
        rule: as in `looks`; None: what the study file declares.
        per_cell: judgments to ask for in every cell of such a row; None: as many as the rule
            seems to need, at most as many again as there are.

    Raises:
        UsageError: there is no rule, it cannot be read, or `per_cell` is odd.
        DatabaseError: the database is missing or of another version.
    """
    if per_cell is not None and per_cell % 2:
        raise UsageError(f"--per-cell {per_cell}: write an even number, to balance the sides")
    seen = [
        look_at_question(db, study, rule, question=question) for question in questions_of(db, study)
    ]
    rows = seen[0].rows
    needy = tuple(row for row in rows if not all(look.done(row) for look in seen))
    unanswered: dict[Cell, int] = {}
    for look in seen:
        for row in needy:
            for category, n in _cells(look, row, per_cell).items():
                unanswered[row, category] = max(unanswered.get((row, category), 0), n)
    need = Need(frozenset(rows).difference(needy), unanswered, _reason(seen, needy))
    text = "\n".join(map(look_text, seen))
    return Decision(need, text, needy, any(look.simulated for look in seen))


def _cells(look: QuestionLook, row: Comparison, per_cell: int | None) -> dict[str, int]:
    """How many trials without an answer every category of a row shall have."""
    cells = [cell for cell in look.cells if cell.comparison == row]
    if per_cell is not None:
        return {cell.category: per_cell for cell in cells}
    # Done for this question, it only waits for another one's answers.
    times = 0.0 if look.done(row) else growth(look.mean(row), look.stop)
    goal = math.ceil(times * sum(cell.counted for cell in cells) / len(cells))
    return {cell.category: max(goal - cell.counted, 0) for cell in cells}


def _reason(seen: Sequence[QuestionLook], needy: Sequence[Comparison]) -> str:
    """What is stored with the batch: the rule, and where each row that is not done stood."""
    parts = [
        f"{row.label} {_where(mean)} after {quantity(mean.n, 'judgment')}"
        for look in seen
        for row in needy
        if (mean := look.mean(row)).n
    ]
    return f"stop when {seen[0].stop.text}; not done: {'; '.join(parts) or 'none'}"


def _where(mean: Estimate) -> str:
    if mean.low is None or mean.high is None:
        return "no interval yet"
    return f"{mean.percent:.1f} ({mean.low:.1f} to {mean.high:.1f})"


def _names(rows: Iterable[Comparison]) -> str:
    return "; ".join(sorted(row.label for row in rows))


def top_up_text(decision: Decision, found: TopUp) -> str:
    """Say what a top-up of this decision would do, as `evaluation.topup.preview` found."""
    lines = [decision.text.rstrip()]
    for row in decision.rows:
        added = {c: n for (r, c), n in found.added.items() if r == row}
        if added:
            cells = ", ".join(f"{category} {n:,}" for category, n in sorted(added.items()))
            lines.append(f"To add, {row.label}: {cells}")
    if decision.rows and not found.added:
        lines.append("Nothing to add: the rows that are not done have enough trials to be judged.")
    if found.stopping or found.stopped:
        names = f" ({_names(found.stopping)})" if found.stopping else ""
        lines.append(
            f"{found.stopped:,} unanswered trials of the rows that are done{names} will not be "
            "handed out."
        )
    if found.opened:
        lines.append(f"Handed out again: {_names(found.opened)}.")
    if decision.simulated:
        lines.append(BANNER)
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Proposal:
    """What a top-up would do.

    Args:
        text: the look, and what would be added and stopped.
        then: what would be published afterwards; None where that is not planned here.
    """

    text: str
    then: Publication | None


def decide_and_add(
    db: str,
    study: str | None,
    rule: str | None,
    media: str,
    *,
    per_cell: int | None = None,
    place: tuple[str, Environment] | None = None,
    confirm: Callable[[Proposal], bool],
    progress: Progress,
) -> tuple[Proposal, TopUp] | None:
    """Plan the batch that a look asks for, as it was shown, whoever answers meanwhile.

    Args:
        db: database URL.
        study: which study, where there are several.
        rule: as in `decide`.
        media: where the encoded clips lie, for `open_store`.
        per_cell: as in `decide`.
        place: the crowd on which the batch is to be published, and its environment; None: nowhere.
        confirm: asked before anything is written, unless there is nothing to do; False stops.
        progress: called while clips are encoded with the stage, how many are done, and of how many.

    Returns:
        What was proposed, and what was done. None when `confirm` said no.

    Raises:
        UsageError: as in `decide`, or the study must not be published there.
        DatabaseError: the database is missing or of another version.
        ClipError: a clip cannot be decoded or has changed since it was imported.
    """
    decision = decide(db, study, rule, per_cell=per_cell)
    with open_database(db) as database:
        with database.read() as session:
            found = find_study(session, study)
            if place is not None:
                check_publishable(session, found, *place)
            seen = topup.preview(session, found, decision.need)
        text = top_up_text(decision, seen)
        if seen.is_empty:
            return Proposal(text, None), seen
        # The price and the batch are of what is shown here.
        need = replace(decision.need, most=seen.added)
        then = None
        if place is not None and not terms_of(place[0]).by_link:  # a link says what it owes

            def published(session: Session, found: schema.Study) -> Publication:
                return plan_publication(session, found, *place, utc_now())

            then = topup.rehearse(database, study, need, utc_now(), published)
        proposal = Proposal(text, then)
        if not confirm(proposal):
            return None
        store = open_store(media)
        return proposal, topup.top_up(database, study, need, store, utc_now(), progress)
