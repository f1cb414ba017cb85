"""What people agreed to: the version, and a checksum of the very text they read."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from evaluation.errors import UsageError
from evaluation.schema import Assignment, Consent, Study


def text_digest(text: str) -> str:
    """Return the SHA-256 of a consent text, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def consent_texts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the consent text by language; the study's own under the empty name."""
    consent = settings.get("consent")
    if not consent:
        return {}
    translated = (settings.get("text") or {}).items()
    return {"": consent["text"]} | {
        language: texts["consent"] for language, texts in translated if "consent" in texts
    }


def check_version(session: Session, study: Study, settings: Mapping[str, Any]) -> None:
    """Refuse another consent text under a version that already stands for a text.

    Raises:
        UsageError: the message says to write another version.
    """
    new = consent_texts(settings)
    if not new:
        return
    version = str(settings["consent"]["version"])
    old = consent_texts(study.settings)
    if old and str(study.settings["consent"]["version"]) == version:
        changed = any(new.get(language, text) != text for language, text in old.items())
    else:
        agreed = select(Consent.text_sha256).join(Assignment).where(
            Assignment.study_id == study.id, Consent.version == version
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
    given = select(Consent.id).where(
        Consent.assignment_id == assignment.id, Consent.version == version
    )
    if session.scalar(given) is None:
        session.add(
            Consent(
                assignment_id=assignment.id,
                version=version,
                text_sha256=text_digest(text),
                given_at=now,
            )
        )
