"""HIT types, HITs, assignments and bonuses."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from evaluation.sandbox.store.base import Base
from evaluation.sandbox.store.people import Account, Worker
from evaluation.services.store import enum_column


class HitStatus(enum.StrEnum):
    """The life of a HIT, in the API's words."""

    ASSIGNABLE = "Assignable"
    UNASSIGNABLE = "Unassignable"
    REVIEWABLE = "Reviewable"
    REVIEWING = "Reviewing"
    DISPOSED = "Disposed"


class AssignmentStatus(enum.StrEnum):
    """The life of an assignment; only the API's three are shown to requesters."""

    ACCEPTED = "Accepted"
    SUBMITTED = "Submitted"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    RETURNED = "Returned"
    ABANDONED = "Abandoned"


SHOWN = (AssignmentStatus.SUBMITTED, AssignmentStatus.APPROVED, AssignmentStatus.REJECTED)
"""The statuses that requesters can see."""

_LIVE = text("status NOT IN ('Returned', 'Abandoned')")


class HitType(Base):
    """Properties shared by HITs; equal properties of one requester are one HIT type."""

    __tablename__ = "sandbox_hit_type"
    __table_args__ = (UniqueConstraint("account_id", "digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("sandbox_account.id"))
    external_id: Mapped[str] = mapped_column(String(64), unique=True)
    group_id: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    keywords: Mapped[str] = mapped_column(Text)
    reward_cents: Mapped[int]
    duration_s: Mapped[int]
    auto_approval_s: Mapped[int]
    requirements: Mapped[list[dict[str, Any]]]
    notification: Mapped[dict[str, Any]] = mapped_column(default=dict)  # empty: none was set
    notification_active: Mapped[bool] = mapped_column(default=False)


class Hit(Base):
    """A task. The counters follow its assignments; `held_cents` is what they may still cost."""

    __tablename__ = "sandbox_hit"
    __table_args__ = (
        Index("ix_sandbox_hit_status_expires_at", "status", "expires_at"),
        Index("ix_sandbox_hit_account_id_status", "account_id", "status"),
        CheckConstraint(
            "n_pending >= 0 AND n_submitted >= 0 AND n_approved >= 0 AND n_rejected >= 0"
            " AND n_pending + n_submitted + n_approved + n_rejected <= max_assignments",
            name="counters",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("sandbox_account.id"))
    type_id: Mapped[int] = mapped_column(ForeignKey("sandbox_hit_type.id"), index=True)
    external_id: Mapped[str] = mapped_column(String(64), unique=True)
    question: Mapped[str] = mapped_column(Text)
    annotation: Mapped[str] = mapped_column(Text, default="")
    max_assignments: Mapped[int]
    status: Mapped[HitStatus] = mapped_column(enum_column(HitStatus))
    n_pending: Mapped[int] = mapped_column(default=0)
    n_submitted: Mapped[int] = mapped_column(default=0)
    n_approved: Mapped[int] = mapped_column(default=0)
    n_rejected: Mapped[int] = mapped_column(default=0)
    n_submissions: Mapped[int] = mapped_column(default=0)
    held_cents: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    account: Mapped[Account] = relationship()
    type: Mapped[HitType] = relationship()

    @property
    def n_available(self) -> int:
        """Assignments nobody has taken."""
        taken = self.n_pending + self.n_submitted + self.n_approved + self.n_rejected
        return self.max_assignments - taken


class Assignment(Base):
    """One worker's copy of a HIT, at the terms of `type`, the HIT's when it was accepted.

    Ids of returned and abandoned assignments may be given out again, so only a live one's is
    unique; a worker has at most one live assignment of a HIT.
    """

    __tablename__ = "sandbox_assignment"
    __table_args__ = (
        Index(
            "uq_sandbox_assignment_external_id_live",
            "external_id",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
        Index(
            "uq_sandbox_assignment_hit_id_worker_id_live",
            "hit_id",
            "worker_id",
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        ),
        Index("ix_sandbox_assignment_external_id", "external_id"),
        Index("ix_sandbox_assignment_status_deadline", "status", "deadline"),
        Index("ix_sandbox_assignment_status_auto_approve_at", "status", "auto_approve_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    hit_id: Mapped[int] = mapped_column(ForeignKey("sandbox_hit.id"))
    type_id: Mapped[int] = mapped_column(ForeignKey("sandbox_hit_type.id"))
    worker_id: Mapped[int] = mapped_column(ForeignKey("sandbox_worker.id"), index=True)
    external_id: Mapped[str] = mapped_column(String(64))
    status: Mapped[AssignmentStatus] = mapped_column(enum_column(AssignmentStatus))
    submission: Mapped[int] = mapped_column(default=0)  # order of submission within the HIT
    accepted_at: Mapped[datetime]
    deadline: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    auto_approve_at: Mapped[datetime | None]
    approved_at: Mapped[datetime | None]
    rejected_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(Text, default="")
    feedback: Mapped[str] = mapped_column(Text, default="")

    hit: Mapped[Hit] = relationship()
    type: Mapped[HitType] = relationship()
    worker: Mapped[Worker] = relationship()


class Bonus(Base):
    """A payment beside the reward."""

    __tablename__ = "sandbox_bonus"

    id: Mapped[int] = mapped_column(primary_key=True)
    assignment_id: Mapped[int] = mapped_column(ForeignKey("sandbox_assignment.id"), index=True)
    cents: Mapped[int]
    reason: Mapped[str] = mapped_column(Text)
    granted_at: Mapped[datetime]

    assignment: Mapped[Assignment] = relationship()
