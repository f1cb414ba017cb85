"""The note that shows the app that whoever examines it holds the study's database.

It opens `webapp.doctor`, which writes nothing, for a few minutes.
"""

from datetime import UTC, datetime, timedelta

from itsdangerous import BadData

from evaluation.errors import TokenError
from evaluation.secret import Signed, signer

# Wide, and to both sides: a skewed clock is to be named as such, not as a wrong note.
_LIFE = timedelta(hours=1)


def sign_note(secret: str, now: datetime) -> str:
    """Return a note for now, signed with the study's secret."""
    return str(signer(secret, Signed.NOTE).dumps(int(now.timestamp())))


def read_note(secret: str, text: str, now: datetime) -> None:
    """Check a note.

    Raises:
        TokenError: forged, of another study or database, or not of this hour.
    """
    try:
        signed = signer(secret, Signed.NOTE).loads(text)
        made = datetime.fromtimestamp(signed, UTC)
    except (BadData, TypeError, ValueError, OverflowError, OSError):
        raise TokenError("the note is not valid") from None
    if abs(now - made) > _LIFE:
        raise TokenError("the note is not of this hour")
