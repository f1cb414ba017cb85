"""Who may see, preview and accept a HIT: qualification requirements against a worker.

A worker without a qualification meets `DoesNotExist` only. `PercentAssignmentsApproved` counts 100
until 100 assignments of a worker have been judged, as it did on Amazon's site.
"""

import enum
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from evaluation.sandbox.store import (
    Assignment,
    AssignmentStatus,
    Block,
    HitType,
    Qualification,
    QualificationStatus,
    QualificationType,
    Unit,
    Worker,
)

PERCENT_APPROVED = "000000000000000000L0"
NUMBER_APPROVED = "00000000000000000040"
LOCALE = "00000000000000000071"
ADULT = "00000000000000000060"
MASTERS = frozenset({"2F1QJWKUDD8XADTFD2Q0G6UTO95ALH", "2ARFPLSP75KLA8M8DH1HTEQVJT3SY6"})

SYSTEM_TYPES = {
    PERCENT_APPROVED: (
        "Worker_PercentAssignmentsApproved",
        "The percentage of a worker's assignments that requesters approved.",
    ),
    NUMBER_APPROVED: (
        "Worker_NumberHITsApproved",
        "The number of a worker's assignments that requesters approved.",
    ),
    LOCALE: ("Worker_Locale", "Where the worker lives."),
    ADULT: ("Worker_Adult", "The worker agreed to see adult content."),
    "2F1QJWKUDD8XADTFD2Q0G6UTO95ALH": ("Masters", "Workers with the Masters qualification."),
    "2ARFPLSP75KLA8M8DH1HTEQVJT3SY6": (
        "Masters (sandbox)",
        "Workers with the Masters qualification, under the sandbox's id.",
    ),
}

_LABELS = {
    PERCENT_APPROVED: "HIT approval rate (%)",
    NUMBER_APPROVED: "Number of approved HITs",
    LOCALE: "Location",
    ADULT: "Adult content",
}
"""What the worker site calls the system's types; others go by their names."""

NEWCOMER_BELOW = 100
"""Judged assignments below which the approval percentage counts as 100."""

_COMPARE: dict[str, tuple[Callable[[int, int], bool], str]] = {
    "LessThan": (operator.lt, "less than"),
    "LessThanOrEqualTo": (operator.le, "at most"),
    "GreaterThan": (operator.gt, "more than"),
    "GreaterThanOrEqualTo": (operator.ge, "at least"),
    "EqualTo": (operator.eq, "exactly"),
    "NotEqualTo": (operator.ne, "not"),
}


class Action(enum.IntEnum):
    """What a worker wants to do; a requirement guards an action and those that come after it."""

    DISCOVER = 0
    PREVIEW = 1
    ACCEPT = 2


_GUARDED_FROM = {
    "Accept": Action.ACCEPT,
    "PreviewAndAccept": Action.PREVIEW,
    "DiscoverPreviewAndAccept": Action.DISCOVER,
}


@dataclass(frozen=True)
class Check:
    """One requirement, told to the worker; `held` is what they have, in words."""

    text: str
    held: str
    met: bool
    guards: Action
    type_id: str


def guarded_from(requirement: dict[str, Any]) -> Action:
    """The first action that a requirement guards; `RequiredToPreview` is its old form."""
    if "ActionsGuarded" in requirement:
        return _GUARDED_FROM[requirement["ActionsGuarded"]]
    return Action.PREVIEW if requirement.get("RequiredToPreview") else Action.ACCEPT


def checks(unit: Unit, worker: Worker, hit_type: HitType) -> list[Check]:
    """Compare a worker with every requirement of a HIT type."""
    return [_check(unit, worker, requirement) for requirement in hit_type.requirements]


def permits(found: Iterable[Check], action: Action) -> bool:
    """Whether a worker may do something: all requirements that guard it are met."""
    return all(check.met for check in found if check.guards <= action)


def is_blocked(unit: Unit, worker: Worker, account_id: int) -> bool:
    """Whether a requester has blocked a worker."""
    query = select(Block.id).where(Block.account_id == account_id, Block.worker_id == worker.id)
    return unit.session.scalar(query) is not None


def approvals(unit: Unit, worker: Worker) -> tuple[int, int]:
    """How many of a worker's assignments were approved and rejected, earlier ones included."""
    counted = unit.session.execute(
        select(Assignment.status, func.count())
        .where(Assignment.worker_id == worker.id)
        .group_by(Assignment.status)
    )
    counts = dict(counted.all())
    return (
        worker.approved_before + counts.get(AssignmentStatus.APPROVED, 0),
        worker.rejected_before + counts.get(AssignmentStatus.REJECTED, 0),
    )


def percent_approved(approved: int, rejected: int) -> int:
    """The whole percentage of judged work that was approved; 100 for newcomers.

    >>> percent_approved(99, 0), percent_approved(99, 99), percent_approved(949, 51)
    (100, 50, 94)
    """
    judged = approved + rejected
    return 100 if judged < NEWCOMER_BELOW else 100 * approved // judged


def _check(unit: Unit, worker: Worker, requirement: dict[str, Any]) -> Check:
    """One requirement."""
    type_id, comparator = requirement["QualificationTypeId"], requirement["Comparator"]
    name = _name(unit, type_id)
    if type_id == LOCALE:
        met, wanted = _compare_locale(worker, comparator, requirement.get("LocaleValues", []))
        held = "-".join(filter(None, (worker.country, worker.subdivision))) or "unknown"
    else:
        has, value = _value(unit, worker, type_id)
        met, wanted = _compare(has, value, comparator, requirement.get("IntegerValues", []))
        held = ("none" if not has else "granted") if value is None else str(value)
    return Check(f"{name} {wanted}", held, met, guarded_from(requirement), type_id)


def _name(unit: Unit, type_id: str) -> str:
    """A qualification type's name for a worker."""
    query = select(QualificationType.name).where(QualificationType.external_id == type_id)
    return _LABELS.get(type_id) or unit.session.scalar(query) or type_id


def _value(unit: Unit, worker: Worker, type_id: str) -> tuple[bool, int | None]:
    """Whether a worker has a qualification, and its value if it has one."""
    if type_id in (PERCENT_APPROVED, NUMBER_APPROVED):
        approved, rejected = approvals(unit, worker)
        percent = percent_approved(approved, rejected)
        return True, percent if type_id == PERCENT_APPROVED else approved
    if type_id == ADULT:
        return True, int(worker.adult)
    if type_id in MASTERS:
        return worker.masters, None
    row = unit.session.scalar(
        select(Qualification)
        .join(QualificationType)
        .where(
            QualificationType.external_id == type_id,
            Qualification.worker_id == worker.id,
            Qualification.status == QualificationStatus.GRANTED,
        )
    )
    return (False, None) if row is None else (True, row.value)


def _compare(has: bool, value: int | None, comparator: str, wanted: list[int]) -> tuple[bool, str]:
    """Compare an integer qualification; the words say what is wanted."""
    if comparator == "Exists":
        return has, "has been granted"
    if comparator == "DoesNotExist":
        return not has, "has not been granted"
    if comparator in ("In", "NotIn"):
        words = ", ".join(map(str, wanted))
        inside = value in wanted
        met = value is not None and (inside if comparator == "In" else not inside)
        return met, f"{'one of' if comparator == 'In' else 'none of'} {words}"
    test, word = _COMPARE[comparator]
    return value is not None and test(value, wanted[0]), f"{word} {wanted[0]}"


def _compare_locale(
    worker: Worker, comparator: str, wanted: list[dict[str, str]]
) -> tuple[bool, str]:
    """Compare where a worker lives; a country stands for all its subdivisions."""
    if comparator in ("Exists", "DoesNotExist"):
        known = bool(worker.country)
        return known is (comparator == "Exists"), (
            "is known" if comparator == "Exists" else "is unknown"
        )
    inside = any(
        place["Country"] == worker.country
        and place.get("Subdivision", worker.subdivision) == worker.subdivision
        for place in wanted
    )
    words = ", ".join("-".join(filter(None, (p["Country"], p.get("Subdivision")))) for p in wanted)
    wants_inside = comparator in ("EqualTo", "In")
    met = bool(worker.country) and inside is wants_inside
    return met, f"{'in' if wants_inside else 'not in'} {words}"
