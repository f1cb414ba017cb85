"""Workers: found or made by their id. Any well-formed id is a worker here."""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from evaluation.sandbox.store import Unit, Worker
from evaluation.services.web import Refusal

ID_PATTERN = re.compile(r"A[A-Z0-9]{1,63}")


def find_worker(unit: Unit, external_id: str) -> Worker | None:
    """Return the worker of an id, if they were seen before."""
    return unit.session.scalar(select(Worker).where(Worker.external_id == external_id))


def get_worker(unit: Unit, external_id: str) -> Worker:
    """Return the worker of an id, made on first sight.

    Raises:
        Refusal: not the form of a worker id.
    """
    if not ID_PATTERN.fullmatch(external_id):
        raise Refusal(
            "A worker id is the letter A and then up to 63 capitals and digits, "
            "for example A1SANDBOX.",
            400,
        )
    found = find_worker(unit, external_id)
    if found is None:
        found = Worker(external_id=external_id, created_at=unit.now)
        unit.session.add(found)
        unit.session.flush()
    return found


def set_known(worker: Worker, known: Mapping[str, Any]) -> None:
    """Change what the platform knows of a worker.

    Args:
        worker: whose attributes change.
        known: `country` and `subdivision` (two letters or digits, or empty), `approved_before`
            and `rejected_before` (counts, as numbers or text), `adult`, `masters`.

    Raises:
        Refusal: a value that cannot be.
    """
    for name, value in known.items():
        if name in ("country", "subdivision"):
            setattr(worker, name, _code(value))
        elif name in ("approved_before", "rejected_before"):
            setattr(worker, name, _count(str(value)))
        else:
            setattr(worker, name, bool(value))


def _code(text: str) -> str:
    """A country or subdivision code, or none."""
    code = text.strip().upper()
    if code and not (len(code) == 2 and code.isascii() and code.isalnum()):
        raise Refusal(f"“{text[:20]}” is not a two-letter code such as US or CA.", 400)
    return code


def _count(text: str) -> int:
    """A number of assignments."""
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        raise Refusal(f"“{text[:20]}” is not a whole number of assignments.", 400)
    return int(text)
