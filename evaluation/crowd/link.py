"""The crowd `link` behind the protocol of all crowds: our own books are the platform.

The site that sent the people is not called; it pays or credits them by code or address. Reviewing
and expiring therefore only write down what was decided there.
"""

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import select

from evaluation.crowd.base import Offer, PlatformAssignment
from evaluation.crowd.terms import TERMS
from evaluation.database import Database
from evaluation.errors import UsageError
from evaluation.links import CROWD
from evaluation.schema import Assignment, AssignmentStatus, Environment, Hit, Worker

_LISTED = (
    AssignmentStatus.SUBMITTED,
    AssignmentStatus.APPROVED,
    AssignmentStatus.REJECTED,
    AssignmentStatus.WITHDRAWN,
)


class LinkCrowd:
    """Everyone who finished by a link has handed in; approving writes the reward down as paid.

    Args:
        database: that holds the sessions.
        environment: of the link.
    """

    name = CROWD
    terms = TERMS[name]

    def __init__(self, database: Database, environment: Environment) -> None:
        self.environment = environment
        self._database = database

    def balance_cents(self) -> int | None:
        """Return None: nothing is spent here."""
        return None

    def create(self, offer: Offer) -> str:
        """Refuse: a link is opened by `evaluation.links`."""
        raise UsageError("a link takes no HITs; run `vgan-eval publish --crowd link`")

    def find(self, tokens: Collection[str]) -> dict[str, str]:
        """Return what is published under these tokens: a link is there once it is written down."""
        query = select(Hit.token, Hit.external_id).where(
            Hit.crowd == CROWD, Hit.environment == self.environment, Hit.token.in_(list(tokens))
        )
        with self._database.read() as session:
            return {token: str(external_id) for token, external_id in session.execute(query)}

    def assignments(self, hit: str) -> Iterator[PlatformAssignment]:
        """Yield the finished sessions of a link; withdrawn ones while they are to be paid."""
        query = (
            select(Assignment, Worker.external_id)
            .join(Worker)
            .join(Hit, Assignment.hit_id == Hit.id)
            .where(
                Hit.crowd == CROWD,
                Hit.environment == self.environment,
                Hit.external_id == hit,
                Assignment.status.in_(_LISTED),
                Assignment.submitted_at.is_not(None),
            )
            .order_by(Assignment.id)
        )
        with self._database.read() as session:
            rows = session.execute(query).all()
        for ours, worker in rows:
            decided = (AssignmentStatus.APPROVED, AssignmentStatus.REJECTED)
            status = ours.status if ours.status in decided else AssignmentStatus.SUBMITTED
            yield PlatformAssignment(ours.external_id, hit, worker, status, ours.submitted_at)

    def returned(self, hit: str) -> Iterator[PlatformAssignment]:
        """Yield nothing: what somebody gives back is given back here."""
        return iter(())

    def approve(self, assignment: str, message: str) -> None:
        """Do nothing: the site approves by the code."""

    def reject(self, assignment: str, reason: str, answers: int) -> None:
        """Do nothing: the site rejects."""

    def check_rejection(self, reason: str) -> None:
        """Do nothing: the site rejects."""

    def bar(self, group: str, worker: str) -> None:
        """Do nothing: the link itself counts a participant's sessions."""

    def extend(self, hit: str, until: datetime) -> None:
        """Do nothing: the time is in our row."""

    def expire(self, hit: str) -> None:
        """Do nothing: the time is in our row."""
