"""Qualifications: given, taken away, looked up; requests for them answered."""

from typing import Any

from sqlalchemy import select

from evaluation.sandbox import messages, qualification_types
from evaluation.sandbox.errors import missing, not_authorized, request_error
from evaluation.sandbox.paging import page
from evaluation.sandbox.registry import Call, operation
from evaluation.sandbox.store import (
    Qualification,
    QualificationRequest,
    QualificationStatus,
    QualificationType,
    RequestStatus,
    Unit,
    Worker,
)
from evaluation.sandbox.views import qualification_request_view, qualification_view
from evaluation.sandbox.workers import find_worker, get_worker


def grant(unit: Unit, kind: QualificationType, worker: Worker, value: int | None) -> None:
    """Give a worker a qualification, or a new value of one they have."""
    held = find_held(unit, kind, worker)
    if held is None:
        held = Qualification(type=kind, worker=worker)
        unit.session.add(held)
    held.status = QualificationStatus.GRANTED
    held.value, held.granted_at, held.reason = value, unit.now, ""


def find_held(unit: Unit, kind: QualificationType, worker: Worker) -> Qualification | None:
    """Return a worker's qualification of a type, revoked ones included."""
    return unit.session.scalar(
        select(Qualification).where(
            Qualification.type_id == kind.id, Qualification.worker_id == worker.id
        )
    )


def _find(call: Call) -> Qualification:
    """The qualification that a call names, revoked ones included."""
    kind = qualification_types.find(call, owned=True)
    worker = find_worker(call.unit, call.params["WorkerId"])
    held = find_held(call.unit, kind, worker) if worker is not None else None
    if held is None:
        raise missing("Qualification", f"{kind.external_id} of {call.params['WorkerId']}")
    return held


def _granted(call: Call) -> Qualification:
    """The qualification that a call names, unless it was revoked."""
    held = _find(call)
    if held.status is QualificationStatus.REVOKED:
        raise request_error("InvalidQualificationState", "The qualification was revoked.")
    return held


@operation(
    "AssociateQualificationWithWorker",
    note="Any well-formed worker id is accepted; the notice stands on the worker's page.",
)
def associate_qualification_with_worker(call: Call) -> dict[str, Any]:
    """Give a worker a qualification of the requester's."""
    kind = qualification_types.find(call, owned=True)
    worker = get_worker(call.unit, call.params["WorkerId"])
    grant(call.unit, kind, worker, call.params.get("IntegerValue"))
    if call.params.get("SendNotification", True):
        messages.tell(call, worker, f"You were granted {kind.name}", kind.description)
    return {}


@operation("DisassociateQualificationFromWorker")
def disassociate_qualification_from_worker(call: Call) -> dict[str, Any]:
    """Take a qualification away from a worker, who can see the reason."""
    held = _granted(call)
    held.status = QualificationStatus.REVOKED
    held.reason = call.params.get("Reason", "")
    return {}


@operation("GetQualificationScore")
def get_qualification_score(call: Call) -> dict[str, Any]:
    """Give the value of a worker's qualification."""
    return {"Qualification": qualification_view(_granted(call))}


@operation("ListWorkersWithQualificationType")
def list_workers_with_qualification_type(call: Call) -> dict[str, Any]:
    """List who holds a qualification type, or (`Status=Revoked`) held it."""
    kind = qualification_types.find(call, owned=True)
    status = QualificationStatus(call.params.get("Status", "Granted"))
    query = select(Qualification).where(
        Qualification.type_id == kind.id, Qualification.status == status
    )
    rows, counts = page(call, query, Qualification.id)
    return {**counts, "Qualifications": [qualification_view(row) for row in rows]}


@operation("ListQualificationRequests", note="Pending requests only.")
def list_qualification_requests(call: Call) -> dict[str, Any]:
    """List workers' pending requests for one or all of the requester's types."""
    query = (
        select(QualificationRequest)
        .join(QualificationType)
        .where(
            QualificationType.account_id == call.account.id,
            QualificationRequest.status == RequestStatus.PENDING,
        )
    )
    if "QualificationTypeId" in call.params:
        kind = qualification_types.find(call, owned=True)
        query = query.where(QualificationType.id == kind.id)
    rows, counts = page(call, query, QualificationRequest.id)
    return {**counts, "QualificationRequests": [qualification_request_view(r) for r in rows]}


def _request(call: Call) -> QualificationRequest:
    """The pending request that a call names."""
    key = call.params["QualificationRequestId"]
    request = call.unit.session.scalar(
        select(QualificationRequest).where(QualificationRequest.external_id == key)
    )
    if request is None or request.status is RequestStatus.STARTED:
        raise missing("QualificationRequest", key)
    if request.type.account_id != call.account.id:
        raise not_authorized(f"qualification request {key}")
    if request.status is not RequestStatus.PENDING:
        raise request_error(
            "InvalidQualificationRequestState", f"The request was already {request.status}."
        )
    return request


@operation("AcceptQualificationRequest")
def accept_qualification_request(call: Call) -> dict[str, Any]:
    """Grant what a worker asked for."""
    request = _request(call)
    request.status = RequestStatus.GRANTED
    grant(call.unit, request.type, request.worker, call.params.get("IntegerValue"))
    return {}


@operation("RejectQualificationRequest")
def reject_qualification_request(call: Call) -> dict[str, Any]:
    """Refuse what a worker asked for; they can see the reason."""
    request = _request(call)
    request.status = RequestStatus.REJECTED
    request.reason = call.params.get("Reason", "")
    return {}
