"""Signed tokens of the worker pages.

A worker page lives in another site's frame, where cookies and browser storage do not work. Its
state is the ids in the URL, the database, and this token, which every request must bring back.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from itsdangerous import BadData

from evaluation.errors import TokenError
from evaluation.schema import AssignmentStatus
from evaluation.secret import Signed, signer


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
    return str(signer(secret, Signed.PAGE).dumps(payload))


def read_token(secret: str, text: str, now: datetime) -> PageToken:
    """Check a token and return what it stands for.

    Raises:
        TokenError: forged, damaged, signed for another study, or expired.
    """
    try:
        payload = signer(secret, Signed.PAGE).loads(text)
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
