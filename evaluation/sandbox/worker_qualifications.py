"""What a worker does about qualifications: ask for one, take its test."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from evaluation.sandbox import answer_keys, qualifications
from evaluation.sandbox.question_form import Answer, answers_xml, check_answers, read_form
from evaluation.sandbox.store import (
    Qualification,
    QualificationRequest,
    QualificationStatus,
    QualificationType,
    RequestStatus,
    Unit,
    Worker,
    is_id,
    new_id,
)
from evaluation.services.web import Refusal


@dataclass(frozen=True)
class Standing:
    """A requestable qualification type and how a worker stands to it."""

    type: QualificationType
    held: Qualification | None
    request: QualificationRequest | None


def standings(unit: Unit, worker: Worker) -> list[Standing]:
    """Return all active types with the worker's qualification and latest request."""
    kinds = unit.session.scalars(
        select(QualificationType)
        .where(
            QualificationType.account_id.is_not(None),
            QualificationType.active.is_(True),
            QualificationType.deleted_at.is_(None),
        )
        .order_by(QualificationType.name, QualificationType.id)
    )
    return [
        Standing(kind, _held(unit, kind, worker), _latest(unit, kind, worker)) for kind in kinds
    ]


def _held(unit: Unit, kind: QualificationType, worker: Worker) -> Qualification | None:
    """The worker's granted qualification of a type."""
    held = qualifications.find_held(unit, kind, worker)
    return held if held and held.status is QualificationStatus.GRANTED else None


def _latest(unit: Unit, kind: QualificationType, worker: Worker) -> QualificationRequest | None:
    """The worker's latest request for a type; an open test past its time has expired."""
    request = unit.session.scalar(
        select(QualificationRequest)
        .where(QualificationRequest.type_id == kind.id, QualificationRequest.worker_id == worker.id)
        .order_by(QualificationRequest.id.desc())
        .limit(1)
    )
    if request is not None and request.status is RequestStatus.STARTED:
        limit = timedelta(seconds=request.test_duration_s or 0)
        if unit.now > request.started_at + limit:
            request.status = RequestStatus.EXPIRED
    return request


def find_type(unit: Unit, external_id: str) -> QualificationType:
    """Return a qualification type that can be asked for.

    Raises:
        Refusal: there is none, or it is inactive.
    """
    query = select(QualificationType).where(
        QualificationType.external_id == external_id,
        QualificationType.account_id.is_not(None),
        QualificationType.deleted_at.is_(None),
    )
    kind = unit.session.scalar(query) if is_id(external_id) else None
    if kind is None:
        raise Refusal("There is no such qualification.", 404)
    if not kind.active:
        raise Refusal("This qualification cannot be requested now.")
    return kind


def ask(unit: Unit, worker: Worker, kind: QualificationType) -> QualificationRequest:
    """Ask for a qualification: granted at once, a test to take, or pending with the requester.

    Raises:
        Refusal: asked before and no retry, or too early.
    """
    latest = _latest(unit, kind, worker)
    if latest is not None:
        if latest.status is RequestStatus.STARTED:
            return latest
        if latest.status is RequestStatus.PENDING:
            raise Refusal("Your request is waiting for the requester.")
        _check_retry(unit, kind, latest)
    request = QualificationRequest(
        external_id=new_id(),
        type=kind,
        worker=worker,
        status=RequestStatus.STARTED if kind.test else RequestStatus.PENDING,
        test=kind.test,
        answer_key=kind.answer_key,
        test_duration_s=kind.test_duration_s,
        started_at=unit.now,
    )
    if not kind.test:
        request.submitted_at = unit.now
    if kind.auto_granted:
        qualifications.grant(unit, kind, worker, kind.auto_granted_value)
        request.status = RequestStatus.GRANTED
    unit.session.add(request)
    unit.session.flush()
    return request


def _check_retry(unit: Unit, kind: QualificationType, latest: QualificationRequest) -> None:
    """Refuse a repeated request that the type does not allow, or not yet."""
    if kind.retry_delay_s is None:
        raise Refusal("This qualification can be requested only once.")
    asked_at = latest.submitted_at or latest.started_at
    again_at = asked_at + timedelta(seconds=kind.retry_delay_s)
    if unit.now < again_at:
        raise Refusal(f"You can request this again from {again_at:%Y-%m-%d %H:%M} UTC.")


def open_test(unit: Unit, worker: Worker, kind: QualificationType) -> QualificationRequest:
    """Return the worker's running test of a type.

    Raises:
        Refusal: none is running, or its time has run out.
    """
    request = _latest(unit, kind, worker)
    if request is None or request.status is not RequestStatus.STARTED:
        raise Refusal("No test of this qualification is running.")
    return request


def submit_test(unit: Unit, request: QualificationRequest, answers: list[Answer]) -> None:
    """Submit a test: scored at once when it had a key, else pending with the requester.

    Raises:
        Refusal: the answers do not fit the test.
    """
    assert request.test is not None
    form = read_form(request.test, "Test")
    checked = check_answers(form, answers)
    request.answer = answers_xml(checked, form)
    request.submitted_at = unit.now
    if request.answer_key is None:
        request.status = RequestStatus.PENDING
        return
    given = {name: frozenset(values) for name, values in checked}
    request.status = RequestStatus.GRANTED
    value = answer_keys.score(request.answer_key, given)
    qualifications.grant(unit, request.type, request.worker, value)
