"""Participant groups."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from evaluation.prolific_sandbox.errors import missing
from evaluation.prolific_sandbox.store import Group, Unit, new_id


def every(unit: Unit) -> Sequence[Group]:
    """Return all groups, oldest first."""
    return unit.session.scalars(select(Group).order_by(Group.id)).all()


def find(unit: Unit, external_id: str) -> Group:
    """Return a group by its id. Raises ApiError (404)."""
    found = unit.session.scalar(select(Group).where(Group.external_id == external_id))
    if found is None:
        raise missing("Participant group")
    return found


def create(unit: Unit, name: str) -> Group:
    """Make a group; the same name twice makes two."""
    made = Group(external_id=new_id(), name=name, members=[])
    unit.session.add(made)
    unit.session.flush()
    return made


def row(group: Group) -> dict[str, Any]:
    """Return a group as the API shows it."""
    return {
        "id": group.external_id,
        "name": group.name,
        "participant_count": len(group.members),
        "is_deleted": False,
    }
