"""HIT types: equal properties give the same id back."""

import hashlib
import json
from typing import Any

from sqlalchemy import select

from evaluation.sandbox import accounts
from evaluation.sandbox.eligibility import LOCALE
from evaluation.sandbox.errors import invalid, missing
from evaluation.sandbox.registry import Call, operation
from evaluation.sandbox.store import HitType, QualificationType, Unit, new_id

YEAR_S = 365 * 24 * 3600
MONTH_S = 30 * 24 * 3600
MAX_REQUIREMENTS = 10
MAX_INTEGER_VALUES = 15
MAX_LOCALE_VALUES = 30


def require_range(name: str, value: int, low: int, high: int) -> int:
    """Return a number that lies within Amazon's limits.

    Raises:
        ApiError: InvalidParameterValue.
    """
    if not low <= value <= high:
        raise invalid(name, f"must be between {low} and {high}, not {value}")
    return value


def require_length(name: str, value: str, low: int, high: int) -> str:
    """Return a text whose length lies within Amazon's limits.

    Raises:
        ApiError: InvalidParameterValue.
    """
    if not low <= len(value) <= high:
        raise invalid(name, f"must have {low} to {high} characters, not {len(value)}")
    return value


def find_or_create(call: Call) -> HitType:
    """Return the caller's HIT type with the call's properties, made if it is new.

    Raises:
        ApiError: a property outside Amazon's limits, or an unknown qualification type.
    """
    properties = _properties(call)
    text = json.dumps(properties, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    found = call.unit.session.scalar(
        select(HitType).where(HitType.account_id == call.account.id, HitType.digest == digest)
    )
    if found is not None:
        return found
    made = HitType(
        account_id=call.account.id,
        external_id=new_id(),
        group_id=new_id(),
        digest=digest,
        notification={},
        notification_active=False,
        **properties,
    )
    call.unit.session.add(made)
    call.unit.session.flush()
    return made


def find(call: Call, external_id: str) -> HitType:
    """Return one of the caller's HIT types.

    Raises:
        ApiError: HITTypeDoesNotExist.
    """
    found = call.unit.session.scalar(
        select(HitType).where(
            HitType.account_id == call.account.id, HitType.external_id == external_id
        )
    )
    if found is None:
        raise missing("HITType", external_id)
    return found


def check_requirements(unit: Unit, requirements: list[dict[str, Any]]) -> None:
    """Check qualification requirements as a whole and one by one.

    Raises:
        ApiError: InvalidParameterValue or QualificationTypeDoesNotExist.
    """
    if len(requirements) > MAX_REQUIREMENTS:
        raise invalid("QualificationRequirements", f"at most {MAX_REQUIREMENTS}")
    for requirement in requirements:
        type_id = requirement["QualificationTypeId"]
        if not find_qualification_type(unit, type_id).active:
            raise invalid("QualificationTypeId", f"{type_id} is inactive")
        _check_values(requirement)


def find_qualification_type(unit: Unit, external_id: str) -> QualificationType:
    """Return a qualification type, whoever owns it.

    Raises:
        ApiError: QualificationTypeDoesNotExist.
    """
    found = unit.session.scalar(
        select(QualificationType).where(
            QualificationType.external_id == external_id, QualificationType.deleted_at.is_(None)
        )
    )
    if found is None:
        raise missing("QualificationType", external_id)
    return found


def _check_values(requirement: dict[str, Any]) -> None:
    """The values that a comparator takes."""
    comparator = requirement["Comparator"]
    is_locale = requirement["QualificationTypeId"] == LOCALE
    used, other = "IntegerValues", "LocaleValues"
    if is_locale:
        used, other = other, used
    values = requirement.get(used, [])
    if requirement.get(other):
        raise invalid(other, f"cannot be used with {requirement['QualificationTypeId']}")
    if "ActionsGuarded" in requirement and "RequiredToPreview" in requirement:
        raise invalid("RequiredToPreview", "cannot be used together with ActionsGuarded")
    if comparator in ("Exists", "DoesNotExist"):
        if values:
            raise invalid(used, f"must not be given with {comparator}")
    elif comparator in ("In", "NotIn"):
        limit = MAX_LOCALE_VALUES if is_locale else MAX_INTEGER_VALUES
        require_range(f"number of {used}", len(values), 1, limit)
    else:
        if is_locale and comparator not in ("EqualTo", "NotEqualTo"):
            raise invalid("Comparator", f"{comparator} cannot be used with a locale")
        require_range(f"number of {used}", len(values), 1, 1)


def _properties(call: Call) -> dict[str, Any]:
    """The shared properties of HITs, checked, with defaults filled in."""
    params = call.params
    requirements = params.get("QualificationRequirements", [])
    check_requirements(call.unit, requirements)
    return {
        "title": require_length("Title", params["Title"], 1, 128),
        "description": require_length("Description", params["Description"], 1, 2000),
        "keywords": require_length("Keywords", params.get("Keywords", ""), 0, 1000),
        "reward_cents": require_range("Reward", accounts.cents_of(params["Reward"]), 1, 10**9),
        "duration_s": require_range(
            "AssignmentDurationInSeconds", params["AssignmentDurationInSeconds"], 30, YEAR_S
        ),
        "auto_approval_s": require_range(
            "AutoApprovalDelayInSeconds",
            params.get("AutoApprovalDelayInSeconds", MONTH_S),
            0,
            MONTH_S,
        ),
        "requirements": requirements,
    }


@operation("CreateHITType")
def create_hit_type(call: Call) -> dict[str, Any]:
    """Register a HIT type, or return the id of an equal one."""
    return {"HITTypeId": find_or_create(call).external_id}
