"""What every crowd can do, in our words; each platform is one file beside this one.

The money calls are idempotent in the only way that survives a crash: `evaluation.publish` and
`evaluation.payments` write down the call and its token before making it, and `find`, the status
in `assignments`, and `bonus_tokens` (or `bonuses_paid`) say afterwards whether a call whose reply
was lost happened. What only some platforms can do is a protocol of its own at the end, and which
ones can is in `terms`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol, TypeGuard

from evaluation.crowd.terms import Bonuses, Terms
from evaluation.errors import EvaluationError
from evaluation.schema import AssignmentStatus, Environment


class CrowdError(EvaluationError):
    """The platform refused a call, and has not done it; the message says why and what to do."""


class CrowdUnreachable(EvaluationError):
    """The platform did not answer: nothing is known about the last call until it is asked again.

    It is no CrowdError, lest who handles a refusal takes it for one.
    """


class CrowdGone(CrowdError):
    """The platform has the HIT no more, and never will again."""


@dataclass(frozen=True)
class Offer:
    """One HIT to publish.

    Args:
        token: idempotency token, at most 64 characters; also how a lost HIT is found again.
        title: what workers see in the list.
        description: one or two sentences more.
        keywords: search words.
        url: the page shown to the worker, without the platform's own parameters.
        reward_cents: for one session.
        currency: of the reward, ISO 4217.
        max_assignments: how many workers may take it.
        lifetime: how long it is offered.
        duration: how long one worker may take.
        auto_approval: after which a submitted assignment is approved by itself.
        minimum_approval: percent of a worker's past assignments approved; 0 asks for nothing.
        minimum_hits: a worker's past approved assignments; 0 asks for nothing.
        countries: ISO 3166 codes; empty is everywhere.
        once_group: name of the group of workers who may not take it, because they have had all
            their sessions; empty asks for nothing.
        minutes: that one session is expected to take; 0 is not said.
        devices: of `desktop`, `tablet` and `phone`; empty is any.
        sessions_per_worker: how often one worker may take it, where a platform counts that.
        completion_code: proves a finished session where workers bring back a code.
        screen_out_code: the code of those who found nothing left to do.
        screen_out_cents: what that pays; 0 pays nothing.
        screen_out_places: how many may be paid so.
        project: the platform's own place for it; empty is the account's first.
        filters: the platform's own conditions on workers, `name=value,value` or `name=low..high`.
    """

    token: str
    title: str
    description: str
    keywords: tuple[str, ...]
    url: str
    reward_cents: int
    currency: str
    max_assignments: int
    lifetime: timedelta
    duration: timedelta
    auto_approval: timedelta
    minimum_approval: int = 95
    minimum_hits: int = 0
    countries: tuple[str, ...] = ()
    once_group: str = ""
    minutes: float = 0.0
    devices: tuple[str, ...] = ()
    sessions_per_worker: int = 1
    completion_code: str = ""
    screen_out_code: str = ""
    screen_out_cents: int = 0
    screen_out_places: int = 0
    project: str = ""
    filters: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the offer as JSON, so that a second run makes the very same call."""
        return {
            key: value.total_seconds() if isinstance(value, timedelta) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Offer":
        """Return the offer that `to_json` wrote."""
        values: dict[str, Any] = dict(stored)
        for key in ("lifetime", "duration", "auto_approval"):
            values[key] = timedelta(seconds=values[key])
        for key in ("keywords", "countries", "devices", "filters"):
            values[key] = tuple(values.get(key, ()))
        return cls(**values)


@dataclass(frozen=True)
class PlatformAssignment:
    """A submitted assignment as the platform reports it.

    Args:
        external_id: the platform's id of the assignment.
        hit: the platform's id of its HIT.
        worker: the platform's id of its worker.
        status: `submitted`, `approved` or `rejected`; others only from `Crowd.returned`.
        submitted_at: aware; None where the platform does not say.
    """

    external_id: str
    hit: str
    worker: str
    status: AssignmentStatus
    submitted_at: datetime | None


class Crowd(Protocol):
    """A platform that finds workers and pays them.

    Every method may raise CrowdError (refused: it has not happened) or CrowdUnreachable (nobody
    knows; asking again is safe).
    """

    name: str
    terms: Terms
    environment: Environment

    def balance_cents(self) -> int | None:
        """Return what is left to spend, or None where the platform has no balance."""

    def create(self, offer: Offer) -> str:
        """Publish a HIT and return the platform's id; again with the same token, the same id."""

    def find(self, tokens: Collection[str]) -> dict[str, str]:
        """Return the ids of the HITs published under these tokens, by token."""

    def assignments(self, hit: str) -> Iterator[PlatformAssignment]:
        """Yield the submitted, approved and rejected assignments of a HIT."""

    def returned(self, hit: str) -> Iterator[PlatformAssignment]:
        """Yield the assignments given back (`withdrawn`) and those out of time (`returned`).

        Nothing comes from a platform that does not tell.
        """

    def approve(self, assignment: str, message: str) -> None:
        """Approve, which pays the reward; again is harmless."""

    def reject(self, assignment: str, reason: str, answers: int) -> None:
        """Reject a session with so many answers, for a reason to read; again is harmless."""

    def check_rejection(self, reason: str) -> None:
        """Refuse a reason that the platform would refuse.

        Raises:
            UsageError: the message says what it must be like.
        """

    def bar(self, group: str, worker: str) -> None:
        """Put a worker into the group that may not take the next HITs; again is harmless."""

    def extend(self, hit: str, until: datetime) -> None:
        """Offer a HIT until another time; again is harmless. Raises CrowdGone where it is gone."""

    def expire(self, hit: str) -> None:
        """Stop offering a HIT; workers already inside may finish. Again is harmless."""


class TokenBonuses(Crowd, Protocol):
    """A platform whose bonuses carry a token, so that a lost reply can be looked up."""

    def bonus(self, assignment: str, worker: str, cents: int, reason: str, token: str) -> None:
        """Pay a bonus; again with the same token pays nothing more."""

    def bonus_tokens(self, assignment: str) -> set[str]:
        """Return the tokens of the bonuses already paid for one assignment."""


class PreparedBonuses(NamedTuple):
    """Bonuses that can be paid by one call: its id, and what they cost with fees and taxes."""

    id: str
    total_cents: int


class BulkBonuses(Crowd, Protocol):
    """A platform that pays many bonuses by one call, which is not idempotent and says nothing.

    `evaluation.money.bulk_bonuses` makes it safe: it writes down what had been paid before.
    """

    def bonuses_paid(self, assignment: str) -> list[int]:
        """Return the bonuses already paid for one assignment, in cents; late by some minutes."""

    def set_up_bonuses(self, hit: str, lines: Sequence[tuple[str, int]]) -> PreparedBonuses:
        """Prepare bonuses (assignment, cents) of a HIT and tell their price; pays nothing yet."""

    def pay_bonuses(self, prepared: str) -> None:
        """Pay what was prepared. Again pays AGAIN: call it once, whatever becomes of the reply."""


class Growing(Crowd, Protocol):
    """A platform where one HIT is enlarged as a study goes on, and workers bring back a code."""

    def quote(self, offer: Offer) -> int:
        """Return what an offer's places cost in all, rewards, fees and taxes, in cents.

        Raises:
            CrowdError: the platform would refuse the offer; the message has the numbers.
        """

    def cost(self, reward_cents: int, places: int) -> int:
        """Return what places at a reward cost in all, with fees and taxes, in cents."""

    def places(self, hit: str) -> int:
        """Return how many places a published HIT has."""

    def is_offered(self, hit: str) -> bool:
        """Whether a HIT is on offer or full; not where it is paused, by whomever.

        Raises:
            CrowdGone: it was ended there with places free, for good.
        """

    def check_growing(self, hit: str) -> None:
        """Look whether a HIT can be offered on; changes nothing.

        Raises:
            CrowdError: it cannot; the message says what to do.
        """

    def grow(self, hit: str, places: int) -> None:
        """Enlarge a HIT to so many places and offer it; again, or to fewer, is harmless.

        Raises:
            CrowdError: it cannot be offered on.
        """

    def completion_url(self, code: str) -> str:
        """Return where a worker takes a code, to be paid."""

    def screened_out(self, hit: str) -> Iterator[str]:
        """Yield the assignments of workers whom the platform paid for finding nothing left."""


def pays_by_token(crowd: Crowd) -> TypeGuard[TokenBonuses]:
    """Whether a crowd pays bonuses one by one, each with a token."""
    return crowd.terms.bonuses is Bonuses.BY_TOKEN


def pays_in_bulk(crowd: Crowd) -> TypeGuard[BulkBonuses]:
    """Whether a crowd pays many bonuses by one call."""
    return crowd.terms.bonuses is Bonuses.IN_BULK


def grows(crowd: Crowd) -> TypeGuard[Growing]:
    """Whether a study's one HIT on a crowd is enlarged as the study goes on."""
    return crowd.terms.grows
