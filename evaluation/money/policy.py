"""Who is paid: everyone who finished, unless an explicit rule with a reason says otherwise."""

from dataclasses import dataclass

from evaluation.crowd.base import PlatformAssignment
from evaluation.errors import UsageError
from evaluation.schema import Assignment, AssignmentStatus, Review, ReviewDecision

JUDGED = {
    AssignmentStatus.APPROVED: ReviewDecision.APPROVE,
    AssignmentStatus.REJECTED: ReviewDecision.REJECT,
}
BY_OTHERS = "decided on the platform"
THANKS = "Thank you."  # what an approved worker reads


@dataclass(frozen=True)
class Policy:
    """Who is paid. The default approves everyone who finished and rejects nobody.

    Args:
        reject_unfinished: reject those who submitted without answering every trial.
        reason: what a rejected worker reads; required when rejecting.
    """

    reject_unfinished: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        if self.reject_unfinished and not self.reason.strip():
            raise UsageError("a rejection needs a reason that the worker can read: give --reason")


def decide(
    theirs: PlatformAssignment, ours: Assignment | None, latest: Review | None, policy: Policy
) -> tuple[ReviewDecision, str] | None:
    """Return the decision and the text for the worker; None leaves the assignment alone."""
    if theirs.status in JUDGED:
        return JUDGED[theirs.status], BY_OTHERS
    if latest is not None:
        # An interrupted run decided; a policy that changed since changes nothing.
        return latest.decision, latest.reason
    if ours is not None and ours.submitted_at is not None:  # finished here
        return ReviewDecision.APPROVE, THANKS
    if policy.reject_unfinished:
        return ReviewDecision.REJECT, policy.reason
    return None
