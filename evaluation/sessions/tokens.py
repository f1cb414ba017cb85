"""Signed tokens of the worker pages, and completion codes.

A worker page lives in another site's frame, where cookies and browser storage do not work. Its
state is the ids in the URL, the database, and this token, which every request must bring back.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from itsdangerous import BadData, URLSafeSerializer

from evaluation.errors import TokenError

_SALT = "worker-page"
_CODE_LENGTH = 10


@dataclass(frozen=True)
class PageToken:
    """What a page may act for: one assignment of one worker in one study, until a time.

    Args:
        study: id of the study, whose secret signs the token.
        assignment: id of the assignment.
        worker: id of the worker.
        expires_at: aware; whole seconds are kept. Choose it well past the lease, because a late
            worker may always finish.
    """

    study: int
    assignment: int
    worker: int
    expires_at: datetime


def sign_token(secret: str, token: PageToken) -> str:
    """Return the token as URL-safe text, signed with the study's secret."""
    seconds = int(token.expires_at.timestamp())
    payload = [token.study, token.assignment, token.worker, seconds]
    return str(URLSafeSerializer(secret, salt=_SALT).dumps(payload))


def read_token(secret: str, text: str, now: datetime) -> PageToken:
    """Check a token and return what it stands for.

    Raises:
        TokenError: forged, damaged, signed for another study, or expired.
    """
    try:
        payload = URLSafeSerializer(secret, salt=_SALT).loads(text)
    except BadData:
        raise TokenError("the page's token is not valid; open the page again") from None
    token = _parsed(payload)
    if now >= token.expires_at:
        raise TokenError("the page's token has expired; open the page again")
    return token


def _parsed(payload: object) -> PageToken:
    if (
        not isinstance(payload, list)
        or len(payload) != 4
        or not all(type(value) is int for value in payload)
    ):
        raise TokenError("the page's token is not valid; open the page again")
    study, assignment, worker, seconds = payload
    try:
        expires_at = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise TokenError("the page's token is not valid; open the page again") from None
    return PageToken(study, assignment, worker, expires_at)


def completion_code(secret: str, assignment: int) -> str:
    """Return the code that proves a finished session: ten capitals and digits, always the same.

    The digits 0, 1 and 8 do not occur, so nobody has to tell them from O, I and B.
    """
    digest = hmac.digest(secret.encode(), f"completion:{assignment}".encode(), hashlib.sha256)
    return base64.b32encode(digest).decode()[:_CODE_LENGTH]
