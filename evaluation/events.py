"""What happened to a study is written down here; who needs to know reads `schema.Event`."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from evaluation.schema import Event, EventKind


def note_event(
    session: Session, study_id: int, kind: EventKind, details: dict[str, Any], now: datetime
) -> None:
    """Write an event of a study down.

    Args:
        session: of a write unit.
        study_id: our id.
        kind: what happened.
        details: as JSON; what is read of them again is said where the kind is read.
        now: aware.
    """
    session.add(Event(study_id=study_id, kind=kind, details=details, created_at=now))
