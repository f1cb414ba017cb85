"""How each person answered, aggregated by SQL: gold trials, sides, speed, repeats."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session, aliased

from evaluation.exclusion_rules import chance_of_sides
from evaluation.exporting.reported import loops_of, reported_loops
from evaluation.planning.known_answers import known_answer
from evaluation.schema import (
    Choice,
    Judgment,
    JudgmentStatus,
    Showing,
    Study,
    Trial,
    TrialKind,
)
from webapp.dashboard_counts import count_if

_SIDED = (TrialKind.TEST, TrialKind.REPEAT, TrialKind.IDENTICAL)
_NOTHING = {"sided": 0, "left": 0, "side_chance": 1.0, "timed": 0, "fast": 0}
_ASKED = Trial.kind != TrialKind.PRACTICE


def evidence(session: Session, study: Study, same: Mapping[int, int]) -> dict[int, dict[str, Any]]:
    """Return what is known of each person's counted judgments; only reads, four statements.

    Args:
        session: of any unit.
        study: that is looked at.
        same: of who has several rows of workers, the first one's id by the ids of the others.

    Returns:
        By the first row's id, values of `WorkerRow`; what is not known is left out.
    """
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for read in (_answers, _in_order, _medians, _repeats):
        for worker_id, values in read(session, study, same).items():
            found[worker_id] |= values
    return found


def _person(worker_id: Any, same: Mapping[int, int]) -> Any:
    """The column `person`: the first row's id."""
    person = case(dict(same), value=worker_id, else_=worker_id) if same else worker_id
    return person.label("person")


def _counted(study: Study, *columns: Any) -> Select[*tuple[Any, ...]]:
    """Select columns of every counted judgment."""
    return (
        select(*columns)
        .select_from(Judgment)
        .join(Showing, Judgment.showing_id == Showing.id)
        .join(Trial, Judgment.trial_id == Trial.id)
        .where(
            Trial.study_id == study.id,
            Judgment.status == JudgmentStatus.COUNTED,
        )
    )


def _answers(session: Session, study: Study, same: Mapping[int, int]) -> dict[int, dict[str, int]]:
    right = known_answer(study)
    gold = (Trial.kind == TrialKind.GOLD) & right.is_not(None)
    counts = {
        "judgments": count_if(Trial.kind == TrialKind.TEST),
        "gold": count_if(gold),
        "gold_right": count_if(gold & (Judgment.choice == right)),
        "answers": func.count(),
    }
    person = _person(Showing.worker_id, same)
    chosen = _counted(study, person, *counts.values()).where(_ASKED)
    rows = session.execute(chosen.group_by("person"))
    return {row[0]: dict(zip(counts, map(int, row[1:]), strict=True)) for row in rows}


def _in_order(
    session: Session, study: Study, same: Mapping[int, int]
) -> dict[int, dict[str, float]]:
    """Sides and speed, of every answer in the order given; practice is timed too, as by the rule.

    The chance of sides is that of the most one-sided question, in number or in its longest run.
    """
    sided = Trial.kind.in_(_SIDED) & (Judgment.choice != Choice.TIE)
    is_left = case((sided, case((Judgment.choice == Choice.LEFT, 1), else_=0)))  # or null
    person = _person(Showing.worker_id, same)
    answers = _counted(study, person, Judgment.question_id, is_left, reported_loops).order_by(
        "person", Judgment.question_id, Judgment.answered_at, Showing.position
    )
    found: dict[int, dict[str, float]] = {}
    rows_read = session.execute(answers, execution_options={"yield_per": 10_000})
    for (worker_id, _), given in groupby(rows_read, lambda row: row[:2]):
        rows = list(given)
        loops = [known for row in rows if (known := loops_of(row[3])) is not None]
        sides = [row[2] for row in rows if row[2] is not None]
        values = found.setdefault(worker_id, dict(_NOTHING))
        values["timed"] += len(loops)
        values["fast"] += sum(known < 1 for known in loops)
        if sides:
            run = max(len(list(same)) for _, same in groupby(sides))
            chance = chance_of_sides(sum(sides), len(sides), run)
            values["sided"] += len(sides)
            values["left"] += sum(sides)
            values["side_chance"] = min(values["side_chance"], chance)
    return found


def _medians(
    session: Session, study: Study, same: Mapping[int, int]
) -> dict[int, dict[str, float]]:
    """Median response time of every person, in seconds; no database has the word in common."""
    person = _person(Showing.worker_id, same)
    place = func.row_number().over(partition_by=person.element, order_by=Judgment.rt_ms)
    count = func.count().over(partition_by=person.element)
    measured = (Judgment.rt_ms, place.label("place"), count.label("n"))
    ranked = _counted(study, person, *measured).where(_ASKED).subquery()
    twice = 2 * ranked.c.place
    rows = session.execute(
        select(ranked.c.person, func.avg(ranked.c.rt_ms))
        .where(twice >= ranked.c.n, twice <= ranked.c.n + 2)
        .group_by(ranked.c.person)
    )
    return {worker_id: {"median_s": float(ms) / 1000} for worker_id, ms in rows}


def _repeats(session: Session, study: Study, same: Mapping[int, int]) -> dict[int, dict[str, int]]:
    """Repeated pairs per person, and how many got the same clip, or a tie, both times."""
    again, first = aliased(Judgment), aliased(Judgment)
    trial, trial_before = aliased(Trial), aliased(Trial)
    showing, showing_before = aliased(Showing), aliased(Showing)
    same_side = again.choice == first.choice
    tie = (again.choice == Choice.TIE) | (first.choice == Choice.TIE)
    swapped = trial.a_is_left != trial_before.a_is_left
    agreed = (tie & same_side) | (~tie & ((swapped & ~same_side) | (~swapped & same_side)))
    # From the repeat to its showing, to the first showing, to both judgments: each step an index.
    rows = session.execute(
        select(_person(showing.worker_id, same), func.count(), count_if(agreed))
        .select_from(trial)
        .join(trial_before, trial.repeat_of_id == trial_before.id)
        .join(showing, showing.trial_id == trial.id)
        .join(
            showing_before,
            (showing_before.trial_id == trial_before.id)
            & (showing_before.worker_id == showing.worker_id),
        )
        .join(again, again.showing_id == showing.id)
        .join(
            first,
            (first.showing_id == showing_before.id) & (first.question_id == again.question_id),
        )
        .where(
            trial.study_id == study.id,
            trial.kind == TrialKind.REPEAT,
            again.status == JudgmentStatus.COUNTED,
            first.status == JudgmentStatus.COUNTED,
        )
        .group_by("person")
    )
    return {worker_id: {"repeats": int(n), "same": int(alike)} for worker_id, n, alike in rows}
