"""Bonuses: paid once per token, listed by HIT or assignment."""

from typing import Any

from sqlalchemy import select

from evaluation.budget import fee_cents
from evaluation.sandbox import accounts, assignments, hits, tokens
from evaluation.sandbox.errors import invalid, request_error, wrong_assignment_state
from evaluation.sandbox.hit_types import require_length, require_range
from evaluation.sandbox.paging import page
from evaluation.sandbox.registry import Call, operation
from evaluation.sandbox.store import SHOWN, Assignment, Bonus, EntryKind
from evaluation.sandbox.views import bonus_view


@operation("SendBonus")
def send_bonus(call: Call) -> dict[str, Any]:
    """Pay a worker more for an assignment they submitted."""
    tokens.refuse_repeat(call, "SendBonus", "BonusAlreadyPaid")
    assignment = assignments.find(call)
    cents = accounts.cents_of(call.params["BonusAmount"])
    require_range("BonusAmount in cents", cents, 1, 10**6)
    reason = require_length("Reason", call.params["Reason"], 1, 4096)
    if assignment.worker.external_id != call.params["WorkerId"]:
        raise request_error(
            "WorkerDidNotWorkOnAssignment",
            f"Worker {call.params['WorkerId']} did not work on this assignment.",
        )
    if assignment.status not in SHOWN:
        raise wrong_assignment_state(assignment.status, ", ".join(SHOWN))
    fee = fee_cents(cents)
    accounts.require_funds(call.account, cents + fee)
    accounts.pay(call.unit, assignment, EntryKind.BONUS, cents, fee, call.unit.now)
    call.unit.session.add(
        Bonus(assignment=assignment, cents=cents, reason=reason, granted_at=call.unit.now)
    )
    tokens.remember(call, "SendBonus", call.request_id)
    return {}


@operation("ListBonusPayments")
def list_bonus_payments(call: Call) -> dict[str, Any]:
    """List the bonuses of a HIT or of an assignment."""
    if ("HITId" in call.params) == ("AssignmentId" in call.params):
        raise invalid("HITId", "give either HITId or AssignmentId")
    query = select(Bonus).join(Assignment)
    if "HITId" in call.params:
        query = query.where(Assignment.hit_id == hits.find(call, call.params["HITId"]).id)
    else:
        query = query.where(Bonus.assignment_id == assignments.find(call).id)
    rows, counts = page(call, query, Bonus.id)
    return {**counts, "BonusPayments": [bonus_view(row) for row in rows]}
