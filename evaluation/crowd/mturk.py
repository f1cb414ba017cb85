"""The MTurk requester API through boto3: any service that speaks it, found by its endpoint.

Amazon closed Mechanical Turk on 30 September 2026, so the endpoint is never Amazon's: it is the
bundled service (`vgan-eval sandbox`) or whatever AWS_ENDPOINT_URL_MTURK names. boto's CamelCase
and its dictionaries stay in this file.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import boto3  # noqa: TID251 (this is one of the two doors)
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from evaluation.crowd.addresses import LOOPBACK
from evaluation.crowd.base import (
    CrowdError,
    CrowdGone,
    Offer,
    PlatformAssignment,
)
from evaluation.crowd.mturk_calls import Calls
from evaluation.crowd.terms import TERMS
from evaluation.schema import AssignmentStatus, Environment

REGION = "us-east-1"  # the API exists in this region only, whatever AWS_DEFAULT_REGION says
ATTEMPTS = 4

_QUESTION = (
    '<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/'
    'AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd">'
    "<ExternalURL>{url}</ExternalURL><FrameHeight>{height}</FrameHeight></ExternalQuestion>"
)
_FRAME_HEIGHT = 720  # two clips, the question and the buttons fit without scrolling
_LONGEST_MESSAGE = 1024

# System qualifications, from AWS's documentation of QualificationRequirement.
_APPROVAL_PERCENT = "000000000000000000L0"
_APPROVED_HITS = "00000000000000000040"
_LOCALE = "00000000000000000071"

_STATUS = {
    "Submitted": AssignmentStatus.SUBMITTED,
    "Approved": AssignmentStatus.APPROVED,
    "Rejected": AssignmentStatus.REJECTED,
}
_BONUS_TOKEN = re.compile(r"\[([0-9a-f]{16,64})\]\Z")


def connect(endpoint: str, access_key: str | None = None, *, attempts: int = ATTEMPTS) -> Calls:
    """Return a requester's door to the MTurk API.

    Args:
        endpoint: URL of the service.
        access_key: for a service that asks for no secret; None takes the credentials from the
            environment, as boto3 does.
        attempts: how often a call is tried when the service fails or does not answer.

    Raises:
        CrowdError: the endpoint is no URL, or the AWS profile does not exist.
    """
    # A proxy that the environment names for the outside cannot reach this machine's own service.
    proxies: dict[str, str] | None = {} if urlsplit(endpoint).hostname in LOOPBACK else None
    try:
        client = boto3.session.Session().client(
            "mturk",
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id=access_key,
            aws_secret_access_key="none" if access_key else None,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": attempts}, proxies=proxies
            ),
        )
    except (BotoCoreError, ValueError) as error:
        raise CrowdError(f"the MTurk API at {endpoint} cannot be used: {error}") from None
    return Calls(client)


def _dollars(cents: int) -> str:
    return f"{Decimal(cents) / 100:.2f}"


def _cents(dollars: str) -> int:
    return int((Decimal(dollars) * 100).quantize(Decimal(1), ROUND_HALF_UP))


class MTurk:
    """A requester's account on a service that speaks the MTurk API.

    Args:
        calls: of `connect`.
        environment: sandbox or production.
    """

    name = "mturk"
    terms = TERMS[name]

    def __init__(self, calls: Calls, environment: Environment) -> None:
        self.environment = environment
        self._calls = calls
        self._groups: dict[str, str] = {}
        self._types: dict[Offer, str] = {}

    def balance_cents(self) -> int | None:
        """Return the account's available balance."""
        return _cents(self._calls.answer("get_account_balance", "AvailableBalance"))

    def create(self, offer: Offer) -> str:
        """Create one HIT; those of the same terms share a HIT type, one line in workers' lists."""
        hit_type = self._hit_type(offer)
        try:
            hit = self._calls.answer(
                "create_hit_with_hit_type",
                "HIT",
                HITTypeId=hit_type,
                MaxAssignments=offer.max_assignments,
                LifetimeInSeconds=int(offer.lifetime.total_seconds()),
                Question=_QUESTION.format(url=escape(offer.url), height=_FRAME_HEIGHT),
                RequesterAnnotation=offer.token,
                UniqueRequestToken=offer.token,
            )
        except CrowdError:
            # After a lost reply boto3 asks again and is told that the token was used. One of the
            # two forms of that error does not name the HIT, so it is looked up.
            found = self.find([offer.token])
            if offer.token not in found:
                raise
            return found[offer.token]
        return str(hit["HITId"])

    def _hit_type(self, offer: Offer) -> str:
        """Return the id of the offer's HIT type; the service gives equal terms the same one."""
        terms = replace(offer, token="", url="", max_assignments=0, lifetime=timedelta(0))
        if terms not in self._types:
            self._types[terms] = str(
                self._calls.answer(
                    "create_hit_type",
                    "HITTypeId",
                    Title=offer.title,
                    Description=offer.description,
                    Keywords=", ".join(offer.keywords),
                    Reward=_dollars(offer.reward_cents),
                    AssignmentDurationInSeconds=int(offer.duration.total_seconds()),
                    AutoApprovalDelayInSeconds=int(offer.auto_approval.total_seconds()),
                    QualificationRequirements=self._requirements(offer),
                )
            )
        return self._types[terms]

    def _requirements(self, offer: Offer) -> list[dict[str, Any]]:
        wanted: list[dict[str, Any]] = [
            {
                "QualificationTypeId": qualification,
                "Comparator": "GreaterThanOrEqualTo",
                "IntegerValues": [least],
            }
            for qualification, least in (
                (_APPROVAL_PERCENT, offer.minimum_approval),
                (_APPROVED_HITS, offer.minimum_hits),
            )
            if least
        ]
        if offer.countries:
            countries = [{"Country": country} for country in offer.countries]
            wanted.append(
                {"QualificationTypeId": _LOCALE, "Comparator": "In", "LocaleValues": countries}
            )
        if offer.once_group:
            group = self._group(offer.once_group)
            wanted.append({"QualificationTypeId": group, "Comparator": "DoesNotExist"})
        return [{**one, "ActionsGuarded": "DiscoverPreviewAndAccept"} for one in wanted]

    def _group(self, name: str) -> str:
        """Return the id of our qualification of this name, made on first use."""
        if name not in self._groups:
            self._groups[name] = self._known_group(name) or self._new_group(name)
        return self._groups[name]

    def _known_group(self, name: str) -> str | None:
        types = self._calls.pages(
            "list_qualification_types",
            "QualificationTypes",
            Query=name,
            MustBeRequestable=False,
            MustBeOwnedByCaller=True,
        )
        return next((str(t["QualificationTypeId"]) for t in types if t["Name"] == name), None)

    def _new_group(self, name: str) -> str:
        try:
            made = self._calls.answer(
                "create_qualification_type",
                "QualificationType",
                Name=name,
                Description="You have taken part in this study already. Thank you.",
                QualificationTypeStatus="Active",
            )
        except CrowdError:
            # A lost reply again: the name is taken, by us.
            known = self._known_group(name)
            if known is None:
                raise
            return known
        return str(made["QualificationTypeId"])

    def find(self, tokens: Collection[str]) -> dict[str, str]:
        """Look through our HITs for those annotated with the tokens."""
        if not tokens:
            return {}
        hits = self._calls.pages("list_hits", "HITs")
        found = ((str(hit.get("RequesterAnnotation")), str(hit["HITId"])) for hit in hits)
        return {token: hit for token, hit in found if token in tokens}

    def assignments(self, hit: str) -> Iterator[PlatformAssignment]:
        """Yield what workers submitted for a HIT."""
        for raw in self._calls.pages("list_assignments_for_hit", "Assignments", HITId=hit):
            yield PlatformAssignment(
                raw["AssignmentId"],
                raw["HITId"],
                raw["WorkerId"],
                _STATUS[raw["AssignmentStatus"]],
                raw.get("SubmitTime"),
            )

    def returned(self, hit: str) -> Iterator[PlatformAssignment]:
        """Yield nothing: the platform does not tell."""
        return iter(())

    def approve(self, assignment: str, message: str) -> None:
        """Approve unless it is approved already (auto-approval may have been first)."""
        self._decide("approve_assignment", assignment, message, "Approved")

    def reject(self, assignment: str, reason: str, answers: int) -> None:
        """Reject unless it is rejected already."""
        self._decide("reject_assignment", assignment, reason, "Rejected")

    def _decide(self, operation: str, assignment: str, message: str, wanted: str) -> None:
        # An empty message is refused by the API.
        feedback = {"RequesterFeedback": message[:_LONGEST_MESSAGE]} if message else {}
        try:
            self._calls.call(operation, AssignmentId=assignment, **feedback)
        except CrowdError:
            now = self._calls.answer("get_assignment", "Assignment", AssignmentId=assignment)
            if now["AssignmentStatus"] != wanted:
                raise

    def bonus(self, assignment: str, worker: str, cents: int, reason: str, token: str) -> None:
        """Pay a bonus; the token ends the reason, so that a lost reply can be checked later."""
        try:
            self._calls.call(
                "send_bonus",
                WorkerId=worker,
                AssignmentId=assignment,
                BonusAmount=_dollars(cents),
                Reason=f"{reason} [{token}]",
                UniqueRequestToken=token,
            )
        except CrowdError:
            if token not in self.bonus_tokens(assignment):
                raise

    def bonus_tokens(self, assignment: str) -> set[str]:
        """Return the tokens found in the reasons of the bonuses paid for an assignment."""
        paid = self._calls.pages("list_bonus_payments", "BonusPayments", AssignmentId=assignment)
        found = (_BONUS_TOKEN.search(raw.get("Reason", "")) for raw in paid)
        return {match.group(1) for match in found if match}

    def check_rejection(self, reason: str) -> None:
        """Do nothing: any reason will do."""

    def bar(self, group: str, worker: str) -> None:
        """Give a worker the qualification that keeps them from taking part again."""
        self._calls.call(
            "associate_qualification_with_worker",
            QualificationTypeId=self._group(group),
            WorkerId=worker,
            IntegerValue=1,
            SendNotification=False,
        )

    def extend(self, hit: str, until: datetime) -> None:
        """Move the expiry of a HIT."""
        until = until.replace(microsecond=0)
        self._set_expiry(hit, until, lambda now: bool(now["Expiration"] == until))

    def expire(self, hit: str) -> None:
        """Stop offering a HIT at once."""
        # Any time in the past means now.
        past = datetime.fromtimestamp(0, UTC)
        self._set_expiry(hit, past, lambda now: bool(now["HITStatus"] != "Assignable"))

    def _set_expiry(
        self, hit: str, until: datetime, is_done: Callable[[dict[str, Any]], bool]
    ) -> None:
        try:
            self._calls.call("update_expiration_for_hit", HITId=hit, ExpireAt=until)
        except CrowdGone:
            raise
        except CrowdError as error:
            # The same change twice has been refused in the field.
            found = self._calls.answer("get_hit", "HIT", HITId=hit)
            if is_done(found):
                return
            if found["HITStatus"] == "Disposed":
                raise CrowdGone(str(error)) from error
            raise
