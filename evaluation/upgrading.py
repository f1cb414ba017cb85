"""Bringing an existing study database to this program's schema, without its study file."""

from dataclasses import dataclass

from alembic.script import ScriptDirectory

from evaluation.database import create_database, migration_config, open_database
from evaluation.errors import DatabaseOlder


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade did.

    Args:
        before: the database's revision.
        after: its revision now; the same when there was nothing to do.
    """

    before: str
    after: str


def newest_revision() -> str:
    """Return the schema revision that this program works with."""
    head = ScriptDirectory.from_config(migration_config()).get_current_head()
    assert head is not None, "the migrations are a line with one end"
    return head


def upgrade_database(url: str) -> Upgrade:
    """Upgrade a study database in one transaction; again changes nothing.

    Args:
        url: as for `open_database`.

    Raises:
        DatabaseError: missing, unreachable, empty, not ours, or newer than this program.
    """
    head = newest_revision()
    try:
        open_database(url).close()
    except DatabaseOlder as older:
        create_database(url).close()
        return Upgrade(older.revision, head)
    return Upgrade(head, head)
