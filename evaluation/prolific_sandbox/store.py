"""The fake's own database: studies, submissions, people, money, and faults to come.

It belongs to a sandbox and carries a version stamp instead of migrations; `state` opens it.
"""

import enum
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from evaluation.crowd.addresses import PROLIFIC_SANDBOX_TOKEN
from evaluation.services import store
from evaluation.services.running import FaultRow
from evaluation.services.store import ServiceRow, enum_column, service_registry

VERSION = 1


def new_id() -> str:
    """Return an id as Prolific's are: 24 hexadecimal digits."""
    return secrets.token_hex(12)


class Base(DeclarativeBase):
    """Base of the fake's tables."""

    registry = service_registry()


class StudyStatus(enum.StrEnum):
    """The states of a study that the fake knows."""

    UNPUBLISHED = "UNPUBLISHED"
    PUBLISHING = "PUBLISHING"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    AWAITING_REVIEW = "AWAITING REVIEW"
    COMPLETED = "COMPLETED"


class SubmissionStatus(enum.StrEnum):
    """The states of a submission that the fake knows."""

    RESERVED = "RESERVED"
    ACTIVE = "ACTIVE"
    AWAITING_REVIEW = "AWAITING REVIEW"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    RETURNED = "RETURNED"
    TIMED_OUT = "TIMED-OUT"
    SCREENED_OUT = "SCREENED OUT"


class FaultKind(enum.StrEnum):
    """What can go wrong on demand: before the work, or the reply lost after it."""

    THROTTLE = "throttle"
    FAULT = "fault"
    LOST = "lost"


class Service(ServiceRow, Base):
    """The one row that stamps the database: clock, wallet, and what Prolific leaves open."""

    __tablename__ = "prolific_service"

    workspace: Mapped[str] = mapped_column(String(24))
    project: Mapped[str] = mapped_column(String(24))
    token: Mapped[str] = mapped_column(String(128), default=PROLIFIC_SANDBOX_TOKEN)
    currency: Mapped[str] = mapped_column(String(3), default="USD")
    balance_cents: Mapped[int] = mapped_column(default=1_000_000)
    vat_percent: Mapped[int] = mapped_column(default=0)
    publish_delay_s: Mapped[float] = mapped_column(default=0.0)
    bonus_delay_s: Mapped[float] = mapped_column(default=30.0)
    bare_errors: Mapped[bool] = mapped_column(default=False)


Unit = store.Unit[Service]


class Participant(Base):
    """A person who takes part, under a name that only the fake's own site shows."""

    __tablename__ = "prolific_participant"

    id: Mapped[int] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(String(24), unique=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    approval_rate: Mapped[int] = mapped_column(default=100)


class Study(Base):
    """A study; `body` is what the researcher sent, and what a PATCH changed in it."""

    __tablename__ = "prolific_study"

    id: Mapped[int] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(String(24), unique=True)
    status: Mapped[StudyStatus] = mapped_column(enum_column(StudyStatus))
    stopped: Mapped[bool] = mapped_column(default=False)
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]

    submissions: Mapped[list["Submission"]] = relationship(
        back_populates="study", order_by="Submission.id"
    )

    @property
    def places(self) -> int:
        """All places, taken or not."""
        return int(self.body["total_available_places"])

    @property
    def reward(self) -> int:
        """Of one participant, in minor units."""
        return int(self.body["reward"])


class Submission(Base):
    """One participant's go at a study. Its id is the SESSION_ID of the study's page."""

    __tablename__ = "prolific_submission"

    id: Mapped[int] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(String(24), unique=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("prolific_study.id"), index=True)
    participant_id: Mapped[int] = mapped_column(ForeignKey("prolific_participant.id"))
    status: Mapped[SubmissionStatus] = mapped_column(enum_column(SubmissionStatus))
    entered_code: Mapped[str] = mapped_column(String(64), default="")
    message: Mapped[str] = mapped_column(Text, default="")
    category: Mapped[str] = mapped_column(String(32), default="")
    reserved_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]

    study: Mapped[Study] = relationship(back_populates="submissions")
    participant: Mapped[Participant] = relationship()
    bonuses: Mapped[list["Bonus"]] = relationship(order_by="Bonus.id")


class BonusSetUp(Base):
    """Bonuses that were handed in and may be paid, and paid again."""

    __tablename__ = "prolific_bonus_set_up"

    id: Mapped[int] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(String(24), unique=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("prolific_study.id"))
    lines: Mapped[list[dict[str, Any]]]  # submission (row id), cents


class Bonus(Base):
    """A bonus that was paid; it shows from `shows_at` on."""

    __tablename__ = "prolific_bonus"

    id: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[int] = mapped_column(ForeignKey("prolific_submission.id"), index=True)
    cents: Mapped[int]
    shows_at: Mapped[datetime]


class Group(Base):
    """A group of participants, by their external ids."""

    __tablename__ = "prolific_group"

    id: Mapped[int] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(String(24), unique=True)
    name: Mapped[str] = mapped_column(Text)
    members: Mapped[list[str]]


class Entry(Base):
    """A line of the books: payments and fees are negative. No money moves."""

    __tablename__ = "prolific_entry"

    id: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[int | None] = mapped_column(ForeignKey("prolific_submission.id"))
    kind: Mapped[str] = mapped_column(String(16))
    cents: Mapped[int]
    at: Mapped[datetime]


class Fault(FaultRow, Base):
    """A fault that waits for its call."""

    __tablename__ = "prolific_fault"

    kind: Mapped[FaultKind] = mapped_column(enum_column(FaultKind))
