"""Assignments as the requester sees them: listed, approved, rejected, a rejection reversed."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from evaluation.sandbox import hits, lifecycle
from evaluation.sandbox.errors import missing, request_error, wrong_assignment_state
from evaluation.sandbox.hit_types import require_length
from evaluation.sandbox.paging import page
from evaluation.sandbox.registry import Call, operation
from evaluation.sandbox.store import SHOWN, Assignment, AssignmentStatus, Hit, HitStatus
from evaluation.sandbox.views import assignment_view, hit_view

REVERSIBLE_FOR = timedelta(days=30)
"""How long after its submission a rejected assignment can still be approved."""

_SHOWN_WORDS = ", ".join(SHOWN)


def find(call: Call) -> Assignment:
    """Return the caller's live assignment that a call names.

    Raises:
        ApiError: AssignmentDoesNotExist, another requester's included.
    """
    assignment = call.unit.session.scalar(
        select(Assignment)
        .join(Hit)
        .where(
            Assignment.external_id == call.params["AssignmentId"],
            Assignment.status.not_in([AssignmentStatus.RETURNED, AssignmentStatus.ABANDONED]),
            Hit.account_id == call.account.id,
        )
    )
    if assignment is None:
        raise missing("Assignment", call.params["AssignmentId"])
    return assignment


@operation("ListAssignmentsForHIT", note="In the order of submission.")
def list_assignments_for_hit(call: Call) -> dict[str, Any]:
    """List a HIT's submitted assignments, of all or of some statuses."""
    hit = hits.find(call, call.params["HITId"])
    statuses = call.params.get("AssignmentStatuses") or list(SHOWN)
    query = select(Assignment).where(
        Assignment.hit_id == hit.id,
        Assignment.status.in_([AssignmentStatus(status) for status in statuses]),
    )
    rows, counts = page(call, query, Assignment.submission)
    return {**counts, "Assignments": [assignment_view(row) for row in rows]}


@operation("GetAssignment", note="Until its HIT is deleted.")
def get_assignment(call: Call) -> dict[str, Any]:
    """Describe a submitted assignment and its HIT, until the HIT is deleted."""
    assignment = find(call)
    if assignment.hit.status is HitStatus.DISPOSED:
        raise missing("Assignment", assignment.external_id)
    if assignment.status not in SHOWN:
        raise wrong_assignment_state(assignment.status, _SHOWN_WORDS)
    return {"Assignment": assignment_view(assignment), "HIT": hit_view(assignment.hit)}


def _feedback(call: Call) -> str:
    """The message for the worker."""
    text = call.params.get("RequesterFeedback", "")
    return require_length("RequesterFeedback", text, 0, 1024)


@operation(
    "ApproveAssignment",
    note="A rejection can be reversed for 30 days from submission, until the HIT is deleted.",
)
def approve_assignment(call: Call) -> dict[str, Any]:
    """Approve a submission, or with `OverrideRejection` one that was rejected."""
    assignment = find(call)
    feedback = _feedback(call)
    override = call.params.get("OverrideRejection", False)
    if assignment.status is AssignmentStatus.REJECTED and override:
        _check_reversible(call, assignment)
    elif assignment.status is not AssignmentStatus.SUBMITTED:
        raise wrong_assignment_state(assignment.status, AssignmentStatus.SUBMITTED)
    lifecycle.approve(call.unit, assignment, call.unit.now)
    assignment.feedback = feedback
    return {}


def _check_reversible(call: Call, assignment: Assignment) -> None:
    """Refuse to reverse a rejection too late or on a deleted HIT."""
    assert assignment.submitted_at is not None
    if assignment.hit.status is HitStatus.DISPOSED:
        raise request_error("InvalidHITState", "The HIT was deleted; its rejections stand.")
    if call.unit.now - assignment.submitted_at > REVERSIBLE_FOR:
        raise request_error(
            "InvalidAssignmentState",
            f"It was submitted more than {REVERSIBLE_FOR.days} days ago; its rejection stands.",
        )


@operation("RejectAssignment")
def reject_assignment(call: Call) -> dict[str, Any]:
    """Reject a submission; what was held for it is free again."""
    assignment = find(call)
    if assignment.status is not AssignmentStatus.SUBMITTED:
        raise wrong_assignment_state(assignment.status, AssignmentStatus.SUBMITTED)
    assignment.feedback = _feedback(call)
    assignment.rejected_at = call.unit.now
    lifecycle.move(call.unit, assignment, AssignmentStatus.REJECTED)
    return {}
