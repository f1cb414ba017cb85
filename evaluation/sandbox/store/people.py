"""Requesters and workers: accounts, books, blocks, messages and qualifications."""

import enum
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from evaluation.sandbox.store.base import Base
from evaluation.services.store import enum_column


class EntryKind(enum.StrEnum):
    """What a line of the books is for."""

    DEPOSIT = "deposit"
    REWARD = "reward"
    BONUS = "bonus"
    FEE = "fee"


class QualificationStatus(enum.StrEnum):
    """Whether a worker holds a qualification."""

    GRANTED = "Granted"
    REVOKED = "Revoked"


class RequestStatus(enum.StrEnum):
    """Where a worker's request for a qualification stands; `started` is an open test."""

    STARTED = "started"
    PENDING = "pending"
    GRANTED = "granted"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Account(Base):
    """One requester: an access key id. What is held for open HITs is not available to spend."""

    __tablename__ = "sandbox_account"
    __table_args__ = (
        CheckConstraint("balance_cents >= held_cents", name="covered"),
        CheckConstraint("held_cents >= 0", name="held_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    access_key: Mapped[str] = mapped_column(String(128), unique=True)
    balance_cents: Mapped[int]
    held_cents: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]


class Entry(Base):
    """A line of the books: deposits are positive, payments and fees negative. No money moves."""

    __tablename__ = "sandbox_entry"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("sandbox_account.id"), index=True)
    worker_id: Mapped[int | None] = mapped_column(ForeignKey("sandbox_worker.id"), index=True)
    assignment_id: Mapped[int | None] = mapped_column(ForeignKey("sandbox_assignment.id"))
    kind: Mapped[EntryKind] = mapped_column(enum_column(EntryKind))
    cents: Mapped[int]
    at: Mapped[datetime]


class Worker(Base):
    """A worker and what Amazon would know of them.

    `approved_before` and `rejected_before` stand for a history elsewhere and are added to what
    happens here.
    """

    __tablename__ = "sandbox_worker"

    id: Mapped[int] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(String(64), unique=True)
    country: Mapped[str] = mapped_column(String(2), default="US")
    subdivision: Mapped[str] = mapped_column(String(2), default="")
    adult: Mapped[bool] = mapped_column(default=False)
    masters: Mapped[bool] = mapped_column(default=False)
    approved_before: Mapped[int] = mapped_column(default=0)
    rejected_before: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]


class Block(Base):
    """A requester does not want a worker."""

    __tablename__ = "sandbox_block"
    __table_args__ = (UniqueConstraint("account_id", "worker_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("sandbox_account.id"))
    worker_id: Mapped[int] = mapped_column(ForeignKey("sandbox_worker.id"))
    reason: Mapped[str] = mapped_column(Text)

    worker: Mapped[Worker] = relationship()


class Message(Base):
    """What a worker is told; Amazon sent an e-mail, here it stands on the worker's page."""

    __tablename__ = "sandbox_message"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("sandbox_account.id"))
    worker_id: Mapped[int] = mapped_column(ForeignKey("sandbox_worker.id"), index=True)
    subject: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[datetime]


class QualificationType(Base):
    """A kind of qualification. The system's own have no account and cannot be requested."""

    __tablename__ = "sandbox_qualification_type"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("sandbox_account.id"), index=True)
    external_id: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    keywords: Mapped[str] = mapped_column(Text, default="")
    description: Mapped[str] = mapped_column(Text)
    active: Mapped[bool]
    retry_delay_s: Mapped[int | None]
    test: Mapped[str | None] = mapped_column(Text)
    answer_key: Mapped[str | None] = mapped_column(Text)
    test_duration_s: Mapped[int | None]
    auto_granted: Mapped[bool] = mapped_column(default=False)
    auto_granted_value: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Qualification(Base):
    """A worker's qualification of one type, granted or revoked; the value may be absent."""

    __tablename__ = "sandbox_qualification"
    __table_args__ = (UniqueConstraint("type_id", "worker_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    type_id: Mapped[int] = mapped_column(ForeignKey("sandbox_qualification_type.id"))
    worker_id: Mapped[int] = mapped_column(ForeignKey("sandbox_worker.id"), index=True)
    status: Mapped[QualificationStatus] = mapped_column(enum_column(QualificationStatus))
    value: Mapped[int | None]
    granted_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text, default="")

    type: Mapped[QualificationType] = relationship()
    worker: Mapped[Worker] = relationship()


class QualificationRequest(Base):
    """A worker asked for a qualification, with its test as it was then, and its answers."""

    __tablename__ = "sandbox_qualification_request"

    id: Mapped[int] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(String(64), unique=True)
    type_id: Mapped[int] = mapped_column(ForeignKey("sandbox_qualification_type.id"), index=True)
    worker_id: Mapped[int] = mapped_column(ForeignKey("sandbox_worker.id"), index=True)
    status: Mapped[RequestStatus] = mapped_column(enum_column(RequestStatus))
    test: Mapped[str | None] = mapped_column(Text)
    answer_key: Mapped[str | None] = mapped_column(Text)
    test_duration_s: Mapped[int | None]
    answer: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(Text, default="")

    type: Mapped[QualificationType] = relationship()
    worker: Mapped[Worker] = relationship()
