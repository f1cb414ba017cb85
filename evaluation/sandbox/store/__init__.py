"""The state of the bundled service, in SQL."""

from evaluation.sandbox.store.base import VERSION, Base, is_id, new_id
from evaluation.sandbox.store.engine import Store, Unit, open_store
from evaluation.sandbox.store.people import (
    Account,
    Block,
    Entry,
    EntryKind,
    Message,
    Qualification,
    QualificationRequest,
    QualificationStatus,
    QualificationType,
    RequestStatus,
    Worker,
)
from evaluation.sandbox.store.service import (
    DuplicateError,
    Fault,
    FaultKind,
    Notification,
    Service,
    Token,
)
from evaluation.sandbox.store.work import (
    SHOWN,
    Assignment,
    AssignmentStatus,
    Bonus,
    Hit,
    HitStatus,
    HitType,
)

__all__ = [
    "SHOWN",
    "VERSION",
    "Account",
    "Assignment",
    "AssignmentStatus",
    "Base",
    "Block",
    "Bonus",
    "DuplicateError",
    "Entry",
    "EntryKind",
    "Fault",
    "FaultKind",
    "Hit",
    "HitStatus",
    "HitType",
    "Message",
    "Notification",
    "Qualification",
    "QualificationRequest",
    "QualificationStatus",
    "QualificationType",
    "RequestStatus",
    "Service",
    "Store",
    "Token",
    "Unit",
    "Worker",
    "is_id",
    "new_id",
    "open_store",
]
