"""Qualification types: made, found, listed, changed, deleted."""

from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from evaluation.sandbox.answer_keys import check_answer_key
from evaluation.sandbox.eligibility import SYSTEM_TYPES
from evaluation.sandbox.errors import invalid, not_authorized, request_error
from evaluation.sandbox.hit_types import (
    YEAR_S,
    find_qualification_type,
    require_length,
    require_range,
)
from evaluation.sandbox.paging import page
from evaluation.sandbox.question_form import read_form
from evaluation.sandbox.questions import MAX_BYTES
from evaluation.sandbox.registry import Call, operation
from evaluation.sandbox.store import (
    QualificationRequest,
    QualificationType,
    RequestStatus,
    new_id,
)
from evaluation.sandbox.views import qualification_type_view

_TEST = "Tests: QuestionForm with free text and selections, scored by an AnswerKey."


def add_system_types(session: Session, now: datetime) -> None:
    """Add the system's own qualification types to a new database."""
    for external_id, (name, description) in SYSTEM_TYPES.items():
        session.add(
            QualificationType(
                external_id=external_id,
                name=name,
                description=description,
                active=True,
                created_at=now,
            )
        )


def find(call: Call, *, owned: bool) -> QualificationType:
    """Return the qualification type that a call names.

    Args:
        call: its `QualificationTypeId` is looked up.
        owned: whether only the caller's own will do.

    Raises:
        ApiError: QualificationTypeDoesNotExist or NotAuthorized.
    """
    kind = find_qualification_type(call.unit, call.params["QualificationTypeId"])
    if owned and kind.account_id != call.account.id:
        raise not_authorized(f"qualification type {kind.external_id}")
    return kind


def _view(call: Call, kind: QualificationType) -> dict[str, Any]:
    """The type as the caller may see it."""
    return qualification_type_view(kind, owned=kind.account_id == call.account.id)


def _apply(kind: QualificationType, params: dict[str, Any]) -> None:
    """Set the attributes that a call gives, checked together."""
    _apply_test(kind, params)
    if "QualificationTypeStatus" in params:
        kind.active = params["QualificationTypeStatus"] == "Active"
    if "Description" in params:
        kind.description = require_length("Description", params["Description"], 1, 2000)
    if "RetryDelayInSeconds" in params:
        kind.retry_delay_s = require_range(
            "RetryDelayInSeconds", params["RetryDelayInSeconds"], 0, YEAR_S
        )
    if "AutoGranted" in params:
        kind.auto_granted = params["AutoGranted"]
    if "AutoGrantedValue" in params:
        kind.auto_granted_value = params["AutoGrantedValue"]


def _apply_test(kind: QualificationType, params: dict[str, Any]) -> None:
    """Set a test, its time and its key, given together; a new test without a key has none."""
    if params.get("AutoGranted") and (kind.test is not None or "Test" in params):
        raise invalid("AutoGranted", "a type with a test cannot be granted automatically")
    if "Test" not in params:
        for name in ("AnswerKey", "TestDurationInSeconds"):
            if name in params:
                raise invalid(name, "needs Test in the same call")
        return
    if len(params["Test"].encode()) > MAX_BYTES:
        raise invalid("Test", f"must not be longer than {MAX_BYTES} bytes")
    if "TestDurationInSeconds" not in params:
        raise invalid("TestDurationInSeconds", "must be given with Test")
    require_range("TestDurationInSeconds", params["TestDurationInSeconds"], 1, YEAR_S)
    if kind.auto_granted and params.get("AutoGranted") is not False:
        raise invalid("Test", "a type that is granted automatically cannot have a test")
    read_form(params["Test"], "Test")
    if "AnswerKey" in params:
        check_answer_key(params["AnswerKey"])
    kind.test = params["Test"]
    kind.test_duration_s = params["TestDurationInSeconds"]
    kind.answer_key = params.get("AnswerKey")


@operation("CreateQualificationType", note=_TEST)
def create_qualification_type(call: Call) -> dict[str, Any]:
    """Make a qualification type; its name is unique among the requester's own."""
    params, session = call.params, call.unit.session
    name = require_length("Name", params["Name"], 1, 200)
    taken = session.scalar(
        select(QualificationType).where(
            QualificationType.account_id == call.account.id,
            QualificationType.name == name,
            QualificationType.deleted_at.is_(None),
        )
    )
    if taken is not None:
        raise request_error(
            "QualificationTypeAlreadyExists",
            f"You have already created a QualificationType with this name: {name}",
        )
    kind = QualificationType(
        account_id=call.account.id,
        external_id=new_id(),
        name=name,
        keywords=require_length("Keywords", params.get("Keywords", ""), 0, 1000),
        description="",
        active=True,
        auto_granted=False,
        auto_granted_value=1,
        created_at=call.unit.now,
    )
    _apply(kind, params)
    session.add(kind)
    session.flush()
    return {"QualificationType": _view(call, kind)}


@operation("GetQualificationType")
def get_qualification_type(call: Call) -> dict[str, Any]:
    """Describe a qualification type, the system's and other requesters' included."""
    return {"QualificationType": _view(call, find(call, owned=False))}


@operation("UpdateQualificationType", note=_TEST + " A test that was begun stays as it was.")
def update_qualification_type(call: Call) -> dict[str, Any]:
    """Change a qualification type; what the call leaves out stays."""
    kind = find(call, owned=True)
    _apply(kind, call.params)
    return {"QualificationType": _view(call, kind)}


@operation("ListQualificationTypes")
def list_qualification_types(call: Call) -> dict[str, Any]:
    """List qualification types whose name, description or keywords hold the query."""
    query = select(QualificationType).where(QualificationType.deleted_at.is_(None))
    if call.params["MustBeRequestable"]:
        query = query.where(
            QualificationType.account_id.is_not(None), QualificationType.active.is_(True)
        )
    if call.params.get("MustBeOwnedByCaller", False):
        query = query.where(QualificationType.account_id == call.account.id)
    for word in call.params.get("Query", "").split():
        query = query.where(
            or_(
                QualificationType.name.icontains(word, autoescape=True),
                QualificationType.description.icontains(word, autoescape=True),
                QualificationType.keywords.icontains(word, autoescape=True),
            )
        )
    rows, counts = page(call, query, QualificationType.id)
    return {**counts, "QualificationTypes": [_view(call, kind) for kind in rows]}


@operation(
    "DeleteQualificationType",
    note="At once; Amazon took up to 48 hours and waited for the HITs that use the type.",
)
def delete_qualification_type(call: Call) -> dict[str, Any]:
    """Delete a type and reject its pending requests; granted qualifications stay."""
    kind = find(call, owned=True)
    kind.deleted_at = call.unit.now
    pending = select(QualificationRequest).where(
        QualificationRequest.type_id == kind.id,
        QualificationRequest.status.in_([RequestStatus.PENDING, RequestStatus.STARTED]),
    )
    for request in call.unit.session.scalars(pending):
        request.status = RequestStatus.REJECTED
        request.reason = "The qualification type was deleted."
    return {}
