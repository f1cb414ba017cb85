"""Pause a study and let it go on: nobody new is let in meanwhile, who has started may finish."""

from datetime import datetime

from sqlalchemy.orm import Session

from evaluation import schema
from evaluation.errors import UsageError
from evaluation.events import note_event
from evaluation.schema import EventKind


def set_paused(session: Session, study: schema.Study, now: datetime, *, paused: bool) -> bool:
    """Pause or resume a study, and write down when.

    Returns:
        Whether that changed anything: pausing twice is pausing once.
    """
    if study.paused == paused:
        return False
    study.paused = paused
    kind = EventKind.PAUSED if paused else EventKind.RESUMED
    note_event(session, study.id, kind, {}, now)
    session.flush()
    return True


def check_running(study: schema.Study) -> None:
    """Refuse to put places of a paused study on offer.

    Raises:
        UsageError: it is paused; whoever came for one would be sent away.
    """
    if study.paused:
        raise UsageError(
            f"study `{study.name}` is paused, so workers would find nothing to do; "
            "run `vgan-eval resume` first"
        )
