"""What every view works with: the study, its database and clips, and the one clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import current_app

from evaluation import schema
from evaluation.clock import utc_now
from evaluation.database import Database
from evaluation.errors import EvaluationError
from evaluation.storage import MediaStore


@dataclass
class Services:
    """What the views work with.

    Args:
        database: of the study.
        store: of its encoded clips.
        study: its name.
        open_door: whether anyone who reaches `/` may rate; else only by the join link.
        frozen: the study with its questions, as it was last found: for what changes only where
            the study is frozen again, which `webapp.rating` notices.
        form_hosts: sites that a finished session may be submitted to.
    """

    database: Database
    store: MediaStore
    study: str
    open_door: bool
    frozen: schema.Study
    form_hosts: tuple[str, ...] = ()


@contextmanager
def closed_on_error(database: Database) -> Iterator[None]:
    """Close a database where what follows is refused, as nobody else will."""
    try:
        yield
    except EvaluationError:
        database.close()
        raise


def services() -> Services:
    """Return the running application's services."""
    found: Services = current_app.extensions["vgan_eval"]
    return found


now = utc_now  # the one clock of the views
