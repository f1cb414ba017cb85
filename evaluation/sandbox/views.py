"""Rows as the API's structures."""

from typing import Any

from evaluation.sandbox.accounts import dollars
from evaluation.sandbox.store import (
    Assignment,
    Bonus,
    Hit,
    Qualification,
    QualificationRequest,
    QualificationType,
)


def hit_view(hit: Hit) -> dict[str, Any]:
    """A `HIT`."""
    kind = hit.type
    return {
        "HITId": hit.external_id,
        "HITTypeId": kind.external_id,
        "HITGroupId": kind.group_id,
        "CreationTime": hit.created_at,
        "Title": kind.title,
        "Description": kind.description,
        "Question": hit.question,
        "Keywords": kind.keywords,
        "HITStatus": hit.status.value,
        "MaxAssignments": hit.max_assignments,
        "Reward": dollars(kind.reward_cents),
        "AutoApprovalDelayInSeconds": kind.auto_approval_s,
        "Expiration": hit.expires_at,
        "AssignmentDurationInSeconds": kind.duration_s,
        "RequesterAnnotation": hit.annotation or None,
        "QualificationRequirements": kind.requirements,
        "HITReviewStatus": "NotReviewed",
        "NumberOfAssignmentsPending": hit.n_pending,
        "NumberOfAssignmentsAvailable": hit.n_available,
        "NumberOfAssignmentsCompleted": hit.n_approved + hit.n_rejected,
    }


def assignment_view(assignment: Assignment) -> dict[str, Any]:
    """An `Assignment`."""
    return {
        "AssignmentId": assignment.external_id,
        "WorkerId": assignment.worker.external_id,
        "HITId": assignment.hit.external_id,
        "AssignmentStatus": assignment.status.value,
        "AutoApprovalTime": assignment.auto_approve_at,
        "AcceptTime": assignment.accepted_at,
        "SubmitTime": assignment.submitted_at,
        "ApprovalTime": assignment.approved_at,
        "RejectionTime": assignment.rejected_at,
        "Deadline": assignment.deadline,
        "Answer": assignment.answer,
        "RequesterFeedback": assignment.feedback or None,
    }


def bonus_view(bonus: Bonus) -> dict[str, Any]:
    """A `BonusPayment`."""
    return {
        "WorkerId": bonus.assignment.worker.external_id,
        "BonusAmount": dollars(bonus.cents),
        "AssignmentId": bonus.assignment.external_id,
        "Reason": bonus.reason,
        "GrantTime": bonus.granted_at,
    }


def qualification_type_view(kind: QualificationType, *, owned: bool) -> dict[str, Any]:
    """A `QualificationType`; only its owner is shown the answer key."""
    return {
        "QualificationTypeId": kind.external_id,
        "CreationTime": kind.created_at,
        "Name": kind.name,
        "Description": kind.description,
        "Keywords": kind.keywords or None,
        "QualificationTypeStatus": "Active" if kind.active else "Inactive",
        "Test": kind.test,
        "TestDurationInSeconds": kind.test_duration_s,
        "AnswerKey": kind.answer_key if owned else None,
        "RetryDelayInSeconds": kind.retry_delay_s,
        "IsRequestable": kind.account_id is not None,
        "AutoGranted": kind.auto_granted,
        "AutoGrantedValue": kind.auto_granted_value if kind.auto_granted else None,
    }


def qualification_view(held: Qualification) -> dict[str, Any]:
    """A `Qualification`."""
    return {
        "QualificationTypeId": held.type.external_id,
        "WorkerId": held.worker.external_id,
        "GrantTime": held.granted_at,
        "IntegerValue": held.value,
        "Status": held.status.value,
    }


def qualification_request_view(request: QualificationRequest) -> dict[str, Any]:
    """A `QualificationRequest`."""
    return {
        "QualificationRequestId": request.external_id,
        "QualificationTypeId": request.type.external_id,
        "WorkerId": request.worker.external_id,
        "Test": request.test,
        "Answer": request.answer,
        "SubmitTime": request.submitted_at,
    }
