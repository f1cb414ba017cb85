"""Prolific through its REST API: one study that grows, submissions, codes, bonuses in bulk.

Prolific's words stay in this file: its study is our HIT, its submission our assignment, its
participant our worker. Amounts are in the currency's minor units but for the lines of a bonus
set-up. Its API has no idempotency keys, so a study carries our token in its internal name.
"""

import math
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

from evaluation.budget import prolific_minutes
from evaluation.crowd.base import (
    CrowdError,
    CrowdUnreachable,
    Offer,
    PlatformAssignment,
    PreparedBonuses,
)
from evaluation.crowd.prolific_account import Account
from evaluation.crowd.prolific_calls import Calls, needed
from evaluation.crowd.prolific_standing import is_offered, look_up, startable
from evaluation.crowd.prolific_terms import (
    check_offer,
    check_rejection_text,
    study_body,
)
from evaluation.crowd.terms import TERMS
from evaluation.schema import AssignmentStatus, Environment

PUBLISH_POLLS = 20
_POLL_S = 1.5
_TOKEN = re.compile(r"\[([0-9a-f]{16,64})\]\Z")
_UNPUBLISHED = "UNPUBLISHED"
_SUBMITTED = {
    "AWAITING REVIEW": AssignmentStatus.SUBMITTED,
    "APPROVED": AssignmentStatus.APPROVED,
    "PARTIALLY APPROVED": AssignmentStatus.APPROVED,
    "REJECTED": AssignmentStatus.REJECTED,
}
_GIVEN_BACK = {
    "RETURNED": AssignmentStatus.WITHDRAWN,  # their own wish, after submitting too
    "TIMED-OUT": AssignmentStatus.RETURNED,
}
_NO_CODE = frozenset({"", "NOCODE"})
_APP = {"api.prolific.com": "https://app.prolific.com"}


class Prolific:
    """A researcher's account.

    Args:
        calls: to the API.
        environment: sandbox or production.
        workspace: id; empty takes the account's only one.
    """

    name = "prolific"
    terms = TERMS[name]

    def __init__(self, calls: Calls, environment: Environment, workspace: str = "") -> None:
        self.environment = environment
        self._calls = calls
        self._account = Account(calls, workspace)

    def _wallet(self) -> dict[str, Any]:
        path = f"workspaces/{self._account.workspace()}/balance/"
        return self._calls.having("available_balance", "GET", path)

    def balance_cents(self) -> int | None:
        """Return what the workspace can still spend."""
        return int(self._wallet()["available_balance"])

    def quote(self, offer: Offer) -> int:
        """Ask what the places cost, with fee and taxes, after a look at currency and wage."""
        check_offer(offer)
        currency = str(self._wallet().get("currency_code", offer.currency))
        if currency != offer.currency:
            wrong = f'the workspace pays in {currency}; write [pay] currency = "{currency}" and a '
            raise CrowdError(f"{wrong}reward in it{self._other_currency(offer.currency)}")
        self._check_wage(offer)
        return self.cost(offer.reward_cents, offer.max_assignments)

    @property
    def _site(self) -> str:
        """Prolific's site, or the fake's, where people are."""
        parts = urlsplit(self._calls.base)
        return _APP.get(str(parts.hostname), f"{parts.scheme}://{parts.netloc}")

    def _other_currency(self, wanted: str) -> str:
        """Say how the fake comes to pay as the researcher's own workspace does."""
        if self.environment is not Environment.SANDBOX:
            return ""
        return (
            f"; or, if your own pays in {wanted}, let the sandbox do so too: curl -X POST -H "
            f"'Content-Type: application/json' -d '{{\"currency\": \"{wanted}\"}}' "
            f"{self._site}/_sandbox/settings"
        )

    def cost(self, reward_cents: int, places: int) -> int:
        """Ask Prolific's calculator."""
        asked = {"reward": reward_cents, "total_available_places": places}
        reply = self._calls.having("total_cost", "POST", "study-cost-calculator/", asked)
        return math.ceil(float(reply["total_cost"]))

    def _check_wage(self, offer: Offer) -> None:
        """Refuse a reward under what Prolific says today; `check_pay` knows an older number."""
        query = {"workspace_id": self._account.workspace(), "currency": offer.currency}
        reply = self._calls.call("GET", "reward-recommendations/", query=query)
        rows = reply.get("results", []) if isinstance(reply, dict) else reply or []
        if not rows:
            return
        least = float(rows[0]["min_reward_per_hour"])
        minutes = prolific_minutes(offer.minutes)
        if offer.reward_cents * 60 < least * minutes:
            raise CrowdError(
                f"[pay] reward_cents = {offer.reward_cents} for {minutes} whole minutes is under "
                f"Prolific's {least / 100:.2f} {offer.currency} an hour; write at least "
                f"{math.ceil(least * minutes / 60)}"
            )

    def create(self, offer: Offer) -> str:
        """Draft a study and publish it; one drafted before under the same token is taken up."""
        check_offer(offer)
        study = self._named([offer.token], offer.project).get(offer.token)
        if study is None:
            group = self._account.group(offer.once_group) if offer.once_group else ""
            study = self._calls.call("POST", "studies/", study_body(offer, group))
        external_id = str(needed(study, "POST studies/", "id"))
        try:
            self._publish(external_id, str(study.get("status")))
        except CrowdError:
            with suppress(CrowdError, CrowdUnreachable):  # a draft that is left costs nothing
                self._calls.call("DELETE", f"studies/{external_id}/")
            raise
        return external_id

    def _publish(self, study: str, status: str) -> None:
        if status == _UNPUBLISHED:
            try:
                status = self._transition(study, "PUBLISH")
            except CrowdError:
                # Somebody may have pressed the button on the site a moment ago.
                status = self._status(study)
                if status == _UNPUBLISHED:
                    raise
        for _ in range(PUBLISH_POLLS):
            if status != "PUBLISHING":
                break
            self._calls.wait(_POLL_S)
            status = self._status(study)
        if status == _UNPUBLISHED:
            raise CrowdError("Prolific took the study back to a draft; look at it on its site")

    def _transition(self, study: str, action: str) -> str:
        reply = self._calls.call("POST", f"studies/{study}/transition/", {"action": action})
        return str(needed(reply, f"{action} of a study", "status"))

    def _status(self, study: str) -> str:
        return str(look_up(self._calls, study)["status"])

    def _named(self, tokens: Collection[str], project: str = "") -> dict[str, dict[str, Any]]:
        """Return our studies, drafts too, whose internal names end in one of the tokens."""
        found = {}
        for row in self._calls.pages(f"projects/{project}/studies/" if project else "studies/"):
            # Whether the short form has the internal name is not promised.
            named = row if "internal_name" in row else look_up(self._calls, row["id"])
            match = _TOKEN.search(named.get("internal_name") or "")
            if match and match.group(1) in tokens:
                found[match.group(1)] = row
        return found

    def find(self, tokens: Collection[str]) -> dict[str, str]:
        """Look through our studies; a draft is not published yet, so it is not found."""
        if not tokens:
            return {}
        named = self._named(tokens)
        return {
            token: str(row["id"])
            for token, row in named.items()
            if row.get("status") != _UNPUBLISHED
        }

    def _rows(self, study: str) -> Iterator[dict[str, Any]]:
        if not study:  # without one, Prolific lists the submissions of every study
            raise CrowdError("a study without an id has no submissions")
        return self._calls.pages("submissions/", {"study": study})

    def _submissions(
        self, study: str, wanted: dict[str, AssignmentStatus]
    ) -> Iterator[PlatformAssignment]:
        for row in self._rows(study):
            status = wanted.get(str(row["status"]))
            if status is not None:
                at = row.get("completed_at")
                yield PlatformAssignment(
                    str(row["id"]),
                    study,
                    str(row["participant_id"]),
                    status,
                    datetime.fromisoformat(at) if at else None,
                )

    def assignments(self, hit: str) -> Iterator[PlatformAssignment]:
        """Yield what was submitted; `screened_out` has who was paid and did nothing here."""
        return self._submissions(hit, _SUBMITTED)

    def returned(self, hit: str) -> Iterator[PlatformAssignment]:
        """Yield the submissions that were returned (as withdrawn) or timed out (as returned)."""
        return self._submissions(hit, _GIVEN_BACK)

    def approve(self, assignment: str, message: str) -> None:
        """Approve unless it is approved already; Prolific shows no message."""
        self._decide(assignment, {"action": "APPROVE"}, "APPROVED")

    def reject(self, assignment: str, reason: str, answers: int) -> None:
        """Reject unless it is rejected already, in the category that is true of it."""
        self.check_rejection(reason)
        code = str(self._submission(assignment).get("entered_code") or "")
        # Only unfinished sessions are ever rejected, see `evaluation.money.policy`. For one with
        # some of its answers Prolific has no category; the reason says what was missing.
        empty = "NO_CODE" if code in _NO_CODE else "NO_DATA"
        category = "OTHER" if answers else empty
        body = {"action": "REJECT", "message": reason, "rejection_category": category}
        self._decide(assignment, body, "REJECTED")

    def check_rejection(self, reason: str) -> None:
        """Refuse a reason that is too short for Prolific."""
        check_rejection_text(reason)

    def _decide(self, assignment: str, body: dict[str, str], wanted: str) -> None:
        try:
            self._calls.call("POST", f"submissions/{assignment}/transition/", body)
        except CrowdError:
            if self._submission(assignment)["status"] != wanted:
                raise

    def _submission(self, assignment: str) -> dict[str, Any]:
        return self._calls.having("status", "GET", f"submissions/{assignment}/")

    def bonuses_paid(self, assignment: str) -> list[int]:
        """Return the bonuses of a submission; one just paid shows after some minutes."""
        return [round(cents) for cents in self._submission(assignment).get("bonus_payments") or []]

    def set_up_bonuses(self, hit: str, lines: Sequence[tuple[str, int]]) -> PreparedBonuses:
        """Hand in the lines, whose amounts alone are in major units, and check the sum."""
        csv = "".join(f"{assignment},{Decimal(cents) / 100:.2f}\n" for assignment, cents in lines)
        body = {"study_id": hit, "csv_bonuses": csv}
        reply = self._calls.call("POST", "submissions/bonus-payments/", body)
        prepared = str(needed(reply, "POST submissions/bonus-payments/", "id"))
        amount = round(needed(reply, "POST submissions/bonus-payments/", "amount"))
        if amount != sum(cents for _, cents in lines):
            raise CrowdError(
                f"Prolific read the bonuses as {amount / 100:,.2f} in all, not "
                f"{sum(cents for _, cents in lines) / 100:,.2f}; nothing was paid"
            )
        total = float(needed(reply, "POST submissions/bonus-payments/", "total_amount"))
        # Fees have two decimals of a cent.
        return PreparedBonuses(prepared, math.ceil(round(total, 2)))

    def pay_bonuses(self, prepared: str) -> None:
        """Pay; there is no second look, so nothing here tries again but after a 429."""
        self._calls.call("POST", f"bulk-bonus-payments/{prepared}/pay/")

    def bar(self, group: str, worker: str) -> None:
        """Put a worker into the group that our next studies shut out."""
        path = f"participant-groups/{self._account.group(group)}/participants/"
        self._calls.call("POST", path, {"participant_ids": [worker]})

    def places(self, hit: str) -> int:
        """Return the study's places."""
        return int(look_up(self._calls, hit)["total_available_places"])

    def check_growing(self, hit: str) -> None:
        """Look whether the study can go on."""
        startable(self._calls, hit)

    def grow(self, hit: str, places: int) -> None:
        """Add places, which reopens a study that is over, and let a paused one go on."""
        study = startable(self._calls, hit)
        if int(study["total_available_places"]) < places:
            body = {"total_available_places": places}
            study = self._calls.call("PATCH", f"studies/{hit}/", body)
        if study["status"] == "PAUSED":
            self._transition(hit, "START")

    def extend(self, hit: str, until: datetime) -> None:
        """Let a paused study go on; a study on Prolific has no end of its own."""
        if startable(self._calls, hit)["status"] == "PAUSED":
            self._transition(hit, "START")

    def is_offered(self, hit: str) -> bool:
        """Whether the study runs or is full."""
        return is_offered(self._calls, hit)

    def expire(self, hit: str) -> None:
        """Pause the study, which can be undone; those inside may finish."""
        if self._status(hit) in ("ACTIVE", "PUBLISHING"):
            self._transition(hit, "PAUSE")

    def completion_url(self, code: str) -> str:
        """Return the address on Prolific's site that takes the code."""
        return f"{self._site}/submissions/complete?{urlencode({'cc': code})}"

    def screened_out(self, hit: str) -> Iterator[str]:
        """Yield the submissions that were screened out by their code, which pays them."""
        return (str(row["id"]) for row in self._rows(hit) if row["status"] == "SCREENED OUT")
