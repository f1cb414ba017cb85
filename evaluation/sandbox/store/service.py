"""The service's own rows: its version stamp, clock and settings, faults to come, and its outbox."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from evaluation.sandbox.store.base import Base
from evaluation.services import store
from evaluation.services.running import FaultRow
from evaluation.services.store import ServiceRow, enum_column


class DuplicateError(enum.StrEnum):
    """The two answers to a repeated UniqueRequestToken that clients have met."""

    DOCUMENTED = "documented"
    FIELD = "field"


class FaultKind(enum.StrEnum):
    """What can go wrong on demand."""

    THROTTLE = "throttle"
    FAULT = "fault"
    LOST = "lost"
    SLOW = "slow"


class Service(ServiceRow, Base):
    """The one row that stamps the database and carries what the whole service shares."""

    __tablename__ = "sandbox_service"

    duplicate_error: Mapped[DuplicateError] = mapped_column(
        enum_column(DuplicateError), default=DuplicateError.DOCUMENTED
    )
    reuse_returned_ids: Mapped[bool] = mapped_column(default=False)
    submit_to_slash: Mapped[bool] = mapped_column(default=False)
    opening_balance_cents: Mapped[int] = mapped_column(default=1_000_000)


Unit = store.Unit[Service]


class Fault(FaultRow, Base):
    """A fault that waits for its call."""

    __tablename__ = "sandbox_fault"

    kind: Mapped[FaultKind] = mapped_column(enum_column(FaultKind))
    seconds: Mapped[float] = mapped_column(default=0.0)


class Token(Base):
    """A UniqueRequestToken that was used, and what it made."""

    __tablename__ = "sandbox_token"
    __table_args__ = (UniqueConstraint("account_id", "family", "token"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("sandbox_account.id"))
    family: Mapped[str] = mapped_column(String(64))
    token: Mapped[str] = mapped_column(String(160))
    subject: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime]


class Notification(Base):
    """A notification message that Amazon would have sent; kept here, sent nowhere."""

    __tablename__ = "sandbox_notification"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("sandbox_account.id"))
    transport: Mapped[str] = mapped_column(String(16))
    destination: Mapped[str] = mapped_column(Text)
    message: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
