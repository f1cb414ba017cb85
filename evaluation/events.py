"""What happened to a study is written down here; who needs to know reads `schema.Event`."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from evaluation.schema import Event, EventKind


def note_event(
    session: Session, study_id: int, kind: EventKind, details: dict[str, Any], now: datetime
) -> None:
    """Write down what happened to a study; who reads a kind says what its details, JSON, hold."""
    session.add(Event(study_id=study_id, kind=kind, details=details, created_at=now))
