"""Open the fake's database."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from evaluation.prolific_sandbox.store import VERSION, Service, new_id
from evaluation.services import store as service_store

Store = service_store.Store[Service]
Unit = service_store.Unit[Service]


def open_store(url: str, clock: Callable[[], datetime]) -> Store:
    """Open the SQLite file at `url`, creating its tables when it is empty.

    Raises:
        DatabaseError: no SQLite file's URL, not to be opened, not ours, or of another version.
    """
    return service_store.open_store(
        url, clock, Service, VERSION, _first_rows, backends=["SQLite"], synchronous="NORMAL"
    )


def _first_rows(session: Session, _now: datetime) -> None:
    session.add(Service(id=1, version=VERSION, workspace=new_id(), project=new_id()))
