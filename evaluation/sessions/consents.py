"""What people agreed to: the version, and a checksum of the very text they read."""

import hashlib
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation import frozen, schema
from evaluation.errors import UsageError
from evaluation.languages import Texts
from evaluation.schema import Assignment
from evaluation.study import Consent, Study


def text_digest(text: str) -> str:
    """Return the SHA-256 of a consent text, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _by_language(consent: Consent, texts: Texts) -> dict[str, str]:
    """Return the consent text by language; the study's own under the empty name."""
    translated = {name: own["consent"] for name, own in texts.items() if "consent" in own}
    return {"": consent.text} | translated


def check_version(session: Session, row: schema.Study, study: Study) -> None:
    """Refuse another consent text under a version that already stands for a text.

    Args:
        session: of any unit.
        row: the study as it is stored.
        study: the study as its file has it now.

    Raises:
        UsageError: the message says to write another version.
    """
    if study.consent is None:
        return
    new, version = _by_language(study.consent, study.text), study.consent.version
    before = frozen.consent(row)
    if before is not None and before.version == version:
        old = _by_language(before, frozen.text(row))
        changed = any(new.get(language, text) != text for language, text in old.items())
    else:
        agreed = select(schema.Consent.text_sha256).join(Assignment).where(
            Assignment.study_id == row.id, schema.Consent.version == version
        )  # fmt: skip
        changed = not set(session.scalars(agreed)) <= {text_digest(text) for text in new.values()}
    if changed:
        raise UsageError(
            f"[consent] the text changed, but version {version!r} stands for the text before; "
            "write another version"
        )


def note_consent(
    session: Session, assignment: Assignment, version: str, text: str, now: datetime
) -> None:
    """Write down that a worker agreed; once for each session and version."""
    given = select(schema.Consent.id).where(
        schema.Consent.assignment_id == assignment.id, schema.Consent.version == version
    )
    if session.scalar(given) is None:
        session.add(
            schema.Consent(
                assignment_id=assignment.id,
                version=version,
                text_sha256=text_digest(text),
                given_at=now,
            )
        )
