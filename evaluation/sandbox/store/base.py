"""What all tables of the bundled service share: one metadata of its own and ids."""

import secrets
import string

from sqlalchemy.orm import DeclarativeBase

from evaluation.services.store import service_registry

VERSION = 2
"""Schema version of the service's database; a database with another stamp is refused."""

_ALPHABET = string.ascii_uppercase + string.digits


def new_id() -> str:
    """Return a fresh platform id: 30 capitals and digits that begin with 3, as Amazon's did."""
    return "3" + "".join(secrets.choice(_ALPHABET) for _ in range(29))


def is_id(text: str) -> bool:
    """Whether a text from outside can be a platform id at all."""
    return 1 <= len(text) <= 64 and not set(text) - set(_ALPHABET)


class Base(DeclarativeBase):
    """Base of the service's tables. The study's tables are not among them."""

    registry = service_registry()
