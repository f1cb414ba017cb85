"""HITs: made, found, extended, expired, reviewed and deleted."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from evaluation.budget import SMALL_HIT
from evaluation.sandbox import accounts, hit_types, lifecycle, tokens
from evaluation.sandbox.errors import (
    invalid,
    missing,
    not_supported,
    request_error,
    wrong_hit_state,
)
from evaluation.sandbox.hit_types import require_length, require_range
from evaluation.sandbox.notifications import emit
from evaluation.sandbox.paging import page
from evaluation.sandbox.question_form import check_question
from evaluation.sandbox.registry import Call, Support, operation
from evaluation.sandbox.store import Hit, HitStatus, HitType, new_id
from evaluation.sandbox.views import hit_view

_MADE_OF = (
    "Questions: ExternalQuestion (http is allowed, Amazon wanted https), HTMLQuestion and "
    "QuestionForm with free text and selections. Layouts and review policies are refused."
)


def find(call: Call, external_id: str) -> Hit:
    """Return one of the caller's HITs; another requester's does not exist for them.

    Raises:
        ApiError: HITDoesNotExist.
    """
    hit = call.unit.session.scalar(
        select(Hit).where(Hit.account_id == call.account.id, Hit.external_id == external_id)
    )
    if hit is None:
        raise missing("HIT", external_id)
    return hit


def _living(call: Call) -> Hit:
    """The HIT that a call names, unless it was disposed of."""
    hit = find(call, call.params["HITId"])
    if hit.status is HitStatus.DISPOSED:
        raise wrong_hit_state(hit.status, "it was deleted")
    return hit


def _create(call: Call, hit_type: HitType) -> dict[str, Any]:
    """Make a HIT of a type and hold what it can cost."""
    params = call.params
    for policy in ("AssignmentReviewPolicy", "HITReviewPolicy"):
        if policy in params:
            raise not_supported(policy, "review assignments with Approve and RejectAssignment")
    if "HITLayoutId" in params:
        raise missing("HITLayout", params["HITLayoutId"])
    if "Question" not in params:
        raise invalid("Question", "give Question or HITLayoutId")
    check_question(params["Question"])
    maximum = require_range("MaxAssignments", params.get("MaxAssignments", 1), 1, 10**9)
    lifetime = require_range("LifetimeInSeconds", params["LifetimeInSeconds"], 30, hit_types.YEAR_S)
    now = call.unit.now
    hit = Hit(
        account=call.account,
        type=hit_type,
        external_id=new_id(),
        question=params["Question"],
        annotation=require_length(
            "RequesterAnnotation", params.get("RequesterAnnotation", ""), 0, 255
        ),
        max_assignments=maximum,
        status=HitStatus.ASSIGNABLE,
        n_pending=0,
        n_submitted=0,
        n_approved=0,
        n_rejected=0,
        n_submissions=0,
        held_cents=0,
        created_at=now,
        expires_at=now + timedelta(seconds=lifetime),
    )
    each = lifecycle.cost_of(hit_type, maximum)
    accounts.require_funds(call.account, maximum * each)  # before the row, so nothing is left
    call.unit.session.add(hit)
    lifecycle.refresh(call.unit, hit)
    call.unit.session.flush()
    tokens.remember(call, "CreateHIT", hit.external_id)
    emit(call.unit, "HITCreated", hit, now)
    return {"HIT": hit_view(hit)}


@operation("CreateHIT", Support.PARTIAL, _MADE_OF)
def create_hit(call: Call) -> dict[str, Any]:
    """Make a HIT and, if needed, its HIT type."""
    tokens.refuse_repeat(call, "CreateHIT", "HitAlreadyExists")
    return _create(call, hit_types.find_or_create(call))


@operation("CreateHITWithHITType", Support.PARTIAL, _MADE_OF)
def create_hit_with_hit_type(call: Call) -> dict[str, Any]:
    """Make a HIT of an existing HIT type."""
    tokens.refuse_repeat(call, "CreateHIT", "HitAlreadyExists")
    hit_type = hit_types.find(call, call.params["HITTypeId"])
    hit_types.check_requirements(call.unit, hit_type.requirements)
    return _create(call, hit_type)


@operation("GetHIT", note="`HITReviewStatus` is always `NotReviewed`, `HITLayoutId` never given.")
def get_hit(call: Call) -> dict[str, Any]:
    """Describe a HIT; a deleted one is `Disposed`."""
    return {"HIT": hit_view(find(call, call.params["HITId"]))}


def _mine(call: Call) -> Select[Hit]:
    """The caller's HITs that were not disposed of."""
    return (
        select(Hit)
        .options(joinedload(Hit.type))
        .where(Hit.account_id == call.account.id, Hit.status != HitStatus.DISPOSED)
    )


def _listed(call: Call, query: Select[Hit]) -> dict[str, Any]:
    """A page of HITs, the newest first."""
    rows, counts = page(call, query, Hit.id, newest_first=True)
    return {**counts, "HITs": [hit_view(hit) for hit in rows]}


@operation("ListHITs", note="Newest first.")
def list_hits(call: Call) -> dict[str, Any]:
    """List all HITs of the requester."""
    return _listed(call, _mine(call))


@operation("ListReviewableHITs", note="Newest first.")
def list_reviewable_hits(call: Call) -> dict[str, Any]:
    """List HITs that wait for review, or (`Status=Reviewing`) that are being reviewed."""
    status = HitStatus(call.params.get("Status", "Reviewable"))
    query = _mine(call).where(Hit.status == status)
    if "HITTypeId" in call.params:
        query = query.where(Hit.type_id == hit_types.find(call, call.params["HITTypeId"]).id)
    return _listed(call, query)


@operation("ListHITsForQualificationType", note="Newest first.")
def list_hits_for_qualification_type(call: Call) -> dict[str, Any]:
    """List HITs that require a qualification type."""
    wanted = call.params["QualificationTypeId"]
    mine = select(HitType).where(HitType.account_id == call.account.id)
    users = [
        kind.id
        for kind in call.unit.session.scalars(mine)
        if any(r["QualificationTypeId"] == wanted for r in kind.requirements)
    ]
    return _listed(call, _mine(call).where(Hit.type_id.in_(users)))


@operation("UpdateHITReviewStatus")
def update_hit_review_status(call: Call) -> dict[str, Any]:
    """Turn a Reviewable HIT into a Reviewing one, or back."""
    hit = _living(call)
    now_is, becomes = HitStatus.REVIEWABLE, HitStatus.REVIEWING
    if call.params.get("Revert", False):
        now_is, becomes = becomes, now_is
    if hit.status is not now_is:
        raise wrong_hit_state(hit.status, f"only a HIT that is {now_is} can become {becomes}")
    hit.status = becomes
    return {}


@operation(
    "UpdateExpirationForHIT",
    note="With the duplicate error set to its field form, the same change within 24 hours is "
    "refused, as was seen.",
)
def update_expiration_for_hit(call: Call) -> dict[str, Any]:
    """Set when a HIT expires; a time in the past expires it now."""
    hit = _living(call)
    wanted, now = call.params["ExpireAt"], call.unit.now
    if wanted > now + timedelta(seconds=hit_types.YEAR_S):
        raise invalid("ExpireAt", "at most 365 days from now")
    if call.unit.service.duplicate_error == "field":
        token = f"{hit.external_id}{wanted:%a %b %d %H:%M:%S UTC %Y}"
        tokens.refuse_repeat(call, "UpdateExpirationForHIT", "", token)
        tokens.remember(call, "UpdateExpirationForHIT", hit.external_id, token)
    was_open = hit.status is HitStatus.ASSIGNABLE
    hit.expires_at = max(wanted, now)
    lifecycle.require_funds(call.unit, hit)
    if was_open and hit.expires_at <= now:
        emit(call.unit, "HITExpired", hit, now)
    elif hit.expires_at > now:
        emit(call.unit, "HITExtended", hit, now)
    lifecycle.refresh(call.unit, hit)
    return {}


@operation(
    "UpdateHITTypeOfHIT",
    note="Accepted and submitted work keeps the reward and the approval delay of its acceptance. "
    "Work in hand holds the dearer of both, as its place may come back.",
)
def update_hit_type_of_hit(call: Call) -> dict[str, Any]:
    """Give a HIT the properties of another HIT type; accepted work keeps its terms."""
    hit = _living(call)
    hit.type = hit_types.find(call, call.params["HITTypeId"])
    lifecycle.require_funds(call.unit, hit)
    lifecycle.refresh(call.unit, hit)
    return {}


@operation("CreateAdditionalAssignmentsForHIT")
def create_additional_assignments_for_hit(call: Call) -> dict[str, Any]:
    """Raise the number of assignments, not across the line where the fee changes."""
    tokens.refuse_repeat(call, "CreateAdditionalAssignmentsForHIT", "HITAlreadyExtended")
    hit = _living(call)
    more = require_range(
        "NumberOfAdditionalAssignments", call.params["NumberOfAdditionalAssignments"], 1, 10**9
    )
    total = require_range("MaxAssignments", hit.max_assignments + more, 1, 10**9)
    if hit.max_assignments <= SMALL_HIT < total:
        raise request_error(
            "InvalidMaximumAssignmentsIncrease",
            f"A HIT created with fewer than {SMALL_HIT + 1} assignments cannot be extended "
            f"to {total}.",
        )
    hit.max_assignments = total
    lifecycle.require_funds(call.unit, hit)
    lifecycle.refresh(call.unit, hit)
    tokens.remember(call, "CreateAdditionalAssignmentsForHIT", call.request_id)
    emit(call.unit, "HITExtended", hit, call.unit.now)
    return {}


@operation("DeleteHIT", note="A HIT under review (`Reviewing`) must be reverted first.")
def delete_hit(call: Call) -> dict[str, Any]:
    """Dispose of a Reviewable HIT whose submissions were all judged."""
    hit = _living(call)
    if hit.status is not HitStatus.REVIEWABLE:
        raise wrong_hit_state(hit.status, "only a Reviewable HIT can be deleted")
    if hit.n_submitted:
        raise wrong_hit_state(hit.status, f"{hit.n_submitted} submitted assignments wait")
    lifecycle.dispose(call.unit, hit, call.unit.now)
    return {}
