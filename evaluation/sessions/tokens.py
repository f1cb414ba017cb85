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
from evaluation.schema import AssignmentStatus

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
        nonce: of the assignment, whose id another one has after a restore; None where it has none.
    """

    study: int
    assignment: int
    worker: int
    expires_at: datetime
    nonce: str | None = None


def sign_token(secret: str, token: PageToken) -> str:
    """Return the token as URL-safe text, signed with the study's secret."""
    seconds = int(token.expires_at.timestamp())
    payload: list[int | str] = [token.study, token.assignment, token.worker, seconds]
    if token.nonce is not None:
        payload.append(token.nonce)
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
    numbers, rest = (payload[:4], payload[4:]) if isinstance(payload, list) else ([], [])
    nonce = rest[0] if rest else None
    if (
        len(numbers) != 4
        or len(rest) > 1
        or not all(type(value) is int for value in numbers)
        or not isinstance(nonce, str | None)
    ):
        raise TokenError("the page's token is not valid; open the page again")
    study, assignment, worker, seconds = numbers
    try:
        expires_at = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise TokenError("the page's token is not valid; open the page again") from None
    return PageToken(study, assignment, worker, expires_at, nonce)


def check_page(page: str | None, nonce: str | None, status: AssignmentStatus) -> None:
    """Refuse the page of a session that a restore has lost, where another has its id now.

    A withdrawn session has lost its nonce; what its page is told is that it is closed.

    Args:
        page: the nonce in the page's token.
        nonce: of the assignment that the token names.
        status: of that assignment.

    Raises:
        TokenError: the page is of another session.
    """
    if status is not AssignmentStatus.WITHDRAWN and page != nonce:
        raise TokenError("the page's session does not exist; open the page again")


def completion_code(secret: str, assignment: int, nonce: str | None) -> str:
    """Return the code that proves a finished session: ten capitals and digits, always the same.

    The digits 0, 1 and 8 do not occur, so nobody has to tell them from O, I and B. It is made from
    the nonce, because two sessions may have the same id in turn; from the id where there is none.
    """
    message = f"completion:{assignment if nonce is None else nonce}"
    digest = hmac.digest(secret.encode(), message.encode(), hashlib.sha256)
    return base64.b32encode(digest).decode()[:_CODE_LENGTH]
